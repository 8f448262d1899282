"""Bounds as text: what a flow costs in each measure, beside its budget, and the statements that make the cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from masdsl.bounds.measures import MEASURES, AnyLimits, lowest, most_of, value
from masdsl.bounds.result import Bounds, FlowBound, Part
from masdsl.check.program import Program
from masdsl.diagnostics.bounds import amount
from masdsl.money import show_usd
from masdsl.source import Source

SHOWN_DEPTH = 4
Row = tuple[str, ...]


def render_bounds(
    program: Program, bounds: Bounds, ceiling: AnyLimits | None = None, keys: Sequence[str] | None = None
) -> str:
    """Return the bounds of flows (by key; of those that a run may start with where none are given) as tables.

    flow main           least      most  budget
      calls                 4        18      20
      ...
      share  where                                  calls  tokens  USD  seconds
       67 %  line 22  main.refine: loop of 3           12  ...
    """
    sources = {module.name: module.source for module in program.modules}
    lines: list[str] = []
    for key in bounds.entries if keys is None else keys:
        flow, bound = program.flow(key), bounds.flows[key]
        own = program.budget if key in bounds.entries else None
        lines += [""] if lines else []
        lines += _amounts(key, bound, (flow.limits, own, ceiling))
        if bound.parts:
            lines += ["", *_parts(bound, sources[flow.module])]
    return "\n".join(lines) + "\n" if lines else ""


def _amounts(key: str, bound: FlowBound, limits: tuple[AnyLimits | None, ...]) -> list[str]:
    has_limits = any(lowest(measure, *limits) is not None for measure in MEASURES)
    rows: list[Row] = [(f"flow {key}", "least", "most", *(("budget",) if has_limits else ()))]
    for name, measure, least, most in (
        ("calls", "calls", bound.least.calls, bound.most.calls),
        ("input tokens", "", bound.least.tokens_in, bound.most.tokens_in),
        ("output tokens", "", bound.least.tokens_out, bound.most.tokens_out),
        ("tokens", "tokens", bound.least.tokens, bound.most.tokens),
        ("USD", "usd", bound.least.usd, bound.most.usd),
        ("seconds", "seconds", 0, bound.seconds),
    ):
        allowed = lowest(measure, *limits) if measure else None
        shown = "" if allowed is None else plain(measure, allowed)
        row = (f"  {name}", plain(measure, least), plain(measure, most))
        rows.append((*row, shown) if has_limits else row)
    return list(aligned(rows))


def _parts(bound: FlowBound, source: Source) -> list[str]:
    measure = main_measure(bound)
    whole = max(value(bound.needed, bound.needed_seconds, measure), 1)
    rows: list[Row] = [("  share", "where", "calls", "tokens", "USD", "seconds")]
    rows += _part_rows(bound.parts, measure, whole, source, 0)
    return list(aligned(rows, left=2))


def _part_rows(parts: tuple[Part, ...], measure: str, whole: int, source: Source, depth: int) -> Iterator[Row]:
    for part in sorted(parts, key=lambda one: (-most_of(one, measure), -one.seconds)):
        line = source.position(part.span.start).line
        where = f"{'  ' * depth}line {line}  {part.path}: {part.what}"
        columns = (plain(one, most_of(part, one)) for one in MEASURES)
        yield (f"  {share(most_of(part, measure), whole)}", where, *columns)
        if depth + 1 < SHOWN_DEPTH:
            yield from _part_rows(part.parts, measure, whole, source, depth + 1)


def main_measure(bound: FlowBound) -> str:
    """Return the measure that shares are shown in: money, or tokens where nothing costs any, or calls, or time."""
    if bound.needed.usd:
        return "usd"
    if bound.needed.tokens:
        return "tokens"
    return "calls" if bound.needed.calls else "seconds"


def share(part: int, whole: int) -> str:
    """Return a share in per cent."""
    return f"{(200 * part + whole) // (2 * whole):3} %"


def plain(measure: str, number: int) -> str:
    """Return an amount without its unit, for a column."""
    if number >= 10**18 and measure != "usd":
        return "> 10^18" if measure != "seconds" else "> 10^12"
    if measure == "usd":
        return show_usd(number).removesuffix(" USD")
    if measure == "seconds":
        return amount(measure, number).removesuffix(" s")
    return f"{number:,}"


def aligned(rows: Sequence[Row], left: int = 1) -> Iterator[str]:
    """Yield rows as lines with aligned columns: the first `left` of them to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def one_line(bound: FlowBound) -> str:
    """Return a bound in words: `at most 18 calls, 41,400 tokens, 0.0312 USD, 930 s`."""
    amounts = [amount(measure, value(bound.most, bound.seconds, measure)) for measure in MEASURES]
    return f"at most {', '.join(amounts)}"
