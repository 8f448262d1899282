"""Where unexpected exceptions end: `mas` answers with a message and an exit code, never with a traceback."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from masdsl.diagnostics.base import Diagnostic, Findings
from masdsl.source import Source

P = ParamSpec("P")
T = TypeVar("T")


class UsageError(Exception):
    """The command cannot be carried out as it was given; `advice` is the next action. Exit code 2."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


def guarded(name: str, findings: Findings, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """Return what `work(*args)` returns; turn an unexpected exception into a finding about the file `name`, and return
    None.

    So one file that masdsl stumbles over does not keep the others from being worked on.
    """
    try:
        return work(*args, **kwargs)
    except (KeyboardInterrupt, SystemExit, GeneratorExit, BrokenPipeError, UsageError):
        raise
    except BaseException as error:  # BaseException: a panic in a Rust extension is no Exception
        findings.add(_source(name), as_diagnostic(error))
        return None


def explain_failure(error: BaseException, arguments: Sequence[str]) -> int:
    """Print what went wrong with a command and return its exit code."""
    from masdsl.cli.terminal import print_error

    if isinstance(error, UsageError):
        print_error(f"{error}{'; ' + error.advice if error.advice else ''}")
        return 2
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        print_error(f"{where}{error.strerror or error}")
        return 2
    diagnostic = as_diagnostic(error)
    print_error(f"{diagnostic.code}: {diagnostic.title()}; {diagnostic.help()}")
    return 1


def as_diagnostic(error: BaseException) -> Diagnostic:
    """Return the diagnostic for an exception that should not have come this far."""
    from masdsl.diagnostics.internal import InternalError, OutOfResources

    if isinstance(error, RecursionError | MemoryError):
        return OutOfResources("stack" if isinstance(error, RecursionError) else "memory")
    first_line = str(error).partition("\n")[0][:200]
    return InternalError(f"{type(error).__name__}{': ' + first_line if first_line else ''}", _where(error))


def _where(error: BaseException) -> str:
    """Return the innermost places of masdsl's own code, such as `check/steps.py:120 in call`."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename.startswith(package):
            places.append(f"{os.path.relpath(code.co_filename, package)}:{trace.tb_lineno} in {code.co_name}")
        trace = trace.tb_next
    return " < ".join(reversed(places[-3:])) or "outside masdsl"


def _source(name: str) -> Source:
    """Return the source that a finding about a whole file points at; empty, so that no line of it is shown."""
    return Source(name, "")
