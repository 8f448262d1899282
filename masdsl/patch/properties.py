"""What `set` sets and `drop` takes away beside declarations and statements.

agent       on role temp max retry timeout tools steps prompt else
variant     the same, but for else
tool        from effect timeout else
flow        else, and calls tokens usd seconds of its own budget
loop        times                 within      calls tokens usd seconds
step        count, of `n of`
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from masdsl.node import Node
from masdsl.syntax import ast

AGENT: Final = ("on", "role", "temp", "max", "retry", "timeout", "tools", "steps", "prompt", "else")
VARIANT: Final = tuple(name for name in AGENT if name != "else")
TOOL: Final = ("from", "effect", "timeout", "else")
FLOW: Final = ("else", *ast.LIMIT_ORDER)
LOOP: Final = ("times",)
WITHIN: Final = ast.LIMIT_ORDER
STEP: Final = ("count",)

_NEEDED = ("prompt", "from", "times", "count")
_WHOLE_NUMBERS = ("retry", "steps")
_LITERALS = (
    *(ast.IntLit, ast.FloatLit, ast.StrLit, ast.BoolLit, ast.NoneLit, ast.ListLit, ast.RecordLit, ast.TagLit),
    *(ast.NamedValue, ast.Name),
)


class Unfit(Exception):
    """A property cannot have a value: `expected` says what it may be."""

    def __init__(self, expected: str) -> None:
        super().__init__(expected)
        self.expected = expected


def properties_of(node: Node) -> tuple[str, ...]:
    """Return the names of what can be set in a node."""
    match node:
        case ast.Agent():
            return AGENT
        case ast.Variant():
            return VARIANT
        case ast.Tool():
            return TOOL
        case ast.Flow():
            return FLOW
        case ast.Loop():
            return LOOP
        case ast.Within():
            return WITHIN
        case ast.Bind(value=ast.Sample()) | ast.Return(value=ast.Sample()):
            return STEP
        case _:
            return ()


def get(node: Any, name: str) -> Any:
    """Return the value of a property: a literal, a Name, a tuple of Names; None where it is not there."""
    match node, name:
        case ((ast.Agent() | ast.Tool() | ast.Flow()), "else"):
            return node.output.default
        case ((ast.Agent() | ast.Variant()), "prompt"):
            return node.prompt
        case ast.Tool(), "from":
            return node.source
        case ast.Loop(), _:
            return node.times
        case ((ast.Bind(value=value) | ast.Return(value=value)), _):
            return getattr(value, "count", None)
        case ((ast.Within() | ast.Flow()), _):
            return next((limit.amount for limit in _limits(node) if limit.kind == name), None)
        case _:
            found = [attr for attr in node.attrs if attr.key == name]
            return None if not found else ast.BoolLit(True) if name == "effect" else found[0].value


def with_property(node: Any, name: str, value: ast.Expr | None) -> Any:
    """Return a node with another value of a property; None takes the property away.

    Raises Unfit where the value is none for this property, or where it must have one.
    """
    if value is None and name in _NEEDED and not isinstance(node, ast.Variant):
        raise Unfit("it cannot be taken away")
    match node, name:
        case ((ast.Agent() | ast.Tool() | ast.Flow()), "else"):
            return node.replace(output=node.output.replace(default=None if value is None else _literal(value)))
        case ((ast.Agent() | ast.Variant()), "prompt"):
            return node.replace(prompt=None if value is None else _text(value))
        case ast.Tool(), "from":
            return node.replace(source=_text(value))
        case ast.Loop(), _:
            return node.replace(times=_size(value))
        case ((ast.Bind() | ast.Return()), _):
            return node.replace(value=node.value.replace(count=_size(value)))
        case ast.Within(), _:
            limits = _with_limit(node.limits, name, value)
            if not limits:
                raise Unfit("it is the last limit of this `within`")
            return node.replace(limits=limits)
        case ast.Flow(), _:
            limits = _with_limit(_limits(node), name, value)
            if not limits:
                return node.replace(budget=None)
            budget = ast.Budget(limits) if node.budget is None else node.budget.replace(limits=limits)
            return node.replace(budget=budget)
        case _:
            return node.replace(attrs=_with_attr(node.attrs, name, value))


def _limits(node: ast.Within | ast.Flow) -> tuple[ast.Limit, ...]:
    if isinstance(node, ast.Within):
        return node.limits
    return () if node.budget is None else node.budget.limits


def _with_limit(limits: tuple[ast.Limit, ...], kind: str, value: ast.Expr | None) -> tuple[ast.Limit, ...]:
    old = next((limit for limit in limits if limit.kind == kind), None)
    others = [limit for limit in limits if limit.kind != kind]
    if value is not None:
        amount = _number(value)
        others.append(ast.Limit(kind, amount, span=value.span) if old is None else old.replace(amount=amount))
    return tuple(sorted(others, key=lambda limit: ast.LIMIT_ORDER.index(limit.kind)))


def _with_attr(attrs: tuple[ast.Attr, ...], key: str, value: ast.Expr | None) -> tuple[ast.Attr, ...]:
    old = next((attr for attr in attrs if attr.key == key), None)
    others = [attr for attr in attrs if attr.key != key]
    if value is not None and key == "effect":
        if not isinstance(value, ast.BoolLit):
            raise Unfit("`true` or `false`")
        if value.value:
            others.append(old or ast.Attr(key, None, span=value.span))
    elif value is not None:
        made: Any = _VALUES.get(key, _number)(value)
        others.append(ast.Attr(key, made, span=value.span) if old is None else old.replace(value=made))
    return tuple(sorted(others, key=lambda attr: ast.ATTRIBUTE_ORDER.index(attr.key)))


# ---------------------------------------------------------------- values


def _model(value: ast.Expr) -> ast.Name | ast.StrLit:
    if isinstance(value, ast.Var):
        return value.name
    if isinstance(value, ast.StrLit):
        return value
    raise Unfit('a tier, or a model as a text: `smart`, `"openai/gpt-4o"`')


def _names(value: ast.Expr) -> tuple[ast.Name, ...]:
    items = value.items if isinstance(value, ast.ListLit) else ()
    if not items or not all(isinstance(item, ast.Var) for item in items):
        raise Unfit("a list of tools: `[search, run_tests]`")
    return tuple([item.name for item in items if isinstance(item, ast.Var)])


def _text(value: ast.Expr | None) -> ast.StrLit:
    if not isinstance(value, ast.StrLit):
        raise Unfit("a text")
    return value


def _number(value: ast.Expr) -> ast.IntLit | ast.FloatLit:
    if isinstance(value, ast.IntLit | ast.FloatLit) and value.value >= 0:
        return value
    raise Unfit("a number")


def _whole(value: ast.Expr) -> ast.IntLit:
    if isinstance(value, ast.IntLit) and value.value >= 0:
        return value
    raise Unfit("a whole number")


def _size(value: ast.Expr | None) -> ast.Size:
    if isinstance(value, ast.Var):
        return value.name
    if isinstance(value, ast.IntLit) and value.value >= 0:
        return value
    raise Unfit("a whole number, or a static parameter of the flow")


def _literal(value: ast.Expr) -> Any:
    from masdsl.syntax.walk import iterate

    if all(isinstance(node, _LITERALS) for node in iterate(value)):
        return value
    raise Unfit("a literal: it has to be known before the program runs")


_VALUES: dict[str, Callable[[ast.Expr], Any]] = {
    "on": _model,
    "role": _text,
    "tools": _names,
    **dict.fromkeys(_WHOLE_NUMBERS, _whole),
}


def as_expr(value: Any) -> ast.Expr:
    """Return the value of a property as it stands behind `set path =`."""
    if isinstance(value, tuple):
        return ast.ListLit(tuple([ast.Var(name) for name in value]))
    return ast.Var(value) if isinstance(value, ast.Name) else value
