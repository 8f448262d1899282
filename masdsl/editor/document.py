"""A text in an editor, checked: the same pipeline as `mas check`, and what it found out on the way."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Final

from masdsl.check.modules import ModuleReader
from masdsl.config import Config
from masdsl.diagnostics.base import Finding, Findings
from masdsl.editor.facts import Facts
from masdsl.editor.symbols import Occurrence, Symbol, occurrences
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.grammar import load
from masdsl.syntax.lex import Tokens, tokenize
from masdsl.syntax.parse import parse_binding, parse_patch

PROGRAM, BINDING, PATCH = "program", "binding", "patch"
_FIRST: Final = re.compile(r"(?:[ \t\n]|#[^\n]*)*(bind|patch)[ \t\n]+[0-9]")


class Document:
    """A checked text. `kind` is program, binding or patch; the latter two are parsed and no more.

    `findings` are all that were made, also in imported modules and in the configuration. `depends` are the names of the
    sources that were imported.
    """

    def __init__(self, source: Source, config: Config, kind: str, findings: tuple[Finding, ...], facts: Facts) -> None:
        self.source = source
        self.config = config
        self.kind = kind
        self.findings = findings
        self.facts = facts

    @cached_property
    def tokens(self) -> Tokens:
        """The tokens of the text, as far as there are some."""
        return tokens_of(self.source, self.kind)

    @cached_property
    def items(self) -> tuple[ast.Item, ...]:
        """The declarations that could be parsed."""
        return self.facts.own.items if self.facts.own is not None else ()

    @cached_property
    def occurrences(self) -> tuple[Occurrence, ...]:
        """Every name of the program with what it means, in order of the text."""
        return occurrences(self.facts) if self.facts.own is not None else ()

    def at(self, offset: int) -> Occurrence | None:
        """Return the name at an offset; one that ends there counts where none begins."""
        found = None
        for one in self.occurrences:
            if one.span.start <= offset < one.span.end:
                return one
            if one.span.end == offset:
                found = one
        return found

    def of(self, symbol: Symbol) -> list[Occurrence]:
        """Return all places at which a symbol is named."""
        return [one for one in self.occurrences if one.symbol == symbol]

    def item_at(self, offset: int) -> ast.Item | None:
        """Return the declaration around an offset."""
        return next((item for item in self.items if item.span.start <= offset <= item.span.end), None)


def check_document(
    source: Source,
    config: Config,
    read_module: ModuleReader,
    findings: Findings,
    *,
    facts: Facts | None = None,
) -> Document:
    """Check a text; whatever it holds, the result is a document, and faults are findings."""
    facts = facts or Facts()
    kind = kind_of(source.text)
    if kind == PROGRAM:
        from masdsl.pipeline import check_source

        check_source(source, config, findings, read_module, watch=facts, on_bounds=facts.bounded)
    else:
        (parse_binding if kind == BINDING else parse_patch)(source, findings)
    return Document(source, config, kind, findings.sorted(), facts)


def kind_of(text: str) -> str:
    """Return whether a text is a program, a binding or a patch, by its first words."""
    found = _FIRST.match(text)
    if found is None:
        return PROGRAM
    return BINDING if found[1] == "bind" else PATCH


def tokens_of(source: Source, kind: str = PROGRAM) -> Tokens:
    """Return the tokens of a text; what is none is left out or stands for what is meant, as the parser sees it."""
    return tokenize(source, load(kind), lambda fault, span, text: None)
