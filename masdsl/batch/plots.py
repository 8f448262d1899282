"""The picture of a batch: accuracy against the cost of a run, with intervals and the front of what nobody beats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from masdsl.batch.standings import Standing, Standings
from masdsl.batch.tables import whole_file

MOST_NAMED: Final = 12
"""Contenders up to which each has its name beside it; of more, those on the front, and the others in the legend."""
_LOG: Final = 8
"""A logarithmic axis is used where the highest cost is so many times the lowest."""
_LONGEST: Final = 34
_AXES: Final = {
    "picodollars": "mean cost of a run (USD)",
    "tokens": "mean tokens of a run",
    "calls": "mean calls of a run",
}
_MARKS: Final = "osD^vP*X<>h"


class NoPlots(Exception):
    """No picture can be drawn here; the text says why and what to do."""


def write_plot(paths: Sequence[str], found: Standings, title: str) -> bool:
    """Draw accuracy against cost into files, by their endings (svg, png); False where nothing has a score.

    Raises NoPlots without `masdsl[eval]`.
    """
    shown = [one for one in found.standings if one.interval is not None]
    if not shown:
        return False
    try:
        import matplotlib
    except ModuleNotFoundError:
        raise NoPlots("plots need `pip install 'masdsl[eval]'`") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    # No chance and no date: the same figures give the same file.
    style = {"svg.hashsalt": "masdsl", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    with matplotlib.rc_context(style):
        figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
        try:
            _draw(axes, shown, found.measure)
            axes.set_title(title, loc="left")
            for path in paths:
                kind = path.rpartition(".")[2]
                with whole_file(path) as written:
                    figure.savefig(written, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)
        finally:
            pyplot.close(figure)
    return True


def _draw(axes: Any, shown: Sequence[Standing], measure: str) -> None:
    unit = 10**12 if measure == "picodollars" else 1
    costs = [one.cost / unit for one in shown]
    is_log = min(costs) > 0 and max(costs) >= _LOG * min(costs)
    if is_log:
        axes.set_xscale("log")
    axes.set_xlabel(_AXES[measure])
    axes.set_ylabel("mean score, 95 % interval")
    axes.grid(alpha=0.25)
    _limit(axes, costs, shown, is_log)
    front = sorted(
        (cost, one.interval.mean) for cost, one in zip(costs, shown, strict=True) if one.on_front and one.interval
    )
    front.append((axes.get_xlim()[1], front[-1][1]))  # who pays more need not get less
    line = axes.step(
        *zip(*front, strict=True), where="post", color="0.45", linewidth=1.2, zorder=1, label="Pareto front"
    )
    several = len({one.contender.lineup for one in shown}) > 1
    named_all = len(shown) <= MOST_NAMED
    for number, (cost, one) in enumerate(zip(costs, shown, strict=True)):
        assert one.interval is not None
        name = _short(one.contender.name if several else one.contender.system)
        mean, low, high = one.interval[:3]
        axes.errorbar(
            cost,
            mean,
            yerr=[[max(0.0, mean - low)], [max(0.0, high - mean)]],
            fmt=_MARKS[number // 10 % len(_MARKS)],
            color=f"C{number % 10}",
            markersize=6,
            capsize=2,
            elinewidth=1,
            alpha=1.0 if one.on_front or named_all else 0.55,
            label=name,
            zorder=3 if one.on_front else 2,
        )
    _name(axes, costs, shown, several, named_all)
    if named_all:
        axes.legend(handles=line, loc="best", frameon=False)


def _limit(axes: Any, costs: Sequence[float], shown: Sequence[Standing], is_log: bool) -> None:
    """Leave room for names on the right, and show no more of the scores than there is."""
    low, high = min(costs), max(costs)
    if is_log:
        room = (high / low) ** 0.12
        axes.set_xlim(low / room, high * room**2)
    else:
        room = 0.12 * (high - low or high or 1.0)
        axes.set_xlim(min(low, max(low - room, 0.0)), high + 2 * room)
    lows = [one.interval.low for one in shown if one.interval]
    highs = [one.interval.high for one in shown if one.interval]
    margin = 0.06 * (max(highs) - min(lows) or 1.0)
    axes.set_ylim(max(-0.02, min(lows) - margin), min(1.02, max(highs) + margin))


def _name(axes: Any, costs: Sequence[float], shown: Sequence[Standing], several: bool, named_all: bool) -> None:
    """Write names beside the points, moved apart where they would cover each other; all of them in a legend if many."""
    if not named_all:
        axes.legend(
            fontsize=6, ncols=1 + len(shown) // 22, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False
        )
    taken: list[tuple[float, float]] = []
    width, height = axes.figure.get_size_inches() * axes.figure.dpi
    for cost, one in sorted(
        zip(costs, shown, strict=True), key=lambda pair: -pair[1].interval.mean if pair[1].interval else 0
    ):
        if one.interval is None or not (named_all or one.on_front):
            continue
        across, up = axes.transData.transform((cost, one.interval.mean))
        down = 0.0
        while any(abs(across - x) < 0.22 * width and abs(up + down - y) < 0.03 * height for x, y in taken):
            down -= 0.008 * height
        taken.append((across, up + down))
        axes.annotate(
            _short(one.contender.name if several else one.contender.system),
            (cost, one.interval.mean),
            xytext=(7, 4 + down * 72 / axes.figure.dpi),
            textcoords="offset points",
            fontsize=8 if named_all else 6.5,
            fontweight="bold" if one.on_front else "normal",
            arrowprops={"arrowstyle": "-", "color": "0.7", "linewidth": 0.6} if down else None,
            zorder=4,
        )


def _short(name: str) -> str:
    clean = "".join(char if char.isprintable() else "?" for char in name).replace("$", r"\$")
    return clean if len(clean) <= _LONGEST else f"{clean[: _LONGEST - 2]}.."
