"""Expressions, constants and annotations of generated code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from masdsl.limits import LOOP_TIMES
from masdsl.verify.forms import refuse
from masdsl.verify.vocabulary import CALLABLE, LIMITS, PLAIN_TYPES, RESERVED

LARGEST_INT: Final = 2**63
NO_NAMES: Final[frozenset[str]] = frozenset()


class Scope:
    """What has been imported and declared in a module so far."""

    def __init__(self) -> None:
        self.imported: set[str] = set()
        self.records: dict[str, frozenset[str]] = {}
        self.enums: dict[str, frozenset[str]] = {}
        self.aliases: set[str] = set()
        self.constants: set[str] = set()
        self.agents: set[str] = set()
        self.tools: set[str] = set()
        self.flows: set[str] = set()
        self.fields: set[str] = set()

    def declared(self) -> set[str]:
        """Return the names of everything declared."""
        return {*self.records, *self.enums, *self.aliases, *self.constants, *self.agents, *self.tools, *self.flows}

    def is_free(self, name: str) -> bool:
        """Say whether a name means nothing yet, so that it may be given a meaning."""
        taken = RESERVED | self.imported | self.declared()
        return name not in taken and not name.startswith("__")

    def needs(self, node: ast.AST, name: str) -> None:
        """Refuse the use of a name that is not imported."""
        if name not in self.imported:
            refuse(node, f"{name} is not imported")


def check_value(scope: Scope, node: ast.expr, names: frozenset[str] = NO_NAMES) -> None:
    """Check a value: constants, `names`, and what the runtime's functions and the module's classes make of them."""
    pending = [(node, names)]
    while pending:
        node, names = pending.pop()
        match node:
            case ast.Constant():
                _constant(node)
            case ast.Name(id=name):
                if name not in names:
                    refuse(node, f"{name} is no value here")
            case ast.Attribute(value=ast.Name(id=name), attr=word) if name in scope.enums:
                if word not in scope.enums[name]:
                    refuse(node, f"{name} has no word {word}")
            case ast.Attribute(value=inner, attr=field):
                if field not in scope.fields:
                    refuse(node, f"no record has a field {field}")
                pending.append((inner, names))
            case ast.Subscript(value=inner, slice=ast.Constant(value=int() as index)) if not isinstance(index, bool):
                pending.append((inner, names))
            case ast.Call(func=ast.Name(id=function)) if function in CALLABLE and not node.keywords:
                scope.needs(node, function)
                pending += [(argument, names) for argument in node.args]
            case ast.Call(func=ast.Name(id=record), args=[]) if record in scope.records:
                given = dict(keywords_of(node))
                if given.keys() != scope.records[record]:
                    refuse(node, f"not the fields of {record}")
                pending += [(part, names) for part in given.values()]
            case ast.List():
                pending += [(part, names) for part in node.elts]
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                pending.append((inner, names))
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)) if not isinstance(
                number, bool
            ):
                _constant(node.operand)
            case ast.BoolOp():
                pending += [(part, names) for part in node.values]
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                is_none = isinstance(right, ast.Constant) and right.value is None
                if isinstance(operator, ast.Is | ast.IsNot) and not is_none:
                    refuse(node, "only None is compared by identity")
                pending += [(left, names), (right, names)]
            case ast.BinOp(left=ast.List(elts=[inner]), op=ast.Mult(), right=ast.Constant(value=int() as times)):
                if not 1 <= times <= LOOP_TIMES:
                    refuse(node, f"{times} times")
                pending.append((inner, names))
            case ast.ListComp(
                elt=inner, generators=[ast.comprehension(target=ast.Name(id=name), iter=items, ifs=ifs, is_async=0)]
            ):
                if not scope.is_free(name) or len(ifs) > 1:
                    refuse(node, "not a plain selection")
                pending.append((items, names))
                pending += [(part, names | {name}) for part in (inner, *ifs)]
            case _:
                refuse(node, "not a value of generated code")


def _constant(node: ast.AST) -> None:
    assert isinstance(node, ast.Constant)
    if node.kind is not None or not isinstance(node.value, str | int | float | None):
        refuse(node, "not a constant of generated code")
    if isinstance(node.value, int) and abs(node.value) > LARGEST_INT:
        refuse(node, "beyond 64 bits")


def check_type(scope: Scope, node: ast.expr | None) -> None:
    """Check a type: the language's types, and no more."""
    pending = [node]
    while pending:
        node = pending.pop()
        match node:
            case ast.Name(id=name) if name in PLAIN_TYPES or name in {*scope.records, *scope.enums, *scope.aliases}:
                pass
            case ast.Constant(value=None):
                pass
            case ast.BinOp(left=inner, op=ast.BitOr(), right=ast.Constant(value=None)):
                pending.append(inner)
            case ast.Subscript(value=ast.Name(id="list"), slice=inner):
                pending.append(inner)
            case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=parts)):
                pending += parts
            case ast.Subscript(value=ast.Name(id="Started"), slice=inner):
                scope.needs(node, "Started")
                pending.append(inner)
            case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[inner, *notes])):
                scope.needs(node, "Annotated")
                pending.append(inner)
                for note in notes:
                    _note(scope, note)
            case None:
                raise AssertionError("generated code annotates every parameter")
            case _:
                refuse(node, "not a type of generated code")


def _note(scope: Scope, node: ast.expr) -> None:
    match node:
        case ast.Call(func=ast.Name(id="Tokens"), args=[ast.Constant(value=int())], keywords=[]):
            scope.needs(node, "Tokens")
        case ast.Call(
            func=ast.Name(id="Items"), args=[ast.Constant(value=int()), ast.Constant(value=int())], keywords=[]
        ):
            scope.needs(node, "Items")
        case ast.Call(func=ast.Name(id="Alias"), args=[ast.Constant(value=str())], keywords=[]):
            scope.needs(node, "Alias")
        case _:
            refuse(node, "not a note of a type")


def keywords_of(call: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    """Yield the keyword arguments of a call; refuse `**` and one that stands twice."""
    seen: set[str] = set()
    for keyword in call.keywords:
        if keyword.arg is None or keyword.arg in seen:
            refuse(call, "an argument that generated code does not pass")
        seen.add(keyword.arg)
        yield keyword.arg, keyword.value


def items_of(node: ast.Dict) -> Iterator[tuple[str, ast.expr]]:
    """Yield the items of a dictionary; refuse keys that are no texts."""
    for key, part in zip(node.keys, node.values, strict=True):
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
            refuse(node, "a key that is no text")
        yield key.value, part


def check_names(node: ast.expr, known: set[str]) -> None:
    """Check a tuple of known names."""
    if not isinstance(node, ast.Tuple):
        refuse(node, "not a tuple of names")
    for part in node.elts:
        if not isinstance(part, ast.Name) or part.id not in known:
            refuse(part, "not a name that is declared above")


def check_limits(call: ast.Call) -> None:
    """Check the limits of a budget, given as keyword arguments."""
    for key, amount in keywords_of(call):
        is_number = isinstance(amount, ast.Constant) and isinstance(amount.value, int | float)
        if key not in LIMITS or not is_number:
            refuse(amount, f"the limit {key[:80]!a}")
