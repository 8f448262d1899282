"""A literal of a type, where a step gives no value: the empty text, 0, false, `none`, the first word, an empty list."""

from __future__ import annotations

from masdsl.syntax import ast
from masdsl.types import Bool, Enum, Float, Int, List, Optional, Record, Text, Type


def default_of(kind: Type) -> ast.Literal | None:
    """Return the plainest literal of a type; None where there is none."""
    match kind:
        case Optional():
            return ast.NoneLit()
        case Text():
            return ast.StrLit("")
        case Int():
            return ast.IntLit(0)
        case Float():
            return ast.FloatLit(0.0)
        case Bool():
            return ast.BoolLit(False)
        case Enum():
            return ast.TagLit(ast.Name(kind.name), ast.Name(kind.words[0]))
        case List():
            element = default_of(kind.element)
            return None if element is None else ast.ListLit((element,) * kind.low)
        case Record():
            fields = []
            for name, inner in kind.fields:
                value = default_of(inner)
                if value is None:
                    return None
                fields.append(ast.NamedValue(ast.Name(name), value))
            return ast.RecordLit(ast.Name(kind.name) if kind.name else None, tuple(fields))
        case _:
            return None
