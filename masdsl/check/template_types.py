"""The types of a prompt's template: names, fields, loops and conditions against the parameters.

The tree has been held against the allow-list before (`template.refusals`) and its depth is bounded, so this walk may
recurse. What a condition proves is carried into the branch that it guards: `present` is the set of paths, such as
`review.note`, that are not `none` there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

from jinja2 import nodes

from masdsl.check.literal_places import LiteralPlaces
from masdsl.check.prompts import KEPT_NAMES, Reading, Report, field_type
from masdsl.check.relations import show
from masdsl.check.template import TemplateFault, TemplateTooLarge, parse_template, refusals, token_end
from masdsl.check.template_build import parts_of
from masdsl.check.template_filters import FILTERS, filter_result
from masdsl.diagnostics.base import Diagnostic
from masdsl.diagnostics.prompts import (
    ForbiddenInPrompt,
    MaybeNoneInPrompt,
    PromptCondition,
    PromptFilterMisuse,
    PromptLoopOverOne,
    PromptNameTaken,
    PromptSyntax,
    PromptTooLarge,
    UndefinedInPrompt,
    UnknownPromptField,
    UnknownPromptFilter,
    UnknownWordInPrompt,
)
from masdsl.diagnostics.suggest import nearest
from masdsl.node import Span
from masdsl.types import Bool, Enum, Float, Int, List, Nothing, Opaque, Optional, Record, Text, Type, Unknown

Path = tuple[str, ...]
NO_FACTS: frozenset[Path] = frozenset()
LOOP = Record("loop", "", (("index", Int()), ("index0", Int()), ("length", Int()), ("first", Bool()), ("last", Bool())))
_VARIABLE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_ORDERINGS = {"lt": "<", "lteq": "<=", "gt": ">", "gteq": ">="}
_LOGIC = (nodes.Not, nodes.And, nodes.Or, nodes.Compare, nodes.Test)


class _Facts(NamedTuple):
    """The paths that are not `none` where a condition holds, and where it does not."""

    if_true: frozenset[Path] = NO_FACTS
    if_false: frozenset[Path] = NO_FACTS


class _Scope(NamedTuple):
    """The names that can be seen, and the paths that are proved to be there."""

    names: Mapping[str, Type]
    present: frozenset[Path]

    def knowing(self, facts: frozenset[Path]) -> _Scope:
        return _Scope(self.names, self.present | facts)


def check_template(text: str, params: Mapping[str, Type], places: LiteralPlaces, report: Report) -> Reading:
    """Report what is wrong with a prompt's template and return what it says."""
    try:
        tree = parse_template(text)
    except TemplateFault as fault:
        report(PromptSyntax(fault.problem, span=places.span(fault.offset, token_end(text, fault.offset))))
        return Reading(set(params), ())
    except TemplateTooLarge as fault:
        report(PromptTooLarge(fault.what, fault.limit, span=places.span(fault.offset, token_end(text, fault.offset))))
        return Reading(set(params), ())
    refused = False
    for what, instead, offset in refusals(tree):
        refused = True
        report(ForbiddenInPrompt(what, instead, span=places.span(offset, token_end(text, offset))))
    if refused:  # what it defines is unknown, so nothing that follows can be judged
        return Reading(set(params), ())
    faults: list[Diagnostic] = []
    walk = _Walk(text, params, places, faults.append)
    walk.body(tree.body, _Scope(params, NO_FACTS))
    for found in faults:
        report(found)
    return Reading(walk.mentioned, () if faults else parts_of(tree.body))


class _Walk:
    def __init__(self, text: str, params: Mapping[str, Type], places: LiteralPlaces, report: Report) -> None:
        self._text = text
        self._params = params
        self._places = places
        self._report = report
        self.mentioned: set[str] = set()

    # ------------------------------------------------------------ places

    def _span(self, node: nodes.Node) -> Span:
        """The span of a node that starts with its own word: a name, a constant, a filter."""
        return self._word(node.lineno)

    def _word(self, offset: int) -> Span:
        return self._places.span(offset, token_end(self._text, offset))

    def _whole(self, node: nodes.Node) -> Span:
        """The span from the first word of a value or condition to its last."""
        inside = [node, *node.find_all(nodes.Expr)]
        words = [inner.lineno for inner in inside if isinstance(inner, nodes.Name | nodes.Const | nodes.Filter)]
        words += [self._field_offset(inner) for inner in inside if isinstance(inner, nodes.Getattr)]
        words = words or [node.lineno]
        return self._places.span(min(words), token_end(self._text, max(words)))

    def _field_offset(self, node: nodes.Getattr) -> int:
        """Jinja2 places `.field` at its dot."""
        found = self._text.find(node.attr, node.lineno)
        return found if found >= 0 else node.lineno

    # ------------------------------------------------------------ statements

    def body(self, body: list[nodes.Node], scope: _Scope) -> None:
        for node in body:
            if isinstance(node, nodes.Output):
                for part in node.nodes:
                    self._printed(part, scope)
            elif isinstance(node, nodes.For):
                self._for(node, scope)
            elif isinstance(node, nodes.If):
                self._if(node, scope)

    def _printed(self, node: nodes.Expr, scope: _Scope) -> None:
        if isinstance(node, nodes.TemplateData):
            return
        if isinstance(node, _LOGIC):
            self._forbid("a condition as a value", "write `{% if .. %}` with the text that it stands for", node)
            return
        self._value(node, scope)

    def _for(self, node: nodes.For, scope: _Scope) -> None:
        kind = self._value(node.iter, scope)
        element: Type = Unknown()
        if isinstance(kind, Optional):
            self._report(MaybeNoneInPrompt(self._named(node.iter), span=self._whole(node.iter)))
        elif isinstance(kind, List):
            element = kind.element
        elif not isinstance(kind, Unknown):
            self._report(PromptLoopOverOne(show(kind), span=self._whole(node.iter)))
        names = dict(scope.names)
        if isinstance(node.target, nodes.Name):
            self._check_variable(node.target, scope)
            names[node.target.name] = element
        names["loop"] = LOOP
        self.body(node.body, _Scope(names, scope.present))
        self.body(node.else_, scope)

    def _check_variable(self, target: nodes.Name, scope: _Scope) -> None:
        name = target.name
        if name in KEPT_NAMES:
            self._report(PromptNameTaken(name, "has a meaning of its own in prompts", span=self._span(target)))
        elif _VARIABLE.fullmatch(name) is None:
            self._report(PromptNameTaken(name, "is not a lower-case word", span=self._span(target)))
        elif name in scope.names:
            what = "a parameter" if name in self._params else "a loop around this one"
            self._report(PromptNameTaken(name, f"is already the name of {what}", span=self._span(target)))

    def _if(self, node: nodes.If, scope: _Scope) -> None:
        for branch in (node, *node.elif_):
            facts = self._condition(branch.test, scope)
            self.body(branch.body, scope.knowing(facts.if_true))
            scope = scope.knowing(facts.if_false)
        self.body(node.else_, scope)

    # ------------------------------------------------------------ values

    def _value(self, node: nodes.Node, scope: _Scope) -> Type:
        match node:
            case nodes.Name():
                return self._narrowed(node, self._name(node, scope), scope)
            case nodes.Getattr():
                return self._narrowed(node, self._field(node, scope), scope)
            case nodes.Filter():
                return self._filter(node, scope)
            case nodes.Const():
                return self._constant(node)
            case nodes.List():
                return self._constant_list(node)
            case _:
                self._forbid("a condition as a value", "write it as the condition of an `{% if .. %}`", node)
                return Unknown()

    def _name(self, node: nodes.Name, scope: _Scope) -> Type:
        kind = scope.names.get(node.name)
        if node.name in KEPT_NAMES:
            if node.name == "loop" and kind is not None:
                self._forbid("`loop` alone", "print `loop.index`, `loop.first` or `loop.last`", node)
            elif node.name in self._params:
                self.mentioned.add(node.name)
                self._report(PromptNameTaken(node.name, "has a meaning of its own in prompts", span=self._span(node)))
            else:
                self._undefined(node, scope)
            return Unknown()
        if kind is None:
            self._undefined(node, scope)
            return Unknown()
        self.mentioned.add(node.name)
        return kind

    def _undefined(self, node: nodes.Name, scope: _Scope) -> None:
        near = nearest(node.name, [name for name in scope.names if name != "loop"])
        self._report(UndefinedInPrompt(node.name, near, span=self._span(node)))

    def _field(self, node: nodes.Getattr, scope: _Scope) -> Type:
        if isinstance(node.node, nodes.Name) and node.node.name == "loop" and "loop" in scope.names:
            kind: Type = LOOP
        else:
            kind = self._value(node.node, scope)
        if isinstance(kind, Optional):
            self._report(MaybeNoneInPrompt(self._named(node.node), span=self._whole(node.node)))
            kind = kind.inner
        found = field_type(kind, node.attr)
        if found is not None:
            return found
        fields = tuple(name for name, _ in kind.fields) if isinstance(kind, Record) else ()
        offset = self._field_offset(node)
        near = nearest(node.attr, fields)
        self._report(UnknownPromptField(node.attr, show(kind), fields, near, span=self._word(offset)))
        return Unknown()

    def _narrowed(self, node: nodes.Node, kind: Type, scope: _Scope) -> Type:
        return kind.inner if isinstance(kind, Optional) and _path(node) in scope.present else kind

    def _filter(self, node: nodes.Filter, scope: _Scope) -> Type:
        kind = self._value(node.node, scope) if node.node is not None else Unknown()
        if node.name not in FILTERS:
            near = nearest(node.name, FILTERS)
            self._report(UnknownPromptFilter("filter", node.name, tuple(FILTERS), near, span=self._span(node)))
            return Unknown()
        arguments: list[object] = []
        for argument in node.args:
            if isinstance(argument, nodes.List) and not argument.items:
                arguments.append([])
            elif isinstance(argument, nodes.Const):
                arguments.append(argument.value)
            else:
                self._forbid("a name as a filter's argument", "write a constant, such as a text in quotes", argument)
                return Unknown()
        if isinstance(kind, Unknown):
            return Unknown()
        if isinstance(kind, Optional) and node.name != "default":
            self._report(MaybeNoneInPrompt(self._named(node.node), span=self._whole(node.node or node)))
            return Unknown()
        result = filter_result(node.name, kind, arguments)
        if isinstance(result, str):
            self._report(PromptFilterMisuse(node.name, result, FILTERS[node.name].usage, span=self._span(node)))
            return Unknown()
        return result

    def _constant(self, node: nodes.Const) -> Type:
        match node.value:
            case bool():
                return Bool()
            case int():
                return Int()
            case float() if math.isfinite(node.value):
                return Float()
            case str():
                return Text(len(node.value))
            case None:
                return Nothing()
            case _:
                self._forbid("an infinite number", "write a number that exists", node)
                return Unknown()

    def _constant_list(self, node: nodes.List) -> Type:
        kinds = []
        for item in node.items:
            if not isinstance(item, nodes.Const):
                self._forbid("a list of anything but constants", "pass the list as a parameter", item)
                return Unknown()
            kinds.append(self._constant(item))
        first = kinds[0] if kinds else Nothing()
        if any(type(kind) is not type(first) for kind in kinds):
            self._forbid("a list of different kinds", "write items of one kind", node)
            return Unknown()
        return List(first, len(kinds), len(kinds))

    def _forbid(self, what: str, instead: str, node: nodes.Node) -> None:
        self._report(ForbiddenInPrompt(what, instead, span=self._whole(node)))

    def _named(self, node: nodes.Node | None) -> str:
        path = _path(node)
        return f"`{'.'.join(path)}`" if path else "this value"

    # ------------------------------------------------------------ conditions

    def _condition(self, node: nodes.Node, scope: _Scope) -> _Facts:
        match node:
            case nodes.Not():
                inner = self._condition(node.node, scope)
                return _Facts(inner.if_false, inner.if_true)
            case nodes.And():
                left = self._condition(node.left, scope)
                right = self._condition(node.right, scope.knowing(left.if_true))
                return _Facts(left.if_true | right.if_true, NO_FACTS)
            case nodes.Or():
                left = self._condition(node.left, scope)
                right = self._condition(node.right, scope.knowing(left.if_false))
                return _Facts(NO_FACTS, left.if_false | right.if_false)
            case nodes.Test():
                return self._test(node, scope)
            case nodes.Compare():
                return self._compare(node, scope)
            case _:
                return self._truth(node, scope)

    def _truth(self, node: nodes.Node, scope: _Scope) -> _Facts:
        if isinstance(node, nodes.Const | nodes.List):
            self._forbid("a constant as a condition", "take the `if` away, or ask for a parameter", node)
            return _Facts()
        kind = self._value(node, scope)
        if isinstance(kind, Enum | Record):
            advice = f'compare it: `== "{kind.words[0]}"`' if isinstance(kind, Enum) else "ask for one of its fields"
            problem = f"a value of type `{show(kind)}` is always there"
            self._report(PromptCondition(problem, advice, span=self._whole(node)))
        return _Facts(frozenset([_path(node)]), NO_FACTS)

    def _test(self, node: nodes.Test, scope: _Scope) -> _Facts:
        offset = self._text.find(node.name, node.lineno + 2)
        if node.name != "none":
            near = nearest(node.name, ["none"])
            self._value(node.node, scope)
            known = ("is none", "is not none")
            self._report(UnknownPromptFilter("test", node.name, known, near, span=self._word(offset)))
            return _Facts()
        return self._is_none(node.node, node, scope)

    def _is_none(self, value: nodes.Node, condition: nodes.Node, scope: _Scope) -> _Facts:
        if isinstance(value, nodes.Const | nodes.List):
            self._forbid("a constant as a condition", "take the `if` away, or ask for a parameter", condition)
            return _Facts()
        kind = self._value(value, scope)
        if not isinstance(kind, Optional | Unknown | Opaque):
            advice = "take the condition away, or ask whether it is empty: `{% if .. %}`"
            self._report(PromptCondition(f"{self._named(value)} is never `none` here", advice, span=self._whole(value)))
        return _Facts(NO_FACTS, frozenset([_path(value)]))

    def _compare(self, node: nodes.Compare, scope: _Scope) -> _Facts:
        if len(node.ops) > 1:
            self._forbid("several comparisons in a row", "join them, as in `a < b and b < c`", node)
            return _Facts()
        operator, left, right = node.ops[0].op, node.expr, node.ops[0].expr
        if isinstance(left, nodes.Const | nodes.List) and isinstance(right, nodes.Const | nodes.List):
            self._forbid("a constant as a condition", "take the `if` away, or ask for a parameter", node)
            return _Facts()
        for value, other in ((left, right), (right, left)):
            if operator in ("eq", "ne") and isinstance(other, nodes.Const) and other.value is None:
                facts = self._is_none(value, node, scope)
                return facts if operator == "eq" else _Facts(facts.if_false, facts.if_true)
        kinds = self._operand(left, scope), self._operand(right, scope)
        if any(isinstance(kind, Unknown) for kind in kinds):
            return _Facts()
        if operator in ("in", "notin"):
            self._check_in(node, kinds)
            return _Facts()
        if operator in _ORDERINGS:
            self._check_order(node, kinds, _ORDERINGS[operator])
            return _Facts()
        self._check_equal(node, kinds)
        return self._equal_facts(left, right, kinds, operator)

    def _operand(self, node: nodes.Node, scope: _Scope) -> Type:
        if isinstance(node, _LOGIC):
            self._forbid("a condition inside a comparison", "join conditions with `and`, `or` and `not`", node)
            return Unknown()
        return self._value(node, scope)

    def _equal_facts(self, left: nodes.Node, right: nodes.Node, kinds: tuple[Type, Type], operator: str) -> _Facts:
        """Something that equals a value that is there is there itself."""
        there = [
            _path(value)
            for value, other in ((left, kinds[1]), (right, kinds[0]))
            if not isinstance(other, Optional | Nothing)
        ]
        facts = frozenset(there)
        return _Facts(facts, NO_FACTS) if operator == "eq" else _Facts(NO_FACTS, facts)

    def _check_equal(self, node: nodes.Compare, kinds: tuple[Type, Type]) -> None:
        values = (node.expr, node.ops[0].expr)
        self._check_words(values[0], values[1], kinds[0])
        self._check_words(values[1], values[0], kinds[1])
        if not _comparable(kinds[0], values[0], kinds[1], values[1]):
            self._cannot_compare(node, kinds)

    def _check_order(self, node: nodes.Compare, kinds: tuple[Type, Type], sign: str) -> None:
        for value, kind in zip((node.expr, node.ops[0].expr), kinds, strict=True):
            if isinstance(kind, Optional) and isinstance(kind.inner, Int | Float):
                self._report(MaybeNoneInPrompt(self._named(value), span=self._whole(value)))
            elif not isinstance(kind, Int | Float):
                problem = f"`{sign}` orders numbers, and this is `{show(kind)}`"
                advice = "compare with `==`, or compare `|length`"
                self._report(PromptCondition(problem, advice, span=self._whole(value)))

    def _check_in(self, node: nodes.Compare, kinds: tuple[Type, Type]) -> None:
        value, place = node.expr, node.ops[0].expr
        item, whole = kinds
        if isinstance(whole, Optional):
            self._report(MaybeNoneInPrompt(self._named(place), span=self._whole(place)))
        elif isinstance(item, Optional):
            self._report(MaybeNoneInPrompt(self._named(value), span=self._whole(value)))
        elif isinstance(whole, Text) and isinstance(item, Text):
            return
        elif not isinstance(whole, List):
            problem = f"`in` looks into a list or a text, and this is `{show(whole)}`"
            self._report(PromptCondition(problem, "compare with `==`", span=self._whole(place)))
        elif isinstance(place, nodes.List):
            for constant in place.items:
                self._check_words(value, constant, item)
            if place.items and not _comparable(item, value, whole.element, place.items[0]):
                self._cannot_compare(node, (item, whole.element))
        else:
            self._check_words(place, value, whole.element)
            if not _comparable(item, value, whole.element, place):
                self._cannot_compare(node, (item, whole.element))

    def _check_words(self, value: nodes.Node, constant: nodes.Node, kind: Type) -> None:
        enum = kind.inner if isinstance(kind, Optional) else kind
        if not isinstance(enum, Enum) or isinstance(value, nodes.Const) or not isinstance(constant, nodes.Const):
            return
        word = constant.value
        if isinstance(word, str) and word not in enum.words:
            near = nearest(word, enum.words)
            self._report(UnknownWordInPrompt(word, enum.name, enum.words, near, span=self._span(constant)))

    def _cannot_compare(self, node: nodes.Compare, kinds: tuple[Type, Type]) -> None:
        shown = " with ".join(f"`{'text' if isinstance(kind, Text) else show(kind)}`" for kind in kinds)
        advice = "compare values of one kind: texts, numbers, or an enum with one of its words in quotes"
        self._report(PromptCondition(f"a prompt cannot compare {shown}", advice, span=self._whole(node)))


def _path(node: nodes.Node | None) -> Path:
    """Return the names of `a.b.c`; empty for anything else."""
    fields: list[str] = []
    while isinstance(node, nodes.Getattr):
        fields.append(node.attr)
        node = node.node
    return (node.name, *reversed(fields)) if isinstance(node, nodes.Name) else ()


def _comparable(left: Type, left_node: nodes.Node, right: Type, right_node: nodes.Node) -> bool:
    """Say whether two values can be equal: scalars of one kind; an enum's word may be a constant text."""
    left = left.inner if isinstance(left, Optional) else left
    right = right.inner if isinstance(right, Optional) else right
    match left, right:
        case (Text(), Text()) | (Int() | Float(), Int() | Float()) | (Bool(), Bool()):
            return True
        case (Enum(), Enum()):
            return left == right
        case (Enum(), Text()):
            return isinstance(right_node, nodes.Const)
        case (Text(), Enum()):
            return isinstance(left_node, nodes.Const)
        case _:
            return isinstance(left, Unknown) or isinstance(right, Unknown)
