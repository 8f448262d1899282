"""A checked program: names resolved, types on every expression, static parameters filled in.

The checker builds it from the syntax tree and everything behind it (bounds, lints, lowering, emission, the reference
interpreter) reads only this. A flow with static or agent parameters appears once per set of arguments it is called with
(an *instance*), so that nothing generic is left: every count is a number and every callee is known.

Addresses (`path`) are dotted names, unique in their flow: `main.refine.code`. The first part is the flow; then come
labels of constructs (or `loop`, `for`, `if`, `match`, `within`, with `_2`, `_3` for further unlabelled ones in the
same block), then the bound name. Inside an `if` the further branches add `elif`, `elif_2`, `else`; an arm adds its
first word, or `else`. A later option of a fallback adds `else`, `else_2`; a `return` with a call is called `return`.
"""

from __future__ import annotations

from typing import TypeAlias

from masdsl.check.template_parts import Parts
from masdsl.node import Node
from masdsl.source import Source
from masdsl.types import Enum, List, Record, Type

# ---------------------------------------------------------------- values and expressions

Value: TypeAlias = "str | int | float | bool | None | tuple[Value, ...] | RecordValue | TagValue"


class TagValue(Node):
    """A word of an enum, as a constant."""

    type: Enum
    word: str


class RecordValue(Node):
    """A record whose fields are all constants, in the order of its type."""

    type: Record
    values: tuple[Value, ...]


class Const(Node):
    """A constant (a list is a tuple)."""

    value: Value
    type: Type


class Local(Node):
    """A parameter or a bound name."""

    name: str
    type: Type


class GetField(Node):
    """`value.field` of a record."""

    value: Expr
    field: str
    type: Type


class GetItem(Node):
    """`value[index]`, from the end where negative; optional unless the list is known to be long enough."""

    value: Expr
    index: Expr
    type: Type


class Unary(Node):
    """op is `not` or `-`."""

    op: str
    operand: Expr
    type: Type


class Binary(Node):
    """op is `+ - * /` or a comparison.

    Integers saturate; `/` gives a float, and x / 0 is 0.0; `+` also joins texts and lists.
    """

    left: Expr
    op: str
    right: Expr
    type: Type


class Logical(Node):
    """op is `and` or `or`, short-circuit, over two or more operands."""

    op: str
    operands: tuple[Expr, ...]
    type: Type


class Builtin(Node):
    """A call of a pure function, arguments in order.

    It is a built-in one (`check/builtins.py`, `runtime/builtins.py`), or the one that `extern` describes
    (`check/externs.py`, `runtime/externs.py`).
    """

    name: str
    arguments: tuple[Expr, ...]
    type: Type
    extern: Extern | None = None


class MakeList(Node):
    """A list of expressions."""

    items: tuple[Expr, ...]
    type: List


class MakeRecord(Node):
    """A record of expressions, in the order of its type's fields."""

    values: tuple[Expr, ...]
    type: Record


Expr: TypeAlias = Const | Local | GetField | GetItem | Unary | Binary | Logical | Builtin | MakeList | MakeRecord

# ---------------------------------------------------------------- steps


class Invoke(Node):
    """A call of an agent, a tool or a flow instance: `callee` is its key in the program's tables.

    `arguments` are (parameter, expression) for the parameters that are passed, in the order of declaration; the others
    have a default. `kind` is agent, tool or flow.
    """

    path: str
    kind: str
    callee: str
    arguments: tuple[tuple[str, Expr], ...]
    type: Type


class Fallback(Node):
    """The first option that neither fails nor is none; only the last may do so for the whole."""

    options: tuple[Expr | Invoke, ...]
    type: Type


Attempt: TypeAlias = Expr | Invoke | Fallback


class Sample(Node):
    """`count` independent draws of `body`, concurrently, as a list in order of draw."""

    count: int
    body: Attempt
    type: List


class Each(Node):
    """`body` for every item that satisfies the condition, concurrently, as a list in order of the items."""

    var: str
    var_type: Type
    items: Expr
    condition: Expr | None
    body: Attempt
    type: List


Rhs: TypeAlias = Attempt | Sample | Each

# ---------------------------------------------------------------- statements


class Bind(Node):
    """Give `name` the value; `type` is the type of the name from here on (a carried name keeps one type)."""

    path: str
    name: str
    value: Rhs
    type: Type


class Append(Node):
    """Add the items of a list at the end of the list `name`, whose type is `type` from here on."""

    name: str
    value: Expr
    type: List


class Until(Node):
    """Leave the innermost loop when the condition holds."""

    condition: Expr


class Return(Node):
    """End the flow with the value (`type` is the flow's)."""

    path: str
    value: Rhs
    type: Type


class Loop(Node):
    """The body at most `times` times."""

    path: str
    times: int
    body: Block


class For(Node):
    """The body for each item, one after the other."""

    path: str
    var: str
    var_type: Type
    items: Expr
    body: Block


class Within(Node):
    """The body under a slice of the budget."""

    path: str
    limits: Limits
    body: Block


class Branch(Node):
    """A guarded block of an `If`."""

    condition: Expr
    body: Block


class If(Node):
    """The first branch whose condition holds, else `orelse` (empty where there is none)."""

    path: str
    branches: tuple[Branch, ...]
    orelse: Block


class Arm(Node):
    """The block for some words of the subject's enum."""

    words: tuple[str, ...]
    body: Block


class Match(Node):
    """The arm of the subject's word; exhaustive: a missing `else` means that the arms name every word."""

    path: str
    subject: Expr
    arms: tuple[Arm, ...]
    orelse: Block | None


Statement: TypeAlias = Bind | Append | Until | Return | Loop | For | Within | If | Match
Block: TypeAlias = tuple[Statement, ...]

# ---------------------------------------------------------------- declarations


class Limits(Node):
    """A budget or a slice of one; None where there is no limit. seconds and usd may be fractions."""

    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None
    seconds: float | None = None


class Known(Node):
    """A part of an extern's signature that is the same for all calls."""

    type: Type


class TypeHole(Node):
    """A static type parameter in an extern's signature."""

    name: str


class TextHole(Node):
    """`text(n)` in an extern's signature, where n is a static parameter."""

    size: str


class ListOf(Node):
    """`T[n]` in an extern's signature: `low` is 0 or 1, `high` a number or a static parameter."""

    element: Pattern
    low: int
    high: int | str


class Maybe(Node):
    """`T?` in an extern's signature."""

    inner: Pattern


Pattern: TypeAlias = Known | TypeHole | TextHole | ListOf | Maybe


class Extern(Node):
    """A pure function of the runtime that a module of the standard library declares; `signature` is for messages."""

    name: str
    module: str
    params: tuple[Pattern, ...]
    returns: Pattern
    signature: str
    doc: str


class Param(Node):
    """A parameter; a default of None with `optional` false means that it must be passed."""

    name: str
    type: Type
    optional: bool
    default: Value


class Tool(Node):
    """A declared tool. `key` is its name, with the module in front where it is imported from another one."""

    key: str
    name: str
    module: str
    params: tuple[Param, ...]
    returns: Type
    has_default: bool
    default: Value
    granted_as: str
    effect: bool
    timeout: float | None
    doc: str
    designs: bool = False
    """Whether a use is a system that a model designs then, within the slice of the budget around it."""


class Agent(Node):
    """A declared agent; one with static parameters appears once for each set of types and sizes that it is used with.

    `declaration` is the same for all that come of one declaration. `prompt` is Jinja2 text, verified; `unmentioned` are
    the parameters that the runtime appends to it, `parts` is what it consists of. `model` is a tier's name, or a
    model's when `is_model_name`; None is a role still to be assigned.
    """

    key: str
    name: str
    module: str
    params: tuple[Param, ...]
    returns: Type
    has_default: bool
    default: Value
    model: str | None
    is_model_name: bool
    role: str | None
    temperature: float | None
    max_tokens: int | None
    retries: int
    timeout: float | None
    tools: tuple[str, ...]
    steps: int
    prompt: str
    unmentioned: tuple[str, ...]
    doc: str
    parts: Parts = ()
    declaration: str = ""
    tool_calls: bool | None = False
    """Whether its model is told of its tools by the provider's own protocol; None where the model is not known."""


class Flow(Node):
    """One instance of a flow. `key` is unique in the program (and a good name for it): `main`, `best`, `best_2`.

    `statics` shows what the instance was made for: ((`n`, `3`), (`solve`, `coder`)).
    """

    key: str
    name: str
    module: str
    params: tuple[Param, ...]
    returns: Type
    has_default: bool
    default: Value
    statics: tuple[tuple[str, str], ...]
    limits: Limits | None
    body: Block
    doc: str


class Given(Node):
    """What a test makes of a call of `target`, the key of a tool or the `declaration` of an agent.

    mode is value, replies or fails.
    """

    target: str
    mode: str
    value: Value


class Test(Node):
    """A test. `expects` are evaluated after the body, with its names in scope.

    There, the measures of the run are Locals `calls tokens usd seconds`, and `ran(main.refine.code)` is the Builtin
    `ran` of one Const text: how often a step ran.
    """

    title: str
    givens: tuple[Given, ...]
    body: Block
    expects: tuple[Expr, ...]


class Rectify(Node):
    """When and how often a run may be repaired; `at` is a share of the budget."""

    tries: int
    at: float | None


class ModuleSource(Node):
    """The text of a module, to which spans of that `module` refer. The program's own module is called ""."""

    name: str
    source: Source


class Program(Node):
    """Everything that can be reached from a module, in order of declaration, callees before callers."""

    modules: tuple[ModuleSource, ...]
    types: tuple[Enum | Record, ...]
    tools: tuple[Tool, ...]
    agents: tuple[Agent, ...]
    flows: tuple[Flow, ...]
    tests: tuple[Test, ...]
    budget: Limits | None
    rectify: Rectify | None

    def flow(self, key: str) -> Flow:
        """Return the flow instance of that key (KeyError if there is none)."""
        return {flow.key: flow for flow in self.flows}[key]
