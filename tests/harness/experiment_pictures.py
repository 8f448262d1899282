"""Pictures of the tables of `docs/experiments.md`: means as dots, their intervals as whiskers, a row for each line.

A picture is of the table above its image, so it cannot say anything else; `python -m tests.regen` draws it anew when
the table changes. What a table has beside its intervals (costs, mostly) stands at the right of its rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Final, NamedTuple

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "experiments.md"
FOLDER: Final = "experiments"
"""Where pictures are, beside the page."""


class Shown(NamedTuple):
    """What of a table is drawn: columns of intervals, those that stand at the right, and which one orders the rows."""

    intervals: tuple[str, ...]
    beside: tuple[str, ...] = ()
    by: str = ""


_RIGHT: Final = ("right (%)",)
_WRITTEN: Final = ("fits (%)", "right (%)")
PICTURES: Final[Mapping[str, Shown]] = {
    "theta": Shown(_RIGHT, ("asked / run", "cost")),
    "theta-faults": Shown(_RIGHT, ("asked / run", "cost")),
    "front": Shown(_RIGHT, ("mUSD / query", "on the front"), "mUSD / query"),
    "front-other-models": Shown(_RIGHT, ("mUSD / query", "on the front"), "mUSD / query"),
    "front-real": Shown(_RIGHT, ("CPU s / query", "on the front"), "CPU s / query"),
    "roles": Shown(_RIGHT, ("mUSD / query", "asked / run")),
    "players": Shown(_RIGHT, ("mUSD / query", "R")),
    "players-other-models": Shown(_RIGHT, ("mUSD / query", "R")),
    "loss": Shown(_WRITTEN, ("tokens of a run",)),
    "emission": Shown(("valid (%)", "right (%)"), ("tokens", "tokens of a row")),
    "paraphrase": Shown(("same (%)", "has one (%)"), ("different ones",)),
    "unseen": Shown(_WRITTEN, ("systems", "tokens")),
    "pairing": Shown(_WRITTEN, ("tokens of a run",)),
    "intra-rows": Shown(_RIGHT, ("tokens of a run",)),
    "intra": Shown(_WRITTEN, ("tokens of a run", "programs")),
    "intra-gains": Shown(("gain of the rows (points)", "gain after SFT (points)")),
    "techniques": Shown(_RIGHT, ("tokens of a run",)),
}
"""By the name of the picture's file."""

_IMAGE = re.compile(rf"^!\[(?P<about>[^\]]+)\]\({FOLDER}/(?P<name>[\w-]+)\.svg\)$")
_INTERVAL = re.compile(r"^(-?[\d.]+) \((-?[\d.]+)–(-?[\d.]+)\)$")
_LEFT, _PLOT, _CELL, _ROW, _APART = 300, 330, 92, 20, 9
_LONGEST = 46
_STYLE = """text { font: 12px system-ui, sans-serif; fill: #222 } .end { text-anchor: end } .mid { text-anchor: middle }
.a { stroke: #1764ab; fill: #1764ab } .b { stroke: #c2410c; fill: #c2410c } .grid { stroke: #ddd }
.zero { stroke: #888 }
rect { fill: #fff } @media (prefers-color-scheme: dark) { text { fill: #ddd } rect { fill: #1b1b1f }
.a { stroke: #7cb7f0; fill: #7cb7f0 } .b { stroke: #f59e6b; fill: #f59e6b } .grid { stroke: #3a3a40 } }"""


class Table(NamedTuple):
    """A table of Markdown: its columns but the first, and the cells of each row by its name."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]

    def cell(self, row: int, column: str) -> str:
        """Return what stands there. Raises ValueError for a column that the table does not have."""
        return self.rows[row][1][self.columns.index(column)]


def files() -> Iterator[tuple[Path, str]]:
    """Yield the file of every picture of the page, and what it should be. Raises KeyError for one that is unknown."""
    above: list[str] = []
    told: list[str] = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            above = [*(above if told and told[-1].startswith("|") else []), line]
        elif found := _IMAGE.match(line):
            yield (
                PAGE.parent / FOLDER / f"{found['name']}.svg",
                drawn(table_of(above), PICTURES[found["name"]], found["about"]),
            )
        told.append(line)


def table_of(lines: list[str]) -> Table:
    """Return the table in lines of Markdown."""
    head, _, *body = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return Table(tuple(head[1:]), tuple((row[0], tuple(row[1:])) for row in body))


def drawn(table: Table, shown: Shown, about: str) -> str:
    """Return a table as SVG, the same for the same table."""
    order = list(range(len(table.rows)))
    if shown.by:
        order.sort(key=lambda row: float(table.cell(row, shown.by)))
    intervals = {
        (row, column): tuple(map(float, found.groups()))
        for row in order
        for column in shown.intervals
        if (found := _INTERVAL.match(table.cell(row, column)))
    }
    ends = [end for _, low, high in intervals.values() for end in (low, high)]
    low, high = (0.0, 100.0) if min(ends) >= 0 else (_tens(min(ends), down=True), _tens(max(ends), down=False))
    step = _ROW + _APART * (len(shown.intervals) - 1)
    top, tall = 46, step * len(order)
    wide = _LEFT + _PLOT + 24 + _CELL * len(shown.beside)

    def x(value: float) -> str:
        return f"{_LEFT + _PLOT * (value - low) / (high - low):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {top + tall + 26}" role="img">',
        f"<title>{escape(about)}</title><style>{_STYLE}</style>",
        f'<rect width="{wide}" height="{top + tall + 26}"/>',
    ]
    for number, column in enumerate(shown.intervals):
        at = _LEFT + number * _PLOT // 2
        parts.append(f'<circle class="{"ab"[number]}" cx="{at + 4}" cy="14" r="4"/>')
        parts.append(f'<text x="{at + 14}" y="18">{escape(column)}</text>')
    for number, column in enumerate(shown.beside, 1):
        parts.append(f'<text class="end" x="{_LEFT + _PLOT + 12 + _CELL * number}" y="36">{escape(column)}</text>')
    for tick in range(5):
        value = low + (high - low) * tick / 4
        parts.append(f'<path class="grid" d="M{x(value)} {top - 4}V{top + tall}"/>')
        parts.append(f'<text class="mid" x="{x(value)}" y="{top + tall + 18}">{value:g}</text>')
    if low < 0 < high:
        parts.append(f'<path class="zero" d="M{x(0)} {top - 4}V{top + tall}"/>')
    for place, row in enumerate(order):
        name, middle = table.rows[row][0], top + step * place + step / 2
        short = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
        parts.append(f'<text class="end" x="{_LEFT - 10}" y="{middle + 4:g}">{escape(short)}</text>')
        for number, column in enumerate(shown.beside, 1):
            at = _LEFT + _PLOT + 12 + _CELL * number
            parts.append(f'<text class="end" x="{at}" y="{middle + 4:g}">{escape(table.cell(row, column))}</text>')
        for number, column in enumerate(shown.intervals):
            if (row, column) in intervals:
                mean, least, most = intervals[row, column]
                y = f"{middle + _APART * (number - (len(shown.intervals) - 1) / 2):g}"
                parts.append(f'<path class="{"ab"[number]}" d="M{x(least)} {y}H{x(most)}"/>')
                parts.append(f'<circle class="{"ab"[number]}" cx="{x(mean)}" cy="{y}" r="4"/>')
    return "\n".join((*parts, "</svg>\n"))


def _tens(value: float, *, down: bool) -> float:
    """Return the next multiple of 20 below or above."""
    return 20.0 * (value // 20 if down else -(-value // 20))
