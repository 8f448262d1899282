"""Finds the names of a module (`masdsl.editor.symbols`) in one walk over its tree, with the types of the check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from masdsl.check.builtins import BUILTINS
from masdsl.check.literal_places import LiteralPlaces
from masdsl.check.relations import required
from masdsl.check.resolve import PRIMITIVE_NAMES
from masdsl.check.scope import Declared, ModuleScope
from masdsl.editor import symbols
from masdsl.editor.addresses import steps_of
from masdsl.editor.facts import Facts
from masdsl.editor.shapes import Shapes, word_of
from masdsl.editor.symbols import DECLARE, IMPLICIT, IMPORT, READ, WRITE, Occurrence, Symbol, head_of, symbol_of
from masdsl.editor.templates import meanings
from masdsl.node import Node, Span
from masdsl.syntax import ast
from masdsl.syntax.walk import iterate
from masdsl.types import List, Record, Type


class Walk:
    """Goes through a module; `found` are the names with their meanings."""

    def __init__(self, facts: Facts) -> None:
        assert facts.own is not None
        self._facts = facts
        self._scope: ModuleScope = facts.own
        self._file = facts.own.source.name
        self._here: dict[str, Symbol] = {}
        self._items: list[tuple[str, Symbol]] = []
        self._shapes = Shapes(facts)
        self.found: list[Occurrence] = []

    def run(self) -> None:
        """Walk over all declarations."""
        for item in self._scope.items:
            self._here, self._items = {}, []
            self._item(item)

    # ------------------------------------------------------------ telling

    def _add(self, span: Span, symbol: Symbol, use: str = READ, prompt: bool = False) -> None:
        self.found.append(Occurrence(span, symbol, use, prompt))

    def _own(self, name: ast.Name, kind: str, owner: str = "") -> Symbol:
        return Symbol(self._file, name.span.start, name.text, kind, owner)

    def _declare(self, name: ast.Name, kind: str, owner: str = "") -> Symbol:
        symbol = self._own(name, kind, owner)
        self._add(name.span, symbol, DECLARE)
        return symbol

    def _declared(self, name: ast.Name, use: str = READ) -> Declared | None:
        declared = self._scope.names.get(name.text)
        if declared is not None:
            self._add(name.span, symbol_of(declared, self._scope), use)
        return declared

    # ------------------------------------------------------------ declarations

    def _item(self, item: ast.Item) -> None:
        match item:
            case ast.Use():
                self._use(item)
            case ast.RecordDecl():
                self._declare(item.name, symbols.TYPE)
                self._fields(item.fields, item.name.text)
            case ast.EnumDecl():
                self._declare(item.name, symbols.TYPE)
                for word in item.words:
                    self._declare(word, symbols.WORD, item.name.text)
            case ast.Tool() | ast.Agent() | ast.Flow() | ast.Extern():
                self._callable(item)
            case ast.Variant():
                self._declare(item.name, symbols.AGENT)
                self._declared(item.base)
                self._attributes(item.attrs)
                declared = self._scope.names.get(item.name.text)
                head = head_of(declared) if declared is not None and declared.node is item else None
                if item.prompt is not None and head is not None and isinstance(head[1], ast.Agent):
                    self._prompt(item.prompt, head[1], head[0].home)
            case ast.Test():
                self._test(item)
            case _:
                pass

    def _use(self, use: ast.Use) -> None:
        dotted = ".".join(part.text for part in use.path)
        scope = self._facts.module(dotted)
        if scope is None:
            return
        module = Symbol(scope.source.name, 0, dotted, symbols.MODULE)
        last = use.path[-1]
        for part in use.path if use.names else use.path[:-1]:
            self._add(part.span, module)
        if not use.names:
            declared = scope.names.get(last.text)
            if declared is not None and declared.home is scope:
                self._add(last.span, symbol_of(declared, scope), IMPLICIT)
            else:
                self._add(last.span, module)
        for wanted in use.names:
            declared = scope.names.get(wanted.name.text)
            if declared is None or declared.home is not scope:
                continue
            self._add(wanted.name.span, symbol_of(declared, scope), IMPORT)
            local = self._scope.names.get(wanted.alias.text) if wanted.alias is not None else None
            if wanted.alias is not None and local is not None and local.at == wanted.alias.span:
                self._add(wanted.alias.span, symbol_of(local, self._scope), DECLARE)

    def _callable(self, item: ast.Tool | ast.Agent | ast.Flow | ast.Extern) -> None:
        owner = item.name.text
        self._declare(item.name, symbols.KINDS[type(item)])
        for static in getattr(item, "statics", ()):
            self._here[static.name.text] = self._declare(static.name, symbols.STATIC, owner)
        for param in item.params:
            if param.type is not None:
                self._type(param.type)
            if param.default is not None:
                self._expression(param.default)
        for param in item.params:
            self._here[param.name.text] = self._declare(param.name, symbols.PARAMETER, owner)
        if isinstance(item, ast.Extern):
            self._type(item.returns)
            return
        self._type(item.output.type)
        if item.output.default is not None:
            self._expression(item.output.default, self._facts.types.get(item.output.default.span))
        match item:
            case ast.Agent():
                self._attributes(item.attrs)
                self._prompt(item.prompt, item, self._scope)
            case ast.Flow():
                self._locals(item.body, owner)
                self._block(item.body)
            case _:
                pass

    def _fields(self, fields: tuple[ast.Field, ...], owner: str) -> None:
        for field in fields:
            self._declare(field.name, symbols.FIELD, owner)
            if field.type is not None:
                self._type(field.type)

    def _attributes(self, attrs: tuple[ast.Attr, ...]) -> None:
        for attr in attrs:
            if attr.key == "on" and isinstance(attr.value, ast.Name):
                self._add(attr.value.span, Symbol("", 0, attr.value.text, symbols.TIER))
            elif attr.key == "tools" and isinstance(attr.value, tuple):
                for name in attr.value:
                    self._declared(name)

    def _type(self, node: ast.TypeExpr | ast.AgentType) -> None:
        match node:
            case ast.NamedType():
                if node.name.text not in PRIMITIVE_NAMES:
                    self._name(node.name)
                self._size(node.size)
            case ast.ListType():
                self._type(node.element)
                self._size(node.cap)
            case ast.OptionalType():
                self._type(node.inner)
            case ast.RecordType():
                self._fields(node.fields, "")
            case ast.AgentType():
                for inner in node.params:
                    self._type(inner)
                self._type(node.returns)

    def _size(self, size: ast.Size | None) -> None:
        if isinstance(size, ast.Name):
            self._name(size)

    # ------------------------------------------------------------ prompts

    def _prompt(self, literal: ast.StrLit, head: ast.Agent, home: ModuleScope) -> None:
        if "{" not in literal.value:
            return
        own = home is self._scope
        places = LiteralPlaces(self._scope.source, literal.span, literal.value)
        text = literal.value.replace("\r\n", "\n").replace("\r", "\n")
        types = parameter_types(self._facts, head) if own else dict.fromkeys(name.name.text for name in head.params)
        named = {param.name.text: param.name for param in head.params}
        for one in meanings(text, types):
            span = places.span(one.word.start, one.word.end)
            if one.owner is not None:
                self._field(span, one.word.text, one.owner, prompt=True)
            elif one.item is not None:
                start = places.span(one.item, one.item + 1).start
                symbol = Symbol(self._file, start, one.word.text, symbols.ITEM)
                self._add(span, symbol, DECLARE if one.item == one.word.start else READ, True)
                if one.type is not None:
                    self._facts.types[span] = one.type
            else:
                name = named[one.word.text]
                symbol = Symbol(home.source.name, name.span.start, name.text, symbols.PARAMETER, head.name.text)
                self._add(span, symbol, READ, True)

    # ------------------------------------------------------------ flows and tests

    def _locals(self, body: Node, owner: str) -> None:
        """Know what a body binds, each name by its first place."""
        for node in iterate(body):
            name, kind = None, symbols.LOCAL
            if isinstance(node, ast.Bind):
                name = node.name
            elif isinstance(node, ast.Loop | ast.For | ast.Within | ast.If | ast.Match):
                name, kind = node.label, symbols.LABEL
            if name is not None and name.text not in self._here:
                self._here[name.text] = self._own(name, kind, owner)

    def _test(self, test: ast.Test) -> None:
        for given in test.givens:
            *path, name = given.target
            if not path:
                self._declared(name)
            else:
                dotted = ".".join(part.text for part in path)
                scope = self._facts.module(dotted)
                for part in path if scope is not None else ():
                    self._add(part.span, Symbol(scope.source.name if scope else "", 0, dotted, symbols.MODULE))
                declared = scope.names.get(name.text) if scope is not None else None
                if scope is not None and declared is not None:
                    self._add(name.span, symbol_of(declared, scope))
            if given.value is not None:
                self._expression(given.value)
        self._locals(test.body, "")
        self._block(test.body)
        for expected in test.expects:
            self._expression(expected.condition)

    def _block(self, block: ast.Block) -> None:
        for node in block.statements:
            self._statement(node)

    def _statement(self, node: ast.Statement) -> None:
        label = getattr(node, "label", None)
        if label is not None:
            self._name(label, WRITE)
        match node:
            case ast.Bind():
                self._name(node.name, WRITE)
                self._right_side(node.value)
            case ast.Append():
                self._name(node.name, WRITE)
                self._expression(node.value)
            case ast.Until():
                self._expression(node.condition)
            case ast.Return():
                self._right_side(node.value)
            case ast.Loop():
                self._size(node.times)
                self._block(node.body)
            case ast.For():
                self._expression(node.items)
                self._enter(node.var)
                self._block(node.body)
                self._items.pop()
            case ast.Within():
                self._block(node.body)
            case ast.If():
                for branch in node.branches:
                    self._expression(branch.condition)
                    self._block(branch.body)
                if node.orelse is not None:
                    self._block(node.orelse)
            case ast.Match():
                self._expression(node.subject)
                kind = self._facts.types.get(node.subject.span)
                for arm in node.arms:
                    for word in arm.words:
                        self._word(word, self._shapes.word(kind, word.text))
                    self._block(arm.body)
                if node.orelse is not None:
                    self._block(node.orelse)

    def _enter(self, var: ast.Name) -> None:
        self._items.append((var.text, self._declare(var, symbols.ITEM)))

    def _right_side(self, node: ast.Rhs) -> None:
        match node:
            case ast.Sample():
                self._size(node.count)
                self._right_side(node.body)
            case ast.Each():
                self._expression(node.items)
                self._enter(node.var)
                if node.condition is not None:
                    self._expression(node.condition)
                self._right_side(node.body)
                self._items.pop()
            case ast.Fallback():
                for option in node.options:
                    self._expression(option)
            case _:
                self._expression(node)

    # ------------------------------------------------------------ expressions

    def _name(self, name: ast.Name, use: str = READ) -> None:
        symbol = next((one for text, one in reversed(self._items) if text == name.text), self._here.get(name.text))
        if symbol is not None:
            first = use == WRITE and symbol.start == name.span.start and symbol.file == self._file
            self._add(name.span, symbol, DECLARE if first else use)
        elif name.text in self._scope.names:
            self._declared(name, use)
        elif name.text in BUILTINS:
            self._add(name.span, Symbol("", 0, name.text, symbols.BUILTIN))

    def _expression(self, node: ast.Expr, kind: Type | None = None) -> None:
        match node:
            case ast.Var():
                self._name(node.name)
            case ast.Call():
                self._call(node)
            case ast.Attribute():
                self._expression(node.value)
                self._field(node.field.span, node.field.text, self._facts.types.get(node.value.span))
            case ast.RecordLit():
                kind = self._facts.types.get(node.span, kind)
                if node.type is not None:
                    self._name(node.type)
                for field in node.fields:
                    self._field(field.name.span, field.name.text, kind)
                    inner = required(kind) if kind is not None else None
                    wanted = inner.field(field.name.text) if isinstance(inner, Record) else None
                    self._expression(field.value, wanted)
            case ast.TagLit():
                self._name(node.type)
                declared = self._scope.names.get(node.type.text)
                if declared is not None and isinstance(declared.node, ast.EnumDecl):
                    self._word(node.word, word_of(declared.node, declared.home, node.word.text))
            case ast.ListLit():
                element = kind.element if isinstance(kind, List) else None
                for item in node.items:
                    self._expression(item, element)
            case _:
                for operand in _operands(node):
                    self._expression(operand)

    def _word(self, word: ast.Name, symbol: Symbol | None) -> None:
        if symbol is not None:
            self._add(word.span, symbol)

    def _call(self, node: ast.Call) -> None:
        if node.callee.text == "ran" and "ran" not in self._scope.names and "ran" not in self._here:
            self._add(node.callee.span, Symbol("", 0, "ran", symbols.BUILTIN))
            for argument in node.arguments:
                for span, symbol in steps_of(argument.value, self._scope):
                    self._add(span, symbol)
            return
        self._name(node.callee)
        declared = self._scope.names.get(node.callee.text)
        head = head_of(declared) if declared is not None else None
        for argument in node.arguments:
            if argument.name is not None and head is not None:
                for part in (*head[1].params, *getattr(head[1], "statics", ())):
                    if part.name.text == argument.name.text:
                        kind = symbols.PARAMETER if isinstance(part, ast.Param) else symbols.STATIC
                        home = head[0].home.source.name
                        owner = head[1].name.text
                        symbol = Symbol(home, part.name.span.start, part.name.text, kind, owner)
                        self._add(argument.name.span, symbol)
            self._expression(argument.value)

    def _field(self, span: Span, text: str, kind: Type | None, prompt: bool = False) -> None:
        symbol = self._shapes.field(kind, text)
        if symbol is not None:
            self._add(span, symbol, READ, prompt)


def parameter_types(facts: Facts, head: Any) -> Mapping[str, Type | None]:
    """Return the types of the parameters of a declaration of the program's own module, as far as they are known."""
    return {param.name.text: facts.types.get(param.name.span) for param in head.params}


def _operands(node: ast.Expr) -> Iterator[ast.Expr]:
    match node:
        case ast.Negate() | ast.Not():
            yield node.operand
        case ast.Binary():
            yield node.left
            yield node.right
        case ast.And() | ast.Or():
            yield from node.operands
        case ast.Index():
            yield node.value
            yield node.index
        case _:
            return
