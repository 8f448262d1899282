"""One program in one tier: from the request to a result whose every part has been looked at."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from masdsl.sandbox.result import KINDS, Failure, Limits, Result
from masdsl.sandbox.start import BWRAP, MONTY, NotHere, command_of, installation

if TYPE_CHECKING:
    from masdsl.sandbox.process import Outcome, Stop

SHELL_SIGNAL: Final = 128
"""bubblewrap gives, like shells, this much more than the signal as exit code of a process that a signal ended."""
MOST_COUNTED: Final = 10**9


class NotStarted(Exception):
    """The process of a tier did not come so far that it was sent the program; the text says why."""


class Stopped(Exception):
    """Somebody asked to stop while the program was running or waiting."""


def execute(tier: str, request: dict[str, Any], limits: Limits, stop: Stop | None = None) -> Result:
    """Run the program of a request in a tier, whether that tier has been tested or not.

    Raises:
        NotStarted: it was not run: the process did not start, or could not be locked.
        Stopped: it was asked to.
    """
    import json

    from masdsl.sandbox.process import converse

    if tier == MONTY:
        from masdsl.sandbox.monty import marked, told_by_monty

        mark = marked(request)
    try:
        outcome = converse(command_of(tier, limits), json.dumps(request).encode(), limits, stop)
    except NotHere as error:
        raise NotStarted(str(error)) from None
    except OSError as error:
        raise NotStarted(f"no process can be started: {error.strerror or error}") from None
    if outcome.cut == "stopped":
        raise Stopped
    if not outcome.hello.startswith(b'{"locked"'):
        raise NotStarted(_why_not_started(outcome))
    if tier == MONTY:
        outcome = told_by_monty(outcome, mark, request["code"])
    return _result(tier, outcome, limits)


def _why_not_started(outcome: Outcome) -> str:
    refused = _json(outcome.hello)
    if isinstance(refused, dict) and isinstance(refused.get("refused"), str):
        return str(refused["refused"])
    if outcome.cut == "start":
        return "it did not come to be locked in time"
    lines = outcome.stderr.decode("utf-8", "replace").strip().split("\n")
    said = f": {lines[-1] if len(lines[-1]) <= 200 else lines[-1][:197] + '...'}" if lines[-1] else ""
    return f"its process ended with exit code {outcome.status} before it was locked{said}"


def _result(tier: str, outcome: Outcome, limits: Limits) -> Result:
    value, error, passed, failed = None, _failure(tier, outcome, limits), 0, 0
    if error is None:
        value, error, passed, failed = _reply(outcome.reply, limits)
    stderr = _without_paths(outcome.stderr.decode("utf-8", "replace"))
    return Result(
        error is None,
        value if error is None else None,
        outcome.stdout.decode("utf-8", "replace"),
        stderr,
        error,
        passed,
        failed,
        outcome.seconds,
        tier,
    )


def _failure(tier: str, outcome: Outcome, limits: Limits) -> Failure | None:
    """Return what the end of the process says; None where its reply counts."""
    import signal

    if outcome.cut == "time":
        return Failure("time", f"it ran longer than {limits.seconds:g} seconds")
    if outcome.cut == "output":
        return Failure("output", f"it wrote more than {limits.output:,} bytes")
    if outcome.reply:
        return None
    number = outcome.status - SHELL_SIGNAL if tier == BWRAP and outcome.status > 0 else -outcome.status
    if number <= 0:
        return Failure("exit", f"it left with exit code {outcome.status} before it had a result")
    busy = number == signal.SIGKILL and outcome.seconds >= limits.cpu_seconds
    if number == signal.SIGXCPU or busy:
        return Failure("cpu", f"it used more than {limits.cpu_seconds} seconds of processor time")
    try:
        name = signal.Signals(number).name
    except ValueError:
        return Failure("exit", f"it left with exit code {outcome.status} before it had a result")
    return Failure("crash", f"its process was ended by the signal {name}")


def _reply(text: bytes, limits: Limits) -> tuple[Any, Failure | None, int, int]:
    """Return value, failure and counts of a reply, of which a hostile program may have written any byte."""
    broken = Failure("exit", "it ended without a result that can be read")
    reply = _json(text)
    if not isinstance(reply, dict):
        return None, broken, 0, 0
    passed, failed = reply.get("passed"), reply.get("failed")
    if not _counts(passed) or not _counts(failed):
        return None, broken, 0, 0
    if "error" not in reply:
        value = reply.get("value")
        large = value is not None and _bytes_of(value) > limits.output
        return (None, broken, 0, 0) if large else (value, None, passed, failed)
    error = reply["error"]
    if not isinstance(error, dict):
        return None, broken, 0, 0
    kind, message = error.get("kind"), error.get("message")
    where, line = error.get("where"), error.get("line")
    if kind not in KINDS or not isinstance(message, str) or where not in ("", "program", "tests"):
        return None, broken, 0, 0
    if not _counts(line):
        return None, broken, 0, 0
    message = message.encode("utf-8", "replace").decode()
    return None, Failure(kind, _without_paths(message), where, line), passed, failed


def _counts(number: object) -> TypeGuard[int]:
    return type(number) is int and 0 <= number <= MOST_COUNTED


def _json(text: bytes) -> Any:
    """Return what JSON says; None where it is none, is nested too deeply or has text that is not Unicode."""
    import json

    try:
        value = json.loads(text, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode()
        return value
    except (ValueError, RecursionError):
        return None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _bytes_of(value: object) -> int:
    import json

    return len(json.dumps(value))


def _without_paths(text: str) -> str:
    """Return a message without the places of this machine's Python."""
    here = installation()
    prefix = os.path.realpath(sys.base_prefix)
    for path in (here.standard, here.libraries, prefix, os.path.dirname(os.path.dirname(__file__))):
        if len(path) > len("/usr/lib"):
            text = text.replace(path, "<python>")
    return text
