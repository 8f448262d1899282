"""Tokens to syntax trees: an LALR(1) loop over the grammar's tables that builds the tree as it goes."""

from __future__ import annotations

from typing import Any, NamedTuple

from masdsl.diagnostics.base import Findings
from masdsl.node import Node, Span
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.build import BUILDERS, LEAVES, Site
from masdsl.syntax.grammar import Language, load
from masdsl.syntax.lex import Tokens, tokenize
from masdsl.syntax.tables import ACCEPT


class Parsed(NamedTuple):
    """What a text says. Where it has faults (`ok` is False) the document is what remains without the faulty parts."""

    source: Source
    document: ast.Document
    comments: tuple[ast.Comment, ...]
    ok: bool


def parse_program(source: Source, findings: Findings) -> Parsed:
    """Parse a program: `mas 1` and its declarations."""
    return _parse(source, findings, "program")


def parse_binding(source: Source, findings: Findings) -> Parsed:
    """Parse a binding: `bind 1` and its assignments."""
    return _parse(source, findings, "binding")


def parse_patch(source: Source, findings: Findings) -> Parsed:
    """Parse a patch: `patch 1` and its edits."""
    return _parse(source, findings, "patch")


def _parse(source: Source, findings: Findings, start: str) -> Parsed:
    language = load(start)

    def complain(kind: str, span: Span, text: str) -> None:
        raise SyntaxError(f"{source.name}:{source.position(span.start)}: {kind} {text!r}")

    tokens = tokenize(source, language, complain)
    document = _Machine(language, tokens, Site(complain)).run()
    return Parsed(source, document, tuple(tokens.comments), True)


class _Machine:
    def __init__(self, language: Language, tokens: Tokens, site: Site) -> None:
        self.language = language
        self.tokens = tokens
        self.site = site
        self.states = [language.tables.start]
        self.values: list[Any] = []
        self.starts: list[int] = []

    def run(self) -> Any:
        kinds, texts, token_starts, token_ends, _ = self.tokens
        _, actions, gotos, rules = self.language.tables
        reserved = self.language.lexicon.reserved
        site, states, values, starts = self.site, self.states, self.values, self.starts
        leaves, builders = LEAVES, BUILDERS
        at = end = 0
        while True:
            kind = kinds[at]
            action = actions[states[-1]].get(kind)
            while action is not None and action < 0:
                size, origin, builder = rules[~action]
                if not builder:
                    states[-1] = gotos[states[-2]][origin]
                else:
                    children: list[Any] = []
                    for value in values[-size:]:
                        if value is None:
                            continue
                        if value.__class__ is list:
                            if children:
                                children += value
                            else:
                                children = value
                        else:
                            children.append(value)
                    del states[-size:]
                    del values[-size:]
                    if size > 1:
                        del starts[1 - size :]
                    if builder == "*":
                        values.append(children)
                    else:
                        values.append(builders[builder](site, children, Span(starts[-1], end)))
                    states.append(gotos[states[-1]][origin])
                action = actions[states[-1]].get(kind)
            if action is None:
                if kinds[at].lower() == texts[at] and texts[at] not in reserved and "NAME" in actions[states[-1]]:
                    kinds[at] = "NAME"
                    continue
                raise SyntaxError(f"{token_starts[at]} {texts[at]} {sorted(actions[states[-1]])}")
            if action == ACCEPT:
                return values[-1]
            leaf = leaves.get(kind)
            start, end = token_starts[at], token_ends[at]
            states.append(action)
            starts.append(start)
            values.append(None if leaf is None else leaf(site, texts[at], Span(start, end)))
            at += 1
