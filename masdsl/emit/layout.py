"""How generated Python stands on the page.

A statement is written in one of two layouts: on one line, or exploded, with each part of its outermost bracket on a
line of its own and a comma behind the last. Both are what black and `ruff format` would write at 120 columns, and
neither lets them join an exploded one again. Conditions have no bracket of their own; a long one gets parentheses where
the formatters agree on how. A line that none of this makes short enough says `# fmt: skip`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

WIDTH = 120
INDENT = "    "
SKIP = "  # fmt: skip"


class Atom:
    """Text that cannot be broken. A literal may have another form, over several lines, for where it does not fit."""

    __slots__ = ("flat", "over_lines")

    def __init__(self, flat: str, over_lines: str | None = None) -> None:
        self.flat: str = flat
        self.over_lines = over_lines


class Bracket:
    """`open`, parts separated by commas, `close`: a call, a list, a subscript. Parts have a prefix, such as `name=`."""

    __slots__ = ("close", "flat", "open", "parts")

    def __init__(self, open_: str, parts: Sequence[tuple[str, Piece]], close: str) -> None:
        self.open = open_
        self.parts = tuple(parts)
        self.close = close
        self.flat: str = f"{open_}{', '.join(prefix + part.flat for prefix, part in self.parts)}{close}"


class Affix:
    """Another piece with text before and after it: `await f(x)`, `first(xs).name`."""

    __slots__ = ("after", "before", "flat", "piece")

    def __init__(self, before: str, piece: Piece, after: str) -> None:
        self.before = before
        self.piece = piece
        self.after = after
        self.flat: str = f"{before}{piece.flat}{after}"


class Operation:
    """Operands with an operator between them: `a and b and c`, `a == b`, `K.a | K.b`."""

    __slots__ = ("flat", "operands", "operator")

    def __init__(self, operator: str, operands: Sequence[Piece]) -> None:
        self.operator = operator
        self.operands = tuple(operands)
        self.flat: str = f" {operator} ".join(operand.flat for operand in self.operands)


class Row:
    """Pieces side by side that only stand on one line: `[f(x) for x in xs]`."""

    __slots__ = ("flat",)

    def __init__(self, *pieces: Piece | str) -> None:
        self.flat: str = "".join(piece if isinstance(piece, str) else piece.flat for piece in pieces)


Piece: TypeAlias = Atom | Bracket | Affix | Operation | Row


def statement(indent: str, before: str, piece: Piece, after: str, mark: str) -> list[str]:
    """Return the lines of a statement, with the mark at the end of the first. `before` and `after` frame the piece."""
    line = f"{indent}{before}{piece.flat}{after}{mark}"
    if "\n" not in line and _fits(line):
        return [line]
    lines = _exploded(indent, before, piece, after)
    if lines is None and not _may_fit(line):
        lines = _parenthesized(indent, before, piece, after)
    if lines is None or len(lines) == 1:
        return [line if isinstance(piece, Atom) else f"{line}{SKIP}"]
    if lines[0].endswith("\\"):  # a literal of several lines begins here: its first line has no room for a mark
        return [*lines[:-1], f"{lines[-1]}{mark}"]
    if not _fits(f"{lines[0]}{mark}"):
        return [f"{line}{SKIP}"] if after.endswith(":") and "\n" not in line else _skipped(lines, mark)
    return [f"{lines[0]}{mark}", *lines[1:]]


def bracketed(indent: str, before: str, piece: Bracket, after: str, mark: str) -> list[str]:
    """Return the lines of a statement whose bracket is always exploded: a declaration."""
    lines = _exploded(indent, before, piece, after)
    assert lines is not None
    return [f"{lines[0]}{mark}", *lines[1:]] if _fits(f"{lines[0]}{mark}") else _skipped(lines, mark)


def _skipped(lines: list[str], mark: str) -> list[str]:
    return [f"{lines[0]}{mark}", *lines[1:-1], f"{lines[-1]}{SKIP}"]


def _fits(line: str) -> bool:
    """Say whether a line is short enough, however wide a formatter thinks that its characters are."""
    return len(line) <= WIDTH and (line.isascii() or len(line) + sum(not one.isascii() for one in line) <= WIDTH)


def _may_fit(line: str) -> bool:
    """Say whether a line may be short enough for a formatter that takes its characters for narrow ones."""
    return "\n" not in line and len(line) <= WIDTH


def _exploded(indent: str, before: str, piece: Piece, after: str) -> list[str] | None:
    """Return the piece with its bracket exploded; None where it has none, or where its parts cannot be laid out."""
    match piece:
        case Affix():
            return _exploded(indent, before + piece.before, piece.piece, piece.after + after)
        case Atom():
            text = piece.over_lines or piece.flat
            return f"{indent}{before}{text}{after}".split("\n") if "\n" in text else None
        case Bracket() if piece.parts:
            lines = [f"{indent}{before}{piece.open}"]
            for prefix, part in piece.parts:
                inner = _part(indent + INDENT, prefix, part, ",", may_block=True)
                if inner is None:
                    return None
                lines += inner
            return [*lines, f"{indent}{piece.close}{after}"]
        case _:
            return None


def _part(indent: str, before: str, piece: Piece, after: str, *, may_block: bool) -> list[str] | None:
    """Return the lines of something that stands inside a bracket, where formatters break lines at operators."""
    line = f"{indent}{before}{piece.flat}{after}"
    if "\n" not in line and _fits(line):
        return [line]
    match piece:
        case Atom() if "\n" not in piece.flat and (piece.over_lines is None or not may_block):
            return [line]
        case Operation() if _may_fit(line):
            return None
        case Operation() if not before:
            return _operands(indent, piece, after)
        case _:
            return _exploded(indent, before, piece, after)


def _operands(indent: str, piece: Operation, after: str) -> list[str] | None:
    lines: list[str] = []
    for number, operand in enumerate(piece.operands):
        last = number == len(piece.operands) - 1
        inner = _part(indent, f"{piece.operator} " if number else "", operand, after if last else "", may_block=False)
        if inner is None:
            return None
        lines += inner
    return lines


def _parenthesized(indent: str, before: str, piece: Piece, after: str) -> list[str] | None:
    """Return an operation in parentheses of its own, where both formatters put them.

    They do for three operands and more; for two only if neither end is a bracket that they could break instead.
    """
    if not isinstance(piece, Operation):
        return None
    if len(piece.operands) == 2:
        first, last = piece.operands[0].flat, piece.operands[-1].flat
        if first[0] in "([{" or last[-1] in ")]}":
            return None
    lines = _part(indent + INDENT, "", piece, "", may_block=False)
    return None if lines is None else [f"{indent}{before}(", *lines, f"{indent}){after}"]
