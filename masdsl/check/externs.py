"""Functions of the standard library that are written in Python: `extern` declarations, and the types of their calls.

An extern has one signature, with static parameters for the types and sizes that its result takes from its arguments.
They are learned anew wherever a call is looked at, so that a result is as narrow as the arguments are: `T[n]` has as
many items, at least and at most, as the argument that says n. A `text` without a size is any text. What the functions
do is in `masdsl/runtime/externs.py`; a test matches the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from masdsl.check.context import Frame
from masdsl.check.program import Extern, Known, ListOf, Maybe, Pattern, TextHole, TypeHole
from masdsl.check.relations import fits, join, list_of, optional, text
from masdsl.check.resolve import resolve
from masdsl.check.scope import Declared
from masdsl.sizes import LARGEST_TEXT_TOKENS
from masdsl.syntax import ast
from masdsl.syntax.print import print_item
from masdsl.types import List, Nothing, Optional, Text, Type, Unknown

Learned: TypeAlias = "dict[str, Type | tuple[int, int]]"
"""What types are, and the least and the greatest value of sizes."""


def extern(frame: Frame, declared: Declared) -> Extern:
    """Return the checked function, from the table if it was reached before."""
    node = declared.node
    assert isinstance(node, ast.Extern)

    def made() -> Extern:
        home = Frame(declared.home, frame.context)
        statics = frozenset(static.name.text for static in node.statics)
        kinds = [None if isinstance(param.type, ast.AgentType) else param.type for param in node.params]
        return Extern(
            name=node.name.text,
            module=declared.home.name,
            params=tuple(_pattern(home, kind, statics) for kind in kinds),
            returns=_pattern(home, node.returns, statics),
            signature=print_item(node).removeprefix("extern "),
            doc=declared.home.doc(node),
            span=node.span,
        )

    return frame.context.once(frame.context.externs, id(node), made)


def _pattern(frame: Frame, node: ast.TypeExpr | None, statics: frozenset[str]) -> Pattern:
    match node:
        case None | ast.NamedType(name=ast.Name(text="text"), size=None):
            return Known(Text(LARGEST_TEXT_TOKENS))
        case ast.NamedType(name=name) if name.text in statics:
            return TypeHole(name.text)
        case ast.NamedType(size=ast.Name() as size) if size.text in statics:
            return TextHole(size.text)
        case ast.ListType():
            high = node.cap.text if isinstance(node.cap, ast.Name) else node.cap.value
            return ListOf(_pattern(frame, node.element, statics), int(node.nonempty), high)
        case ast.OptionalType():
            return Maybe(_pattern(frame, node.inner, statics))
        case _:
            return Known(resolve(frame, node))


def result_type(called: Extern, kinds: Sequence[Type]) -> Type | None:
    """Return the type of a call of an extern, or None where the arguments do not fit."""
    if any(isinstance(kind, Unknown) for kind in kinds):
        return Unknown()
    if len(kinds) != len(called.params):
        return None
    learned: Learned = {}
    for pattern, kind in zip(called.params, kinds, strict=True):
        _learn(pattern, kind, learned)
    if not all(fits(kind, _filled(pattern, learned)) for pattern, kind in zip(called.params, kinds, strict=True)):
        return None
    return _filled(called.returns, learned)


def _learn(pattern: Pattern, kind: Type, learned: Learned) -> None:
    """Learn what the static parameters are from a pattern and the type that meets it."""
    match pattern, kind:
        case TypeHole(name=name), _:
            known = learned.get(name)
            common = join(known, kind) if known is not None and not isinstance(known, tuple) else kind
            learned[name] = kind if common is None else common
        case TextHole(size=size), Text():
            _learn_size(size, 0, kind.cap, learned)
        case ListOf(), List():
            if isinstance(pattern.high, str):
                _learn_size(pattern.high, kind.low, kind.high, learned)
            if kind.high:
                _learn(pattern.element, kind.element, learned)
        case Maybe(), Optional():
            _learn(pattern.inner, kind.inner, learned)
        case Maybe(), _:
            _learn(pattern.inner, kind, learned)
        case _:
            pass


def _learn_size(name: str, low: int, high: int, learned: Learned) -> None:
    known = learned.get(name)
    learned[name] = (min(known[0], low), max(known[1], high)) if isinstance(known, tuple) else (low, high)


def _filled(pattern: Pattern, learned: Learned) -> Type:
    """Return the type that a pattern is with what was learned: nothing of a type, 0 of a size, where none was."""
    match pattern:
        case Known():
            return pattern.type
        case TypeHole():
            kind = learned.get(pattern.name)
            return Nothing() if kind is None or isinstance(kind, tuple) else kind
        case TextHole():
            return text(_size(pattern.size, learned)[1])
        case ListOf():
            low, high = (0, pattern.high) if isinstance(pattern.high, int) else _size(pattern.high, learned)
            low = max(low, pattern.low)
            return list_of(_filled(pattern.element, learned), low, max(low, high))
        case Maybe():
            return optional(_filled(pattern.inner, learned))


def _size(name: str, learned: Learned) -> tuple[int, int]:
    size = learned.get(name)
    return size if isinstance(size, tuple) else (0, 0)
