"""The syntax tree: one frozen class for each form of `grammar/mas.lark`, whose rule each docstring quotes.

Two trees are equal when they say the same, wherever their text stands: `span` never counts. Comments are kept beside
the tree (`Parsed.comments`), by position, and the printer puts them back.
"""

from __future__ import annotations

from typing import TypeAlias

from masdsl.node import Node


class Comment(Node):
    """`# text` (`##` for a doc comment); `text` has the hash signs and no line break."""

    text: str


class Name(Node):
    """A NAME or TYPENAME token in any role."""

    text: str


# ---------------------------------------------------------------- literals and expressions


class IntLit(Node):
    """`INT`, or `SCALED` where a limit is written: `40k` is 40000. `- 1` folds to `IntLit(-1)`."""

    value: int


class FloatLit(Node):
    """`FLOAT`, or `PERCENT`: `80%` is 0.8."""

    value: float


class StrLit(Node):
    """`STRING`: the decoded value."""

    value: str


class BoolLit(Node):
    """`true | false`."""

    value: bool


class NoneLit(Node):
    """`none`."""


class ListLit(Node):
    """`[a, b]`."""

    items: tuple[Expr, ...]


class NamedValue(Node):
    """`field: value` in a record literal."""

    name: Name
    value: Expr


class RecordLit(Node):
    """`Review(ok: true)`; without a type, `(ok: true)`, the value of a tool or agent with several outputs."""

    type: Name | None
    fields: tuple[NamedValue, ...]


class TagLit(Node):
    """`Kind.math`: a word of an enum."""

    type: Name
    word: Name


class Var(Node):
    """A name in an expression."""

    name: Name


class Argument(Node):
    """`expr` or `param: expr` in a call."""

    name: Name | None
    value: Expr


class Call(Node):
    """`callee(arguments)`: a built-in function, or a step when it stands alone on the right of a binding."""

    callee: Name
    arguments: tuple[Argument, ...]


class Attribute(Node):
    """`value.field`."""

    value: Expr
    field: Name


class Index(Node):
    """`value[index]`."""

    value: Expr
    index: Expr


class Negate(Node):
    """`- operand`."""

    operand: Expr


class Not(Node):
    """`not operand`."""

    operand: Expr


class Binary(Node):
    """`left op right` for `+ - * /` and the comparisons."""

    left: Expr
    op: str
    right: Expr


class And(Node):
    """`a and b and c`."""

    operands: tuple[Expr, ...]


class Or(Node):
    """`a or b or c`."""

    operands: tuple[Expr, ...]


Literal: TypeAlias = IntLit | FloatLit | StrLit | BoolLit | NoneLit | ListLit | RecordLit | TagLit
Expr: TypeAlias = Literal | Var | Call | Attribute | Index | Negate | Not | Binary | And | Or

# ---------------------------------------------------------------- right-hand sides


class Fallback(Node):
    """`a else b else c`: the first that neither fails nor is `none`. At least two options."""

    options: tuple[Expr, ...]


Attempt: TypeAlias = Expr | Fallback
Size: TypeAlias = IntLit | Name


class Sample(Node):
    """`count of attempt`: that many independent draws, as a list."""

    count: Size
    body: Attempt


class Each(Node):
    """`each var in items where condition: attempt`: a parallel map."""

    var: Name
    items: Expr
    condition: Expr | None
    body: Attempt


Rhs: TypeAlias = Attempt | Sample | Each

# ---------------------------------------------------------------- types


class NamedType(Node):
    """`Review`, `int`, `text`, `text(800)`."""

    name: Name
    size: Size | None


class ListType(Node):
    """`T[n]`, at most n; `T[n]+`, at least one as well."""

    element: TypeExpr
    cap: Size
    nonempty: bool


class OptionalType(Node):
    """`T?`."""

    inner: TypeExpr


class Field(Node):
    """`name: type` of a record; without a type, text."""

    name: Name
    type: TypeExpr | None


class RecordType(Node):
    """`(passed: bool, log: text(300))`: several outputs, an anonymous record."""

    fields: tuple[Field, ...]


class AgentType(Node):
    """`agent(text) -> text`, `agent(text) -> (ok: bool)`: the type of a parameter that takes an agent."""

    params: tuple[TypeExpr, ...]
    returns: TypeExpr


TypeExpr: TypeAlias = NamedType | ListType | OptionalType | RecordType

# ---------------------------------------------------------------- declarations


class ImportName(Node):
    """`name` or `name as alias`."""

    name: Name
    alias: Name | None


class Use(Node):
    """`use std.vote`, `use helpers: a, B as C`. No names: the one called like the module."""

    path: tuple[Name, ...]
    names: tuple[ImportName, ...]


class RecordDecl(Node):
    """`type Review { ok: bool }`."""

    name: Name
    fields: tuple[Field, ...]


class EnumDecl(Node):
    """`type Kind = math | code`."""

    name: Name
    words: tuple[Name, ...]


class Param(Node):
    """`name: type = default`; without a type, text. The default of one that takes an agent is the agent's name."""

    name: Name
    type: TypeExpr | AgentType | None
    default: Literal | Var | None


class Output(Node):
    """`type else default`: what a call gives, and what it gives when it failed for good."""

    type: TypeExpr
    default: Literal | None


ATTRIBUTE_ORDER = ("on", "role", "temp", "max", "effect", "retry", "timeout", "tools", "steps")
"""Attributes mean the same in any order; trees and canonical text have them in this one."""
LIMIT_ORDER = ("calls", "tokens", "usd", "seconds")
"""The same for the limits of a budget, a slice and an edit."""


class Attr(Node):
    """One attribute of an agent or tool: `on fast`, `temp 0.2`, `tools [a, b]`, `effect` (whose value is None)."""

    key: str
    value: Name | StrLit | IntLit | FloatLit | tuple[Name, ...] | None


class Tool(Node):
    """`tool name(params) -> output from "source" attrs`."""

    name: Name
    params: tuple[Param, ...]
    output: Output
    source: StrLit
    attrs: tuple[Attr, ...]


class Agent(Node):
    """`agent name[statics](params) -> output attrs "prompt"`."""

    name: Name
    params: tuple[Param, ...]
    output: Output
    attrs: tuple[Attr, ...]
    prompt: StrLit
    statics: tuple[Static, ...] = ()


class Variant(Node):
    """`agent name = base attrs "prompt"`: another agent with some attributes, or the prompt, of its own."""

    name: Name
    base: Name
    attrs: tuple[Attr, ...]
    prompt: StrLit | None


class Extern(Node):
    """`extern name[statics](params) -> type`: a pure function of the runtime, in a module of the standard library."""

    name: Name
    statics: tuple[Static, ...]
    params: tuple[Param, ...]
    returns: TypeExpr


class Limit(Node):
    """`calls 20`; kind is calls, tokens, usd or seconds."""

    kind: str
    amount: IntLit | FloatLit


class Budget(Node):
    """`budget calls 20 usd 0.05`."""

    limits: tuple[Limit, ...]


class Rectify(Node):
    """`rectify tries 2 at 80%`."""

    tries: int
    at: float | None


class Static(Node):
    """`T` or `n = 3` in the brackets of a flow or an agent: a type or an integer that is known at compile time."""

    name: Name
    default: int | None


class Block(Node):
    """`{ statements }`; the span has the braces."""

    statements: tuple[Statement, ...]


class Flow(Node):
    """`flow name[statics](params) -> output budget { statements }`."""

    name: Name
    statics: tuple[Static, ...]
    params: tuple[Param, ...]
    output: Output
    budget: Budget | None
    body: Block


class Given(Node):
    """`given path = value`, `given path replies "raw text"`, `given path fails`; mode is value, replies or fails."""

    target: tuple[Name, ...]
    mode: str
    value: Expr | None


class Expect(Node):
    """`expect condition`."""

    condition: Expr


class Test(Node):
    """`test "title" { givens statements expects }`; `body` is all between the braces, in that order."""

    title: StrLit
    givens: tuple[Given, ...]
    body: Block
    expects: tuple[Expect, ...]


Item: TypeAlias = Use | RecordDecl | EnumDecl | Tool | Agent | Variant | Extern | Flow | Budget | Rectify | Test

# ---------------------------------------------------------------- statements


class Bind(Node):
    """`name = rhs`."""

    name: Name
    value: Rhs


class Append(Node):
    """`name += list`."""

    name: Name
    value: Expr


class Until(Node):
    """`until condition`: leaves the innermost loop."""

    condition: Expr


class Return(Node):
    """`return rhs`."""

    value: Rhs


class Loop(Node):
    """`label: loop times { body }`."""

    label: Name | None
    times: Size
    body: Block


class For(Node):
    """`label: for var in items { body }`."""

    label: Name | None
    var: Name
    items: Expr
    body: Block


class Within(Node):
    """`label: within calls 4 { body }`."""

    label: Name | None
    limits: tuple[Limit, ...]
    body: Block


class Branch(Node):
    """One `if condition { body }` of a chain."""

    condition: Expr
    body: Block


class If(Node):
    """`label: if c {..} else if d {..} else {..}`."""

    label: Name | None
    branches: tuple[Branch, ...]
    orelse: Block | None


class Arm(Node):
    """`math | code { body }`."""

    words: tuple[Name, ...]
    body: Block


class Match(Node):
    """`label: match subject { arms else {..} }`."""

    label: Name | None
    subject: Expr
    arms: tuple[Arm, ...]
    orelse: Block | None


Statement: TypeAlias = Bind | Append | Until | Return | Loop | For | Within | If | Match

# ---------------------------------------------------------------- bindings and patches


class Assignment(Node):
    """`role = tier` or `role = "model"`."""

    role: Name
    model: Name | StrLit


Path: TypeAlias = tuple[Name, ...]
"""An address: `main.refine.code`, `Review.issues`. `budget` and `rectify` are paths of one part as well."""


class TestPlace(Node):
    """`test "title" 2`: the second of the tests with this title; without a number, the first."""

    title: StrLit
    number: int | None


class UsePlace(Node):
    """`use std.vote 2`: the second of the imports from this module; without a number, the first."""

    path: Path
    number: int | None


Place: TypeAlias = Path | TestPlace | UsePlace


class SetEdit(Node):
    """`set path = expr`."""

    path: Path
    value: Expr


class BindEdit(Node):
    """`bind role = tier`."""

    assignment: Assignment


class AddEdit(Node):
    """`add declaration`, `after place add declaration` or `before place add declaration`; `where` is the first word."""

    item: Item
    where: str | None = None
    place: Place | None = None


class DropEdit(Node):
    """`drop place`."""

    place: Place


class ReplaceEdit(Node):
    """`replace path = rhs`."""

    path: Path
    value: Rhs


class SubstituteEdit(Node):
    """`replace path { statements }`."""

    path: Path
    body: Block


class RedeclareEdit(Node):
    """`replace declaration`: another one of the same name."""

    item: Item


class InsertEdit(Node):
    """`after path { statements }` or `before path { statements }`."""

    where: str
    path: Path
    body: Block


class WrapEdit(Node):
    """`wrap path in opener`: opener is a Loop, For, Within or If with an empty body."""

    path: Path
    opener: Loop | For | Within | If


class ElseEdit(Node):
    """`otherwise path = attempt`: gives the step a fallback."""

    path: Path
    value: Attempt


class RenameEdit(Node):
    """`rename path = name`."""

    path: Path
    name: Name


class RedoEdit(Node):
    """`redo path`."""

    path: Path


class BudgetEdit(Node):
    """`budget limits`."""

    limits: tuple[Limit, ...]


Edit: TypeAlias = (
    SetEdit
    | BindEdit
    | AddEdit
    | DropEdit
    | ReplaceEdit
    | SubstituteEdit
    | RedeclareEdit
    | InsertEdit
    | WrapEdit
    | ElseEdit
    | RenameEdit
    | RedoEdit
    | BudgetEdit
)

# ---------------------------------------------------------------- documents


class Program(Node):
    """`mas 1 items`."""

    edition: int
    items: tuple[Item, ...]


class Binding(Node):
    """`bind 1 assignments`."""

    edition: int
    assignments: tuple[Assignment, ...]


class Patch(Node):
    """`patch 1 on "base" edits`; base is the hash of the canonical text that the patch was written for."""

    edition: int
    base: StrLit | None
    edits: tuple[Edit, ...]


Document: TypeAlias = Program | Binding | Patch
