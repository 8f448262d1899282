"""What a run tells while it goes on: one event for each thing that happens to a step.

    started    the step begins
    called     one call of a model or a tool ended; it has the cost, and `detail` is the fault if it brought no value
    retried    the step asks again; `detail` is why
    miscounted a model's count of tokens cannot be, or it gives none (told once for each model); `detail` says what
               counts instead
    repaired   a reply was read in spite of a fault of form; `detail` is what was mended
    clipped    an input or a value was cut to its cap
    refused    a call was not made, because the budget has no room for it
    failed     the step gives no value (after `refused`, `retried`, ...); its declared default may still follow
    finished   the step has a value; `detail` says `default` where it is the declared one

In a run that goes on from its journal:

    reused     the step has its value from the journal; nothing was called
    claimed    the same, from a step that stood elsewhere before a patch; `detail` says where
    replayed   a reply or a fault of an unfinished step was taken from the journal; nothing was called
    repeated   a call is made that was under way when the run was broken off: it may be paid for twice
    rerun      the step was finished but cannot be reused; `detail` is why

A step begins with `started` and ends with `finished`, or with `failed` alone. One that is taken from the journal has
`reused` or `claimed` alone, or `failed` alone where the run had gone past its failure. Calls that an agent with tools
makes are steps of their own, below it: `main.answer.search[0]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from masdsl.sizes import MICROSECONDS

if TYPE_CHECKING:
    from masdsl.runtime.agent import Agent
    from masdsl.runtime.tool import Tool

EventKind: TypeAlias = Literal[
    "started", "called", "miscounted", "retried", "repaired", "clipped", "refused", "failed", "finished",
    "reused", "claimed", "replayed", "repeated", "rerun",
]  # fmt: skip
StepKind: TypeAlias = Literal["agent", "tool", "flow"]


VALUED: frozenset[EventKind] = frozenset({"finished", "reused", "claimed"})
"""The kinds of events that have a value."""


class Event(NamedTuple):
    """Something that happened to a step.

    `path` and `indices` are the step's address (`main.refine.code` and the numbers of its iterations and samples,
    outermost first); `name` is what it calls, `what` is agent, tool or flow. `number` counts the events of a run from
    0, `at` is in seconds from its start. On `called`, `attempt` (from 0), `model`, tokens, `usd` and `seconds` are
    those of that one call (of a tool, `model` is what gave its value, as the tier of the sandbox); on `finished` and
    `failed`, `seconds` is the time of the whole step. On `finished`, `reused` and `claimed`, `value` is its value as
    JSON data.
    """

    number: int
    kind: EventKind
    path: str
    indices: tuple[int, ...]
    what: StepKind
    name: str
    at: float
    attempt: int = 0
    model: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    usd: float = 0.0
    seconds: float = 0.0
    detail: str = ""
    value: Any = None

    @property
    def address(self) -> str:
        """The step's address, such as `main.refine.code[1]`."""
        return address(self.path, self.indices)

    def to_json(self) -> dict[str, Any]:
        """Return the event as JSON data, without what is empty."""
        data = self._asdict()
        data["indices"] = list(self.indices)
        kept = ("number", "kind", "path", "what", "name", "at")
        data = {name: value for name, value in data.items() if name in kept or value not in ("", 0, None, [])}
        if self.kind in VALUED:
            data["value"] = self.value
        return data


RawEvent: TypeAlias = tuple[Any, ...]
"""The fields of an event, without the last ones where those are what they are by default. A run keeps these, and makes
events of them for whoever looks: plain tuples of texts and numbers are no burden to the garbage collector, however many
runs are under way."""


def rounded(seconds: float) -> float:
    """Return a time, from 0 on, to the microsecond; `round` takes six times as long."""
    return int(seconds * MICROSECONDS + 0.5) / MICROSECONDS


Observer: TypeAlias = Callable[[Event], None]

Witness: TypeAlias = 'Callable[[str, tuple[int, ...], "Agent[Any] | Tool[Any]", Mapping[str, Any]], None]'
"""Told of each step of an agent or a tool before its first event: its address, what it calls, its fitted inputs."""


def read_address(text: str) -> tuple[str, tuple[int, ...]]:
    """Return the path and the indices of an address."""
    path, _, indices = text.partition("[")
    return path, tuple(map(int, indices.removesuffix("]").split(","))) if indices else ()


def address(path: str, indices: tuple[int, ...]) -> str:
    """Return `main.refine.code[1]`, or `main.refine.code[1,0]` for the first sample in the second iteration."""
    return f"{path}[{','.join(map(str, indices))}]" if indices else path
