"""Canonical text of what stands inside a line: literals, expressions, right-hand sides and types.

`Phrases` turns a node into a `layout.Doc`. Parentheses are the fewest that keep the meaning. A text of several lines
is a block where it is a whole value (of a statement, an argument, an entry), one line with escapes inside an operation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, assert_never

from masdsl.node import Node
from masdsl.syntax import ast, strings
from masdsl.syntax.comments import Notes, key
from masdsl.syntax.layout import BRACKETS, PARENTHESES, Doc, Entry, Listing, Style, TextBlock

# How tightly each form binds; an operand that binds less tightly than its place asks for gets parentheses.
_OR, _AND, _NOT, _COMPARE, _SUM, _TERM, _UNARY, _POSTFIX = range(8)
_BINARY = {"+": _SUM, "-": _SUM, "*": _TERM, "/": _TERM}

_N = TypeVar("_N", bound=Node)


def number(value: float, *, scaled: bool = False) -> str:
    """Return the canonical text of a number, without exponent; with `scaled`, `40k` for 40000, `2M` for two million."""
    if isinstance(value, int):
        if scaled and value and value % 1000 == 0:
            return f"{value // 1_000_000}M" if value % 1_000_000 == 0 else f"{value // 1000}k"
        return str(value)
    text = repr(value)
    mantissa, mark, exponent = text.partition("e")
    if not mark:
        return text
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    shift = int(exponent)
    if shift < 0:
        return f"{sign}0.{'0' * (-shift - len(whole))}{whole}{fraction}"
    return f"{sign}{whole}{fraction.ljust(shift, '0')}.0"


def percent(value: float) -> str:
    """Return a share (0.8) as a whole percentage (`80%`)."""
    return f"{round(value * 100)}%"


def path(names: Sequence[ast.Name]) -> str:
    """Return the names of an address with dots between them."""
    return ".".join([name.text for name in names])


def place(node: ast.Place) -> str:
    """Return a place of a patch: an address, or a test or an import by what it is called."""
    if isinstance(node, tuple):
        return path(node)
    what = strings.encode_line(node.title.value) if isinstance(node, ast.TestPlace) else path(node.path)
    word = "test" if isinstance(node, ast.TestPlace) else "use"
    return f"{word} {what}" + ("" if node.number is None else f" {node.number}")


def size(node: ast.Size) -> str:
    """Return a count or a cap: an integer or the name of one."""
    return str(node.value) if isinstance(node, ast.IntLit) else node.text


def text_piece(value: str) -> str | TextBlock:
    """Return a text that is a whole value: a block if at least two lines are not blank and a block can say it."""
    if sum(1 for line in value.split("\n") if line.strip()) > 1:
        lines = strings.block_lines(value)
        if lines is not None:
            return TextBlock(strings.encode_line(value), lines)
    return strings.encode_line(value)


class Phrases:
    """Prints phrases, with the comments that `notes` attached to the entries of their lists."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes

    # ------------------------------------------------------------ lists

    def entry(self, node: Node, doc: Doc) -> Entry:
        """Return an entry of a listing with the comments of its node."""
        notes = self.notes
        if not notes.above and not notes.behind:
            return Entry(doc)
        return Entry(doc, notes.above.get(key(node), ()), notes.behind.get(key(node), ""))

    def listing(self, style: Style, nodes: Sequence[_N], show: Callable[[_N], Doc]) -> str | Listing:
        """Return a bracketed list of nodes; its style's bare brackets if there are none."""
        if not nodes:
            return style.flat_open.strip() + style.flat_close.strip()
        notes = self.notes
        entries = [self.entry(node, show(node)) for node in nodes]
        return Listing(style, entries, notes.opening.get(key(nodes), ""), notes.closing.get(key(nodes), ()))

    # ------------------------------------------------------------ expressions

    def value(self, node: ast.Expr) -> Doc:
        """Return an expression that is a whole value."""
        if isinstance(node, ast.StrLit):
            return [text_piece(node.value)]
        doc: Doc = []
        self._expr(node, _OR, doc)
        return doc

    def expr(self, node: ast.Expr) -> Doc:
        """Return an expression that other text of its line belongs to: a condition, the items of a loop."""
        doc: Doc = []
        self._expr(node, _OR, doc)
        return doc

    def _expr(self, node: ast.Expr, least: int, doc: Doc) -> None:
        """Append an expression to `doc`, in parentheses if it binds less tightly than `least`."""
        match node:
            case ast.Var():
                doc.append(node.name.text)
            case ast.StrLit():
                doc.append(strings.encode_line(node.value))
            case ast.IntLit() | ast.FloatLit():
                text = number(node.value)
                doc.append(f"({text})" if least > _UNARY and text.startswith("-") else text)
            case ast.BoolLit():
                doc.append("true" if node.value else "false")
            case ast.NoneLit():
                doc.append("none")
            case ast.TagLit():
                doc.append(f"{node.type.text}.{node.word.text}")
            case ast.ListLit():
                doc.append(self.listing(BRACKETS, node.items, self.value))
            case ast.RecordLit():
                if node.type is not None:
                    doc.append(node.type.text)
                doc.append(self.listing(PARENTHESES, node.fields, self._named))
            case ast.Call():
                doc.append(node.callee.text)
                doc.append(self.listing(PARENTHESES, node.arguments, self._argument))
            case ast.Attribute():
                self._expr(node.value, _POSTFIX, doc)
                doc.append("." + node.field.text)
            case ast.Index():
                self._expr(node.value, _POSTFIX, doc)
                doc.append("[")
                self._expr(node.index, _OR, doc)
                doc.append("]")
            case ast.Negate() | ast.Not() | ast.Binary() | ast.And() | ast.Or():
                level = _level(node)
                if level < least:
                    doc.append("(")
                self._operation(node, level, doc)
                if level < least:
                    doc.append(")")
            case _:
                assert_never(node)

    def _operation(self, node: ast.Negate | ast.Not | ast.Binary | ast.And | ast.Or, level: int, doc: Doc) -> None:
        match node:
            case ast.Negate():
                doc.append("-")
                self._expr(node.operand, _UNARY, doc)
            case ast.Not():
                doc.append("not ")
                self._expr(node.operand, _NOT, doc)
            case ast.Binary():
                self._expr(node.left, _SUM if level == _COMPARE else level, doc)
                doc.append(f" {node.op} ")
                self._expr(node.right, level + 1, doc)
            case ast.And() | ast.Or():
                word = " and " if isinstance(node, ast.And) else " or "
                for position, operand in enumerate(node.operands):
                    if position:
                        doc.append(word)
                    self._expr(operand, level + 1, doc)
            case _:
                assert_never(node)

    def _named(self, node: ast.NamedValue) -> Doc:
        return [node.name.text + ": ", *self.value(node.value)]

    def _argument(self, node: ast.Argument) -> Doc:
        value = self.value(node.value)
        return value if node.name is None else [node.name.text + ": ", *value]

    # ------------------------------------------------------------ right-hand sides

    def rhs(self, node: ast.Rhs) -> Doc:
        """Return the right-hand side of a binding or `return`."""
        match node:
            case ast.Sample():
                return [size(node.count) + " of ", *self.attempt(node.body)]
            case ast.Each():
                doc: Doc = [f"each {node.var.text} in ", *self.expr(node.items)]
                if node.condition is not None:
                    doc += [" where ", *self.expr(node.condition)]
                return [*doc, ": ", *self.attempt(node.body)]
            case _:
                return self.attempt(node)

    def attempt(self, node: ast.Attempt) -> Doc:
        """Return an expression, or several with `else` between them."""
        if not isinstance(node, ast.Fallback):
            return self.value(node)
        doc: Doc = []
        for option in node.options[:-1]:
            doc += [*self.expr(option), " else "]
        return [*doc, *self.value(node.options[-1])]

    # ------------------------------------------------------------ types

    def type(self, node: ast.TypeExpr | ast.AgentType) -> Doc:
        """Return a type."""
        match node:
            case ast.NamedType():
                return [node.name.text if node.size is None else f"{node.name.text}({size(node.size)})"]
            case ast.ListType():
                return [*self.type(node.element), f"[{size(node.cap)}]{'+' if node.nonempty else ''}"]
            case ast.OptionalType():
                return [*self.type(node.inner), "?"]
            case ast.RecordType():
                return [self.listing(PARENTHESES, node.fields, self.field)]
            case ast.AgentType():
                return ["agent", self.listing(PARENTHESES, node.params, self.type), " -> ", *self.type(node.returns)]
            case _:
                assert_never(node)

    def field(self, node: ast.Field) -> Doc:
        """Return a field of a record type."""
        return [node.name.text] if node.type is None else [node.name.text + ": ", *self.type(node.type)]

    def param(self, node: ast.Param) -> Doc:
        """Return a parameter with its type and default."""
        doc: Doc = [node.name.text]
        if node.type is not None:
            doc += [": ", *self.type(node.type)]
        if node.default is not None:
            doc += [" = ", *self.value(node.default)]
        return doc

    def output(self, node: ast.Output) -> Doc:
        """Return what stands behind the arrow: a type and perhaps a default."""
        doc = self.type(node.type)
        return doc if node.default is None else [*doc, " else ", *self.value(node.default)]


def _level(node: ast.Negate | ast.Not | ast.Binary | ast.And | ast.Or) -> int:
    match node:
        case ast.Negate():
            return _UNARY
        case ast.Not():
            return _NOT
        case ast.Binary():
            return _BINARY.get(node.op, _COMPARE)
        case ast.And():
            return _AND
        case ast.Or():
            return _OR
        case _:
            assert_never(node)
