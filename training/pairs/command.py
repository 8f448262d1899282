"""`python -m training.pairs TREES... -o PAIRS`: the preference pairs of files of trees, a data card beside them."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from hashlib import file_digest
from typing import Any, Final

from masdsl import __version__
from training.pairs.card import Tally
from training.pairs.preferences import Pair, Pairing, pairs_of, preferences
from training.stage.command import ended
from training.stage.faults import NothingMade, TrainingFault
from training.trees.tree import ROLES, BadLine, read_trees
from training.trees.values import Rewarding

FORMAT: Final = 1
_TOLD: Final = 10
"""Damaged lines that are told one by one."""


class Refused(TrainingFault):
    """The command cannot do what it was asked for; the text says why, and what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    return ended(lambda: _run(options), options.output)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.pairs",
        description="Make preference pairs (D_pi of MAS², equation 10) of trees, with counts in PAIRS.card.json.",
    )
    parser.add_argument("trees", nargs="+", metavar="TREES", help="files of trees, a line of JSON each (.gz too)")
    parser.add_argument(
        "-o", "--output", required=True, metavar="PAIRS", help="where to write the pairs, as JSON lines"
    )
    parser.add_argument("--role", choices=ROLES, help="pairs of this role alone (default: all)")
    parser.add_argument("--rule", choices=("all", "best-worst"), default="all", help="which siblings (default: all)")
    parser.add_argument("--eps", type=_from_0, default=Fraction(0), help="a gap has to be above this (default: 0)")
    parser.add_argument("--clip", type=_above_0, help="the highest gap (default: none)")
    parser.add_argument(
        "--normalise",
        choices=("none", "tree", "mean"),
        default="none",
        help="divide gaps by the largest of their tree and role, or by the mean of their role (default: none)",
    )
    parser.add_argument(
        "--cost",
        choices=("picodollars", "tokens", "calls", "nothing"),
        default="picodollars",
        help="what the cost of a run counts; nothing: a value is the share of successes (default: picodollars)",
    )
    parser.add_argument("--cap", type=_above_0, help="the highest reward of a run (default: none)")
    parser.add_argument("--skip-damaged", action="store_true", help="go on without lines that hold no tree")
    return parser


def _from_0(text: str) -> Fraction:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not (math.isfinite(number) and number >= 0):
        raise argparse.ArgumentTypeError(f"`{text[:40]}` is no number from 0 on")
    return Fraction(repr(number))


def _above_0(text: str) -> Fraction:
    number = _from_0(text)
    if not number:
        raise argparse.ArgumentTypeError("it has to be above 0")
    return number


def _run(options: argparse.Namespace) -> None:
    by = Rewarding(options.cost, options.cap)
    how = Pairing(options.rule, options.eps, options.clip, options.normalise)
    card_path = f"{options.output}.card.json"
    for path in options.trees:
        if any(
            os.path.exists(path) and os.path.exists(out) and os.path.samefile(path, out)
            for out in (options.output, card_path)
        ):
            raise Refused(f"{path} would be overwritten by what is made of it; name another file with -o")
    tally = Tally(by, how)
    found: list[Pair] = []
    files: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for path in options.trees:
        damaged: list[BadLine] = []
        count = 0
        for one in read_trees(path):
            if isinstance(one, BadLine):
                damaged.append(one)
                continue
            if one.name in names:
                raise Refused(f"the tree `{one.name[:80]}` is in {names[one.name]} and in {path}; give each tree once")
            count += 1
            pairs = [pair for pair in pairs_of(one, by, how) if options.role in (None, pair.role)]
            tally.add(one, pairs)
            found += pairs
            names[one.name] = path
        _tell_damage(path, damaged, skip=options.skip_damaged)
        files.append(
            {"file": os.path.basename(path), "sha256": _hash_of(path), "trees": count, "damaged": len(damaged)}
        )
    done = preferences(found, how)
    if not done.rows:
        raise NothingMade(
            f"no pairs (trees: {tally.trees}, without a success: {tally.hopeless}); a pair needs siblings of which one "
            "is worth more, by more than --eps: sample more options for a decision, or take easier queries"
        )
    settings = {
        "role": options.role or "all",
        "rule": how.rule,
        "eps": float(how.eps),
        "clip": None if how.clip is None else float(how.clip),
        "normalise": how.normalise,
        "cost": by.measure,
        "cap": None if by.cap is None else float(by.cap),
    }
    card = {"format": FORMAT, "masdsl": __version__, "files": files, "settings": settings, **tally.card(done)}
    _write(options.output, "".join(json.dumps(row.to_json(), allow_nan=False) + "\n" for row in done.rows))
    _write(card_path, json.dumps(card, indent=2, allow_nan=False) + "\n")
    told = ", ".join(f"{card['roles'][role]['rows']} of the {role}" for role in ROLES)
    print(f"{len(done.rows)} pairs of {tally.trees} trees ({told}): {options.output}; {card_path} has the counts")


def _tell_damage(path: str, damaged: Sequence[BadLine], *, skip: bool) -> None:
    """Tell damaged lines; raise Refused unless they are to be left out."""
    for one in damaged[:_TOLD]:
        print(f"{path}:{one.number}: {one.what}", file=sys.stderr)
    if len(damaged) > _TOLD:
        print(f"{path}: and {len(damaged) - _TOLD} lines more", file=sys.stderr)
    if damaged and not skip:
        raise Refused(f"{path} has {len(damaged)} lines that hold no tree; mend them, or go on with --skip-damaged")


def _hash_of(path: str) -> str | None:
    """Return the SHA-256 of a file; None for a data set that is none."""
    try:
        with open(path, "rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _write(path: str, text: str) -> None:
    """Write a file as a whole or not at all. Raises Refused."""
    passing = ""
    try:
        handle, passing = tempfile.mkstemp(dir=os.path.dirname(os.path.abspath(path)), prefix=".pairs-")
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(passing, 0o644)
        os.replace(passing, path)
    except (OSError, ValueError) as error:
        if passing and os.path.exists(passing):
            os.remove(passing)
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Refused(f"{path} cannot be written: {why}") from None
