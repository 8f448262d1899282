"""Never lose to the simple: systems with next to no design, and when one of them is run in place of a designed one.

The simplest systems are self-consistency (Wang et al., arXiv:2203.11171) and a single call. Where equal answers can be
counted (truths, numbers, words of an enum, short texts), self-consistency is as many samples as the budget's bound
permits, each with its reasons, and the most frequent answer. Where they cannot, an agent decides between five or three
of them, as in what MAS-GPT falls back to (arXiv:2503.03686).

One is run in place of a designed system for the same budget where

- the worst case of the designed one does not fit what is left, and that of the simple one does;
- the library's record of the same system says that it was no better than the simple one on the same queries: fewer
  right answers, or as many for no fewer tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from masdsl.check.program import Flow
from masdsl.meta.library import Entry, Record, hash_of
from masdsl.meta.outcome import Choice, System
from masdsl.meta.systems import bare, parsed
from masdsl.meta.task import Task
from masdsl.reading import LIBRARY
from masdsl.runtime.meter import Limits
from masdsl.syntax import ast
from masdsl.types import Bool, Enum, Int, Text

DECIDED: Final = (5, 3)
"""How many answers an agent decides between: what MAS-GPT falls back to draws five."""
COUNTED: Final = (15, 11, 9, 7, 5, 3)
"""How many answers are counted; beyond fifteen or so, more of them gain little (arXiv:2203.11171, figure 2)."""
REPLY_TOKENS: Final = (800, 400, 200, 100, 50)
"""How long a reply of the simplest systems may be; shorter where the budget is small."""
SHORT: Final = 60
"""Tokens of a text up to which equal answers are likely enough to be counted."""


# ---------------------------------------------------------------- the simplest


def simplest(task: Task, shape: Flow) -> Iterator[tuple[str, str]]:
    """Yield what answers a task with next to no design, the better first: its name, and its template."""
    texts = [one.name for one in shape.params if isinstance(one.type, Text)]
    names = ", ".join(one.name for one in shape.params)
    if is_counted(shape):
        for count in COUNTED:
            for tokens in REPLY_TOKENS[1:3]:
                yield f"self-consistency of {count}", _majority(task, names, count, tokens)
    elif isinstance(shape.returns, Text) and len(shape.params) == len(texts) == 1:
        for count in DECIDED:
            for tokens in REPLY_TOKENS[:3]:
                yield f"self-consistency of {count}", _consistency(task, texts[0], count, tokens)
    for tokens in REPLY_TOKENS:
        yield "one call", _single(task, names, tokens)


def is_counted(shape: Flow) -> bool:
    """Whether equal answers of a flow can be counted."""
    kind = shape.returns
    return isinstance(kind, Bool | Int | Enum) or (isinstance(kind, Text) and kind.cap <= SHORT)


def _majority(task: Task, names: str, count: int, tokens: int) -> str:
    return f"""mas 1

use std.vote: vote

agent solver({_params(task)}) -> (thinking: text({tokens}), answer: {_returns(task)}) temp 0.7 retry 1
  "Think step by step, then give the answer to this task."

{task.signature} {{
  found = {count} of solver({names})
  chosen_one = vote(found)
  return chosen_one.answer
}}
"""


def _consistency(task: Task, name: str, count: int, tokens: int) -> str:
    return f"""mas 1

agent solver({_params(task)}) -> text({tokens}) temp 0.7
  "Think step by step, then give the answer to this task: {{{{ {name} }}}}"

agent decider({_params(task)}, answers: text({tokens})[{count}]) -> text
  "Several people have worked on the same task. Weigh their answers, and give the final answer to the task."

{task.signature} {{
  answers = {count} of solver({name})
  return decider({name}, answers)
}}
"""


def _single(task: Task, names: str, tokens: int) -> str:
    return f"""mas 1

agent solver({_params(task)}) -> {_returns(task)} max {tokens}
  "Work on this task, and give the answer."

{task.signature} {{
  return solver({names})
}}
"""


def _params(task: Task) -> str:
    return task.signature.partition("(")[2].rpartition("->")[0].rpartition(")")[0]


def _returns(task: Task) -> str:
    return task.signature.rpartition("->")[2].strip()


# ---------------------------------------------------------------- the choice


def choice_by(entries: tuple[Entry, ...]) -> Choice:
    """Return what chooses between a designed system and a simple one, by bounds and by the records of a library."""
    records: dict[str, Record] = {}
    names: dict[str, Record] = {}
    for entry in entries:
        tree = parsed(entry.text)
        if tree is not None and entry.record is not None and not entry.is_changed():
            names[entry.name] = entry.record
            if entry.entry == "main":
                records[hash_of(bare(tree))] = entry.record

    def choose(task: Task, designed: System, simple: System, left: Limits) -> str:
        if designed.over and not simple.over:
            return f"at worst it takes more than is left of {', '.join(designed.over)}, and {simple.name} does not"
        record = _record_of(designed, records, names)
        return "" if record is None else why_no_better(record)

    return choose


def why_no_better(record: Record) -> str:
    """Return why a record says that its system is no better than the simple one; nothing where it does not say so."""
    own, simple = record.evaluation, record.simple
    if own is None or simple is None or own.runs != simple.runs or not own.runs:
        return ""
    if own.right > simple.right or (own.right == simple.right and own.spent.tokens < simple.spent.tokens):
        return ""
    more = "" if own.right < simple.right else f", for {own.spent.tokens:,} and {simple.spent.tokens:,} tokens"
    return (
        f"its library record says that it is no better: {own.right} of {own.runs} right, and {simple.right} by"
        f" {record.simple_name}{more}"
    )


def _record_of(system: System, records: Mapping[str, Record], names: Mapping[str, Record]) -> Record | None:
    """Return the record of a designed system: of the same program, or of the one module that does all its work."""
    tree = parsed(system.text)
    if tree is None:
        return None
    same = records.get(hash_of(bare(tree)))
    if same is not None:
        return same
    if any(isinstance(item, ast.Agent | ast.Variant | ast.Tool) for item in tree.items):
        return None
    paths = [tuple(part.text for part in item.path) for item in tree.items if isinstance(item, ast.Use)]
    if len(paths) != 1 or len(paths[0]) != 2 or paths[0][0] != LIBRARY:
        return None
    return names.get(paths[0][1])
