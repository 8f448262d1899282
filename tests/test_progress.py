"""How a run that goes on is shown: plain lines, and the live tree on a real terminal."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masdsl.cli.live import BAR, Line, LiveTree, Steps, bar, view
from masdsl.cli.progress import print_line, watched
from masdsl.runtime.events import Event

ROOT = Path(__file__).parent.parent
FINISHED = "finished"


def event(number: int, kind: str, path: str, *indices: int, what: str = "agent", **more: object) -> Event:
    return Event(number, kind, path, indices, what, path.rpartition(".")[2], number / 10, **more)  # type: ignore[arg-type]


RUN = (
    event(0, "started", "main", what="flow"),
    event(1, "started", "main.draft"),
    event(2, "called", "main.draft", tokens_in=90, tokens_out=10, usd=0.25, seconds=1.0, detail="malformed"),
    event(3, "retried", "main.draft", detail="no JSON"),
    event(4, "called", "main.draft", attempt=1, tokens_in=95, tokens_out=5, usd=0.25, seconds=1.0),
    event(5, FINISHED, "main.draft", seconds=2.0, value="x"),
    event(6, "started", "main.round.write", 0, what="flow"),
    event(7, "started", "main.round.write.check", 0),
    event(8, "failed", "main.round.write.check", 0, detail="refused: no"),
    event(9, FINISHED, "main.round.write.check", 0, detail="default", value=False),
)


def test_steps_are_known_by_their_events() -> None:
    steps = Steps()
    for one in RUN:
        steps.add(one)
    assert steps.spent == {"calls": 2, "tokens": 200, "picodollars": 500_000_000_000}
    assert [(line.depth, line.label, line.state, line.note) for line in steps.lines.values()] == [
        (0, "main", "open", ""),
        (1, "draft", "done", ""),
        (1, "round.write[0]", "open", ""),
        (2, "check[0]", "done", "default"),
    ]


def test_a_step_from_the_journal_is_kept() -> None:
    steps = Steps()
    steps.add(event(0, "reused", "main.draft"))
    assert steps.lines["main.draft"].state == "kept"


def test_thousands_of_steps_are_forgotten_but_for_the_last_ones() -> None:
    steps = Steps()
    steps.add(event(0, "started", "main", what="flow"))
    for number in range(1, 3_000):
        steps.add(event(number, "started", "main.map.one", number))
        steps.add(event(number, FINISHED, "main.map.one", number))
    assert len(steps.lines) <= 401
    assert steps.ended == 2_999
    assert "main" in steps.lines and "main.map.one[2999]" in steps.lines


BY_LETTER = {"o": "open", "d": "done", "f": "failed", "k": "kept"}


@given(st.text("odfk", max_size=60), st.integers(-3, 40))
def test_what_is_under_way_is_shown_first_and_nothing_goes_beyond_the_screen(letters: str, rows: int) -> None:
    states = [BY_LETTER[letter] for letter in letters]
    lines = [Line(0, str(at), "x", state, 0, 0, "") for at, state in enumerate(states)]  # type: ignore[arg-type]
    shown, hidden = view(lines, rows)
    assert len(shown) <= max(rows, 1) and len(shown) + hidden == len(lines)
    assert [line.label for line in shown] == sorted((line.label for line in shown), key=int)
    under_way = states.count("open")
    assert sum(line.state == "open" for line in shown) == min(under_way, max(rows, 1))


@given(st.integers(0, 10**15), st.integers(0, 10**15))
def test_a_bar_is_as_long_as_it_is(taken: int, most: int) -> None:
    assert len(bar(taken, most)) == BAR
    assert bar(most, most) == "█" * BAR or most == 0


def test_the_tree_ends_with_all_that_happened() -> None:
    console_module = pytest.importorskip("rich.console", reason="needs masdsl[live]")
    written = StringIO()
    console = console_module.Console(file=written, force_terminal=False, width=100, height=30)
    with LiveTree({"calls": 4, "tokens": 1_000, "picodollars": 0}, console) as tree:
        for one in RUN:
            tree(one)
    text = written.getvalue()
    assert "  ✓ draft  2.0 s" in text
    assert "    ✓ check[0]" in text
    assert "2 of at most 4 calls" in text and "200 of at most 1,000 tokens" in text
    assert "0.50 of at most 0.00 USD" in text


def test_hostile_names_do_not_reach_the_terminal() -> None:
    console_module = pytest.importorskip("rich.console", reason="needs masdsl[live]")
    written = StringIO()
    console = console_module.Console(file=written, force_terminal=True, color_system=None, width=100, height=30)
    with LiveTree({}, console) as tree:
        tree(event(0, "started", "main.a"))
        tree(event(1, "failed", "main.a", detail="\x1b]0;owned\x07[red]x[/red]\u202e"))
    assert "\x1b]0;owned" not in written.getvalue() and "\u202e" not in written.getvalue()
    assert "[red]x[/red]" in written.getvalue()


def test_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    for one in RUN:
        print_line(one)
    assert capsys.readouterr().err.splitlines() == [
        "main.draft  draft  asks again: no JSON",
        "main.draft  draft  2.0 s",
        "main.round.write.check[0]  check  failed: refused: no",
        "main.round.write.check[0]  check  0.0 s (default)",
    ]


def test_without_a_terminal_nothing_is_shown_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with watched(events=False, progress="auto") as observer:
        assert observer is None
    with watched(events=False, progress="live") as observer:
        assert observer is print_line  # there is no terminal, so lines have to do


SCRIPT = '[replies]\ngreeter = { "$reply" = "Hello, Ada!", "$after" = 0.3 }\nlistener = "cheerful"\n'


def on_terminal(arguments: list[str], folder: Path, **environment: str) -> str:
    """Return what a command writes to a terminal of its own."""
    pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")
    ours, theirs = pty.openpty()
    own = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "90", "LINES": "24", **environment}
    own["MASDSL_DATA"] = str(folder)
    command = [sys.executable, "-m", "masdsl", *arguments]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=own, cwd=folder) as process:
        os.close(theirs)
        written, until = b"", time.monotonic() + 120
        while time.monotonic() < until:
            if select.select([ours], [], [], 1.0)[0]:
                try:
                    part = os.read(ours, 65_536)
                except OSError:  # Linux's way to say that the other end is closed
                    break
                if not part:
                    break
                written += part
        os.close(ours)
        assert process.wait(timeout=30) == 0, written
    return written.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals here")
def test_a_run_on_a_terminal_is_a_live_tree(tmp_path: Path) -> None:
    pytest.importorskip("rich", reason="needs masdsl[live]")
    (tmp_path / "script.toml").write_text(SCRIPT)
    words = ["run", str(ROOT / "examples/hello/hello.mas"), "name=Ada", "--script", "script.toml"]
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", on_terminal(words, tmp_path))
    assert any(frame in text for frame in "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"), "it moved while the run went on"
    assert re.search(r"✓ words\s+greeter\s+0\.\d s", text)
    assert "2 of at most 2 calls" in text
    assert '"mood": "cheerful"' in text


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals here")
def test_a_dumb_terminal_gets_lines(tmp_path: Path) -> None:
    (tmp_path / "script.toml").write_text(SCRIPT)
    words = ["run", str(ROOT / "examples/hello/hello.mas"), "name=Ada", "--script", "script.toml"]
    text = on_terminal(words, tmp_path, TERM="dumb")
    assert re.search(r"main\.words  greeter  0\.\d s", text)
    assert "\x1b[" not in text
