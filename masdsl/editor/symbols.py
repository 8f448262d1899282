"""Every name of a module and what it means: the ground of definition, references, renaming and highlighting.

The language has no shadowing, so a name in a flow is one thing; only the names of items, in `for` and `each`, mean
something inside alone.
"""

from __future__ import annotations

from typing import NamedTuple

from masdsl.check.scope import Declared, ModuleScope
from masdsl.editor.facts import Facts
from masdsl.node import Span
from masdsl.syntax import ast

MODULE, TYPE, FIELD, WORD = "module", "type", "field", "word"
TOOL, AGENT, FLOW, FUNCTION, BUILTIN = "tool", "agent", "flow", "function", "built-in function"
PARAMETER, STATIC, LOCAL, ITEM, LABEL, TIER = "parameter", "static parameter", "name", "item", "label", "tier"
DECLARE, WRITE, READ, IMPORT, IMPLICIT = "declare", "write", "read", "import", "implicit"
"""How a name is used. `IMPLICIT` is the last part of `use std.vote`, which imports the declaration of that name."""

KINDS: dict[type[object], str] = {
    ast.RecordDecl: TYPE,
    ast.EnumDecl: TYPE,
    ast.Tool: TOOL,
    ast.Agent: AGENT,
    ast.Variant: AGENT,
    ast.Extern: FUNCTION,
    ast.Flow: FLOW,
}


class Symbol(NamedTuple):
    """What a name means, by where it is declared: the name of a source and an offset.

    `owner` is the declaration or type that has it. `target` is what an alias (`use x: a as b`) stands for. Built-in
    functions and tiers are declared nowhere: their `file` is empty.
    """

    file: str
    start: int
    name: str
    kind: str
    owner: str = ""
    target: tuple[str, int, str, str] | None = None

    @property
    def meant(self) -> Symbol:
        """What is meant in the end: the target of an alias, else the symbol itself."""
        return self if self.target is None else Symbol(*self.target)


class Occurrence(NamedTuple):
    """A name at a place. `prompt` says that it stands in a string, where its text might be escaped."""

    span: Span
    symbol: Symbol
    use: str
    prompt: bool = False


def symbol_of(declared: Declared, user: ModuleScope) -> Symbol:
    """Return the symbol of a declaration as a module knows it."""
    node, home = declared.node, declared.home
    kind = KINDS[type(node)]
    name = node.name
    found = Symbol(home.source.name, name.span.start, name.text, kind)
    if declared.name == name.text or home is user:
        return found
    return Symbol(user.source.name, declared.at.start, declared.name, kind, "", found[:4])


def declared_at(scope: ModuleScope, symbol: Symbol) -> ast.Item | None:
    """Return the declaration of a module that a symbol is, or is a part of."""
    for item in scope.items:
        if item.span.start <= symbol.start < item.span.end:
            return item
    return None


def head_of(declared: Declared) -> tuple[Declared, ast.Agent | ast.Tool | ast.Flow | ast.Extern] | None:
    """Return what says the parameters of something that can be called: a variant has those of its base."""
    for _ in range(64):  # a chain of variants that stand below each other, while somebody writes, might be a ring
        node = declared.node
        if isinstance(node, ast.Agent | ast.Tool | ast.Flow | ast.Extern):
            return declared, node
        if not isinstance(node, ast.Variant):
            return None
        base = declared.home.names.get(node.base.text)
        if base is None:
            return None
        declared = base
    return None


def occurrences(facts: Facts) -> tuple[Occurrence, ...]:
    """Return every name of the program's own module that means something, in order of the text."""
    from masdsl.editor.names import Walk

    walk = Walk(facts)
    walk.run()
    found: dict[Span, Occurrence] = {}
    for one in walk.found:
        found.setdefault(one.span, one)
    return tuple(sorted(found.values(), key=lambda one: one.span))
