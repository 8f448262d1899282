"""`mas check` on trees: kept results, several processes, and what a file costs among 100 and among 10,000.

    python -m tests.bench.bench_trees [--files 100 1000 10000] [--rounds 3] [--break-even]

Every file is the program of `programs/review.mas` with a line of its own. CPU is that of all processes together. With
`--break-even` it measures instead from how many bytes on several processes are faster than one, which
`masdsl/cli/trees.py` has as `PAYS`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.bench_check import PROGRAMS, ROOT
from tests.bench.measure import Cost, in_turns, medians, milliseconds, plain_environment, run, table

SPREAD = """
import sys
from masdsl.cli import main, trees
trees.start_method = lambda: ({method!r}, {pays})
sys.exit(main())
"""
"""A command that starts processes by a method and from a number of bytes on, whatever pays."""


def write_tree(folder: Path, count: int) -> Path:
    """Write `count` programs, a hundred in a folder; return the folder of all."""
    text = (PROGRAMS / "review.mas").read_text(encoding="utf-8")
    tree = folder / f"tree_{count}"
    for number in range(count):
        place = tree / f"part_{number // 100:03}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"review_{number:05}.mas").write_text(f"{text}\n# {number}\n", encoding="utf-8")
    (tree / "mas.toml").write_text("", encoding="utf-8")
    return tree


class Mas:
    """Runs `mas check` in a folder, with a cache folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.environment = plain_environment() | {"PYTHONPATH": str(ROOT), "MASDSL_CACHE": str(folder / "cache")}

    def check(self, tree: Path, *options: str, start: Sequence[str] = ("-m", "masdsl")) -> Cost:
        """Return what one run took."""
        return run([sys.executable, *start, "check", *options], tree, self.environment)


def kept_and_spread(mas: Mas, tree: Path, count: int, rounds: int) -> list[list[str]]:
    """Return the rows of one tree: everything checked, by one process and by two, and everything recalled."""
    mas.check(tree)
    one, two, kept = in_turns(
        rounds,
        lambda: mas.check(tree, "--no-cache", "--jobs", "1"),
        lambda: mas.check(tree, "--no-cache", "--jobs", "2"),
        lambda: mas.check(tree),
    )
    names = (f"{count:,} files, one process", f"{count:,} files, two", f"{count:,} files, kept results")
    return [
        [name, milliseconds(cost.wall), milliseconds(cost.cpu), f"{cost.wall / one.wall:.2f}"]
        for name, cost in zip(names, (one, two, kept), strict=True)
    ]


def growth(mas: Mas, trees: dict[int, Path], rounds: int) -> list[list[str]]:
    """Return a row for each size: checked and costed in one process, per file beyond the start."""
    start = medians(
        [mas.check(next(iter(trees.values())), "part_000/review_00000.mas", "--no-cache") for _ in range(5)]
    )
    rows, first = [], 0.0
    for count, tree in trees.items():
        options = ("--no-cache", "--jobs", "1", "--verbose")
        cost = medians([mas.check(tree, *options) for _ in range(rounds if count < 5000 else 1)])
        each = (cost.cpu - start.cpu) / count
        first = first or each
        rows.append([f"{count:,} files", f"{each * 1000:.2f} ms", f"{each / first:.2f}", f"{cost.memory:.0f} MiB"])
    return rows


def break_even(mas: Mas, folder: Path, rounds: int) -> list[list[str]]:
    """Return a row for each size and way of starting: two processes beside one."""
    rows = []
    size = (PROGRAMS / "review.mas").stat().st_size
    for method in ("fork", "spawn"):
        for count in (4, 8, 16, 24, 32, 48, 64, 96, 128):
            tree = write_tree(folder / method, count)
            spread = ("-c", SPREAD.format(method=method, pays=0))
            one, two = in_turns(
                rounds,
                lambda tree=tree: mas.check(tree, "--no-cache", "--jobs", "1"),  # type: ignore[misc]
                lambda tree=tree, spread=spread: mas.check(tree, "--no-cache", "--jobs", "2", start=spread),  # type: ignore[misc]
            )
            ratio = f"{two.wall / one.wall:.2f}"
            rows.append(
                [
                    f"{method}, {count} files, {count * size // 1024} KB",
                    milliseconds(one.wall),
                    milliseconds(two.wall),
                    ratio,
                ]
            )
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="mas check on trees")
    parser.add_argument("--files", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--break-even", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mas = Mas(folder)
        if options.break_even:
            rows = break_even(mas, folder, options.rounds)
            print(table(["two processes beside one", "one", "two", "ratio"], rows))
            return
        trees = {count: write_tree(folder, count) for count in options.files}
        middle = 1000 if 1000 in trees else next(iter(trees))
        rows = kept_and_spread(mas, trees[middle], middle, options.rounds)
        print(table(["mas check", "wall", "CPU", "wall beside one process"], rows))
        print()
        print(
            table(
                ["checked and costed", "CPU per file", "beside the first", "peak"], growth(mas, trees, options.rounds)
            )
        )


if __name__ == "__main__":
    main()
