"""From the types that a program writes to the types that are checked."""

from __future__ import annotations

from masdsl.check.context import Frame
from masdsl.check.relations import list_of, optional
from masdsl.check.scope import Declared
from masdsl.diagnostics.names import DeclaredBelow, DuplicateName, NotAValue, UndefinedType
from masdsl.diagnostics.suggest import nearest
from masdsl.diagnostics.syntax import LimitExceeded
from masdsl.diagnostics.types import BadStatic, SizeMisplaced
from masdsl.limits import RECORD_DEPTH, RECORD_FIELDS
from masdsl.node import Span
from masdsl.sizes import LARGEST_LIST, LARGEST_TEXT_TOKENS
from masdsl.syntax import ast
from masdsl.types import Bool, Enum, Float, Int, List, Optional, Record, Text, Type, Unknown

PRIMITIVES: dict[str, Type] = {"int": Int(), "float": Float(), "bool": Bool()}
PRIMITIVE_NAMES = ("text", *PRIMITIVES)


def resolve(frame: Frame, node: ast.TypeExpr | None) -> Type:
    """Return the checked type of a written one (none written is text); a fault is reported and gives Unknown."""
    match node:
        case None:
            return Text(frame.context.config.text_size)
        case ast.OptionalType():
            return optional(resolve(frame, node.inner))
        case ast.ListType():
            element = resolve(frame, node.element)
            cap = static_int(
                frame, node.cap, "the length of a list", 0 if isinstance(node.cap, ast.Name) else 1, LARGEST_LIST
            )
            return Unknown() if cap is None else list_of(element, 1 if node.nonempty else 0, cap)
        case ast.RecordType():
            return Record(None, frame.scope.name, _fields(frame, node.fields), span=node.span)
        case ast.NamedType():
            return _named(frame, node)


def static_int(frame: Frame, node: ast.Size, what: str, least: int, most: int) -> int | None:
    """Return a number that is known at compile time, within bounds; a fault is reported and gives None."""
    if isinstance(node, ast.IntLit):
        number: object = node.value
    else:
        number = frame.statics.get(node.text)
        if not isinstance(number, int):
            problem = f"is no whole number that is known at compile time, as {what} has to be"
            frame.report(BadStatic(node.text, problem, span=node.span))
            return None
    assert isinstance(number, int)
    if not least <= number <= most:
        frame.report(BadStatic(what, f"is {number}, but must be from {least} to {most}", span=node.span))
        return None
    return number


def _named(frame: Frame, node: ast.NamedType) -> Type:
    name = node.name.text
    if name == "text":
        if node.size is None:
            return Text(frame.context.config.text_size)
        cap = static_int(
            frame, node.size, "the size of a text", 0 if isinstance(node.size, ast.Name) else 1, LARGEST_TEXT_TOKENS
        )
        return Unknown() if cap is None else Text(cap)
    if node.size is not None:
        frame.report(SizeMisplaced(f"`{name}` has no size", span=node.size.span))
    if name in PRIMITIVES:
        return PRIMITIVES[name]
    static = frame.statics.get(name)
    if static is not None and not isinstance(static, int):
        return static
    declared = frame.scope.names.get(name)
    if name in frame.scope.missing:
        return Unknown()
    if declared is None or name[:1].islower():
        known = [
            known for known, item in frame.scope.names.items() if isinstance(item.node, ast.RecordDecl | ast.EnumDecl)
        ]
        near = nearest(name, [*PRIMITIVE_NAMES, *known]) or _USUAL_NAMES.get(name.lower())
        frame.report(UndefinedType(name, near, span=node.name.span))
        return Unknown()
    return named_type(frame, declared, node.name.span)


_USUAL_NAMES = {
    "str": "text",
    "string": "text",
    "integer": "int",
    "number": "float",
    "double": "float",
    "boolean": "bool",
}


def named_type(frame: Frame, declared: Declared, at: Span) -> Type:
    """Return the record or enum that a name stands for, as seen from `at`."""
    if not visible(frame, declared, at):
        return Unknown()
    node = declared.node
    if not isinstance(node, ast.RecordDecl | ast.EnumDecl):
        frame.report(NotAValue(declared.name, declared.what, span=at))
        return Unknown()

    def declared_type() -> Enum | Record:
        inner = Frame(declared.home, frame.context)
        if isinstance(node, ast.EnumDecl):
            return Enum(node.name.text, declared.home.name, _distinct(inner, node.words), span=node.span)
        return _record(inner, node)

    return frame.context.once(frame.context.types, id(node), declared_type)


def _record(frame: Frame, node: ast.RecordDecl) -> Record:
    """Return a record type; one that is too large has no fields, so that nothing grows with it."""
    fields = _fields(frame, node.fields)
    extents = frame.context.records
    inside = [extents.get(id(_innermost(kind)), (0, 0)) for _, kind in fields]
    total, depth = sum(1 + count for count, _ in inside), 1 + max((depth for _, depth in inside), default=0)
    for count, limit, what in ((total, RECORD_FIELDS, "fields"), (depth, RECORD_DEPTH, "levels")):
        if count > limit:
            said = f"type `{node.name.text}` has {count:_} {what}, with the records in it"
            frame.report(LimitExceeded(said, limit, "put fewer records inside records", span=node.name.span))
            fields, total, depth = (), 0, 0
    record = Record(node.name.text, frame.scope.name, fields, span=node.span)
    extents[id(record)] = (total, depth)
    return record


def _innermost(kind: Type) -> Type:
    """Return the type without lists and `?` around it."""
    while isinstance(kind, List | Optional):
        kind = kind.element if isinstance(kind, List) else kind.inner
    return kind


def visible(frame: Frame, declared: Declared, at: Span) -> bool:
    """Say whether a declaration stands above its use; if not, report it."""
    if declared.visible_from <= at.start:
        return True
    line = frame.scope.source.position(declared.at.start).line
    frame.report(DeclaredBelow(declared.name, line, declared.at, span=at))
    return False


def _fields(frame: Frame, fields: tuple[ast.Field, ...]) -> tuple[tuple[str, Type], ...]:
    _distinct(frame, tuple(field.name for field in fields))
    return tuple((field.name.text, resolve(frame, field.type)) for field in fields)


def _distinct(frame: Frame, names: tuple[ast.Name, ...]) -> tuple[str, ...]:
    first: dict[str, Span] = {}
    for name in names:
        if name.text in first:
            frame.report(DuplicateName(name.text, "the same declaration", first[name.text], span=name.span))
        first.setdefault(name.text, name.span)
    return tuple(first)
