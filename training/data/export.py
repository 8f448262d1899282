"""Training data as TRL reads them: conversational prompt and completion, an example a line, with provenance.

    {"prompt": [{"role": "system", ..}, {"role": "user", ..}],
     "completion": [{"role": "assistant", "content": REASONS + PROGRAM}], "provenance": {..}}

The prompt is what a trained generator is asked in use (`masdsl.meta.trained`).

Examples are in the order of their ids, and no two are the same query with the same program: that is decided by the
canonical hash, so layout and names of locals make no difference.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Any, Literal, NamedTuple, TypeAlias

from masdsl.batch.rows import DataFault
from masdsl.meta.emission import completion_of
from masdsl.meta.systems import compact
from masdsl.meta.task import SIGNATURE
from masdsl.meta.trained import compact_text, messages_of
from training.data.pools import write_text

Form: TypeAlias = Literal["compact", "pretty"]


class Example(NamedTuple):
    """A query, why a system suits it, and the system: (Q_i, R_i, MAS_i) of MAS-GPT. `hash` is the program's.

    `signature`, `tools` and `calls` are what else the generator is told, as in use (`masdsl.meta.trained`).
    """

    id: str
    query: str
    reasoning: str
    program: str
    hash: str
    provenance: dict[str, Any]
    signature: str = SIGNATURE
    tools: tuple[str, ...] = ()
    calls: int | None = None

    @property
    def key(self) -> str:
        """What makes it the same example as another: the query without differences of blanks, and the program."""
        return sha256(f"{' '.join(self.query.split())}\0{self.hash}".encode("utf-8", "surrogatepass")).hexdigest()

    def completion(self, form: Form) -> str:
        """Return what a model is to say."""
        return completion_of(
            self.reasoning, compact_text(self.program) if form == "compact" else masdsl_format(self.program)
        )

    def row(self, form: Form) -> dict[str, Any]:
        """Return it as TRL's conversational prompt-completion form."""
        asked = messages_of(self.query, self.signature, self.tools, self.calls)
        return {
            "prompt": [{"role": one.role, "content": one.content} for one in asked],
            "completion": [{"role": "assistant", "content": self.completion(form)}],
            "provenance": {"id": self.id, "key": self.key, "program": self.hash, **self.provenance},
        }


def masdsl_format(program: str) -> str:
    """Return a program in canonical layout. Raises masdsl.ProgramError."""
    import masdsl

    return masdsl.format(program)


def unique(examples: Iterable[Example]) -> tuple[Example, ...]:
    """Return the examples by id, of equal ones (`Example.key`) the one with the smallest id."""
    found: dict[str, Example] = {}
    for one in sorted(examples, key=lambda one: (one.id, one.hash)):
        found.setdefault(one.key, one)
    return tuple(found.values())


def write_examples(examples: Sequence[Example], path: str, form: Form) -> None:
    """Write examples as JSON lines, as a whole or not at all. Raises OSError."""
    rows = (json.dumps(one.row(form), sort_keys=True, ensure_ascii=False) + "\n" for one in examples)
    write_text(path, "".join(rows))


# ---------------------------------------------------------------- the data card

Count: TypeAlias = Callable[[str], int]


class Step(NamedTuple):
    """How much a step of the construction was given, and how much it gave; `note` says where the rest is."""

    name: str
    given: int
    kept: int
    note: str = ""


def token_counter(path: str) -> Count:
    """Return what counts tokens as the tokenizer in a `tokenizer.json` does, without special tokens.

    Raises DataFault for a file that is none.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(path)
    except Exception as fault:  # the library raises bare exceptions
        raise DataFault(f"{path} is no tokenizer that can be read ({fault}); name a `tokenizer.json`") from None
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def data_card(
    examples: Sequence[Example], steps: Sequence[Step], count: Count | None, more: dict[str, Any]
) -> dict[str, Any]:
    """Return the data card: sizes, lengths and yields.

    Lengths are in tokens where there is a counter, else in characters; never one for the other: `unit` says which.
    """
    measured = count or len
    parts: dict[str, list[str]] = {
        "query": [one.query for one in examples],
        "reasoning": [one.reasoning for one in examples],
        "program, compact": [compact(one.program) for one in examples],
        "program, pretty": [masdsl_format(one.program) for one in examples],
    }
    return {
        "examples": len(examples),
        "unique queries": len({" ".join(one.query.split()) for one in examples}),
        "unique programs": len({one.hash for one in examples}),
        "unit": "tokens" if count else "characters",
        "lengths": {name: _lengths([measured(text) for text in texts]) for name, texts in parts.items()},
        "steps": [one._asdict() for one in steps],
        **more,
    }


def _lengths(values: Sequence[int]) -> dict[str, float]:
    if not values:
        return {"mean": 0.0, "median": 0, "most": 0}
    ordered = sorted(values)
    mean = round(sum(values) / len(values), 1)
    return {"mean": mean, "median": ordered[len(ordered) // 2], "most": ordered[-1]}


def card_text(card: dict[str, Any]) -> str:
    """Return a data card as Markdown."""
    lines = [
        "# Data card",
        "",
        f"{card['examples']} examples, {card['unique queries']} queries, {card['unique programs']} programs.",
        "",
        "| step | given | kept | note |",
        "|---|---:|---:|---|",
        *(f"| {one['name']} | {one['given']} | {one['kept']} | {one['note']} |" for one in card["steps"]),
        "",
        f"| length ({card['unit']}) | mean | median | most |",
        "|---|---:|---:|---:|",
        *(f"| {name} | {one['mean']} | {one['median']} | {one['most']} |" for name, one in card["lengths"].items()),
        "",
        "| what | value |",
        "|---|---|",
    ]
    known = {"examples", "unique queries", "unique programs", "unit", "lengths", "steps"}
    lines += [
        f"| {name} | {json.dumps(value, ensure_ascii=False)} |" for name, value in card.items() if name not in known
    ]
    return "\n".join(lines) + "\n"
