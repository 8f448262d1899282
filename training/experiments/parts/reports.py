"""What an experiment found: as data, as a table in Markdown, and as a picture with intervals.

Every number of a table that is a mean is an `Interval` of masdsl.batch.statistics, over queries or over seeds; `over`
says which. A table about a simulated world says so in its title: `Report.world` is put there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from masdsl.batch.plots import NoPlots
from masdsl.batch.statistics import Interval
from masdsl.batch.tables import whole_file
from training.data.pools import write_text
from training.stage.record import versions

Size: TypeAlias = Literal["small", "full"]
SIZES: Final[tuple[Size, ...]] = ("small", "full")
Cell: TypeAlias = "Interval | float | int | str | None"
_MARKS: Final = "osD^vP*X<>h"


class Table(NamedTuple):
    """Rows with a name and as many cells as there are columns; None is what was not measured."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    shares: bool = True
    """Whether intervals are shares of one, shown in percent."""


class Point(NamedTuple):
    """A place in a picture: `x` a number, or a name for bars."""

    x: float | str
    y: Interval


class Series(NamedTuple):
    """Points of one thing."""

    name: str
    points: tuple[Point, ...]


class Picture(NamedTuple):
    """Series over an axis; `joined` draws lines between the points of one. `log` makes the axis of x logarithmic."""

    x: str
    y: str
    series: tuple[Series, ...]
    joined: bool = False
    log: bool = False


class Report(NamedTuple):
    """What an experiment asked, where, and what it found.

    `world` says whether it was simulated; `over` what intervals are over; `facts` are sizes, seeds, models and the
    like; `raw` the numbers of every part. `reading` says in a few sentences what the numbers show, and what they do
    not.
    """

    question: str
    world: str
    over: str
    tables: tuple[Table, ...]
    picture: Picture | None
    facts: Mapping[str, Any]
    raw: Any
    reading: str


def write_report(report: Report, out: str, *, size: Size, seconds: float) -> None:
    """Write `results.json`, `table.md` and `plot.png` to a folder. Raises NoPlots without `masdsl[eval]`, OSError."""
    os.makedirs(out, exist_ok=True)
    facts = {**report.facts, "size": size, "seconds of this call": round(seconds, 1), "versions": versions()}
    data = {**report._asdict(), "tables": [_data(one) for one in report.tables], "facts": facts}
    data["picture"] = None if report.picture is None else _plain(report.picture)
    write_text(os.path.join(out, "results.json"), json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    write_text(os.path.join(out, "table.md"), markdown(report, size))
    if report.picture is not None:
        draw(report.picture, f"{report.question} ({report.world})", os.path.join(out, "plot.png"))


def _data(table: Table) -> dict[str, Any]:
    rows = {name: dict(zip(table.columns, map(_plain, cells), strict=True)) for name, cells in table.rows}
    return {"title": table.title, "rows": rows}


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        return {name: _plain(one) for name, one in value._asdict().items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


# ---------------------------------------------------------------- Markdown


def markdown(report: Report, size: Size) -> str:
    """Return a report as Markdown: question, tables, reading."""
    parts = [f"# {report.question}\n"]
    small = " This is the small size: it shows that the experiment works, and nothing else." if size == "small" else ""
    parts.append(f"World: {report.world}. Intervals: 95 %, over {report.over}.{small}\n")
    parts.extend(f"{table.title}\n\n{table_text(table)}" for table in report.tables)
    parts.append(f"{report.reading}\n")
    return "\n".join(parts)


def table_text(table: Table) -> str:
    """Return a table as Markdown."""
    lines = [f"| | {' | '.join(table.columns)} |", f"|---|{'---:|' * len(table.columns)}"]
    for name, cells in table.rows:
        lines.append(f"| {name} | {' | '.join(_shown(cell, table.shares) for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _shown(cell: Cell, shares: bool) -> str:
    match cell:
        case None:
            return "–"
        case Interval():
            factor, form = (100, ".1f") if shares else (1, ".3g")
            mean, low, high = (format(factor * one, form) for one in (cell.mean, cell.low, cell.high))
            return f"{mean} ({low}–{high})"
        case float():
            return f"{cell:.3g}"
        case _:
            return str(cell)


# ---------------------------------------------------------------- a picture


def draw(picture: Picture, title: str, path: str) -> None:
    """Draw a picture into a PNG file. Raises NoPlots without `masdsl[eval]`, OSError."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        raise NoPlots("plots need `pip install 'masdsl[eval]'`") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    with matplotlib.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
        try:
            _series(axes, picture)
            axes.set_title(title, loc="left", wrap=True)
            with whole_file(path) as written:
                figure.savefig(written, format="png", dpi=150)
        finally:
            pyplot.close(figure)


def _series(axes: Any, picture: Picture) -> None:
    names = list(dict.fromkeys(str(point.x) for one in picture.series for point in one.points))
    named = any(isinstance(point.x, str) for one in picture.series for point in one.points)
    for number, one in enumerate(picture.series):
        beside = (number - (len(picture.series) - 1) / 2) * 0.12 if named else 0.0
        x = [names.index(str(point.x)) + beside if named else float(point.x) for point in one.points]
        y = [point.y.mean for point in one.points]
        reach: Sequence[Sequence[float]] = (
            [max(point.y.mean - point.y.low, 0.0) for point in one.points],
            [max(point.y.high - point.y.mean, 0.0) for point in one.points],
        )
        line = "-" if picture.joined else "none"
        axes.errorbar(x, y, yerr=reach, fmt=_MARKS[number % len(_MARKS)], linestyle=line, capsize=3, label=one.name)
    if named:
        axes.set_xticks(range(len(names)), names, rotation=20, ha="right")
    if picture.log and not named:
        axes.set_xscale("log")
    axes.set_xlabel(picture.x)
    axes.set_ylabel(picture.y)
    axes.grid(axis="y", alpha=0.3)
    if len(picture.series) > 1:
        axes.legend(frameon=False)
