"""What generated code does, without how it is written: the stage between checked programs and Python text.

A program says what depends on what; here it is decided in which order things happen, what runs as a task of its own and
where it is awaited. Names are Python names already and unique in their function, so that text can be made of a tree
without looking around. Constants are still values: only `masdsl.emit` writes literals.
"""

from __future__ import annotations

from typing import TypeAlias

from masdsl.check import program
from masdsl.check.program import Limits, Value
from masdsl.node import Node
from masdsl.source import Source
from masdsl.types import Enum, List, Optional, Record, Type

_UNCHANGED = """
    contains count ends_with first floor join last lines lower majority mod number reverse sort split starts_with text
    trim unique upper
"""
_TAKEN_BY_PYTHON = "abs all any float int len max min range round slice sum"
FUNCTIONS: dict[str, str] = {
    "+": "plus",
    "-": "minus",
    "*": "times",
    "/": "divide",
    **{name: name for name in _UNCHANGED.split()},
    **{name: f"{name}_" for name in _TAKEN_BY_PYTHON.split()},
}
"""The functions of the runtime by the operators and built-in functions that they are the meaning of."""

IMPORTED = frozenset(
    {
        *("Agent", "Alias", "Annotated", "Enum", "Final", "Items", "Limits", "Model", "Program", "Record", "Run"),
        *("Started", "StepFailed", "Tokens", "Tool", "flow", "PROGRAM"),
    }
)
"""Names that mean one thing in every generated file. Functions of the runtime only do where they are used."""

# ---------------------------------------------------------------- expressions


class Const(Node):
    """A constant (a list is a tuple)."""

    value: Value
    type: Type


class Var(Node):
    """A variable, a parameter or (as an argument of a `Helper`) a task."""

    name: str
    type: Type


class GetField(Node):
    """`value.field`; the field's name in the program."""

    value: Expr
    field: str
    type: Type


class GetItem(Node):
    """`value[index]`, or none where the type is an optional and there is no such item."""

    value: Expr
    index: Expr
    type: Type


class Unary(Node):
    """op is `not` or `-`."""

    op: str
    operand: Expr
    type: Type


class Binary(Node):
    """op is `+ - * /` or a comparison, with the language's meaning: saturating, total, bounded."""

    left: Expr
    op: str
    right: Expr
    type: Type


class Logical(Node):
    """op is `and` or `or`."""

    op: str
    operands: tuple[Expr, ...]
    type: Type


class Builtin(Node):
    """A call of a built-in function of the language, or of an extern of the standard library."""

    name: str
    arguments: tuple[Expr, ...]
    type: Type
    is_extern: bool = False


class MakeList(Node):
    """A list of expressions."""

    items: tuple[Expr, ...]
    type: List


class MakeRecord(Node):
    """A record of expressions, in the order of its type's fields."""

    values: tuple[Expr, ...]
    type: Record


class Present(Node):
    """`value`, of which Python's types cannot tell that it is not None."""

    value: Expr
    type: Type


class Otherwise(Node):
    """The first of the options that is not None, or the last."""

    options: tuple[Expr, ...]
    type: Type


class Select(Node):
    """`[body for var in items if condition]`."""

    var: str
    items: Expr
    condition: Expr | None
    body: Expr
    type: List


class Repeat(Node):
    """A list of `count` times the same value."""

    count: int
    body: Expr
    type: List


Expr: TypeAlias = (
    Const
    | Var
    | GetField
    | GetItem
    | Unary
    | Binary
    | Logical
    | Builtin
    | MakeList
    | MakeRecord
    | Present
    | Otherwise
    | Select
    | Repeat
)
Arguments: TypeAlias = tuple[tuple[str, Expr], ...]


def function_of(expr: Expr) -> str | None:
    """Return the function of the runtime that an expression is a call of, if it is one."""
    match expr:
        case Builtin(name=name, is_extern=True):
            return name
        case Binary(op=name) | Builtin(name=name):
            return FUNCTIONS.get(name)
        case GetItem(type=Optional()):
            return "item"
        case Unary(op="-"):
            return "negative"
        case Present():
            return "present"
        case Otherwise():
            return "otherwise"
        case _:
            return None


# ---------------------------------------------------------------- what can be awaited


class Step(Node):
    """`frame.call(step, callee, ...)`: an agent, a tool or a flow; `step` is its address, relative to the frame."""

    frame: str
    step: str
    callee: str
    arguments: Arguments


class Sample(Node):
    """`frame.sample(count, function, ...)`; `ordered` means one after the other."""

    frame: str
    count: int
    function: str
    arguments: Arguments
    ordered: bool


class Map(Node):
    """`frame.map(items, function, ...)`; `ordered` means one after the other."""

    frame: str
    items: Expr
    function: str
    arguments: Arguments
    ordered: bool


class Helper(Node):
    """A call of a local function in the frame; the arguments may be tasks."""

    frame: str
    function: str
    arguments: Arguments


Awaitable: TypeAlias = Step | Sample | Map | Helper

# ---------------------------------------------------------------- statements


class Assign(Node):
    """`name = value`, or `name: declared = value` where Python's types need it said."""

    name: str
    declared: Type | None
    value: Expr


class Declare(Node):
    """`name: declared`, for a variable whose first assignment cannot say its type."""

    name: str
    declared: Type


class Await(Node):
    """`names = await awaitable`; no names where the value is not needed, several for a tuple."""

    names: tuple[str, ...]
    declared: Type | None
    awaitable: Awaitable


class Start(Node):
    """`task = frame.start(awaitable)`."""

    task: str
    frame: str
    awaitable: Awaitable


class Join(Node):
    """`names = await task`. With `is_covered`, it only brings the values: something else waits for the task too."""

    names: tuple[str, ...]
    declared: Type | None
    task: str
    is_covered: bool = False


class Loop(Node):
    """`for frame in outer.loop(step, times)`."""

    frame: str
    outer: str
    step: str
    times: int
    body: Block


class For(Node):
    """`for frame, var in outer.each(step, items)`."""

    frame: str
    var: str
    outer: str
    step: str
    items: Expr
    body: Block


class Within(Node):
    """`async with outer.within(step, ...) as frame`."""

    frame: str
    outer: str
    step: str
    limits: Limits
    body: Block


class Branch(Node):
    """`if condition` or `elif condition`."""

    condition: Expr
    body: Block


class If(Node):
    """Branches in order, then `orelse` (empty where there is none)."""

    branches: tuple[Branch, ...]
    orelse: Block


class Arm(Node):
    """`case Type.a | Type.b`."""

    words: tuple[str, ...]
    body: Block


class Match(Node):
    """`match subject`; without `orelse`, the arms are exhaustive."""

    subject: Expr
    type: Enum
    arms: tuple[Arm, ...]
    orelse: Block | None


class Try(Node):
    """`try: body`, `except StepFailed: handler`."""

    body: Block
    handler: Block


class Break(Node):
    """Leave the innermost loop."""


class Return(Node):
    """`return values`: none, one, or several as a tuple."""

    values: tuple[Expr, ...]


class ReturnAwait(Node):
    """`return await awaitable`."""

    awaitable: Awaitable


class Unreachable(Node):
    """A place that control never gets to, although Python's types cannot tell."""


class Define(Node):
    """A local function, defined right before its use. It captures nothing: what it needs are its parameters."""

    function: Function


Statement: TypeAlias = (
    Assign
    | Declare
    | Await
    | Start
    | Join
    | Loop
    | For
    | Within
    | If
    | Match
    | Try
    | Break
    | Return
    | ReturnAwait
    | Unreachable
    | Define
)
Block: TypeAlias = tuple[Statement, ...]

# ---------------------------------------------------------------- functions and declarations


class Parameter(Node):
    """A parameter of a local function. With `is_task`, it takes a task; several types are those of a tuple."""

    name: str
    types: tuple[Type, ...]
    is_task: bool


class Function(Node):
    """A local function. `returns` are the types of what it returns: none for nothing, several for a tuple."""

    name: str
    frame: str
    params: tuple[Parameter, ...]
    returns: tuple[Type, ...]
    body: Block


class FlowParam(Node):
    """A parameter of a flow: its Python name, its name in the program, its type, its default if it has one.

    A default that Python could change in place, or has to make, is a constant of the module: `constant` is its name.
    """

    name: str
    original: str
    type: Type
    optional: bool
    default: Value
    constant: str | None


class Flow(Node):
    """A flow as an async function; `name` is its Python name, `key` the checked program's, `title` the source's."""

    name: str
    key: str
    title: str
    module: str
    frame: str
    params: tuple[FlowParam, ...]
    returns: Type
    limits: Limits | None
    has_default: bool
    default: Value
    body: Block
    doc: str


class Class(Node):
    """A record or an enum as a class; `members` are the Python names of its fields or words, in order."""

    name: str
    type: Record | Enum
    members: tuple[str, ...]


class Declared(Node):
    """An agent or a tool under its Python name; `tools` are the Python names of the tools that an agent may use."""

    name: str
    item: program.Agent | program.Tool
    tools: tuple[str, ...]


class Module(Node):
    """A program, ready to be written. `classes` are in order of need; `flows` callees first."""

    name: str
    sources: tuple[tuple[str, Source], ...]
    classes: tuple[Class, ...]
    tools: tuple[Declared, ...]
    agents: tuple[Declared, ...]
    flows: tuple[Flow, ...]
    budget: Limits | None
