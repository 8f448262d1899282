"""Random syntax trees of every class in `masdsl/syntax/ast.py`: well-formed, without meaning.

`NODES` has a strategy for each class. A tree drawn here is one that the parser could give: what the grammar forbids (a
list type in a call, a negative limit, an empty record) is never drawn, attributes and limits come in the trees' order.
`relaid` lays the text of a program out at random and puts comments between its tokens.
"""

from __future__ import annotations

import re

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from masdsl.node import Node
from masdsl.syntax import ast
from masdsl.syntax.grammar import keywords, reserved_words

Strategy = SearchStrategy

_PLAIN_WORDS = ["a", "b1", "spec", "notes", "_x", "draft_2", "an_identifier_that_is_long", "text", "int"]
_SOFT_WORDS = sorted(keywords() - reserved_words())

# ---------------------------------------------------------------- names, numbers, texts

lower_names = st.builds(ast.Name, st.sampled_from(_PLAIN_WORDS) | st.sampled_from([*_PLAIN_WORDS, *_SOFT_WORDS]))
upper_names = st.builds(ast.Name, st.sampled_from(["T", "Review", "Kind2", "HTTPReply"]))
names = lower_names | upper_names
paths = st.lists(lower_names, min_size=1, max_size=3).map(tuple)

naturals = st.sampled_from([0, 1, 3, 999, 1000, 1500, 40_000, 2_000_000, 9_999_999_999]) | st.integers(0, 100)
fractions = st.one_of(
    st.sampled_from([0.0, 0.5, 1.0, 0.05, 1e-7, 1e-15, 123456.789, 9999999999.0]),
    st.builds("{}.{:05}".format, st.integers(0, 9999), st.integers(0, 99999)).map(float),
)
_lines = st.text(st.sampled_from('ab {}#"\\\té☃\u200b😀'), max_size=12)
texts = st.one_of(
    _lines,
    st.lists(_lines, min_size=2, max_size=5).map("\n".join),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=10),
)

natural_literals = st.builds(ast.IntLit, naturals)
integers = natural_literals | naturals.map(lambda value: ast.IntLit(-value))
natural_floats = st.builds(ast.FloatLit, fractions)
floats = natural_floats | fractions.filter(bool).map(lambda value: ast.FloatLit(-value))
strings = st.builds(ast.StrLit, texts)
numbers = natural_literals | natural_floats
booleans = st.builds(ast.BoolLit, st.booleans())
nothing = st.builds(ast.NoneLit)
tags = st.builds(ast.TagLit, upper_names, lower_names)
sizes = natural_literals | lower_names
models = lower_names | strings


def _some(strategy: Strategy, least: int = 0, most: int = 3) -> Strategy:
    """Return tuples of what `strategy` draws."""
    return st.lists(strategy, min_size=least, max_size=most).map(tuple)


def _maybe(strategy: Strategy) -> Strategy:
    return st.none() | strategy


# ---------------------------------------------------------------- expressions


def _named_values(values: Strategy) -> Strategy:
    return st.builds(ast.NamedValue, lower_names, values)


def _lists(values: Strategy) -> Strategy:
    return st.builds(ast.ListLit, _some(values))


def _records(values: Strategy) -> Strategy:
    return st.builds(ast.RecordLit, _maybe(upper_names), _some(_named_values(values), 1))


def _arguments(values: Strategy) -> Strategy:
    return st.builds(ast.Argument, _maybe(lower_names), values)


def _calls(values: Strategy) -> Strategy:
    return st.builds(ast.Call, lower_names, _some(_arguments(values)))


def _negations(values: Strategy) -> Strategy:
    """`-1` is the literal, so no tree negates a number without a sign."""
    plain = (ast.IntLit, ast.FloatLit)
    return st.builds(ast.Negate, values.filter(lambda value: not isinstance(value, plain) or value.value < 0))


_operators = st.sampled_from(["+", "-", "*", "/", "==", "!=", "<=", ">=", "<", ">"])
_scalars = integers | floats | strings | booleans | nothing | tags
literals = st.recursive(_scalars, lambda inner: _lists(inner) | _records(inner), max_leaves=5)
variables = st.builds(ast.Var, lower_names)
expressions = st.recursive(
    variables | _scalars,
    lambda inner: st.one_of(
        _lists(inner),
        _records(inner),
        _calls(inner),
        st.builds(ast.Attribute, inner, lower_names),
        st.builds(ast.Index, inner, inner),
        _negations(inner),
        st.builds(ast.Not, inner),
        st.builds(ast.Binary, inner, _operators, inner),
        st.builds(ast.And, _some(inner, 2)),
        st.builds(ast.Or, _some(inner, 2)),
    ),
    max_leaves=8,
)
fallbacks = st.builds(ast.Fallback, _some(expressions, 2))
attempts = expressions | fallbacks
samples = st.builds(ast.Sample, sizes, attempts)
eaches = st.builds(ast.Each, lower_names, expressions, _maybe(expressions), attempts)
right_sides = attempts | samples | eaches

# ---------------------------------------------------------------- types

named_types = st.builds(ast.NamedType, names, st.none()) | st.builds(ast.NamedType, lower_names, _maybe(sizes))


def _list_types(elements: Strategy) -> Strategy:
    return st.builds(ast.ListType, elements, sizes, st.booleans())


types = st.recursive(named_types, lambda inner: _list_types(inner) | st.builds(ast.OptionalType, inner), max_leaves=3)
_PLAIN_TEXT = ast.NamedType(ast.Name("text"), None)


def _declared(kinds: SearchStrategy[Node]) -> SearchStrategy[Node | None]:
    """Types of parameters and fields: a plain `text` is never written."""
    return _maybe(kinds).filter(lambda kind: kind != _PLAIN_TEXT)


fields = st.builds(ast.Field, lower_names, _declared(types))
record_types = st.builds(ast.RecordType, _some(fields, 1))
agent_types = st.builds(ast.AgentType, _some(types), types | record_types)

# ---------------------------------------------------------------- declarations

import_names = st.builds(ast.ImportName, names, _maybe(names))
uses = st.builds(ast.Use, paths, _some(import_names))
record_declarations = st.builds(ast.RecordDecl, upper_names, _some(fields, 1, 6))
enum_declarations = st.builds(ast.EnumDecl, upper_names, _some(lower_names, 1, 9))
params = st.builds(
    ast.Param, lower_names, _declared(types | agent_types), _maybe(literals | st.builds(ast.Var, lower_names))
)
outputs = st.builds(ast.Output, types | record_types, _maybe(literals))


def _attribute(key: str) -> Strategy:
    values: dict[str, Strategy] = {
        "on": models,
        "role": strings,
        "effect": st.none(),
        "retry": natural_literals,
        "steps": natural_literals,
        "tools": _some(lower_names, 1, 9),
    }
    return st.builds(ast.Attr, st.just(key), values.get(key, numbers))


def _attributes(*keys: str) -> Strategy:
    ordered = st.lists(st.sampled_from(keys), max_size=4).map(lambda chosen: sorted(chosen, key=keys.index))
    return ordered.flatmap(lambda chosen: st.tuples(*[_attribute(key) for key in chosen]))


attributes = st.sampled_from(ast.ATTRIBUTE_ORDER).flatmap(_attribute)
tools = st.builds(ast.Tool, lower_names, _some(params), outputs, strings, _attributes("effect", "timeout"))
statics = st.builds(ast.Static, upper_names, st.none()) | st.builds(ast.Static, lower_names, _maybe(naturals))
settings = _attributes("on", "role", "temp", "max", "retry", "timeout", "tools", "steps")
agents = st.builds(ast.Agent, lower_names, _some(params), outputs, settings, strings, _some(statics))
variants = st.builds(ast.Variant, lower_names, lower_names, settings, _maybe(strings))
limits = st.builds(ast.Limit, st.sampled_from(ast.LIMIT_ORDER), numbers)
limit_lists = st.lists(limits, min_size=1, max_size=4).map(
    lambda chosen: tuple(sorted(chosen, key=lambda limit: ast.LIMIT_ORDER.index(limit.kind)))
)
budgets = st.builds(ast.Budget, limit_lists)
rectifies = st.builds(ast.Rectify, naturals, _maybe(st.integers(0, 120).map(lambda share: share / 100)))

# ---------------------------------------------------------------- statements

binds = st.builds(ast.Bind, lower_names, right_sides)
appends = st.builds(ast.Append, lower_names, expressions)
untils = st.builds(ast.Until, expressions)
returns = st.builds(ast.Return, right_sides)
simple_statements = binds | appends | untils | returns
labels = _maybe(lower_names)


def _blocks(inner: Strategy) -> Strategy:
    return st.builds(ast.Block, _some(inner))


def _branches(blocks: Strategy) -> Strategy:
    return st.builds(ast.Branch, expressions, blocks)


def _arms(blocks: Strategy) -> Strategy:
    return st.builds(ast.Arm, _some(lower_names, 1), blocks)


def _loops(blocks: Strategy) -> Strategy:
    return st.builds(ast.Loop, labels, sizes, blocks)


def _fors(blocks: Strategy) -> Strategy:
    return st.builds(ast.For, labels, lower_names, expressions, blocks)


def _withins(blocks: Strategy) -> Strategy:
    return st.builds(ast.Within, labels, limit_lists, blocks)


def _ifs(blocks: Strategy) -> Strategy:
    return st.builds(ast.If, labels, _some(_branches(blocks), 1), _maybe(blocks))


def _matches(blocks: Strategy) -> Strategy:
    return st.builds(ast.Match, labels, expressions, _some(_arms(blocks)), _maybe(blocks))


def _compounds(inner: Strategy) -> Strategy:
    blocks = _blocks(inner)
    return _loops(blocks) | _fors(blocks) | _withins(blocks) | _ifs(blocks) | _matches(blocks)


statements = st.recursive(simple_statements, _compounds, max_leaves=5)
blocks = _blocks(statements)
externs = st.builds(ast.Extern, lower_names, _some(statics), _some(params), types)
flows = st.builds(ast.Flow, lower_names, _some(statics), _some(params), outputs, _maybe(budgets), blocks)
givens = st.one_of(
    st.builds(ast.Given, paths, st.just("value"), expressions),
    st.builds(ast.Given, paths, st.just("replies"), strings),
    st.builds(ast.Given, paths, st.just("fails"), st.none()),
)
expects = st.builds(ast.Expect, expressions)
tests = st.builds(ast.Test, strings, _some(givens), blocks, _some(expects, 1))
items = st.one_of(
    uses, record_declarations, enum_declarations, tools, agents, variants, externs, flows, budgets, rectifies, tests
)

# ---------------------------------------------------------------- documents

assignments = st.builds(ast.Assignment, lower_names, models)
_empty = st.just(ast.Block(()))
set_edits = st.builds(ast.SetEdit, paths, expressions)
bind_edits = st.builds(ast.BindEdit, assignments)
type_paths = st.builds(lambda first, rest: (first, *rest), upper_names, _some(lower_names))
targets = paths | type_paths
test_places = st.builds(ast.TestPlace, strings, _maybe(naturals))
use_places = st.builds(ast.UsePlace, _some(lower_names, 1), _maybe(naturals))
places = st.one_of(targets, test_places, use_places, st.sampled_from([(ast.Name("budget"),), (ast.Name("rectify"),)]))
add_edits = st.builds(ast.AddEdit, items) | st.builds(ast.AddEdit, items, st.sampled_from(["after", "before"]), places)
drop_edits = st.builds(ast.DropEdit, places)
substitute_edits = st.builds(ast.SubstituteEdit, paths, blocks)
redeclare_edits = st.builds(ast.RedeclareEdit, items)
replace_edits = st.builds(ast.ReplaceEdit, paths, right_sides)
insert_edits = st.builds(ast.InsertEdit, st.sampled_from(["after", "before"]), paths, blocks)
_wrappers = _loops(_empty) | _fors(_empty) | _withins(_empty)
_guards = st.builds(ast.If, labels, st.tuples(_branches(_empty)), st.none())
wrap_edits = st.builds(ast.WrapEdit, paths, _wrappers | _guards)
else_edits = st.builds(ast.ElseEdit, paths, attempts)
rename_edits = st.builds(ast.RenameEdit, targets, lower_names | upper_names)
redo_edits = st.builds(ast.RedoEdit, paths)
budget_edits = st.builds(ast.BudgetEdit, limit_lists)
edits = st.one_of(
    set_edits,
    bind_edits,
    add_edits,
    drop_edits,
    replace_edits,
    substitute_edits,
    redeclare_edits,
    insert_edits,
    wrap_edits,
    else_edits,
    rename_edits,
    redo_edits,
    budget_edits,
)

programs = st.builds(ast.Program, st.just(1), _some(items, 0, 5))
bindings = st.builds(ast.Binding, st.just(1), _some(assignments, 1))
patches = st.builds(ast.Patch, st.just(1), _maybe(strings), _some(edits, 0, 5))
documents = programs | bindings | patches
comments = st.builds(ast.Comment, st.builds("{}{}".format, st.sampled_from(["#", "##"]), _lines.map(str.rstrip)))

NODES: dict[type[Node], Strategy] = {
    ast.Comment: comments,
    ast.Name: names,
    ast.IntLit: integers,
    ast.FloatLit: floats,
    ast.StrLit: strings,
    ast.BoolLit: booleans,
    ast.NoneLit: nothing,
    ast.ListLit: _lists(expressions),
    ast.NamedValue: _named_values(expressions),
    ast.RecordLit: _records(expressions),
    ast.TagLit: tags,
    ast.Var: variables,
    ast.Argument: _arguments(expressions),
    ast.Call: _calls(expressions),
    ast.Attribute: st.builds(ast.Attribute, expressions, lower_names),
    ast.Index: st.builds(ast.Index, expressions, expressions),
    ast.Negate: _negations(expressions),
    ast.Not: st.builds(ast.Not, expressions),
    ast.Binary: st.builds(ast.Binary, expressions, _operators, expressions),
    ast.And: st.builds(ast.And, _some(expressions, 2)),
    ast.Or: st.builds(ast.Or, _some(expressions, 2)),
    ast.Fallback: fallbacks,
    ast.Sample: samples,
    ast.Each: eaches,
    ast.NamedType: named_types,
    ast.ListType: _list_types(types),
    ast.OptionalType: st.builds(ast.OptionalType, types),
    ast.Field: fields,
    ast.RecordType: record_types,
    ast.AgentType: agent_types,
    ast.ImportName: import_names,
    ast.Use: uses,
    ast.RecordDecl: record_declarations,
    ast.EnumDecl: enum_declarations,
    ast.Param: params,
    ast.Output: outputs,
    ast.Attr: attributes,
    ast.Tool: tools,
    ast.Agent: agents,
    ast.Limit: limits,
    ast.Budget: budgets,
    ast.Rectify: rectifies,
    ast.Static: statics,
    ast.Block: blocks,
    ast.Variant: variants,
    ast.Extern: externs,
    ast.Flow: flows,
    ast.Given: givens,
    ast.Expect: expects,
    ast.Test: tests,
    ast.Bind: binds,
    ast.Append: appends,
    ast.Until: untils,
    ast.Return: returns,
    ast.Loop: _loops(blocks),
    ast.For: _fors(blocks),
    ast.Within: _withins(blocks),
    ast.Branch: _branches(blocks),
    ast.If: _ifs(blocks),
    ast.Arm: _arms(blocks),
    ast.Match: _matches(blocks),
    ast.Assignment: assignments,
    ast.SetEdit: set_edits,
    ast.BindEdit: bind_edits,
    ast.AddEdit: add_edits,
    ast.DropEdit: drop_edits,
    ast.ReplaceEdit: replace_edits,
    ast.SubstituteEdit: substitute_edits,
    ast.RedeclareEdit: redeclare_edits,
    ast.TestPlace: test_places,
    ast.UsePlace: use_places,
    ast.InsertEdit: insert_edits,
    ast.WrapEdit: wrap_edits,
    ast.ElseEdit: else_edits,
    ast.RenameEdit: rename_edits,
    ast.RedoEdit: redo_edits,
    ast.BudgetEdit: budget_edits,
    ast.Program: programs,
    ast.Binding: bindings,
    ast.Patch: patches,
}

# ---------------------------------------------------------------- layout

_TOKEN = re.compile(
    r'"""(?:"{0,2}(?:[^"\\]|\\[\s\S]))*"""|"(?:[^"\\\n]|\\[^\n])*"'
    r"|[A-Za-z0-9_]+(?:\.[0-9]+|%)?|->|\+=|[=!<>]=|[][(){}.,:|=?+*/<>-]"
)


def tokens_of(text: str) -> list[str]:
    """Return the tokens of a text without comments."""
    return _TOKEN.findall(text)


def _needs_gap(before: str, after: str) -> bool:
    """Whether two tokens would be one, or none, without anything between them."""
    if (before, after) == ("+", "="):  # `T[2]+ = []`
        return True
    return (before[-1].isalnum() or before[-1] in '_"%') and (after[0].isalnum() or after[0] in '_"')


@st.composite
def relaid(draw: st.DrawFn, text: str, comments_at_most: int = 8) -> str:
    """Return the same tokens in a random layout with comments `#1`, `#2` ... between them."""
    tokens = tokens_of(text)
    chosen = draw(st.sets(st.integers(0, len(tokens)), max_size=comments_at_most))
    random = draw(st.randoms(use_true_random=False))
    keeps_lines = draw(st.booleans())
    parts: list[str] = []
    number = 0
    at = 0
    for position in range(len(tokens) + 1):
        start = text.index(tokens[position], at) if position < len(tokens) else len(text)
        gap = text[at:start]
        needs_gap = 0 < position < len(tokens) and _needs_gap(tokens[position - 1], tokens[position])
        blank = gap if keeps_lines else random.choice([" ", "", "\n", "\n\n  ", "\t"])
        if position in chosen:
            number += 1
            mark = random.choice(["# ", "## ", "#"])
            before = random.choice([" ", "\n", "\n  ", "\n\n"])
            blank = f"{before}{mark}{number}\n{blank}"
            if random.random() < 0.2:
                number += 1
                blank += f"{mark}{number} \n"
        parts.append(blank or (" " if needs_gap else ""))
        if position < len(tokens):
            parts.append(tokens[position])
            at = start + len(tokens[position])
    return "".join(parts)
