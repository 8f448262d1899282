"""Types of expressions. Everything here is pure: a step inside an expression is a fault."""

from __future__ import annotations

from typing import assert_never

from masdsl.check import externs
from masdsl.check.advice import conversion, converted, test_of
from masdsl.check.builtins import BUILTINS, result_type
from masdsl.check.callables import report_uncallable
from masdsl.check.context import Frame
from masdsl.check.narrowing import narrowed
from masdsl.check.operators import COMPARISONS, operation_type
from masdsl.check.program import (
    Binary,
    Builtin,
    Const,
    Expr,
    GetField,
    GetItem,
    Local,
    Logical,
    MakeList,
    MakeRecord,
    TagValue,
    Unary,
)
from masdsl.check.relations import fits, join, list_of, optional, required, show, text
from masdsl.check.resolve import named_type, visible
from masdsl.check.scope import Declared, Names
from masdsl.diagnostics.base import Fix
from masdsl.diagnostics.flow import MaybeUnset, NestedStep
from masdsl.diagnostics.names import (
    DuplicateName,
    NotAValue,
    NotCallable,
    UndefinedName,
    UndefinedType,
    UnknownField,
    UnknownWord,
)
from masdsl.diagnostics.suggest import nearest
from masdsl.diagnostics.types import (
    BuiltinArguments,
    ConditionNotBool,
    MayBeNone,
    MissingField,
    NoCommonType,
    NoFields,
    NotAList,
    OperandTypes,
    TypeMismatch,
)
from masdsl.node import Span
from masdsl.sizes import text_tokens
from masdsl.syntax import ast
from masdsl.types import Bool, Enum, Float, Int, List, Nothing, Optional, Record, Text, Type, Unknown

UNKNOWN = Unknown()


def unknown(span: Span) -> Const:
    """Return the expression that stands for a faulty one."""
    return Const(None, UNKNOWN, span=span)


def typed(frame: Frame, names: Names, node: ast.Expr, want: Type | None = None) -> Expr:
    """Return the checked expression; `want` gives literals a type to lean on but is not enforced (see `expect`)."""
    made = _typed(frame, names, node, want)
    if frame.context.watch is not None:
        frame.context.watch.expression(frame, node, made.type)
    return made


def _typed(frame: Frame, names: Names, node: ast.Expr, want: Type | None) -> Expr:
    match node:
        case ast.IntLit():
            if isinstance(want and required(want), Float):
                return Const(float(node.value), Float(), span=node.span)
            return Const(node.value, Int(), span=node.span)
        case ast.FloatLit():
            return Const(node.value, Float(), span=node.span)
        case ast.StrLit():
            return Const(node.value, text(text_tokens(node.value)), span=node.span)
        case ast.BoolLit():
            return Const(node.value, Bool(), span=node.span)
        case ast.NoneLit():
            return Const(None, Nothing(), span=node.span)
        case ast.ListLit():
            return _list(frame, names, node, want)
        case ast.RecordLit():
            return _record(frame, names, node, want)
        case ast.TagLit():
            return _tag(frame, node)
        case ast.Var():
            return _variable(frame, names, node)
        case ast.Call():
            return _call(frame, names, node)
        case ast.Attribute():
            return _attribute(frame, names, node)
        case ast.Index():
            return _index(frame, names, node)
        case ast.Negate():
            operand = typed(frame, names, node.operand, want)
            if not isinstance(operand.type, Int | Float | Unknown):
                frame.report(OperandTypes("-", show(operand.type), "", "", span=node.span))
                return unknown(node.span)
            return Unary("-", operand, operand.type, span=node.span)
        case ast.Not():
            return Unary("not", condition(frame, names, node.operand), Bool(), span=node.span)
        case ast.And() | ast.Or():
            return _logical(frame, names, node)
        case ast.Binary():
            return _binary(frame, names, node)
        case _:
            assert_never(node)


def expect(frame: Frame, names: Names, node: ast.Expr, want: Type, place: str) -> Expr:
    """Return the checked expression of a value that has to fit `want`; `place` says where, for the message."""
    value = typed(frame, names, node, want)
    check_fits(frame, value.type, want, place, node.span)
    return value


def check_fits(frame: Frame, given: Type, want: Type, place: str, span: Span, change: Fix | None = None) -> bool:
    """Report a type that does not fit, with the change that mends it, if one is known; say whether it fits."""
    if fits(given, want):
        return True
    if isinstance(given, Nothing) or (isinstance(given, Optional) and fits(given.inner, want)):
        frame.report(MayBeNone(place, show(given), span=span))
    else:
        change = change or converted(given, want, span)
        frame.report(TypeMismatch(place, show(want), show(given), conversion(given, want), change, span=span))
    return False


def condition(frame: Frame, names: Names, node: ast.Expr) -> Expr:
    """Return the checked expression of a condition: a bool."""
    value = typed(frame, names, node)
    if not isinstance(value.type, Bool | Unknown):
        frame.report(ConditionNotBool(show(value.type), test_of(value.type), span=node.span))
    return value


def _list(frame: Frame, names: Names, node: ast.ListLit, want: Type | None) -> Expr:
    wanted = required(want) if want is not None else None
    element_want = wanted.element if isinstance(wanted, List) else None
    items = tuple(typed(frame, names, item, element_want) for item in node.items)
    element: Type = Nothing()
    for number, item in enumerate(items):
        common = item.type if number == 0 else join(element, item.type)
        if common is None:
            frame.report(
                NoCommonType("an item of this list", show(element), show(item.type), span=node.items[number].span)
            )
            common = UNKNOWN
        element = common
    if element_want is not None and items and fits(element, element_want) and not isinstance(element, Text):
        element = element_want
    return MakeList(items, list_of(element, len(items), len(items)), span=node.span)


def _record(frame: Frame, names: Names, node: ast.RecordLit, want: Type | None) -> Expr:
    kind: Type | None = required(want) if want is not None else None
    if node.type is not None:
        declared = frame.scope.names.get(node.type.text)
        if declared is None:
            _undefined_type_name(frame, node.type, ast.RecordDecl)
            kind = UNKNOWN
        else:
            kind = named_type(frame, declared, node.type.span)
            if isinstance(kind, Enum):
                frame.report(NotCallable(kind.name, "an enum", span=node.type.span))
                kind = UNKNOWN
    if not isinstance(kind, Record):
        values = [(field, typed(frame, names, field.value)) for field in node.fields]
        if isinstance(kind, Unknown):
            return unknown(node.span)
        shape = Record(None, frame.scope.name, tuple((field.name.text, value.type) for field, value in values))
        return MakeRecord(tuple(value for _, value in values), shape, span=node.span)
    return _fill_record(frame, names, node, kind)


def _fill_record(frame: Frame, names: Names, node: ast.RecordLit, kind: Record) -> Expr:
    shown = show(kind)
    given: dict[str, Expr] = {}
    for field in node.fields:
        name = field.name.text
        wanted = kind.field(name)
        if wanted is None:
            known = tuple(known for known, _ in kind.fields)
            frame.report(UnknownField(name, shown, known, nearest(name, known), span=field.name.span))
            typed(frame, names, field.value)
        elif name in given:
            frame.report(DuplicateName(name, "a field above", given[name].span, span=field.name.span))
        else:
            given[name] = expect(frame, names, field.value, wanted, f"`{name}` of `{shown}`")
    missing = tuple(name for name, wanted in kind.fields if name not in given and not isinstance(wanted, Optional))
    if missing:
        frame.report(MissingField(shown, missing, span=node.span))
        return unknown(node.span)
    values = tuple(given.get(name, Const(None, Nothing(), span=node.span)) for name, _ in kind.fields)
    return MakeRecord(values, kind, span=node.span)


def _tag(frame: Frame, node: ast.TagLit) -> Expr:
    declared = frame.scope.names.get(node.type.text)
    if declared is None:
        _undefined_type_name(frame, node.type, ast.EnumDecl)
        return unknown(node.span)
    kind = named_type(frame, declared, node.type.span)
    if isinstance(kind, Unknown):
        return unknown(node.span)
    if not isinstance(kind, Enum):
        frame.report(NotAValue(node.type.text, "a record type", span=node.type.span))
        return unknown(node.span)
    if not check_word(frame, kind, node.word):
        return unknown(node.span)
    return Const(TagValue(kind, node.word.text), kind, span=node.span)


def _undefined_type_name(frame: Frame, name: ast.Name, wanted: type[ast.RecordDecl | ast.EnumDecl]) -> None:
    if name.text not in frame.scope.missing:
        candidates = [known for known, found in frame.scope.names.items() if isinstance(found.node, wanted)]
        frame.report(UndefinedType(name.text, nearest(name.text, candidates), span=name.span))


def check_word(frame: Frame, kind: Enum, word: ast.Name) -> bool:
    """Report a word that the enum does not have; say whether it has it."""
    if word.text in kind.words:
        return True
    frame.report(UnknownWord(word.text, kind.name, kind.words, nearest(word.text, kind.words), span=word.span))
    return False


def _variable(frame: Frame, names: Names, node: ast.Var) -> Expr:
    name = node.name.text
    kind = names.get(name)
    if kind is not None:
        return Local(name, kind, span=node.span)
    static = frame.statics.get(name)
    if isinstance(static, int):
        return Const(static, Int(), span=node.span)
    where = names.unsure(name)
    if where is not None:
        frame.report(MaybeUnset(name, where, span=node.span))
    elif name in frame.callees:
        frame.report(NotAValue(name, "an agent parameter", span=node.span))
    elif name in frame.scope.names:
        frame.report(NotAValue(name, frame.scope.names[name].what, span=node.span))
    elif name in BUILTINS:
        frame.report(NotAValue(name, "a built-in function", span=node.span))
    else:
        near = nearest(name, names)
        at = names.bound_at(near) if near is not None else None
        line = frame.scope.source.position(at.start).line if at is not None else None
        frame.report(UndefinedName(name, near, line, span=node.span))
    return unknown(node.span)


def _call(frame: Frame, names: Names, node: ast.Call) -> Expr:
    name = node.callee.text
    declared = frame.scope.names.get(name)
    if declared is not None and isinstance(declared.node, ast.Extern):
        return _extern_call(frame, names, node, declared)
    if name not in BUILTINS:
        if name in frame.callees or (name in frame.scope.names and name[:1].islower()):
            frame.report(NestedStep(name, span=node.span))
        else:
            report_uncallable(frame, names, node.callee)
        for argument in node.arguments:
            typed(frame, names, argument.value)
        return unknown(node.span)
    arguments = tuple(typed(frame, names, argument.value) for argument in node.arguments)
    kinds = [argument.type for argument in arguments]
    result = result_type(name, kinds) if all(argument.name is None for argument in node.arguments) else None
    if result is None:
        present = result_type(name, [required(kind) for kind in kinds]) is not None
        return _wrong_arguments(frame, node, kinds, BUILTINS[name].text, present)
    return Builtin(name, arguments, _of_constants(name, arguments, result), span=node.span)


def _of_constants(name: str, arguments: tuple[Expr, ...], result: Type) -> Type:
    """Return the type of a call as narrow as constant arguments make it: lengths of `range` and `slice`."""
    numbers = [argument.value for argument in arguments if isinstance(argument, Const)]
    match name, result, numbers:
        case "range", _, [int() as end]:
            return list_of(Int(), max(0, end), max(0, end))
        case "slice", List(), [int() as start, int() as end] if min(start, end) >= 0 and len(arguments) == 3:
            source = arguments[0].type
            if isinstance(source, List) and not isinstance(arguments[0], Const):
                low, high = (max(0, min(size, end) - start) for size in (source.low, source.high))
                return list_of(source.element, low, high)
    return result


def _wrong_arguments(frame: Frame, node: ast.Call, kinds: list[Type], signature: str, present: bool) -> Expr:
    """Report arguments that a function does not take; `present` says that it would if none of them could be none."""
    name = node.callee.text
    culprit = next((at for at, kind in enumerate(kinds) if isinstance(kind, Optional)), None)
    if present and culprit is not None:
        place = f"an argument of `{name}`"
        frame.report(MayBeNone(place, show(kinds[culprit]), span=node.arguments[culprit].value.span))
    else:
        given = ", ".join(show(kind) for kind in kinds)
        frame.report(BuiltinArguments(name, signature, given, span=node.span))
    return unknown(node.span)


def _extern_call(frame: Frame, names: Names, node: ast.Call, declared: Declared) -> Expr:
    arguments = tuple(typed(frame, names, argument.value) for argument in node.arguments)
    if not visible(frame, declared, node.callee.span):
        return unknown(node.span)
    called = externs.extern(frame, declared)
    kinds = [argument.type for argument in arguments]
    positional = all(argument.name is None for argument in node.arguments)
    result = externs.result_type(called, kinds) if positional else None
    if result is None:
        present = externs.result_type(called, [required(kind) for kind in kinds]) is not None
        return _wrong_arguments(frame, node, kinds, called.signature, present)
    return Builtin(called.name, arguments, result, called, span=node.span)


def _attribute(frame: Frame, names: Names, node: ast.Attribute) -> Expr:
    value = typed(frame, names, node.value)
    kind = value.type
    if isinstance(kind, Unknown):
        return unknown(node.span)
    if isinstance(kind, Optional) and isinstance(kind.inner, Record):
        frame.report(MayBeNone("what a field is read from", show(kind), span=node.value.span))
        return unknown(node.span)
    if not isinstance(kind, Record):
        frame.report(NoFields(node.field.text, show(kind), span=node.field.span))
        return unknown(node.span)
    field = kind.field(node.field.text)
    if field is None:
        known = tuple(name for name, _ in kind.fields)
        fault = UnknownField(node.field.text, show(kind), known, nearest(node.field.text, known), span=node.field.span)
        frame.report(fault)
        return unknown(node.span)
    return GetField(value, node.field.text, field, span=node.span)


def _index(frame: Frame, names: Names, node: ast.Index) -> Expr:
    value = typed(frame, names, node.value)
    index = expect(frame, names, node.index, Int(), "an index")
    if isinstance(value.type, Unknown):
        return unknown(node.span)
    if not isinstance(value.type, List):
        frame.report(NotAList("what is indexed", show(value.type), span=node.value.span))
        return unknown(node.span)
    at = _constant_index(index)
    sure = at is not None and -value.type.low <= at < value.type.low
    return GetItem(value, index, value.type.element if sure else optional(value.type.element), span=node.span)


def _constant_index(index: Expr) -> int | None:
    match index:
        case Const(value=int() as at):
            return at
        case Unary(op="-", operand=Const(value=int() as at)):
            return -at
    return None


def _logical(frame: Frame, names: Names, node: ast.And | ast.Or) -> Expr:
    operands: list[Expr] = []
    for operand in node.operands:
        operands.append(condition(frame, names, operand))
        names = narrowed(names, operand, isinstance(node, ast.And))
    return Logical("and" if isinstance(node, ast.And) else "or", tuple(operands), Bool(), span=node.span)


def _binary(frame: Frame, names: Names, node: ast.Binary) -> Expr:
    left = typed(frame, names, node.left)
    right = typed(frame, names, node.right, left.type)
    if isinstance(right.type, Float) and isinstance(left, Const):
        left = typed(frame, names, node.left, right.type)
    if isinstance(left.type, Unknown) or isinstance(right.type, Unknown):
        return Binary(left, node.op, right, Bool() if node.op in COMPARISONS else UNKNOWN, span=node.span)
    kind = operation_type(node.op, left.type, right.type)
    if kind is None:
        _report_operands(frame, node, left.type, right.type)
        return unknown(node.span)
    return Binary(left, node.op, right, kind, span=node.span)


def _report_operands(frame: Frame, node: ast.Binary, left: Type, right: Type) -> None:
    for side, kind in ((node.left, left), (node.right, right)):
        if isinstance(kind, Optional) and operation_type(node.op, required(left), required(right)) is not None:
            frame.report(MayBeNone(f"an operand of `{node.op}`", show(kind), span=side.span))
            return
    hint = ""
    for enum, other in ((left, node.right), (right, node.left)):
        if isinstance(enum, Enum) and isinstance(other, ast.StrLit):
            hint = f"write a word of the enum: `{enum.name}.{enum.words[0]}`"
    frame.report(OperandTypes(node.op, show(left), show(right), hint, span=node.span))
