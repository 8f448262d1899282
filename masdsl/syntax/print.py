"""The canonical text of a tree: what `mas fmt` writes.

There is one spelling of every program. It depends on the tree and on the comments, not on how the source was laid out:
two blanks of indentation, a statement a line, attributes and limits in a fixed order, one blank line between
declarations except between neighbours of one line each that belong together. Where lines break is the business of
`layout`, where comments go that of `comments`, what a line says that of `phrases`; `printer` stacks the lines.

    parse(format(x)) == parse(x)        the tree stays, and every comment, in order
    format(format(x)) == format(x)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from masdsl.syntax import ast
from masdsl.syntax.comments import NO_NOTES, Notes, attach
from masdsl.syntax.layout import one_line
from masdsl.syntax.phrases import Phrases
from masdsl.syntax.printer import Printer

if TYPE_CHECKING:
    from masdsl.syntax.parse import Parsed


class FormatRefused(ValueError):
    """A source with syntax errors has no canonical text: its tree lacks the faulty parts.

    `source_name` is the name of the source. The findings of the parse say what is wrong.
    """

    def __init__(self, source_name: str) -> None:
        super().__init__(f"{source_name} is not formatted: it has syntax errors; mend them first")
        self.source_name = source_name


def format_document(parsed: Parsed) -> str:
    """Return the canonical text of a parsed source with all its comments; it ends with one line feed.

    Raises:
        FormatRefused: The source has syntax errors.
    """
    if not parsed.ok:
        raise FormatRefused(parsed.source.name)
    return _text_of(parsed.document, attach(parsed.document, parsed.source.text, parsed.comments))


def print_document(document: ast.Document) -> str:
    """Return the canonical text of a program, binding or patch, without comments; it ends with one line feed."""
    return _text_of(document, NO_NOTES)


def print_with_notes(document: ast.Document, notes: Notes) -> str:
    """Return the canonical text of a document with comments where `notes` has them; it ends with one line feed."""
    return _text_of(document, notes)


def print_part(node: ast.Item | ast.Statement, notes: Notes, indent: int = 0) -> str:
    """Return the canonical lines of a declaration or statement with its comments, without a line feed at the end."""
    printer = Printer(notes)
    if isinstance(node, ast.Statement):
        printer.statement(node, indent)
    else:
        printer.item(node, node, "")
    return printer.text()


def print_program(program: ast.Program) -> str:
    """Return the canonical text of a program, without comments; it ends with one line feed."""
    return _text_of(program, NO_NOTES)


def print_item(item: ast.Item) -> str:
    """Return the canonical text of a declaration, without a line feed at the end."""
    printer = Printer(NO_NOTES)
    printer.item(item, item, "")
    return printer.text()


def print_statement(statement: ast.Statement, indent: int = 0) -> str:
    """Return the canonical lines of a statement, each `indent` blanks from the left, without a line feed at the end."""
    printer = Printer(NO_NOTES)
    printer.statement(statement, indent)
    return printer.text()


def print_edit(edit: ast.Edit) -> str:
    """Return the canonical text of one edit of a patch, without a line feed at the end."""
    printer = Printer(NO_NOTES)
    printer.edit(edit)
    return printer.text()


def print_expr(expr: ast.Expr) -> str:
    """Return an expression on one line, however long."""
    return one_line(_PLAIN.expr(expr))


def print_rhs(rhs: ast.Rhs) -> str:
    """Return what stands to the right of `=` on one line, however long."""
    return one_line(_PLAIN.rhs(rhs))


def print_type(node: ast.TypeExpr | ast.AgentType) -> str:
    """Return a type on one line, however long."""
    return one_line(_PLAIN.type(node))


_PLAIN = Phrases(NO_NOTES)


def _text_of(document: ast.Document, notes: Notes) -> str:
    printer = Printer(notes)
    printer.document(document)
    return printer.text() + "\n"
