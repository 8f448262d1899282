"""Bounds as text: what a flow costs in each measure, beside its budget, and the statements that make the cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from masdsl.bounds.report import main_measure
from masdsl.diagnostics.bounds import amount
from masdsl.money import PICODOLLARS, show_usd

SHOWN_DEPTH = 3
Row = tuple[str, ...]
ROWS = (
    ("calls", "calls"),
    ("input tokens", "input_tokens"),
    ("output tokens", "output_tokens"),
    ("tokens", "tokens"),
    ("USD", "picodollars"),
    ("seconds", "seconds"),
)
COLUMNS = ("calls", "tokens", "picodollars", "seconds")


def render_flows(flows: Sequence[Mapping[str, Any]]) -> str:
    """Return the bounds of flows (of `report.program_report`) as tables.

    flow main           least      most  budget
      calls                 4        18      20
      ...
      share  where                                  calls  tokens  USD  seconds
       67 %  line 22  main.refine: loop of 3           12  ...
    """
    lines: list[str] = []
    for flow in flows:
        lines += [""] if lines else []
        lines += _amounts(flow)
        if flow["parts"]:
            lines += ["", *_parts(flow)]
    return "\n".join(lines) + "\n" if lines else ""


def _amounts(flow: Mapping[str, Any]) -> list[str]:
    budget = flow["budget"]
    rows: list[Row] = [(f"flow {flow['flow']}", "least", "most", *(("budget",) if budget else ()))]
    for name, key in ROWS:
        row = (f"  {name}", cell(key, flow["least"][key]), cell(key, flow["most"][key]))
        allowed = budget.get("usd" if key == "picodollars" else key)
        if key == "picodollars" and allowed is not None:
            allowed = round(allowed * PICODOLLARS)
        rows.append((*row, "" if allowed is None else cell(key, allowed)) if budget else row)
    return list(aligned(rows))


def _parts(flow: Mapping[str, Any]) -> list[str]:
    measure = main_measure(flow["uncut"])
    whole = max(flow["uncut"][measure], 1e-6)
    rows: list[Row] = [("  share", "where", "calls", "tokens", "USD", "seconds")]
    rows += _part_rows(flow["parts"], measure, whole, 0)
    return list(aligned(rows, left=2))


def _part_rows(parts: Sequence[Mapping[str, Any]], measure: str, whole: float, depth: int) -> Iterator[Row]:
    for part in parts:
        where = f"{'  ' * depth}line {part['line']}  {part['path']}: {part['what']}"
        columns = (cell(key, part["most"][key]) for key in COLUMNS)
        yield (f"  {round(100 * part['most'][measure] / whole):3} %", where, *columns)
        if depth + 1 < SHOWN_DEPTH:
            yield from _part_rows(part["parts"], measure, whole, depth + 1)


def cell(key: str, number: float) -> str:
    """Return an amount without its unit, for a column."""
    if key == "picodollars":
        return show_usd(int(number)).removesuffix(" USD")
    if key == "seconds":
        return f"{number:,}" if isinstance(number, int) else f"{number:,.6g}"
    return f"{number:,}" if number < 10**18 else "> 10^18"


def aligned(rows: Sequence[Row], left: int = 1) -> Iterator[str]:
    """Yield rows as lines with aligned columns: the first `left` of them to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def in_markdown(reports: Sequence[Mapping[str, Any]]) -> str:
    """Return the worst case of every entry of programs as a Markdown table, for the summary of a CI job."""
    lines = ["| program | flow | calls | tokens | USD | seconds |", "|:--|:--|--:|--:|--:|--:|"]
    for report in reports:
        for flow in report["flows"]:
            if flow["entry"]:
                most, budget = flow["most"], flow["budget"]
                cells = [_of_budget(key, most[key], budget) for key in COLUMNS]
                lines.append(f"| {_escaped(report['file'])} | {flow['flow']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _of_budget(key: str, most: float, budget: Mapping[str, Any]) -> str:
    allowed = budget.get("usd" if key == "picodollars" else key)
    if allowed is None:
        return cell(key, most)
    limit = round(allowed * PICODOLLARS) if key == "picodollars" else allowed
    return f"{cell(key, most)} of {cell(key, limit)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("`", "\\`")


def in_one_line(flow: Mapping[str, Any]) -> str:
    """Return a bound in words: `at most 18 calls, 41,400 tokens, 0.0312 USD, 930 s`."""
    most = flow["most"]
    words = [amount("calls", most["calls"]), amount("tokens", most["tokens"]), show_usd(most["picodollars"])]
    return f"at most {', '.join(words)}, {cell('seconds', most['seconds'])} s"
