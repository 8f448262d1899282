"""How a run that goes on is shown on standard error: a live tree on a terminal, plain lines, or nothing."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from masdsl.cli.terminal import write
from masdsl.diagnostics.escape import escape

if TYPE_CHECKING:
    from masdsl.runtime import Event
    from masdsl.runtime.events import Observer

WAYS: Final = ("auto", "live", "lines", "none")
Most = Callable[[], Mapping[str, Any]]
"""Says what a run may take at most: `calls`, `tokens`, `picodollars`; asked only where that is shown."""


def add_progress_option(parser: ArgumentParser) -> None:
    """Add `--progress` and `--events` to a command that runs programs."""
    parser.add_argument("--events", action="store_true", help="print every event as a line of JSON on standard error")
    parser.add_argument(
        "--progress",
        choices=WAYS,
        default="auto",
        help="how the run is shown while it goes on: live (a tree with the budget; needs masdsl[live] and a terminal),"
        " lines, none (default: live or lines on a terminal, else none)",
    )


@contextmanager
def watched(*, events: bool, progress: str, most: Most = dict) -> Iterator[Observer | None]:
    """Give the observer of a run as the options ask for it; what it shows is put away at the end."""
    if events:
        yield print_event
        return
    way = _way(progress)
    if way == "none":
        yield None
    elif way == "lines":
        yield print_line
    else:
        from masdsl.cli.live import LiveTree

        with LiveTree(most()) as tree:
            yield tree


def _way(progress: str) -> str:
    if progress != "auto":
        return progress if progress != "live" or can_be_live() else "lines"
    if not sys.stderr.isatty():
        return "none"
    return "live" if can_be_live() else "lines"


def can_be_live() -> bool:
    """Whether standard error is a terminal that can redraw lines, and the library that does it is there."""
    encoding = (getattr(sys.stderr, "encoding", "") or "").lower().replace("-", "")
    return (
        sys.stderr.isatty()
        and os.environ.get("TERM", "") not in ("", "dumb")
        and encoding.startswith("utf")
        and find_spec("rich") is not None
    )


def print_event(event: Event) -> None:
    """Print an event as a line of JSON on standard error."""
    from json import dumps

    write(dumps(event.to_json()) + "\n", sys.stderr)
    sys.stderr.flush()


def print_line(event: Event) -> None:
    """Print a line for each step that ends, and for what delays one."""
    detail = told(event)
    if detail:
        write(f"{escape(event.address)}  {escape(event.name)}  {escape(detail)}\n", sys.stderr)
        sys.stderr.flush()


def told(event: Event) -> str:
    """Return what an event means for its step, in words; empty for events that are nobody's concern."""
    match event.kind:
        case "retried":
            return f"asks again: {event.detail}"
        case "failed" | "refused":
            return f"{event.kind}: {event.detail}"
        case "reused" | "claimed":
            return "from the journal"
        case "repeated":
            return "asked again: it was under way when the run was broken off, so it may be paid for twice"
        case "finished" if event.what != "flow":
            return f"{event.seconds:.1f} s{' (default)' if event.detail == 'default' else ''}"
    return ""
