"""`mas check` beside `baml-cli check`, a native compiler: cold processes over 1, 100 and 1,000 files.

`mas` is measured twice: for the first time, without kept results, and again, when nothing has changed.

    python -m tests.bench.bench_check [--files 1 100 1000] [--rounds 15]

Both tools get copies of one program in their own language (`programs/`), with names made unique, since BAML reads all
files of a folder as one program. Needs the extra `bench`. The largest size is run once: the native tool takes minutes.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

from tests.bench.measure import Cost, in_turns, milliseconds, plain_environment, run, table

PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(__file__).resolve().parents[2]
BAML_NAMES = (
    "Fast",
    "Smart",
    "Once",
    "Review",
    "Kind",
    "Route",
    "Coder",
    "Reviewer",
    "ReviewsAFunction",
    "RoutesAQuestion",
)
COMMANDS = Path(sysconfig.get_path("scripts"))


def write_copies(folder: Path, count: int) -> tuple[Path, Path]:
    """Write `count` copies of both programs; return the folders of ours and theirs."""
    ours, theirs = folder / f"mas_{count}", folder / f"baml_{count}" / "baml_src"
    ours.mkdir()
    theirs.mkdir(parents=True)
    mas = (PROGRAMS / "review.mas").read_text(encoding="utf-8")
    baml = (PROGRAMS / "review.baml").read_text(encoding="utf-8")
    for number in range(count):
        (ours / f"review_{number}.mas").write_text(mas, encoding="utf-8")
        unique = re.sub(rf"\b({'|'.join(BAML_NAMES)})\b", rf"\g<1>{number}", baml)
        (theirs / f"review_{number}.baml").write_text(unique, encoding="utf-8")
    return ours, theirs


def measure(folder: Path, count: int, rounds: int) -> tuple[Cost, Cost, Cost]:
    """Return the medians of ours for the first time, of ours again, and of theirs, for `count` files."""
    ours, theirs = write_copies(folder, count)
    environment = plain_environment() | {"PYTHONPATH": str(ROOT), "MASDSL_CACHE": str(folder / "cache")}
    mas = [sys.executable, "-m", "masdsl", "check", *(str(path) for path in sorted(ours.iterdir()))]
    baml = [str(COMMANDS / "baml-cli"), "check", "--from", str(theirs)]

    def first() -> Cost:
        shutil.rmtree(folder / "cache" / "checks", ignore_errors=True)
        return run(mas, folder, environment)

    def again() -> Cost:
        return run(mas, folder, environment)

    if rounds > 1:
        found = in_turns(rounds, first, again, lambda: run(baml, folder, environment))
        return found[0], found[1], found[2]
    first()
    return first(), again(), run(baml, folder, environment)


def row(count: int, first: Cost, again: Cost, theirs: Cost) -> list[str]:
    """Return the table's row: ours, theirs, and how many times theirs we take."""
    return [
        f"{count:,} file" + ("s" if count > 1 else ""),
        milliseconds(first.wall),
        milliseconds(again.wall),
        milliseconds(theirs.wall),
        f"{first.wall / theirs.wall:.2f}",
        f"{again.wall / theirs.wall:.3f}",
        milliseconds(first.cpu),
        milliseconds(theirs.cpu),
        f"{first.cpu / theirs.cpu:.2f}",
        f"{first.memory:.0f} MiB",
        f"{theirs.memory:.0f} MiB",
    ]


HEADINGS = [
    "cold process",
    "mas, first time",
    "mas, again",
    "baml",
    "ratio, first",
    "ratio, again",
    "mas CPU",
    "baml CPU",
    "ratio",
    "mas peak",
    "baml peak",
]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="mas check beside baml-cli check")
    parser.add_argument("--files", type=int, nargs="+", default=[1, 100, 1000])
    parser.add_argument("--rounds", type=int, default=15, help="of the smallest size; larger ones get fewer")
    options = parser.parse_args()
    if not (COMMANDS / "baml-cli").exists():
        sys.exit("baml-cli is missing: install the extra `bench`")
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for count in options.files:
            rounds = options.rounds if count < 10 else max(1, options.rounds // 3) if count < 500 else 1
            rows.append(row(count, *measure(Path(name), count, rounds)))
    print(table(HEADINGS, rows))


if __name__ == "__main__":
    main()
