"""What the analysis of bounds finds, for budgets, tables and other programs to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from masdsl.bounds.amounts import Amounts
from masdsl.check.program import Limits
from masdsl.node import Span


class Part(NamedTuple):
    """A statement's share of its flow: `path` is its address, `what` says what it does.

    The amounts are for everything that the statement does in one run of the flow, all rounds of the loops around it
    included. `seconds` are microseconds of the rounds one after the other. `parts` are the statements inside it (of
    branches, the dearest one's), `others` those of its other branches, which the amounts are not made of.
    """

    path: str
    what: str
    span: Span
    least: Amounts
    most: Amounts
    seconds: int
    parts: tuple[Part, ...]
    others: tuple[Part, ...] = ()


class FlowBound(NamedTuple):
    """What a run of a flow instance costs: between `least` and `most`, in at most `seconds` microseconds.

    `required` is the least budget with which some run gets a value of its own without a refusal (the default, after a
    failure, may cost less). `needed` and `needed_seconds` are what it would cost at worst without its own budget.
    """

    key: str
    least: Amounts
    required: Amounts
    most: Amounts
    needed: Amounts
    seconds: int
    needed_seconds: int
    parts: tuple[Part, ...]

    @property
    def headline(self) -> str:
        """One sentence for people: `Worst case: 13 calls, 20,000 tokens.`"""
        return f"Worst case: {calls_text(self.most.calls)}, {self.most.tokens:,} tokens."


class SliceBound(NamedTuple):
    """A `within calls ..` of flow `key`: the least budget that its block needs, whatever way it takes.

    `around` are the limits of the slices that it is inside of.
    """

    key: str
    limits: Limits
    around: tuple[Limits, ...]
    required: Amounts
    parts: tuple[Part, ...]


class Bounds(NamedTuple):
    """The bounds of all flow instances by key, of all slices, and the keys of the flows that a run may start with."""

    flows: Mapping[str, FlowBound]
    slices: tuple[SliceBound, ...]
    entries: tuple[str, ...]

    @property
    def headline(self) -> str:
        """The worst case of the dearest entry, as a sentence."""
        bounds = [self.flows[key] for key in self.entries]
        return max(bounds, key=lambda bound: bound.most).headline if bounds else "Worst case: 0 calls, 0 tokens."


def calls_text(count: int) -> str:
    """Return a number of calls in words."""
    return "1 call" if count == 1 else f"{count:,} calls"
