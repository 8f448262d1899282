"""`python -m training.imitation TREES... --role ROLE -o ROWS`: rows of supervised fine-tuning for a role."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from training.imitation.rows import write_imitated
from training.stage.command import ended
from training.trees.tree import ROLES


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m training.imitation", description="Make rows of supervised fine-tuning for a role of trees."
    )
    parser.add_argument("trees", nargs="+", metavar="TREES", help="files of trees, as training.trees writes them")
    parser.add_argument("--role", required=True, choices=ROLES, help="whose actions are imitated")
    parser.add_argument("-o", "--output", required=True, metavar="ROWS", help="where to write the rows, as JSON lines")
    options = parser.parse_args(arguments)

    def made() -> None:
        count = write_imitated(options.trees, options.role, options.output)
        print(f"{count} rows of the {options.role}: {options.output}")

    return ended(made, options.output)
