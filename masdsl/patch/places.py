"""Addresses in the syntax tree.

    main                  a declaration              main.refine            a construct, by its label or word
    coder.notes           a parameter                main.refine.code       a step in it
    Review.issues         a field                    main.if.else           a branch; main.match.math: an arm
    Kind.math             a word                     main.code.else         the second option of a step

Steps and constructs are called what the checker calls them (`check/program.py`). Statements that are none have places
as well: `x += [..]` is called `x`, `until` and `return` are called that. Of several with the same name in one block,
the one that binds it has it; the others are called `x_2`, `x_3`, ... in order, a name that is taken passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from masdsl.node import Node
from masdsl.syntax import ast

Step = tuple[str, int]
"""A field of a node and the place in it; -1 where the field holds the part itself."""
WHOLE = -1

ITEM, PARAM, STATIC, FIELD, WORD = "declaration", "parameter", "static parameter", "field", "word"
STATEMENT, BRANCH, OTHERWISE, ARM, OPTION = "statement", "branch", "else", "arm", "option"

Construct = ast.Loop | ast.For | ast.Within | ast.If | ast.Match
NAMED_ITEMS = (ast.RecordDecl, ast.EnumDecl, ast.Tool, ast.Agent, ast.Variant, ast.Extern, ast.Flow)
_WORDS = {ast.Loop: "loop", ast.For: "for", ast.Within: "within", ast.If: "if", ast.Match: "match"}


class Spot(NamedTuple):
    """A place that was found: what it is, the way to it from the program, and the node there.

    The node of a word is its Name, that of an `else` the Block. `owner` is the node that has it.
    """

    kind: str
    steps: tuple[Step, ...]
    node: Node
    owner: Node


class NoPlace(Exception):
    """An address leads nowhere: `name` is the part that is unknown, `known` what might stand there."""

    def __init__(self, name: ast.Name, where: str, known: Iterable[str]) -> None:
        super().__init__(name.text)
        self.name = name
        self.where = where
        self.known = tuple(known)


# ---------------------------------------------------------------- names of things


def item_key(item: ast.Item) -> tuple[str, str]:
    """Return what an item goes by: its name, or for a nameless one what it is and its title or module."""
    match item:
        case ast.Use():
            return "use", dotted(item.path)
        case ast.Test():
            return "test", item.title.value
        case ast.Budget():
            return "", "budget"
        case ast.Rectify():
            return "", "rectify"
        case _:
            return "", item.name.text


def item_keys(items: Sequence[ast.Item]) -> list[tuple[str, str, int]]:
    """Return the keys of items, each with its number among those of the same key, from 1."""
    counts: dict[tuple[str, str], int] = {}
    keys = []
    for item in items:
        key = item_key(item)
        counts[key] = counts.get(key, 0) + 1
        keys.append((*key, counts[key]))
    return keys


def statement_names(statements: Sequence[ast.Statement], taken: Iterable[str] = ()) -> list[str]:
    """Return the name of each statement of a block; `taken` are names that mean something else there."""
    used = set(taken)
    names: list[str] = [""] * len(statements)
    for at, node in enumerate(statements):
        own = _own_name(node)
        if own is not None and own not in used:
            used.add(own)
            names[at] = own
    counts: dict[str, int] = {}
    for at, node in enumerate(statements):
        if names[at]:
            continue
        word = _word(node)
        number = counts.get(word, 0) + 1
        while (name := word if number == 1 else f"{word}_{number}") in used:
            number += 1
        counts[word] = number
        used.add(name)
        names[at] = name
    return names


def _own_name(node: ast.Statement) -> str | None:
    if isinstance(node, ast.Bind):
        return node.name.text
    if isinstance(node, Construct) and node.label is not None:
        return node.label.text
    return None


def _word(node: ast.Statement) -> str:
    match node:
        case ast.Bind() | ast.Append():
            return node.name.text
        case ast.Until():
            return "until"
        case ast.Return():
            return "return"
        case _:
            return node.label.text if node.label is not None else _WORDS[type(node)]


def numbered(word: str, number: int) -> str:
    """Return `elif`, `elif_2`, ... for 1, 2, ..."""
    return word if number == 1 else f"{word}_{number}"


def taken_in_first_branch(node: ast.If) -> tuple[str, ...]:
    """Return the names that the further branches of an `if` take away from its first block."""
    return tuple(numbered("elif", number) for number in range(1, len(node.branches)))


def name_of(node: Any) -> str:
    """Return the name of a parameter, a field or a word."""
    name = node if isinstance(node, ast.Name) else node.name
    return str(name.text)


def options_of(value: ast.Rhs) -> tuple[ast.Expr, ...]:
    """Return the options that a right-hand side tries, one after the other."""
    body = value.body if isinstance(value, ast.Sample | ast.Each) else value
    return body.options if isinstance(body, ast.Fallback) else (body,)


def dotted(path: Sequence[ast.Name]) -> str:
    """Return an address as text."""
    return ".".join([name.text for name in path])


# ---------------------------------------------------------------- finding


def find_item(program: ast.Program, place: ast.Place) -> int:
    """Return the number of the item that a place names. Raises NoPlace."""
    if isinstance(place, ast.TestPlace):
        wanted, number = ("test", place.title.value), place.number
        name = ast.Name(place.title.value, span=place.title.span)
    elif isinstance(place, ast.UsePlace):
        wanted, number = ("use", dotted(place.path)), place.number
        name = ast.Name(dotted(place.path), span=place.path[0].span.to(place.path[-1].span))
    else:
        wanted, number, name = ("", place[0].text), None, place[0]
    keys = item_keys(program.items)
    for at, key in enumerate(keys):
        if key == (*wanted, 1 if number is None else number):
            return at
    what = {"test": "the tests", "use": "the imports"}.get(wanted[0], "the program")
    raise NoPlace(name, what, [text for kind, text, _ in keys if kind == wanted[0]])


def find(program: ast.Program, path: ast.Path) -> Spot:
    """Return what an address names. Raises NoPlace."""
    at = find_item(program, path)
    item = program.items[at]
    here = Spot(ITEM, (("items", at),), item, program)
    rest = path[1:]
    if not rest:
        return here
    match item:
        case ast.Agent():
            parts = [(PARAM, "params", item.params), (STATIC, "statics", item.statics)]
            return _member(here, path[0].text, rest, parts)
        case ast.Tool():
            return _member(here, path[0].text, rest, [(PARAM, "params", item.params)])
        case ast.RecordDecl():
            return _member(here, path[0].text, rest, [(FIELD, "fields", item.fields)])
        case ast.EnumDecl():
            return _member(here, path[0].text, rest, [(WORD, "words", item.words)])
        case ast.Flow():
            return _in_flow(here, item, path)
        case _:
            raise NoPlace(rest[0], f"`{path[0].text}`", ())


def _member(here: Spot, owner: str, rest: ast.Path, lists: Sequence[tuple[str, str, Sequence[Node]]]) -> Spot:
    known = []
    for kind, field, nodes in lists:
        for number, node in enumerate(nodes):
            known.append(name_of(node))
            if known[-1] == rest[0].text and len(rest) == 1:
                return Spot(kind, (*here.steps, (field, number)), node, here.node)
    if rest[0].text in known:
        raise NoPlace(rest[1], f"`{owner}.{rest[0].text}`", ())
    raise NoPlace(rest[0], f"`{owner}`", known)


def _in_flow(here: Spot, flow: ast.Flow, path: ast.Path) -> Spot:
    if len(path) == 2:
        for kind, field, nodes in ((PARAM, "params", flow.params), (STATIC, "statics", flow.statics)):
            for number, node in enumerate(nodes):
                if name_of(node) == path[1].text:
                    return Spot(kind, (*here.steps, (field, number)), node, flow)
    return _in_block(Spot(ITEM, (*here.steps, ("body", WHOLE)), flow.body, flow), flow.body, (), path, 1)


def _in_block(here: Spot, block: ast.Block, taken: Iterable[str], path: ast.Path, at: int) -> Spot:
    names = statement_names(block.statements, taken)
    name = path[at]
    if name.text not in names:
        raise NoPlace(name, f"`{dotted(path[:at])}`", names)
    number = names.index(name.text)
    node = block.statements[number]
    found = Spot(STATEMENT, (*here.steps, ("statements", number)), node, block)
    return found if at + 1 == len(path) else _in_statement(found, node, path, at + 1)


def _in_statement(here: Spot, node: ast.Statement, path: ast.Path, at: int) -> Spot:
    word = path[at].text
    known: list[str] = []
    match node:
        case ast.Loop() | ast.For() | ast.Within():
            inner = Spot(STATEMENT, (*here.steps, ("body", WHOLE)), node.body, node)
            return _in_block(inner, node.body, (), path, at)
        case ast.If():
            for number in range(1, len(node.branches)):
                if word == numbered("elif", number):
                    branch = node.branches[number]
                    found = Spot(BRANCH, (*here.steps, ("branches", number)), branch, node)
                    return _into(found, branch.body, (("body", WHOLE),), path, at)
            if word == "else" and node.orelse is not None:
                found = Spot(OTHERWISE, (*here.steps, ("orelse", WHOLE)), node.orelse, node)
                return _into(found, node.orelse, (), path, at)
            first = Spot(STATEMENT, (*here.steps, ("branches", 0), ("body", WHOLE)), node.branches[0].body, node)
            return _in_block(first, node.branches[0].body, taken_in_first_branch(node), path, at)
        case ast.Match():
            for number, arm in enumerate(node.arms):
                known.append(arm.words[0].text)
                if word == arm.words[0].text:
                    found = Spot(ARM, (*here.steps, ("arms", number)), arm, node)
                    return _into(found, arm.body, (("body", WHOLE),), path, at)
            if node.orelse is not None:
                known.append("else")
                if word == "else":
                    found = Spot(OTHERWISE, (*here.steps, ("orelse", WHOLE)), node.orelse, node)
                    return _into(found, node.orelse, (), path, at)
        case ast.Bind() | ast.Return():
            for number, option in enumerate(options_of(node.value)[1:], 1):
                known.append(numbered("else", number))
                if word == known[-1] and at + 1 == len(path):
                    return Spot(OPTION, (*here.steps, ("option", number)), option, node)
        case _:
            pass
    raise NoPlace(path[at], f"`{dotted(path[:at])}`", known)


def _into(here: Spot, block: ast.Block, more: tuple[Step, ...], path: ast.Path, at: int) -> Spot:
    if at + 1 == len(path):
        return here
    inner = Spot(here.kind, (*here.steps, *more), block, here.node)
    return _in_block(inner, block, (), path, at + 1)


# ---------------------------------------------------------------- all places


def statements_of(flow: ast.Flow) -> Iterator[tuple[str, ast.Statement]]:
    """Yield every statement of a flow with its address in the flow, in order of the text."""
    return _statements(flow.body.statements, "", ())


def _statements(
    statements: Sequence[ast.Statement], prefix: str, taken: Iterable[str]
) -> Iterator[tuple[str, ast.Statement]]:
    for node, name in zip(statements, statement_names(statements, taken), strict=True):
        here = prefix + name
        yield here, node
        for suffix, block, its_taken in blocks_of(node):
            inner = f"{here}.{suffix}." if suffix else f"{here}."
            yield from _statements(block.statements, inner, its_taken)


def blocks_of(node: ast.Statement) -> Iterator[tuple[str, ast.Block, tuple[str, ...]]]:
    """Yield the blocks of a statement: what its address adds, the block, and the names that are taken in it."""
    match node:
        case ast.Loop() | ast.For() | ast.Within():
            yield "", node.body, ()
        case ast.If():
            yield "", node.branches[0].body, taken_in_first_branch(node)
            for number, branch in enumerate(node.branches[1:], 1):
                yield numbered("elif", number), branch.body, ()
            if node.orelse is not None:
                yield "else", node.orelse, ()
        case ast.Match():
            for arm in node.arms:
                yield arm.words[0].text, arm.body, ()
            if node.orelse is not None:
                yield "else", node.orelse, ()
        case _:
            pass
