"""`python -m training.experiments NAME --out DIR`: one experiment, to a table, a picture and raw numbers."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from importlib import import_module
from typing import Final

from training.experiments.parts.reports import SIZES, write_report
from training.stage.command import ended

EXPERIMENTS: Final[Mapping[str, str]] = {
    "front": "accuracy against cost of ways to come to a system (simulated, or with a real model: --world)",
    "roles": "with and without each of the three roles, by rules (simulated)",
    "theta": "when should the rectifier be asked? theta_C swept under injected faults (simulated)",
    "emission": "the language against Python: what the same small model emits after the same steps",
    "loss": "value-scaled loss against DPO, Score-DPO and KTO: what is emitted after the same pairs and steps",
    "players": "CTO of trained players in all three roles, here and with other models behind the tiers (simulated)",
    "pairing": "one system for a family of queries against each query's own, and against any",
    "techniques": "prompts of SmolLM2 refined by a bank of published techniques, and measured on other queries (real)",
    "intra": "inter- and intra-consistency against pairing at random, with a simulated teacher",
    "paraphrase": "whether the emitted topology is the same for other wordings of a query",
    "unseen": "what is emitted for law and medicine, which training never saw",
}
"""What each experiment asks, by the name of its module."""
FRONTS: Final[Mapping[str, str]] = {"simulated": "front", "arithmetic": "front_arithmetic"}
"""The module of the front in each world."""


def main(arguments: list[str] | None = None) -> int:
    """Make an experiment; return an exit code: 0 when it is there."""
    parser = argparse.ArgumentParser(
        prog="python -m training.experiments",
        description="Make an experiment on what the papers leave open; the same again goes on where it stopped.",
        epilog="\n".join(f"{name:12} {about}" for name, about in EXPERIMENTS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=sorted(EXPERIMENTS), metavar="NAME", help="which one; they are listed below")
    parser.add_argument("--out", required=True, metavar="DIR", help="the folder for its parts and its results")
    parser.add_argument(
        "--size",
        choices=SIZES,
        default="full",
        help="full: what docs/experiments.md reports; small: seconds, to see that it works (default: full)",
    )
    parser.add_argument(
        "--world",
        choices=sorted(FRONTS),
        default="simulated",
        help="of `front`: models that are rules, or SmolLM2 in this process: most of an hour (default: simulated)",
    )
    options = parser.parse_args(arguments)
    if options.name != "front" and options.world != "simulated":
        parser.error(f"--world {options.world} is for `front`; `{options.name}` has one world; leave --world out")
    module = FRONTS[options.world] if options.name == "front" else options.name
    experiment = import_module(f"training.experiments.{module}")
    began = time.monotonic()

    def made() -> None:
        report = experiment.run(options.size, options.out, lambda text: print(text, file=sys.stderr))
        write_report(report, options.out, size=options.size, seconds=time.monotonic() - began)

    return ended(made, options.out)


if __name__ == "__main__":
    raise SystemExit(main())
