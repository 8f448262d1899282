"""What a simulated model sees in a request: the task, candidate answers, evidence, and how it is asked.

Nothing but the text of the request (and the form of the reply that it asks for) is looked at: not the agent's name, nor
the step.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from masdsl.runtime.models.base import Request
from training.worlds.tasks import Task, Tasks, flat

_STEPS: Final = re.compile(
    r"step[ -]by[ -]step|\bthink|\breason|\bexplain|chain of thought|\bin detail\b|\bplan\b|\bcareful", re.IGNORECASE
)
_NO_SOLVING: Final = re.compile(r"(do not|don't|without) (solv|answer)", re.IGNORECASE)
_CODE: Final = re.compile(r"\bpython\b|\bprogram\b|\bonly code\b|\bthe code\b", re.IGNORECASE)
_FORMULA: Final = re.compile(r"\bwrite the expression\b", re.IGNORECASE)
_TOOL_SAYS: Final = re.compile(r"\b(?:calculator|program|tool|sandbox) (?:says|gave|returned|printed)\b", re.IGNORECASE)
_ASSERTS: Final = re.compile(r"\bassert", re.IGNORECASE)
_FUNCTION: Final = re.compile(r"function `?(\w+)\(|def (\w+)\(")
_CLAIMED: Final = re.compile(r"(?:answer:|answer is|\"answer\":) \"?([^\n\".;,}]+(?:\.\d+)?)", re.IGNORECASE)
_TOOL_USE: Final = re.compile(r'^\{"tool": ')
_HIT: Final = re.compile(r'"id": "([^"]+)"')
EXPERTS: Final[Mapping[str, tuple[str, ...]]] = {
    "sums": ("math", "arithmetic", "accountant", "calculat", "numbers"),
    "choice": ("knowledge", "geograph", "general", "choice", "scholar"),
    "facts": ("histor", "librarian", "search", "lookup", "facts", "archiv"),
    "puzzles": ("logic", "puzzle", "detective"),
}
"""Beginnings of words that mark an expert, or a way, for a family of tasks."""


class Seen(NamedTuple):
    """What there is to see.

    `candidates` are the possible answers of the task that stand in the prompt, in order, each as often as it stands
    there; `claimed` are answers that are marked as such, whatever the task. `evidence` is what a tool (or a document)
    says the answer is. `uses` are the uses of tools so far, `hits` the names of documents that the last one found.
    `steps`, `code`, `formula`, `asserts`, `solve` say how it is asked; `function` is what a program must define;
    `expert` is the family of the expert that it is to be. `plain` is the prompt without the task, `tokens` its length.
    """

    task: Task | None
    plain: str
    candidates: tuple[str, ...]
    claimed: tuple[str, ...]
    evidence: str | None
    uses: int
    hits: tuple[str, ...]
    steps: bool
    code: bool
    formula: bool
    asserts: bool
    solve: bool
    function: str
    expert: str
    tokens: int


def tokens_in(text: str) -> int:
    """Return what the simulator counts for a text: a token for 4 characters, at least 1."""
    return max(1, -(-len(text) // 4))


def read_request(request: Request, tasks: Tasks) -> Seen:
    """Return what there is to see in a request."""
    told = [one.content for one in request.messages if one.role != "assistant"]
    whole = "\n".join(told)
    task, plain = tasks.find(whole)
    results, uses = [], 0
    for before, after in zip(request.messages, request.messages[1:], strict=False):
        if before.role == "assistant" and _TOOL_USE.match(before.content) and after.role != "assistant":
            uses += 1
            results.append(after.content)
    fields = json.dumps(request.schema) if request.schema is not None else ""
    instruction = f"{plain} {fields}"
    functions = [one or other for one, other in _FUNCTION.findall(plain)]
    candidates = () if task is None else tuple(_possible(task).findall(plain))
    return Seen(
        task=task,
        plain=plain,
        candidates=tuple(_canonical(task, one) for one in candidates) if task is not None else (),
        claimed=tuple(one.strip() for one in _CLAIMED.findall(whole)),
        evidence=None if task is None else _evidence(task, plain, results),
        uses=uses,
        hits=tuple(_HIT.findall(results[-1])) if results else (),
        steps=_STEPS.search(instruction) is not None,
        code=_CODE.search(plain) is not None and _TOOL_SAYS.search(plain) is None,
        formula=_FORMULA.search(plain) is not None,
        asserts=_ASSERTS.search(plain) is not None,
        solve=_NO_SOLVING.search(plain) is None,
        function=functions[-1] if functions else "",
        expert=_expert(plain),
        tokens=sum(tokens_in(one.content) for one in request.messages) + tokens_in(fields),
    )


@lru_cache(maxsize=4096)
def _possible(task: Task) -> re.Pattern[str]:
    """Return what finds the possible answers of a task."""
    options = sorted((task.answer, *task.wrong), key=len, reverse=True)
    return re.compile(rf"(?<![\w.])(?:{'|'.join(map(re.escape, options))})(?:\.0)?(?!\w|\.\d)", re.IGNORECASE)


def _canonical(task: Task, found: str) -> str:
    """Return a possible answer as the task writes it."""
    for answer in (task.answer, *task.wrong):
        if found.casefold().removesuffix(".0") == answer.casefold():
            return answer
    return found


def _evidence(task: Task, plain: str, results: list[str]) -> str | None:
    """Return what evidence says: a document's sentence, or a possible answer that a tool gave.

    What a tool gave is the result of a use of one's own, or stands behind words such as `the calculator says`.
    """
    if task.evidence:
        return task.answer if flat(task.evidence).rstrip(".").casefold() in plain.casefold() else None
    for result in reversed(results):
        found = _possible(task).findall(flat(result))
        if found:
            return _canonical(task, found[-1])
    said = _TOOL_SAYS.search(plain)
    found = _possible(task).findall(plain[said.end() :]) if said else []
    return _canonical(task, found[0]) if found else None


def _expert(plain: str) -> str:
    low = plain.casefold()
    if not re.search(r"\b(you are|act as|expert|professor|specialist|role)\b", low):
        return ""
    for family, words in EXPERTS.items():
        if any(re.search(rf"\b{word}", low) for word in words):
            return family
    return ""
