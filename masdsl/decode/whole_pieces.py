"""The grammar of the next piece where the whole language may be written: its `chunk`, with names in place of roles.

Types say nothing here: what they refuse the checker finds in the piece. What can be told without them is in the
grammar: which names there are, which modules of the standard library this host has the tools for, which of its tiers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Final

from masdsl import resources
from masdsl.check.builtins import BUILTINS
from masdsl.decode.bnf import Bnf, Production, Symbol, narrowed, read_bnf, rule, text
from masdsl.decode.draft import Draft, main_name
from masdsl.diagnostics.base import Findings
from masdsl.reading import HIDDEN_RANGES, SURROGATES
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.grammar import reserved_words
from masdsl.syntax.parse import parse_program

_START: Final = "piece"
_REST_OF_HEAD: Final = "rest_of_head"
_NAME: Final = Symbol("pattern", "NAME")
_HELPER: Final = Symbol("pattern", "HELPER")
"""The name of a flow that is not the one that is given."""
_TYPE_NAME: Final = Symbol("pattern", "TYPENAME")
_IN_EACH: Final = "_in_each"
"""What the rules of an `each` end with, in which its item is a name as well."""


def whole_piece(draft: Draft) -> tuple[Bnf, dict[str, frozenset[str]]]:
    """Return the grammar of what may follow, and the words that its patterns leave out.

    Raises ValueError where nothing may.
    """
    bnf = _with_items(read_bnf("chunk"))
    known = _Known(draft)
    productions = tuple(_productions(draft, bnf))
    types = [text(name) for name in known.types]
    roles: dict[str, Iterable[Production]] = {
        _START: productions,
        "var_ref": [(text(name),) for name in dict.fromkeys((*known.variables, *known.agents))],
        "callee": [(text(name),) for name in (*known.callees, *sorted(BUILTINS))],
        "agent_ref": [(text(name),) for name in known.agents],
        "tool_ref": [(text(name),) for name in known.tools],
        "type_ref": [(one,) for one in types] + [(_TYPE_NAME,)] * bool(draft.stack),
        "model_ref": [(text(tier),) for tier in draft.config.tiers],
        "primitive_ref": [(text(name),) for name in ("text", "int", "float", "bool")],
        "use": list(_imports(draft, bnf)),
    }
    offered = {f"names_of_{module}": tuple((text(name),) for name in names) for module, names, _ in _standard()}
    # a lexer takes the longest token: the head that is given may share with others only what ends with its name
    heads = (tuple(_HELPER if one == rule("binder") else one for one in head) for head in bnf.rules["flow_head"])
    rest = (Symbol("pattern", "HEAD"),)
    rules = {**bnf.rules, **offered, _START: productions, "flow_head": tuple(heads), _REST_OF_HEAD: (rest,)}
    whole = bnf._replace(start=_START, rules=rules, patterns=_patterns(draft, bnf))
    return narrowed(whole, {name: found for name, found in roles.items() if name in whole.rules}), {
        "NAME": reserved_words(),
        "HELPER": reserved_words() | {main_name(draft)},
    }


def _productions(draft: Draft, bnf: Bnf) -> Iterator[Production]:
    """Yield the chunks that may stand at the place."""
    if not draft.stack:
        yield (text("flow"), text(main_name(draft)), rule(_REST_OF_HEAD))
        yield from ((rule(name),) for name in ("type_decl", "agent", "variant", "flow_head"))
        if not (draft.agents or draft.types):
            yield (rule("use"),)
        return
    block = draft.stack[-1]
    if block.kind == "match":
        words = block.subject.words if block.subject is not None else ()
        left = [word for word in words if word not in block.words]
        if left or not words:
            yield (rule("arm_head"),)
            if block.words:
                yield (rule("else_head"),)
        if not left:
            yield (text("}"),)
        return
    if draft.exits or (block.statements and len(draft.stack) > 1) or block.kind in ("else", "arm"):
        yield (text("}"),)
    if draft.closed_if:
        yield from ((rule(name),) for name in ("elif_head", "else_head"))
    if not draft.exits and draft.statements < draft.profile.statements:
        yield (rule("simple"),)
        if len(draft.stack) <= draft.profile.depth:
            yield from ((rule(name), text("{")) for name in ("block_opener", "if_opener", "match_opener"))


class _Known:
    """The names at a place, by what they are."""

    def __init__(self, draft: Draft) -> None:
        document = parse_program(Source("<draft>", draft.text), Findings()).document
        items = document.items if isinstance(document, ast.Program) else ()
        self.types: list[str] = []
        self.callees: list[str] = []
        self.agents: list[str] = []
        self.tools: list[str] = []
        for item in items:
            if isinstance(item, ast.Use):
                for name in item.names or (ast.ImportName(item.path[-1], None),):
                    called = (name.alias or name.name).text
                    (self.types if called[:1].isupper() else self.callees).append(called)
                    self.agents += [called] * (not called[:1].isupper())
            elif isinstance(item, ast.RecordDecl | ast.EnumDecl):
                self.types.append(item.name.text)
            elif isinstance(item, ast.Agent | ast.Variant | ast.Tool | ast.Flow):
                self.callees.append(item.name.text)
                (self.tools if isinstance(item, ast.Tool) else self.agents).append(item.name.text)
        self.variables = list(dict(draft.scope.names))
        flows = [item for item in items if isinstance(item, ast.Flow)]
        if draft.stack and flows:
            here = flows[-1]
            given = [param.name.text for param in here.params]
            self.variables += [name for name in given if name not in self.variables]
            self.variables += [static.name.text for static in here.statics]
            self.callees += [param.name.text for param in here.params if isinstance(param.type, ast.AgentType)]
            self.agents += given


def _with_items(bnf: Bnf) -> Bnf:
    """Return the grammar with rules of their own for what an `each` does, in which any name may be its item."""
    rules = dict(bnf.rules)
    reached: dict[str, tuple[Production, ...]] = {}
    waiting = ["attempt", "expr"]
    while waiting:
        name = waiting.pop()
        if name + _IN_EACH in reached or name == "var_ref":
            continue
        reached[name + _IN_EACH] = tuple(tuple(map(_in_each, production)) for production in bnf.rules[name])
        waiting += [one.name for production in bnf.rules[name] for one in production if one.kind == "rule"]
    rules |= reached
    rules["var_ref" + _IN_EACH] = ((_NAME,),)
    rules["rhs"] = tuple(
        (*production[:4], *(map(_in_each, production[4:]))) if production[0] == text("each") else production
        for production in bnf.rules["rhs"]
    )
    return bnf._replace(rules=rules)


def _in_each(symbol: Symbol) -> Symbol:
    return rule(symbol.name + _IN_EACH) if symbol.kind == "rule" else symbol


def _patterns(draft: Draft, bnf: Bnf) -> Mapping[str, str]:
    """Return the patterns, so bounded that every piece ends."""
    profile = draft.profile
    plain = rf'(?:[^"\\\t\n{HIDDEN_RANGES.replace(SURROGATES, "")}]|\\["\\nt])'
    line, block = rf'"{plain}{{0,{profile.prompt}}}"', rf'"""\n(?:{plain}|\n){{1,{profile.prompt}}}\n"""'
    return {
        **bnf.patterns,
        "NAME": f"[a-z_][a-z0-9_]{{0,{profile.name - 1}}}",
        "HELPER": f"[a-z_][a-z0-9_]{{0,{profile.name - 1}}}",
        "HEAD": re.escape(draft.signature.partition(main_name(draft))[2] + " {"),
        "TYPENAME": f"[A-Z][A-Za-z0-9]{{0,{profile.name - 1}}}",
        "STRING": f"{line}|{block}",
    }


# ---------------------------------------------------------------- imports


def _imports(draft: Draft, bnf: Bnf) -> Iterator[Production]:
    """Yield imports of what the standard library offers, from modules whose tools this host grants."""
    word = next(production for production in bnf.rules["use"] if "import_name" in [one.name for one in production])
    for module, names, tools in _standard():
        if tools <= set(draft.config.tools) and f"std.{module}" not in draft.text:
            head = (word[0], text("std"), text("."), text(module), text(":"))
            for count in range(1, min(3, len(names)) + 1):
                listed = [symbol for _ in range(count) for symbol in (text(","), rule(f"names_of_{module}"))][1:]
                yield (*head, *listed)


@cache
def _standard() -> tuple[tuple[str, tuple[str, ...], frozenset[str]], ...]:
    """Return the modules of the standard library: name, what each offers, the grants of its tools."""
    found = []
    for file in resources.names("stdlib", ".mas"):
        document = parse_program(Source(file, resources.read_text("stdlib", file)), Findings()).document
        assert isinstance(document, ast.Program)
        offered = [
            item.name.text
            for item in document.items
            if not isinstance(item, ast.Use | ast.Test | ast.Budget | ast.Rectify | ast.Tool)
        ]
        tools = frozenset(item.source.value for item in document.items if isinstance(item, ast.Tool))
        public = tuple(name for name in offered if not name.startswith("_"))
        found.append((file.removesuffix(".mas"), public, tools))
    return tuple(found)
