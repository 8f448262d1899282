"""Tests of a program: an assertion that does not hold says what it saw instead.

`assert f(2) == 4` is compiled as a call that gets both sides, so that a failure reads "`f(2) == 4`: it is 5". Sides are
evaluated once and in their order; what an assertion means does not change.
"""

from __future__ import annotations

import operator

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast
    from collections.abc import Callable
    from typing import Any

COMPARE = "__masdsl_compare__"
HOLDS = "__masdsl_holds__"

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "Eq": operator.eq,
    "NotEq": operator.ne,
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
    "Is": operator.is_,
    "IsNot": operator.is_not,
    "In": lambda left, right: left in right,
    "NotIn": lambda left, right: left not in right,
}

SHOWN = 200
"""Characters of a value or of an assertion that are shown."""


class Tally:
    """How many assertions of the tests held, and how many did not."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0

    def names(self) -> dict[str, object]:
        """Return what rewritten tests call."""
        return {COMPARE: self.compare, HOLDS: self.holds}

    def compare(self, left: Any, right: Any, name: str, shown: str, message: Callable[[], object] | None) -> None:
        """Stand for `assert left <op> right, message`."""
        if OPERATORS[name](left, right):
            self.passed += 1
        else:
            self._fail(shown, f"it is {clipped(safe_repr(left))}", message)

    def holds(self, condition: Any, shown: str, message: Callable[[], object] | None) -> None:
        """Stand for any other `assert condition, message`."""
        if condition:
            self.passed += 1
        else:
            self._fail(shown, f"it is {clipped(safe_repr(condition))}", message)

    def _fail(self, shown: str, seen: str, message: Callable[[], object] | None) -> None:
        self.failed += 1
        said = "" if message is None else f"; {clipped(str(message()))}"
        raise AssertionError(f"`{shown}`: {seen}{said}")


def rewritten(tests: ast.Module) -> ast.Module:
    """Make the assertions of tests count and say what they saw; return the tests."""
    import ast

    for node in ast.walk(tests):
        for _, part in ast.iter_fields(node):
            if isinstance(part, list):
                part[:] = [_counted(one) if isinstance(one, ast.Assert) else one for one in part]
    return tests


def _counted(statement: ast.Assert) -> ast.stmt:
    """Return the call that stands for an assertion."""
    import ast

    test, said = statement.test, statement.msg
    message: ast.expr = ast.Constant(None)
    if said is not None:
        own = ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr
        if any(isinstance(part, own) for part in ast.walk(said)):
            return statement  # what would mean something else in a function of its own stays as it is
        message = ast.Lambda(ast.arguments([], [], None, [], [], None, []), said)
    shown = ast.Constant(clipped(" ".join(ast.unparse(test).split())))
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        kind = ast.Constant(type(test.ops[0]).__name__)
        called, given = COMPARE, [test.left, test.comparators[0], kind, shown, message]
    else:
        called, given = HOLDS, [test, shown, message]
    call = ast.Expr(ast.Call(ast.Name(called, ast.Load()), given, []))
    return ast.fix_missing_locations(ast.copy_location(call, statement))


def calls_check(tests: ast.Module) -> bool:
    """Whether the tests call `check` themselves, at the top level."""
    import ast

    return any(
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Call)
        and isinstance(statement.value.func, ast.Name)
        and statement.value.func.id == "check"
        for statement in tests.body
    )


def safe_repr(value: object) -> str:
    """Return the repr of a value, whatever its class does about it."""
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(value).__name__} whose repr raises {type(error).__name__}>"


def clipped(text: str) -> str:
    """Return the beginning of a text, with a mark where something is left out."""
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
