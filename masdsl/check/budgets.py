"""Budgets held against bounds: what cannot fit, what may not, what needs a budget; and the bounds as text."""

from __future__ import annotations

from collections.abc import Iterator

from masdsl.check.bounds import Bounds, FlowBound, Part
from masdsl.check.program import Flow, Limits, Program
from masdsl.diagnostics.base import Diagnostic, Findings
from masdsl.diagnostics.bounds import CannotFit, MayNotFit, TooManyCalls, calls
from masdsl.limits import CALLS
from masdsl.node import Span
from masdsl.source import Source

NAMED_PARTS = 3
SHOWN_DEPTH = 4


def check_budgets(program: Program, bounds: Bounds, findings: Findings) -> None:
    """Report budgets that a program cannot keep or may not keep, and flows that need one.

    Only the program's own module is judged: imported ones are checked where they are written. A slice (`within`) that
    may be used up gives no warning, being there for that; one that must be used up is an error.
    """
    source = program.modules[0].source
    own = {flow.key: flow for flow in program.flows if not flow.module}
    for key, flow in own.items():
        if flow.limits is not None:
            bound = bounds.flows[key]
            for fault in _compare(
                source, f"flow `{flow.name}`", flow.limits, bound.required, bound.needed, bound.parts
            ):
                findings.add(source, fault)
    for piece in bounds.slices:
        if piece.key in own:
            for fault in _compare(source, "this slice", piece.limits, piece.least, piece.least, piece.parts):
                findings.add(source, fault)
    for key in bounds.entries:
        for fault in _entry_faults(source, own[key], bounds.flows[key], program.budget):
            findings.add(source, fault)


def _entry_faults(source: Source, flow: Flow, bound: FlowBound, budget: Limits | None) -> Iterator[Diagnostic]:
    what = f"flow `{flow.name}`"
    most = bound.most
    if budget is not None and budget.calls is not None:
        yield from _compare(source, what, budget, bound.required, bound.most, bound.parts)
        most = min(most, budget.calls)
    if most > CALLS:
        name_at = source.text.find(flow.name, flow.span.start + len("flow"))
        span = Span(flow.span.start, max(name_at, flow.span.start) + len(flow.name))
        yield TooManyCalls(what, CALLS, most, _most(source, bound.parts), span=span)


def _compare(
    source: Source, what: str, limits: Limits, least: int, most: int, parts: tuple[Part, ...]
) -> Iterator[Diagnostic]:
    if limits.calls is None:
        return
    if least > limits.calls:
        shown = sorted(parts, key=lambda part: -part.least)[:NAMED_PARTS]
        spans = tuple((_first_line(source, part.span), part.least) for part in shown if part.least)
        yield CannotFit(what, limits.calls, least, spans, span=limits.span)
    elif most > limits.calls:
        yield MayNotFit(what, limits.calls, most, _most(source, parts), span=limits.span)


def _most(source: Source, parts: tuple[Part, ...]) -> tuple[tuple[Span, int], ...]:
    shown = sorted(parts, key=lambda part: -part.most)[:NAMED_PARTS]
    return tuple((_first_line(source, part.span), part.most) for part in shown)


def _first_line(source: Source, span: Span) -> Span:
    """Return a span without what follows on further lines, such as the body of a loop."""
    end = source.text.find("\n", span.start, span.end)
    return span if end < 0 else Span(span.start, len(source.text[:end].rstrip()))


# ---------------------------------------------------------------- text


def render_bounds(program: Program, bounds: Bounds) -> str:
    """Return the bounds of the flows that a run may start with, each with the statements that make the calls.

    flow main: 4 to 18 calls
      12 calls  67 %  line 22  main.refine: loop of 3
       6 calls  33 %  line 20  main.drafts: 3 of coder
    """
    sources = {module.name: module.source for module in program.modules}
    lines: list[str] = []
    for key in bounds.entries:
        bound = bounds.flows[key]
        few = calls(bound.most) if bound.least == bound.most else f"{bound.least:,} to {calls(bound.most)}"
        cut = "" if bound.needed == bound.most else f", cut off by its budget ({calls(bound.needed)} otherwise)"
        lines.append(f"flow {key}: {few}{cut}")
        flow = program.flow(key)
        _render(lines, bound.parts, 1, max(bound.needed, 1), sources[flow.module], 1)
    return "\n".join(lines) + "\n" if lines else ""


def _render(lines: list[str], parts: tuple[Part, ...], rounds: int, total: int, source: Source, depth: int) -> None:
    """Add the lines of parts that run `rounds` times in all, the dearest first."""
    width = max((len(calls(rounds * part.most)) for part in parts), default=0)
    for part in sorted(parts, key=lambda part: -part.most):
        most = rounds * part.most
        share = f"{(200 * most + total) // (2 * total)} %"
        line = source.position(part.span.start).line
        lines.append(f"{'  ' * depth}{calls(most):>{width}}  {share:>5}  line {line}  {part.path}: {part.what}")
        if depth < SHOWN_DEPTH:
            _render(lines, part.parts, rounds * part.rounds, total, source, depth + 1)
