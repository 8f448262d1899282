"""The tier for machines without Landlock and bubblewrap: this process becomes monty, a Python interpreter in Rust that
has no files, no network and no processes to give (https://github.com/pydantic/monty, extra `code`).

The program is put together with the little that asks for its value or runs its tests, and monty gets the whole. Its
last line is the reply, behind a mark that the host has chosen; `masdsl/sandbox/monty.py` reads it. Where the kernel can
lock this process, it is locked as well, before it becomes monty.
"""

from __future__ import annotations

import glob
import json
import keyword
import os

from masdsl.sandbox.inside.assertions import COMPARE, HOLDS, calls_check, clipped, rewritten
from masdsl.sandbox.inside.lockdown import NotLocked, Wanted, lock
from masdsl.sandbox.inside.program import FAILURES, Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast
    from typing import Any

LOADERS = ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1", *glob.glob("/lib/ld-musl-*.so.1"))
MOST_TEXT = 120_000
"""Bytes of what monty is given: Linux takes 128 KiB as one argument."""

SIGNS = {
    "Eq": "==",
    "NotEq": "!=",
    "Lt": "<",
    "LtE": "<=",
    "Gt": ">",
    "GtE": ">=",
    "Is": "is",
    "IsNot": "is not",
    "In": "in",
    "NotIn": "not in",
}

PRELUDE = "\n".join(
    [
        "import json as __json",
        "__tally = [0, 0]",
        "__failures = []",
        "__lines = []",
        "def input(prompt=''):",
        "    if not __lines:",
        "        raise RuntimeError('EOF when reading a line')",  # monty has no EOFError
        "    return __lines.pop(0)",
        "def __say(ok, seen, shown, message):",
        "    if ok:",
        "        __tally[0] += 1",
        "        return",
        "    __tally[1] += 1",
        "    said = '' if message is None else '; ' + str(message())[:200]",
        "    raise AssertionError('`' + shown + '`: it is ' + repr(seen)[:200] + said)",
        f"def {HOLDS}(condition, shown, message):",
        "    __say(condition, condition, shown, message)",
        f"def {COMPARE}(left, right, name, shown, message):",
        *(f"    if name == {name!r}: ok = left {sign} right" for name, sign in SIGNS.items()),
        "    __say(ok, left, shown, message)",
    ]
)
"""What stands before a program, in the Python that monty knows."""

LINES_BEFORE = PRELUDE.count("\n") + 3
"""Lines before the first line of a program: the prelude, its inputs, its standard input."""


def lock_for_monty(setup: dict[str, Any]) -> dict[str, object]:
    """Lock this process as far as this machine can, so that it can still become monty; monty itself is the wall."""
    executable = [setup["monty"], *LOADERS]
    wanted = Wanted(
        setup["readable"], setup["folders"], setup["memory"], setup["cpu_seconds"], setup["tasks"], executable
    )
    try:
        return lock(wanted, landlock_required=False)
    except (NotLocked, OSError, ValueError) as error:
        return {"partly": str(error)}


def become_monty(request: dict[str, Any], setup: dict[str, Any]) -> None:
    """Replace this process by monty with the program; never returns.

    Raises:
        Fault: the program cannot be given to monty.
        SyntaxError: its tests cannot be read.
    """
    text = whole(request)
    if len(text.encode("utf-8", "surrogatepass")) > MOST_TEXT:
        raise Fault("too_large", f"monty takes programs of up to {MOST_TEXT:,} bytes, inputs and tests included")
    os.set_inheritable(setup["answer"], False)
    limits = ["--max-feed-duration", str(setup["cpu_seconds"]), "--max-memory", str(setup["memory"] // 2)]
    os.execv(setup["monty"], ["monty", *limits, "-c", text])


def whole(request: dict[str, Any]) -> str:
    """Return the text for monty: the prelude, the program, and what makes its reply."""
    entry = request["entry_point"]
    if entry is not None and (not entry.isidentifier() or keyword.iskeyword(entry)):
        raise Fault("no_entry_point", f"the program has no function named `{clipped(entry)}`")
    inputs = "; ".join(f"{name} = {_data(value)}" for name, value in request["inputs"].items() if name.isidentifier())
    lines = [
        PRELUDE,
        inputs or "pass",
        f"__lines.extend({_data(request['stdin'].splitlines())})",
        request["code"],
        "__reply = {'value': None}",
    ]
    if entry is not None:
        lines += [
            "__entry = None",
            "try:",
            f"    __entry = {entry}",
            "except NameError:",
            f"    __reply = {_no_entry_point(entry)!r}",
        ]
    if request["tests"] is not None:
        lines += _tests(request["tests"], entry)
    elif entry is not None:
        lines += ["if __entry is not None:", f"    __reply = {{'value': __entry(*{_data(request['arguments'])})}}"]
    lines += [
        "try:",
        "    __json.dumps(__reply, allow_nan=False)",
        "except Exception as __error:",
        "    __said = 'what it returned is not JSON data: ' + type(__error).__name__ + ': ' + str(__error)",
        "    __reply = {'error': {'kind': 'not_json', 'message': __said, 'where': '', 'line': 0}}",
        "__reply['passed'] = __tally[0]",
        "__reply['failed'] = __tally[1]",
        f"print('\\n' + {request['mark']!r} + __json.dumps(__reply))",
    ]
    return "\n".join(lines) + "\n"


def _data(value: object) -> str:
    """Return an expression for JSON data."""
    return f"__json.loads({json.dumps(value)!r})"


def _no_entry_point(entry: str) -> dict[str, object]:
    message = f"the program has no function named `{entry}`"
    return {"error": {"kind": "no_entry_point", "message": message, "where": "", "line": 0}}


def _tests(tests: str, entry: str | None) -> list[str]:
    """Return the tests, each statement of which is run for itself, and what makes a reply of their failures."""
    import ast

    parsed = ast.parse(tests, "<tests>")
    calls_itself = calls_check(parsed)
    body: list[ast.stmt] = list(rewritten(parsed).body)
    defines_check = any(isinstance(one, ast.FunctionDef) and one.name == "check" for one in body)
    lines = ["candidate = __entry"] if entry is not None else []
    lines.append("__going = 'error' not in __reply")
    for statement in body:
        lines += _guarded(ast.unparse(ast.fix_missing_locations(statement)), statement.lineno, _goes_on(statement))
    if entry is not None and defines_check and not calls_itself:
        lines += ["if not __failures:", *_indented(_guarded("check(__entry)", 0, True))]
    return [
        *lines,
        "if __failures:",
        "    __first = __failures[0]",
        f"    __told = [one['message'] for one in __failures[:{FAILURES}]]",
        f"    if len(__failures) > {FAILURES}:",
        f"        __told.append('and ' + str(len(__failures) - {FAILURES}) + ' more')",
        "    __first['message'] = '\\n'.join(__told)",
        "    __reply = {'error': __first}",
    ]


def _goes_on(statement: ast.stmt) -> bool:
    """Whether statements after this one are run if it fails: not where what it was to make would be missing."""
    import ast

    return isinstance(statement, ast.Expr)


def _guarded(text: str, line: int, goes_on: bool) -> list[str]:
    at = f"line {line} of the tests: " if line else ""
    return [
        "if __going:",
        "    try:",
        *_indented(_indented(text.split("\n"))),
        "    except Exception as __error:",
        "        __kind = 'assertion' if type(__error).__name__ == 'AssertionError' else 'exception'",
        "        __said = str(__error) if __kind == 'assertion' else type(__error).__name__ + ': ' + str(__error)",
        "        if __kind == 'exception': __tally[1] += 1",
        f"        __failures.append({{'kind': __kind, 'message': {at!r} + __said, 'where': 'tests', 'line': {line}}})",
        *([] if goes_on else ["        __going = False"]),
    ]


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]
