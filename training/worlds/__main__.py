"""`python -m training.worlds WORLD --out DIR`: a folder with models, prices, tools and queries to learn in."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from training.stage.command import ended
from training.worlds.arithmetic import make_arithmetic
from training.worlds.simulated import make_simulated


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a world as the arguments say; return 2 for what cannot be made."""
    parser = argparse.ArgumentParser(prog="python -m training.worlds", description=__doc__)
    worlds = parser.add_subparsers(dest="world", metavar="WORLD", required=True)
    for name, about in (
        ("simulated", "a SIMULATOR: models that are rules, tools that fail; no claim about any real model"),
        ("arithmetic", "SmolLM2 and Python in the sandbox on sums and word problems"),
    ):
        one = worlds.add_parser(name, help=about, description=about)
        one.add_argument(
            "--out", required=True, metavar="DIR", help="the folder; a world that stands there is replaced"
        )
        one.add_argument("--seed", type=int, default=0, metavar="N", help="all of it follows from it (default: 0)")
        one.add_argument("--train", type=_count(1), default=400, metavar="N", help="queries to train on (default: 400)")
        one.add_argument(
            "--held-out", type=_count(1), default=100, metavar="N", help="others, here and shifted (default: 100)"
        )
        one.add_argument(
            "--paraphrased",
            type=_share,
            default=0.25,
            metavar="SHARE",
            help="held-out queries that have three paraphrases (default: 0.25)",
        )
        if name == "simulated":
            one.add_argument(
                "--tool-fails",
                type=_share,
                default=0.1,
                metavar="SHARE",
                help="requests that the world's own tools do not answer (default: 0.1)",
            )
            one.add_argument(
                "--faults",
                type=_factor,
                default=1.0,
                metavar="X",
                help="multiply the rates of the models' faults, from 0 to 20 (default: 1)",
            )
            one.add_argument(
                "--sandbox", action="store_true", help="grant Python in the sandbox, too; it takes its time"
            )
            one.add_argument(
                "--method",
                type=_factor,
                default=0.0,
                metavar="X",
                help="log odds that words of method in a prompt add for tasks of their family (default: 0, off)",
            )
            one.add_argument(
                "--misfit",
                type=_factor,
                default=0.0,
                metavar="X",
                help="log odds that those of another family take away; with either there is a teacher (default: 0)",
            )
            one.add_argument("--sleep", action="store_true", help="let calls take the models' time really")
        else:
            one.add_argument(
                "--pools",
                metavar="FOLDER",
                help="add queries of the pools in a folder (gsm8k*, svamp*, mawps* as JSON lines)",
            )
    options = vars(parser.parse_args(arguments))
    make, out = _MAKE[options.pop("world")], options.pop("out")

    def made() -> None:
        make(out, **options)
        print(f"{out} is ready: mas.toml, train.jsonl, held-out.jsonl, shifted/")

    return ended(made, out)


_MOST: Final = 100_000
_MAKE: Final[Mapping[str, Callable[..., None]]] = {"simulated": make_simulated, "arithmetic": make_arithmetic}


def _count(low: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        """Return a number of queries."""
        if not text.isascii() or not text.isdigit() or not low <= int(text[:9]) <= _MOST:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {low} to {_MOST}")
        return int(text)

    return count


def _share(text: str) -> float:
    """Return a share."""
    return _number(text, 1, "share")


def _factor(text: str) -> float:
    """Return a factor."""
    return _number(text, 20, "factor")


def _number(text: str, most: int, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is no {what} from 0 to {most}")
    return number


if __name__ == "__main__":
    raise SystemExit(main())
