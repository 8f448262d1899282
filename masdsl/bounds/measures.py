"""The four measures of a budget, and what bounds and limits say in each: whole numbers (picodollars, microseconds)."""

from __future__ import annotations

from typing import Final, Protocol

from masdsl.bounds.amounts import Amounts
from masdsl.bounds.requests import microseconds
from masdsl.bounds.result import Part
from masdsl.check.program import Program, Within
from masdsl.check.uses import statements_of
from masdsl.money import limit_of

MEASURES: Final = ("calls", "tokens", "usd", "seconds")


class AnyLimits(Protocol):
    """A budget, a slice of one, or the ceiling of a configuration."""

    @property
    def calls(self) -> int | None: ...  # noqa: D102
    @property
    def tokens(self) -> int | None: ...  # noqa: D102
    @property
    def usd(self) -> float | None: ...  # noqa: D102
    @property
    def seconds(self) -> float | None: ...  # noqa: D102


def limit(limits: AnyLimits | None, measure: str) -> int | None:
    """Return the limit in a measure, None where there is none."""
    if limits is None:
        return None
    match measure:
        case "calls":
            return limits.calls
        case "tokens":
            return limits.tokens
        case "usd":
            return None if limits.usd is None else limit_of(limits.usd)
        case _:
            return None if limits.seconds is None else microseconds(limits.seconds)


def lowest(measure: str, *limits: AnyLimits | None) -> int | None:
    """Return the lowest of several limits in a measure, None where there is none."""
    found = [one for one in (limit(each, measure) for each in limits) if one is not None]
    return min(found, default=None)


def value(amounts: Amounts, seconds: int, measure: str) -> int:
    """Return the amount in a measure."""
    match measure:
        case "calls":
            return amounts.calls
        case "tokens":
            return amounts.tokens
        case "usd":
            return amounts.usd
        case _:
            return seconds


def least_of(part: Part, measure: str) -> int:
    """Return a statement's share of the least; seconds have none."""
    return value(part.least, 0, measure)


def most_of(part: Part, measure: str) -> int:
    """Return a statement's share of the worst case."""
    return value(part.most, part.seconds, measure)


def counts_tokens(program: Program, ceiling: AnyLimits | None) -> bool:
    """Say whether a budget of the program, or the ceiling, limits tokens or money."""
    limits: list[AnyLimits | None] = [program.budget, ceiling, *(flow.limits for flow in program.flows)]
    for flow in program.flows:
        limits += [node.limits for node in statements_of(flow.body) if isinstance(node, Within)]
    return any(one is not None and (one.tokens is not None or one.usd is not None) for one in limits)
