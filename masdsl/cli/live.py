"""A run as a tree that grows while it goes on, with what it has taken of what it may take. Needs `masdsl[live]` (rich).

`Steps` is what is known of the steps, `view` chooses the lines that fit, `LiveTree` draws them, a few times a second.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Self

from masdsl.bounds.table import cell
from masdsl.cli.progress import told
from masdsl.diagnostics.escape import escape

if TYPE_CHECKING:
    from masdsl.runtime import Event

State = Literal["open", "done", "failed", "kept"]
FRAMES: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
SIGNS: Final[Mapping[State, str]] = {"done": "✓", "failed": "✗", "kept": "↺"}
COLOURS: Final[Mapping[State, str]] = {"open": "cyan", "done": "green", "failed": "red", "kept": "blue"}
MEASURES: Final = (("calls", "calls"), ("tokens", "tokens"), ("picodollars", "USD"))
BAR: Final = 24
PER_SECOND: Final = 10
MOST_ENDED: Final = 200
"""Steps that have ended of which more is kept than their number."""


class Line(NamedTuple):
    """A step as a line: how deep it stands, its own part of the address, what it calls, how it is."""

    depth: int
    label: str
    name: str
    state: State
    began: float
    seconds: float
    note: str


class Steps:
    """What is known of the steps of a run, from its events. `spent` counts calls, tokens and picodollars."""

    def __init__(self) -> None:
        self.lines: dict[str, Line] = {}
        self.spent: dict[str, int] = {key: 0 for key, _ in MEASURES}
        self.ended = self.failed = 0
        self.now = 0.0

    def add(self, event: Event) -> None:
        """Take in an event."""
        self.now = max(self.now, event.at)
        if event.kind == "called" and event.what == "agent":
            self.spent["calls"] += 1
            self.spent["tokens"] += event.tokens_in + event.tokens_out
            self.spent["picodollars"] += round(event.usd * 10**12)
        address = event.address
        line = self.lines.get(address)
        if line is None or event.kind == "started":
            line = self._begun(event)
        match event.kind:
            case "finished":
                line = line._replace(state="done", seconds=event.seconds, note=_default(event))
            case "failed" | "refused":
                line = line._replace(state="failed", seconds=event.seconds, note=told(event))
            case "reused" | "claimed":
                line = line._replace(state="kept", note=told(event))
            case "retried" | "repeated":
                line = line._replace(note=told(event))
            case "called":
                line = line._replace(note="")
        was_open = self.lines.get(address, line._replace(state="open")).state == "open"
        if was_open and line.state != "open":
            self.ended += 1
        self.failed += line.state == "failed" and was_open
        self.lines[address] = line
        self._forget()

    def _begun(self, event: Event) -> Line:
        around = [one for one in self.lines if _is_around(one, event)]
        above = max(around, key=len, default="")
        path = above.partition("[")[0]
        label = event.path[len(path) + 1 :] if above else event.path
        if event.indices:
            label += f"[{','.join(map(str, event.indices))}]"
        return Line(len(around), label, event.name, "open", event.at, 0.0, "")

    def _forget(self) -> None:
        """Let go of the oldest steps that have ended, in runs of thousands of steps."""
        if len(self.lines) <= 2 * MOST_ENDED:
            return
        ended = [address for address, line in self.lines.items() if line.state != "open"]
        for address in ended[:-MOST_ENDED]:
            del self.lines[address]


def _is_around(address: str, event: Event) -> bool:
    path, _, indices = address.partition("[")
    if not event.path.startswith(f"{path}."):
        return False
    own = tuple(map(int, indices.removesuffix("]").split(","))) if indices else ()
    return event.indices[: len(own)] == own


def _default(event: Event) -> str:
    return "default" if event.detail == "default" else ""


def view(lines: Sequence[Line], rows: int) -> tuple[list[Line], int]:
    """Return the lines that are shown in so many rows, and how many are left out.

    What is under way is there first, and what it stands in; then what has ended last.
    """
    rows = max(rows, 1)
    if len(lines) <= rows:
        return list(lines), 0
    chosen = [at for at, line in enumerate(lines) if line.state == "open"][:rows]
    for at in range(len(lines) - 1, -1, -1):
        if len(chosen) >= rows:
            break
        if lines[at].state != "open":
            chosen.append(at)
    return [lines[at] for at in sorted(chosen)], len(lines) - len(chosen)


def bar(taken: int, most: int) -> str:
    """Return a bar of `BAR` characters, full where all is taken."""
    full = BAR if most <= 0 and taken else min(BAR, round(BAR * taken / most)) if most > 0 else 0
    return "█" * full + "░" * (BAR - full)


class LiveTree:
    """Draws a run on standard error while it goes on; an observer of its events."""

    def __init__(self, most: Mapping[str, Any], console: Any = None) -> None:
        """`most` is what the run may take, in the keys of `MEASURES`; `console` is rich's, by default of stderr."""
        from rich.console import Console
        from rich.live import Live

        self._most = most
        self._steps = Steps()
        self._lock = threading.Lock()
        self._seen = time.monotonic()
        self._console = console or Console(stderr=True)
        self._live = Live(
            get_renderable=self._drawn, console=self._console, refresh_per_second=PER_SECOND, transient=True
        )

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        with self._lock:
            self._steps.add(event)
            self._seen = time.monotonic()

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the tree away, and leave the lines that it ends with."""
        self._live.__exit__(kind, error, trace)
        self._console.print(self._drawn(is_over=True))
        sys.stderr.flush()

    def _drawn(self, *, is_over: bool = False) -> Any:
        from rich.text import Text

        with self._lock:
            steps = self._steps
            lines, spent = list(steps.lines.values()), dict(steps.spent)
            now = steps.now + (0 if is_over else time.monotonic() - self._seen)
        measures = [(key, unit) for key, unit in MEASURES if spent[key] or self._most.get(key)]
        shown, hidden = view(lines, self._console.size.height - len(measures) - 3)
        text = Text(no_wrap=True, overflow="ellipsis")
        for line in shown:
            self._line(text, line, now, is_over)
        if hidden:
            text.append(f"  … {hidden} more\n", "dim")
        for key, unit in measures:
            self._measure(text, spent[key], self._most.get(key), key, unit)
        text.right_crop(1)
        return text

    def _line(self, text: Any, line: Line, now: float, is_over: bool) -> None:
        running = line.state == "open"
        sign = SIGNS.get(line.state, "·" if is_over else FRAMES[int(now * PER_SECOND) % len(FRAMES)])
        seconds = now - line.began if running else line.seconds
        text.append("  " * line.depth)
        text.append(f"{sign} ", COLOURS[line.state])
        text.append(escape(line.label), "bold" if running else "")
        if line.name != line.label:
            text.append(f"  {escape(line.name)}", "dim")
        if seconds >= 0.05:
            text.append(f"  {seconds:.1f} s", "dim")
        if line.note:
            text.append(f"  {escape(line.note)}", "red" if line.state == "failed" else "yellow")
        text.append("\n")

    def _measure(self, text: Any, taken: int, most: int | None, key: str, unit: str) -> None:
        if most is None:
            text.append(f"{cell(key, taken)} {unit}\n", "dim")
            return
        full = most > 0 and taken >= 0.9 * most
        text.append(bar(taken, most), "yellow" if full else "green")
        text.append(f" {cell(key, taken)} of at most {cell(key, most)} {unit}\n", "dim")
