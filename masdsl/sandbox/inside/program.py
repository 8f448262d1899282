"""Runs a program in this process, which is locked already, and says what came of it as plain data.

What the request and the reply hold is described in `masdsl/sandbox/run.py`, which writes the one and reads the other.
"""

from __future__ import annotations

import io
import json
import sys

from masdsl.sandbox.inside.assertions import Tally, calls_check, clipped, rewritten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, TracebackType
    from typing import Any

PROGRAM = "<program>"
TESTS = "<tests>"
MESSAGE = 2_000
"""Characters of a message that are kept."""
FAILURES = 5
"""Failed statements of tests that are told."""

Reply = dict[str, "Any"]

_dumps = json.dumps  # whatever the program does to `json`, this process answers with the one that it began with


class Fault(Exception):
    """The program cannot be used as it was asked for: a kind and a message of `masdsl.sandbox.result.Failure`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def run(request: dict[str, Any], forget: Callable[[], None]) -> Reply:
    """Run the program of a request. `forget` is called just before, to take away what is ours."""
    code, tests, entry = request["code"], request["tests"], request["entry_point"]
    tally = Tally()
    texts = texts_of(request)
    name = "__main__" if tests is None and entry is None else "program"
    module = type(sys)(name)
    module.__dict__.update(request["inputs"])
    sys.modules[name] = module
    sys.stdin = io.StringIO(request["stdin"])
    sys.argv = ["program"]
    out, err = sys.stdout, sys.stderr
    reply: Reply
    try:
        compiled = _compiled(code, PROGRAM)
        forget()
        exec(compiled, module.__dict__)
        reply = {"value": None}
        if tests is not None:
            reply = _tested(tests, entry, module.__dict__, tally, texts)
        elif entry is not None:
            reply = {"value": _function(entry, module.__dict__)(*request["arguments"])}
        elif name == "__main__":
            _join_threads()
    except SystemExit as error:
        reply = _left(error, name == "__main__")
    except BaseException as error:
        reply = failure(error, texts)
    for stream in (out, err):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
    return reply | {"passed": tally.passed, "failed": tally.failed}


def texts_of(request: dict[str, Any]) -> dict[str, str]:
    """Return the texts that places are shown in, by the names that Python has for them."""
    return {PROGRAM: request["code"], TESTS: request["tests"] or ""}


def encoded(reply: Reply, most: int) -> bytes:
    """Return a reply as JSON; one whose value is no JSON, or takes more bytes than `most`, becomes a failure."""
    try:
        text = _dumps(reply.get("value"), allow_nan=False)
    except BaseException as error:
        said = f"what it returned is not JSON data: {clipped(_said(error))}"
        reply = {"error": _error("memory" if isinstance(error, MemoryError) else "not_json", said)} | _counts(reply)
        text = "null"
    if text != "null" and len(text) > most:
        said = f"what it returned takes {len(text):,} bytes as JSON, and {most:,} are allowed"
        reply = {"error": _error("output", said)} | _counts(reply)
    return _dumps(reply).encode()


def _counts(reply: Reply) -> Reply:
    return {"passed": reply["passed"], "failed": reply["failed"]}


def failure(error: BaseException, texts: dict[str, str]) -> Reply:
    """Return the reply that tells about an exception."""
    if isinstance(error, Fault):
        return {"error": _error(error.kind, str(error))}
    where, line, shown = _place(error, texts)
    said = _said(error)
    if isinstance(error, SyntaxError) and not shown and error.filename in texts:
        where, line = error.filename.strip("<>"), error.lineno or 0
        return {"error": _error("syntax", f"{said} (line {line})" if line else said, where, line)}
    kind = "memory" if isinstance(error, MemoryError) else "exception"
    return {"error": _error(kind, f"{said} ({shown})" if shown else said, where, line)}


def _left(error: SystemExit, whole: bool) -> Reply:
    """`sys.exit()` and `sys.exit(0)` end a whole program in order; nothing else does, and no test passes by that."""
    if whole and error.code in (None, 0):
        return {"value": None}
    said = str(error.code) if isinstance(error.code, int) else clipped(_said(error).removeprefix("SystemExit: "))
    return {"error": _error("exit", f"the program ended itself: sys.exit({'' if error.code is None else said})")}


def _compiled(text: str, name: str) -> CodeType:
    try:
        return compile(text, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        if isinstance(error, SyntaxError) and error.filename == name:
            raise
        raise Fault("syntax", f"Python cannot read it: {clipped(_said(error))}") from None


def _function(entry: str, names: dict[str, Any]) -> Callable[..., Any]:
    found = names.get(entry)
    if not callable(found):
        what = "no function" if found is None else "something else, not a function,"
        raise Fault("no_entry_point", f"the program has {what} named `{clipped(entry)}`")
    return found  # type: ignore[no-any-return]


def _tested(tests: str, entry: str | None, names: dict[str, Any], tally: Tally, texts: dict[str, str]) -> Reply:
    """Run tests statement by statement: after an assertion that fails, the others are looked at all the same."""
    import ast

    try:
        parsed = ast.parse(tests, TESTS)
        calls_itself = calls_check(parsed)
        statements = rewritten(parsed).body
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        if isinstance(error, SyntaxError) and error.filename == TESTS:
            raise
        raise Fault("syntax", f"Python cannot read the tests: {clipped(_said(error))}") from None
    names.update(tally.names())
    if entry is not None:
        names.setdefault("candidate", _function(entry, names))
    failures: list[Any] = []
    for statement in statements:
        try:
            exec(compile(ast.Module([statement], []), TESTS, "exec", dont_inherit=True), names)
        except Exception as error:
            failures.append(_failed(error, tally, texts))
            if not isinstance(statement, ast.Expr):  # what follows may need what this statement was to make
                break
    if entry is not None and not failures and not calls_itself and callable(names.get("check")):
        try:
            names["check"](_function(entry, names))
        except Exception as error:
            failures.append(_failed(error, tally, texts))
    if not failures:
        return {"value": None}
    more = len(failures) - FAILURES
    told = [one["message"] for one in failures[:FAILURES]] + ([f"and {more} more"] if more > 0 else [])
    return {"error": failures[0] | {"message": "\n".join(told)[:MESSAGE]}}


def _failed(error: Exception, tally: Tally, texts: dict[str, str]) -> Reply:
    """Return what is told about a statement of the tests that failed."""
    line = max((place for name, place, _ in _frames(error.__traceback__) if name == TESTS), default=0)
    at = f"line {line} of the tests: " if line else ""
    if isinstance(error, AssertionError):
        return _error("assertion", f"{at}{_said(error).removeprefix('AssertionError: ')}", "tests", line)
    tally.failed += 1
    where, own, shown = _place(error, texts)
    asked = clipped(_line(tests, line)) if (tests := texts[TESTS]) and line else ""
    said = f"{_said(error)} ({shown})" if shown else _said(error)
    kind = "memory" if isinstance(error, MemoryError) else "exception"
    return _error(kind, f"{at}{f'`{asked}`: ' if asked else ''}{said}", where, own)


def _error(kind: str, message: str, where: str = "", line: int = 0) -> Reply:
    return {"kind": kind, "message": message[:MESSAGE], "where": where, "line": line}


def _said(error: BaseException) -> str:
    """Return the class and the text of an exception, whatever its class does about that."""
    name = type(error).__name__
    try:
        text = error.msg if isinstance(error, SyntaxError) else str(error)
    except BaseException:
        return name
    return f"{name}: {text[:MESSAGE]}" if text else name


def _frames(trace: TracebackType | None) -> list[tuple[str, int, str]]:
    found = []
    while trace is not None:
        found.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno, trace.tb_frame.f_code.co_name))
        trace = trace.tb_next
    return found


def _place(error: BaseException, texts: dict[str, str]) -> tuple[str, int, str]:
    """Return the innermost place of the program or its tests: which of the two, the line, and both in words."""
    for name, line, function in reversed(_frames(error.__traceback__)):
        if name in texts:
            inside = "" if function == "<module>" else f", in {function}"
            source = clipped(_line(texts[name], line))
            return name.strip("<>"), line, f"line {line}{inside}{f': `{source}`' if source else ''}"
    return "", 0, ""


def _line(text: str, number: int) -> str:
    lines = text.split("\n")
    return lines[number - 1].strip() if 0 < number <= len(lines) else ""


def _join_threads() -> None:
    """Wait for the threads that keep a program alive, as Python does at its end."""
    threading = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()
