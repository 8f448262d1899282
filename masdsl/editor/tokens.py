"""Semantic tokens: what every word of a document is, the templates in prompts included."""

from __future__ import annotations

from typing import Final, NamedTuple

from masdsl.check.literal_places import LiteralPlaces
from masdsl.check.resolve import PRIMITIVE_NAMES
from masdsl.editor import symbols, templates
from masdsl.editor.document import Document
from masdsl.node import Span
from masdsl.syntax import ast
from masdsl.syntax.lex import END

TYPES: Final = (
    *("namespace", "type", "enum", "enumMember", "property", "function", "class", "method", "parameter", "variable"),
    *("keyword", "string", "number", "comment", "operator", "label", "macro"),
)
"""The kinds of tokens, under the names of the Language Server Protocol. Agents are classes, tools are methods."""
MODIFIERS: Final = ("declaration", "readonly", "defaultLibrary", "documentation")
_OF_SYMBOL: Final = {
    symbols.MODULE: "namespace",
    symbols.TYPE: "type",
    symbols.FIELD: "property",
    symbols.WORD: "enumMember",
    symbols.TOOL: "method",
    symbols.AGENT: "class",
    symbols.FLOW: "function",
    symbols.FUNCTION: "function",
    symbols.BUILTIN: "function",
    symbols.PARAMETER: "parameter",
    symbols.STATIC: "parameter",
    symbols.LOCAL: "variable",
    symbols.ITEM: "variable",
    symbols.LABEL: "label",
    symbols.TIER: "enumMember",
}
_OF_WORD: Final = {
    templates.MARK: "macro",
    templates.KEYWORD: "keyword",
    templates.NAME: "variable",
    templates.FIELD: "property",
    templates.FILTER: "function",
    templates.STRING: "string",
    templates.NUMBER: "number",
    templates.OPERATOR: "operator",
    templates.COMMENT: "comment",
}
_OF_TOKEN: Final = {
    **dict.fromkeys(("INT", "FLOAT", "SCALED", "PERCENT"), "number"),
    **dict.fromkeys(("TRUE", "FALSE", "NONE"), "keyword"),
    **dict.fromkeys(("CMP", "PLUS", "MINUS", "STAR", "SLASH", "ARROW", "EQUAL", "APPEND", "BAR", "OPT"), "operator"),
    **dict.fromkeys(("LBRACE", "RBRACE", "LPAR", "RPAR", "LSQB", "RSQB", "COMMA", "COLON", "DOT", END), ""),
}


class Token(NamedTuple):
    """A word of a document: its place, within one line or not, its kind and its modifiers."""

    span: Span
    type: str
    modifiers: tuple[str, ...] = ()


def semantic_tokens(document: Document) -> list[Token]:
    """Return the tokens of a document in order; none overlaps another."""
    named = {one.span: one for one in document.occurrences}
    prompts = _prompts(document)
    found: list[Token] = []
    tokens = document.tokens
    for kind, text, start, end in zip(*tokens[:4], strict=True):
        span = Span(start, end)
        if end <= start:
            continue
        one = named.get(span)
        if one is not None and kind != "STRING":
            found.append(_of(one))
        elif kind == "STRING":
            found += _string(span, prompts.get(span, ()))
        elif kind in ("NAME", "TYPENAME"):
            builtin = text in PRIMITIVE_NAMES
            name = "type" if builtin or kind == "TYPENAME" else "variable"
            found.append(Token(span, name, ("defaultLibrary",) if builtin else ()))
        else:
            name = _OF_TOKEN.get(kind, "keyword" if text.isalpha() else "")
            if name:
                found.append(Token(span, name))
    for comment in tokens.comments:
        found.append(Token(comment.span, "comment", ("documentation",) if comment.text.startswith("##") else ()))
    return _apart(found)


def _of(one: symbols.Occurrence) -> Token:
    modifiers = []
    if one.use == symbols.DECLARE:
        modifiers.append("declaration")
    if one.symbol.kind == symbols.BUILTIN:
        modifiers.append("defaultLibrary")
    if one.symbol.kind in (symbols.PARAMETER, symbols.STATIC):
        modifiers.append("readonly")
    return Token(one.span, _OF_SYMBOL[one.symbol.meant.kind], tuple(modifiers))


def _prompts(document: Document) -> dict[Span, list[Token]]:
    """Return the tokens of the templates in prompts, by the places of the prompts."""
    named = {one.span: one for one in document.occurrences if one.prompt}
    found: dict[Span, list[Token]] = {}
    for item in document.items:
        literal = item.prompt if isinstance(item, ast.Agent | ast.Variant) else None
        if literal is None or "{" not in literal.value:
            continue
        places = LiteralPlaces(document.source, literal.span, literal.value)
        text = literal.value.replace("\r\n", "\n").replace("\r", "\n")
        inside = []
        for word in templates.words(text):
            span = places.span(word.start, word.end)
            if span == literal.span:
                continue
            one = named.get(span)
            inside.append(_of(one) if one is not None else Token(span, _OF_WORD[word.kind]))
        found[literal.span] = inside
    return found


def _string(span: Span, inside: list[Token] | tuple[Token, ...]) -> list[Token]:
    """Return a string with the tokens of its template in it."""
    parts: list[Token] = []
    at = span.start
    for token in inside:
        if token.span.start > at:
            parts.append(Token(Span(at, token.span.start), "string"))
        if token.span.start >= at:
            parts.append(token)
            at = token.span.end
    if at < span.end:
        parts.append(Token(Span(at, span.end), "string"))
    return parts


def _apart(tokens: list[Token]) -> list[Token]:
    kept: list[Token] = []
    for token in sorted(tokens, key=lambda one: one.span):
        if not kept or token.span.start >= kept[-1].span.end:
            kept.append(token)
    return kept
