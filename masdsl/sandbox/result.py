"""What a program in a sandbox is allowed to take, and what came of it."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

KINDS: Final = (
    "syntax",
    "exception",
    "assertion",
    "exit",
    "no_entry_point",
    "not_json",
    "too_large",
    "time",
    "cpu",
    "memory",
    "output",
    "crash",
)
"""Why a program may fail. `exit`: it left by itself, with a code or without a result; `not_json`: what it returned;
`too_large`: its own text or what it was given; `time`, `cpu`, `memory`, `output`: it went beyond a limit; `crash`: the
system ended it."""

LIMIT_KINDS: Final = ("too_large", "time", "cpu", "memory", "output")

REFUSED_CODE: Final = "MAS940"
LIMIT_CODE: Final = "MAS941"
FAILED_CODE: Final = "MAS942"


class Limits(NamedTuple):
    """What one program may take. It never has a second process, a file or a socket, whatever stands here."""

    seconds: float = 10.0
    """Wall time from when the program was sent, in seconds."""
    cpu_seconds: int = 5
    """Time of processors, of all its threads together, in seconds."""
    memory: int = 512 << 20
    """Address space in bytes, the interpreter's own included (about 30 MiB)."""
    output: int = 64 << 10
    """Bytes of each: standard output, standard error, and the value as JSON."""


class Failure(NamedTuple):
    """Why a program failed: one of `KINDS`, and a message that names no path of this machine."""

    kind: str
    message: str
    where: str = ""
    """In which text: `program`, `tests`, or empty."""
    line: int = 0
    """The line in that text, from 1; 0 where there is none."""

    @property
    def code(self) -> str:
        """The diagnostic's code: a limit was reached, or the program failed by itself."""
        return LIMIT_CODE if self.kind in LIMIT_KINDS else FAILED_CODE


class Result(NamedTuple):
    """What came of a program. Value, output and counts are the program's own word: one that means to can feign them."""

    ok: bool
    """It ended by itself, raised nothing and stayed within its limits; with tests, all of them passed."""
    value: Any
    """What the entry point returned, as JSON data; None without one, and when not `ok`."""
    stdout: str
    stderr: str
    error: Failure | None
    """None exactly when `ok`."""
    passed: int
    """Assertions of the tests that held."""
    failed: int
    """Assertions of the tests that did not hold, and other statements of them that raised."""
    seconds: float
    """Wall time from when the program was sent until its process was gone, in seconds."""
    tier: str
    """Which tier of the ladder ran it."""

    @property
    def log(self) -> str:
        """What it printed, then what went wrong: what a person or a model wants to read."""
        said = self.error.message if self.error is not None else ""
        printed = self.stdout
        return f"{printed}{'' if printed.endswith(NEWLINE) else NEWLINE}{said}" if printed and said else printed or said


NEWLINE: Final = "\n"


class SandboxRefused(RuntimeError):
    """No tier of the ladder works on this machine, so nothing was run. The text says why and what to do."""

    code = REFUSED_CODE
