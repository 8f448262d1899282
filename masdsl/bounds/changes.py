"""Changes that make a program fit its budget: fewer rounds or draws, where they weigh most; a cheaper tier."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

from masdsl.bounds.amounts import Amounts
from masdsl.bounds.flows import bound
from masdsl.bounds.measures import most_of
from masdsl.bounds.requests import NO_COUNTS, Counts, Prices
from masdsl.bounds.result import FlowBound, Part
from masdsl.check.program import Agent, Bind, Block, Loop, Param, Program, Return, Sample, Statement
from masdsl.check.uses import blocks_of, statements_of
from masdsl.diagnostics.base import SUGGESTED, Fix
from masdsl.money import TokenPrice
from masdsl.node import Node, Span
from masdsl.types import List

Fits: TypeAlias = Callable[[Amounts, Amounts, int], bool]
"""Whether a flow fits that needs at least and at most so much, in so many microseconds."""

TierPrices: TypeAlias = Callable[[], Mapping[str, TokenPrice]]

TRIED = 4
"""Statements that are tried, the dearest first."""
_LOOP = re.compile(r"(?:\w+\s*:\s*)?loop\s+(\d+)\b")
_DRAWS = re.compile(r"(?:\w+\s*=|return)\s*(\d+)\s+of\b")
_LIST = re.compile(r"\s*:\s*\w+(?:\(\d+\))?\[(\d+)\]")
_TIER = re.compile(r"\bon\s+([a-z]\w*)")


class _Count(NamedTuple):
    """A count that stands as a number in the text of the program."""

    node: Loop | Bind | Return
    times: int
    span: Span


class Changes:
    """Looks for the smallest change of one number, or one tier, with which a flow fits.

    `tiers` gives the prices of the configuration's tiers; it is asked only where money is too little.
    """

    def __init__(
        self, program: Program, prices: Prices, counts: Counts = NO_COUNTS, tiers: TierPrices | None = None
    ) -> None:
        self._program = program
        self._prices = prices
        self._tiers = tiers
        self._tokenizers = counts
        self._text = program.modules[0].source.text

    def within(self, key: str, measure: str, fits: Fits, parts: tuple[Part, ...]) -> Fix | None:
        """Return a change after which the flow `key` fits, or None where one alone is not enough."""
        weights = dict(_weights(parts, measure))
        counts = sorted(self._counts(), key=lambda one: -weights.get(one.node.span, -1))
        for one in [one for one in counts if one.node.span in weights][:TRIED]:
            if (fewer := self._fewer(key, one, fits)) is not None:
                return fewer
        if (shorter := self._shorter(key, fits)) is not None:
            return shorter
        return self._cheaper(key, fits) if measure == "usd" else None

    # ------------------------------------------------------------ counts

    def _counts(self) -> Iterator[_Count]:
        for flow in self._program.flows:
            if flow.module or flow.statics:
                continue
            for node in statements_of(flow.body):
                if isinstance(node, Loop):
                    found, count = _LOOP.match(self._text, node.span.start), node.times
                elif isinstance(node, Bind | Return) and isinstance(node.value, Sample):
                    found, count = _DRAWS.match(self._text, node.span.start), node.value.count
                else:
                    continue
                if found is not None and int(found[1]) == count and isinstance(node, Loop | Bind | Return):
                    yield _Count(node, count, Span(*found.span(1)))

    def _fewer(self, key: str, one: _Count, fits: Fits) -> Fix | None:
        """Return the change to the greatest smaller count that fits."""

        def fitting(count: int) -> bool:
            flow = self._bounded(_with_count(self._program, one.node, count), self._prices, key)
            return fits(flow.required, flow.needed, flow.needed_seconds)

        low = _greatest(one.times, fitting)
        if low == 0:
            return None
        line = self._program.modules[0].source.position(one.span.start).line
        what = "loop" if isinstance(one.node, Loop) else "draw"
        title = f"{what} {low} time{'s' if low > 1 else ''} instead of {one.times} in line {line}"
        return Fix(title, ((one.span, str(low)),), SUGGESTED)

    def _bounded(self, program: Program, prices: Prices, key: str) -> FlowBound:
        return bound(program, prices, self._tokenizers).flows[key]

    # ------------------------------------------------------------ lists

    def _shorter(self, key: str, fits: Fits) -> Fix | None:
        """Return the change to the greatest smaller cap of one of the flow's lists that fits."""
        flow = self._program.flow(key)
        for param in flow.params:
            found = _LIST.match(self._text, param.span.end)
            kind = param.type
            if flow.module or not isinstance(kind, List) or found is None or int(found[1]) != kind.high:
                continue

            def fitting(cap: int, param: Param = param, kind: List = kind) -> bool:
                shorter = param.replace(type=List(kind.element, min(kind.low, cap), cap))
                params = tuple(shorter if one is param else one for one in flow.params)
                flows = tuple(one.replace(params=params) if one is flow else one for one in self._program.flows)
                bounded = self._bounded(self._program.replace(flows=flows), self._prices, key)
                return fits(bounded.required, bounded.needed, bounded.needed_seconds)

            cap = _greatest(kind.high, fitting)
            if cap > 0:
                title = f"cap `{param.name}` at {cap} item{'s' if cap > 1 else ''} instead of {kind.high}"
                return Fix(title, ((Span(*found.span(1)), str(cap)),), SUGGESTED)
        return None

    # ------------------------------------------------------------ tiers

    def _cheaper(self, key: str, fits: Fits) -> Fix | None:
        """Return the change of one agent's tier to the dearest one that fits."""
        tiers = {} if self._tiers is None else self._tiers()
        by_price = sorted(tiers.items(), key=lambda item: (-item[1].output, -item[1].input, item[0]))
        for agent in self._program.agents:
            now = self._prices.get(agent.key)
            place = self._tier_of(agent)
            if now is None or place is None:
                continue
            for tier, price in by_price:
                if price.input > now.input or price.output >= now.output:
                    continue
                flow = self._bounded(self._program, {**self._prices, agent.key: price}, key)
                if fits(flow.required, flow.needed, flow.needed_seconds):
                    title = f"put `{agent.name}` on the cheaper tier `{tier}`"
                    return Fix(title, ((place, tier),), SUGGESTED)
        return None

    def _tier_of(self, agent: Agent) -> Span | None:
        if agent.module or agent.is_model_name or agent.model is None:
            return None
        head = self._text[agent.span.start : agent.span.end].partition('"')[0]
        found = _TIER.search(head)
        if found is None or found[1] != agent.model:
            return None
        return Span(agent.span.start + found.start(1), agent.span.start + found.end(1))


def _greatest(count: int, fits: Callable[[int], bool]) -> int:
    """Return the greatest number below `count` that fits, 0 where none above does: less than one is pointless."""
    low, high = 0, count
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _weights(parts: tuple[Part, ...], measure: str) -> Iterator[tuple[Span, int]]:
    for part in parts:
        yield part.span, most_of(part, measure)
        yield from _weights(part.parts, measure)


# ---------------------------------------------------------------- the changed program


def _with_count(program: Program, target: Node, count: int) -> Program:
    """Return a program in which a loop or a drawing has another count."""
    flows = tuple(flow.replace(body=_changed(flow.body, target, count)) for flow in program.flows)
    return program.replace(flows=flows)


def _changed(block: Block, target: Node, count: int) -> Block:
    return tuple(_statement(node, target, count) for node in block)


def _statement(node: Statement, target: Node, count: int) -> Statement:
    if node is target:
        if isinstance(node, Loop):
            return node.replace(times=count)
        if isinstance(node, Bind | Return) and isinstance(node.value, Sample):
            return node.replace(value=node.value.replace(count=count))
    if not blocks_of(node):
        return node
    changes: dict[str, object] = {}
    for field in node._fields:
        held = getattr(node, field)
        if field in ("body", "orelse") and held is not None:
            changes[field] = _changed(held, target, count)
        elif field in ("branches", "arms"):
            changes[field] = tuple(way.replace(body=_changed(way.body, target, count)) for way in held)
    return node.replace(**changes)
