"""Budgets held against bounds: what cannot fit, what may not, what needs a budget, and budgets that never count."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from masdsl.bounds.amounts import Amounts
from masdsl.bounds.changes import Changes, TierPrices
from masdsl.bounds.measures import MEASURES, AnyLimits, least_of, limit, lowest, most_of, value
from masdsl.bounds.requests import NO_COUNTS, Counts, Prices
from masdsl.bounds.result import Bounds, FlowBound, Part
from masdsl.check.program import Flow, Limits, Program
from masdsl.diagnostics.base import SAFE, SUGGESTED, Diagnostic, Findings, Fix
from masdsl.diagnostics.bounds import CEILING, BudgetAboveOuter, CannotFit, MayNotFit, TooManyCalls, in_budget
from masdsl.limits import CALLS
from masdsl.node import Span
from masdsl.source import Source

NAMED_PARTS = 3


def check_budgets(
    program: Program,
    bounds: Bounds,
    findings: Findings,
    *,
    prices: Prices,
    counts: Counts = NO_COUNTS,
    ceiling: AnyLimits | None = None,
    tiers: TierPrices | None = None,
) -> None:
    """Report budgets that a program cannot keep or may not keep, and flows that need one.

    Only the program's own module is judged: imported ones are checked where they are written. A slice (`within`) that
    may be used up gives no warning, being there for that; one that must be used up is an error. `ceiling` is the host's
    limit, `tiers` gives the prices of the tiers that agents may run on
    instead.
    """
    judge = _Judge(program, bounds, findings, Changes(program, prices, counts, tiers), ceiling)
    judge.flows()
    judge.slices()
    judge.entries()
    judge.nesting()


class _Held(NamedTuple):
    """What is held against a budget: who needs at least and at most how much, and which statements need it."""

    what: str
    required: Amounts
    most: Amounts
    seconds: int
    parts: tuple[Part, ...]
    key: str


class _Judge:
    def __init__(
        self, program: Program, bounds: Bounds, findings: Findings, changes: Changes, ceiling: AnyLimits | None
    ) -> None:
        self._program = program
        self._bounds = bounds
        self._findings = findings
        self._changes = changes
        self._ceiling = ceiling
        self._source = program.modules[0].source
        self._own = {flow.key: flow for flow in program.flows if not flow.module}

    def _add(self, diagnostic: Diagnostic) -> None:
        self._findings.add(self._source, diagnostic)

    # ------------------------------------------------------------ whose budget

    def flows(self) -> None:
        """Judge the flows with a budget of their own."""
        for key, flow in self._own.items():
            if flow.limits is not None:
                held = _held(flow, self._bounds.flows[key])
                for measure in MEASURES:
                    self._compare(held, "its budget", flow.limits, measure)

    def slices(self) -> None:
        """Judge the slices of budgets; that one may be used up is what it is for."""
        for piece in self._bounds.slices:
            if piece.key in self._own:
                held = _Held("this slice", piece.required, piece.required, 0, piece.parts, piece.key)
                for measure in MEASURES:
                    self._compare(held, "its budget", piece.limits, measure)

    def entries(self) -> None:
        """Judge the flows that a run may start with, under the program's budget and the host's ceiling."""
        budget = self._program.budget
        for key in self._bounds.entries:
            flow, bound = self._own[key], self._bounds.flows[key]
            held = _Held(f"flow `{flow.name}`", bound.required, bound.most, bound.seconds, bound.parts, key)
            for measure in MEASURES:
                own, host = limit(budget, measure), limit(self._ceiling, measure)
                if own is not None and budget is not None and (host is None or own <= host):
                    self._compare(held, "its budget", budget, measure)
                elif host is not None:
                    span = _head(self._source, flow) if own is None or budget is None else budget.span
                    self._held_to(held, CEILING, measure, host, span)
            if lowest("calls", budget, self._ceiling) is None and bound.most.calls > CALLS:
                change = self._changes.within(key, "calls", lambda _, most, __: most.calls <= CALLS, bound.parts)
                shown = _shown(self._source, bound.parts, "calls", most_of)
                span = _head(self._source, flow)
                self._add(TooManyCalls(held.what, CALLS, bound.most.calls, shown, change, span=span))

    # ------------------------------------------------------------ comparing

    def _compare(self, held: _Held, budget: str, limits: Limits, measure: str) -> None:
        allowed = limit(limits, measure)
        if allowed is not None:
            self._held_to(held, budget, measure, allowed, _place(self._source, limits.span, measure))

    def _held_to(self, held: _Held, budget: str, measure: str, allowed: int, span: Span) -> None:
        least = _least(held, measure)
        most = value(held.most, held.seconds, measure)
        if most <= allowed and least <= allowed:
            return
        change = self._changes.within(
            held.key, measure, lambda _, most, seconds: value(most, seconds, measure) <= allowed, held.parts
        )
        if least > allowed:
            change = change or self._changes.within(
                held.key, measure, lambda required, _, __: value(required, 0, measure) <= allowed, held.parts
            )
            parts = _shown(self._source, held.parts, measure, least_of)
            self._add(CannotFit(held.what, budget, measure, allowed, least, parts, change, span=span))
        else:
            parts = _shown(self._source, held.parts, measure, most_of)
            self._add(MayNotFit(held.what, budget, measure, allowed, most, parts, change, span=span))

    # ------------------------------------------------------------ budgets inside budgets

    def nesting(self) -> None:
        """Report budgets that allow more than what is around them."""
        budget = self._program.budget
        if budget is not None and self._ceiling is not None:
            self._nested("the program's budget", budget, (CEILING, self._ceiling))
        for flow in self._own.values():
            if flow.limits is not None:
                self._nested(
                    f"the budget of flow `{flow.name}`",
                    flow.limits,
                    ("the program's budget", budget),
                    (CEILING, self._ceiling),
                )
        for piece in self._bounds.slices:
            if piece.key in self._own:
                around = [("the slice around it", limits) for limits in piece.around]
                own = self._own[piece.key].limits
                self._nested(
                    "this slice",
                    piece.limits,
                    *around,
                    ("its flow's budget", own),
                    ("the program's budget", budget),
                    (CEILING, self._ceiling),
                )

    def _nested(self, what: str, limits: Limits, *outer: tuple[str, AnyLimits | None]) -> None:
        for measure in MEASURES:
            allowed = limit(limits, measure)
            around = [(most, name) for name, one in outer if (most := limit(one, measure)) is not None]
            if allowed is not None and around and min(around)[0] < allowed:
                most, name = min(around)
                span = _place(self._source, limits.span, measure)
                change = None
                if span != limits.span or self._source.slice(span).startswith(measure):
                    written = in_budget(measure, most)
                    sure = SUGGESTED if name == CEILING else SAFE  # a host's ceiling is not for the program to repeat
                    change = Fix(f"write `{written}`", ((span, written),), sure)
                self._add(BudgetAboveOuter(what, measure, allowed, name, most, change, span=span))


def _held(flow: Flow, bound: FlowBound) -> _Held:
    return _Held(f"flow `{flow.name}`", bound.required, bound.needed, bound.needed_seconds, bound.parts, flow.key)


def _least(held: _Held, measure: str) -> int:
    if measure == "seconds":  # how long a call takes at least nobody knows; but none is made in no time
        return 1_000 if held.required.calls else 0
    return value(held.required, 0, measure)


def _shown(
    source: Source, parts: tuple[Part, ...], measure: str, share: Callable[[Part, str], int]
) -> tuple[tuple[Span, int], ...]:
    """Return where the statements stand that need most, and how much they need."""
    shown = sorted(parts, key=lambda part: -share(part, measure))[:NAMED_PARTS]
    return tuple((_first_line(source, part.span), share(part, measure)) for part in shown if share(part, measure))


def _first_line(source: Source, span: Span) -> Span:
    """Return a span without what follows on further lines, such as the body of a loop."""
    end = source.text.find("\n", span.start, span.end)
    return span if end < 0 else Span(span.start, len(source.text[:end].rstrip()))


def _head(source: Source, flow: Flow) -> Span:
    name_at = source.text.find(flow.name, flow.span.start + len("flow"))
    return Span(flow.span.start, max(name_at, flow.span.start) + len(flow.name))


def _place(source: Source, span: Span, measure: str) -> Span:
    """Return where a budget says its limit in a measure."""
    found = re.compile(rf"\b{measure}\b\s+[\d._]+[a-z]*").search(source.text, span.start, span.end)
    return span if found is None else Span(found.start(), found.end())
