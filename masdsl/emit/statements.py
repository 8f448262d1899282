"""Statements and local functions as lines of Python."""

from __future__ import annotations

from typing import assert_never

from masdsl.check.program import Limits
from masdsl.emit.expressions import Expressions
from masdsl.emit.layout import INDENT, Atom, Bracket, Operation, Piece, statement
from masdsl.emit.literals import literal, number
from masdsl.emit.marks import Marks
from masdsl.lower import ir
from masdsl.node import Span

UNREACHABLE = "no way leads here"


class Statements:
    """Writes the statements of functions of one module."""

    def __init__(self, expressions: Expressions, marks: Marks) -> None:
        self._expressions = expressions
        self._marks = marks
        self._used = expressions.used

    def body(self, body: ir.Block, indent: str) -> list[str]:
        """Return the lines of a function's body."""
        return self.block(body, indent, of_function=True)

    def block(self, body: ir.Block, indent: str, of_function: bool = False) -> list[str]:
        """Return the lines of a block; an empty one is `pass`.

        Formatters want a blank line above a function inside, unless that is the first thing in a function.
        """
        lines: list[str] = []
        for number_, node in enumerate(body):
            if isinstance(node, ir.Define):
                if number_ or not of_function:
                    lines.append("")
                lines += [*self._function(node.function, indent), ""]
            else:
                lines += self._statement(node, indent)
        while lines and not lines[-1]:
            lines.pop()
        return _single_blanks(lines) or [f"{indent}pass"]

    def _statement(self, node: ir.Statement, indent: str) -> list[str]:
        match node:
            case ir.Assign():
                before = f"{node.name}{self._type_of(node.declared)} = "
                return self._line(indent, before, self._expressions.expression(node.value), "", node.span)
            case ir.Declare():
                return self._line(indent, f"{node.name}{self._type_of(node.declared)}", Atom(""), "", node.span)
            case ir.Await():
                before = self._targets(node.names, node.declared)
                return self._line(indent, f"{before}await ", self.awaitable(node.awaitable), "", node.span)
            case ir.Start():
                piece = Bracket(f"{node.frame}.start(", [("", self.awaitable(node.awaitable))], ")")
                return self._line(indent, f"{node.task} = ", piece, "", node.span)
            case ir.Join():
                before = self._targets(node.names, node.declared)
                return self._line(indent, f"{before}await ", Atom(node.task), "", node.span)
            case ir.Loop():
                head = f"for {node.frame} in {node.outer}.loop("
                piece = Bracket("", [("", Atom(literal(node.step))), ("", Atom(str(node.times)))], ")")
                return self._compound(indent, head, piece, node.body, node.span)
            case ir.For():
                head = f"for {node.frame}, {node.var} in {node.outer}.each("
                items = self._expressions.expression(node.items)
                piece = Bracket("", [("", Atom(literal(node.step))), ("", items)], ")")
                return self._compound(indent, head, piece, node.body, node.span)
            case ir.Within():
                head = f"async with {node.outer}.within("
                parts = [("", Atom(literal(node.step))), *limits(node.limits)]
                return self._compound(indent, head, Bracket("", parts, f") as {node.frame}"), node.body, node.span)
            case ir.If():
                return self._if(node, indent)
            case ir.Match():
                return self._match(node, indent)
            case ir.Try():
                handler = self.block(node.handler, indent + INDENT)
                self._used.add("StepFailed")
                body = self.block(node.body, indent + INDENT)
                return [f"{indent}try:{self._marks.at(node.span)}", *body, f"{indent}except StepFailed:", *handler]
            case ir.Break():
                return [f"{indent}break"]
            case ir.Return():
                return self._return(node, indent)
            case ir.ReturnAwait():
                return self._line(indent, "return await ", self.awaitable(node.awaitable), "", node.span)
            case ir.Unreachable():
                return [f'{indent}raise AssertionError("{UNREACHABLE}")']
            case ir.Define():
                return self._function(node.function, indent)
            case _:
                assert_never(node)

    # ------------------------------------------------------------ simple statements

    def _line(self, indent: str, before: str, piece: Piece, after: str, span: Span) -> list[str]:
        return statement(indent, before, piece, after, self._marks.at(span))

    def _return(self, node: ir.Return, indent: str) -> list[str]:
        if not node.values:
            return [f"{indent}return"]
        if len(node.values) == 1:
            return self._line(indent, "return ", self._expressions.expression(node.values[0]), "", node.span)
        flat = ", ".join(self._expressions.expression(value).flat for value in node.values)
        return self._line(indent, "return ", Atom(flat), "", node.span)

    def _targets(self, names: tuple[str, ...], declared: object) -> str:
        if not names:
            return ""
        return f"{', '.join(names)}{self._type_of(declared)} = "

    def _type_of(self, declared: object) -> str:
        return "" if declared is None else f": {self._expressions.types.bare(declared)}"  # type: ignore[arg-type]

    # ------------------------------------------------------------ compound statements

    def _compound(self, indent: str, head: str, piece: Bracket, body: ir.Block, span: Span) -> list[str]:
        lines = statement(indent, head, piece, ":", self._marks.at(span))
        return [*lines, *self.block(body, indent + INDENT)]

    def _if(self, node: ir.If, indent: str) -> list[str]:
        lines: list[str] = []
        for number_, branch in enumerate(node.branches):
            word = "elif " if number_ else "if "
            lines += self._line(indent, word, self._expressions.expression(branch.condition), ":", branch.span)
            lines += self.block(branch.body, indent + INDENT)
        if node.orelse:
            lines += [f"{indent}else:", *self.block(node.orelse, indent + INDENT)]
        return lines

    def _match(self, node: ir.Match, indent: str) -> list[str]:
        lines = self._line(indent, "match ", self._expressions.expression(node.subject), ":", node.span)
        inner = indent + INDENT
        for arm in node.arms:
            words = [Atom(self._expressions.types.word(node.type, word)) for word in arm.words]
            pattern = words[0] if len(words) == 1 else Operation("|", words)
            lines += self._line(inner, "case ", pattern, ":", arm.span)
            lines += self.block(arm.body, inner + INDENT)
        if node.orelse is not None:
            lines += [f"{inner}case _:", *self.block(node.orelse, inner + INDENT)]
        return lines

    # ------------------------------------------------------------ functions

    def _function(self, function: ir.Function, indent: str) -> list[str]:
        types = self._expressions.types
        self._used.add("Run")
        parts: list[tuple[str, Piece]] = [(f"{function.frame}: ", Atom("Run"))]
        for param in function.params:
            kind = types.result(param.types)
            if param.is_task:
                self._used.add("Started")
                kind = f"Started[{kind}]"
            parts.append((f"{param.name}: ", Atom(kind)))
        piece = Bracket(f"{function.name}(", parts, f") -> {types.result(function.returns)}")
        lines = self._line(indent, "async def ", piece, ":", function.span)
        return [*lines, *self.body(function.body, indent + INDENT)]

    def awaitable(self, node: ir.Awaitable) -> Piece:
        """Return the call of something that can be awaited."""
        parts: list[tuple[str, Piece]]
        match node:
            case ir.Step():
                parts = [("", Atom(literal(node.step))), ("", Atom(node.callee))]
                head = f"{node.frame}.call("
            case ir.Sample():
                parts = [("", Atom(str(node.count))), ("", Atom(node.function))]
                head = f"{node.frame}.{'sample_in_order' if node.ordered else 'sample'}("
            case ir.Map():
                parts = [("", self._expressions.expression(node.items)), ("", Atom(node.function))]
                head = f"{node.frame}.{'map_in_order' if node.ordered else 'map'}("
            case ir.Helper():
                parts = [("", Atom(node.frame))]
                head = f"{node.function}("
            case _:
                assert_never(node)
        parts += [(f"{name}=", self._expressions.expression(value)) for name, value in node.arguments]
        return Bracket(head, parts, ")")


def limits(given: Limits) -> list[tuple[str, Piece]]:
    """Return a budget's limits as keyword arguments."""
    pairs = (
        ("calls", given.calls),
        ("tokens", given.tokens),
        ("usd", given.usd),
        ("seconds", given.seconds),
    )
    return [(f"{name}=", Atom(number(amount))) for name, amount in pairs if amount is not None]


def _single_blanks(lines: list[str]) -> list[str]:
    return [line for number_, line in enumerate(lines) if line or not number_ or lines[number_ - 1]]
