"""What could be written inside a string: names in a prompt's template, granted tools, models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from masdsl.check.literal_places import LiteralPlaces
from masdsl.check.relations import required, show
from masdsl.editor import symbols, templates
from masdsl.editor.document import Document
from masdsl.editor.names import parameter_types
from masdsl.editor.symbols import head_of
from masdsl.node import Span
from masdsl.syntax import ast
from masdsl.types import Record

_TAGS = ("if", "elif", "else", "endif", "for", "endfor")
_FILTERS = "filter"


class Proposal(NamedTuple):
    """Something that could be written from `start` up to the cursor."""

    label: str
    kind: str
    start: int
    detail: str = ""


def in_string(document: Document, literal: Span, offset: int) -> Iterator[Proposal]:
    """Yield what could be written at an offset inside the string at `literal`."""
    item = document.item_at(offset)
    text = document.source.text
    quotes = 3 if text.startswith('"""', literal.start) else 1
    inside = literal.start + quotes
    match item:
        case ast.Tool() if item.source.span == literal:
            for name, grant in document.config.tools.items():
                yield Proposal(name, symbols.TOOL, inside, grant.kind)
        case ast.Agent() | ast.Variant():
            if item.prompt is not None and item.prompt.span == literal:
                yield from _in_prompt(document, item, item.prompt, offset)
            elif any(attr.key == "on" and attr.span.start <= offset <= attr.span.end for attr in item.attrs):
                for name in document.config.models:
                    yield Proposal(name, symbols.TIER, inside)
        case _:
            return


def _in_prompt(
    document: Document, item: ast.Agent | ast.Variant, prompt: ast.StrLit, offset: int
) -> Iterator[Proposal]:
    scope = document.facts.own
    declared = scope.names.get(item.name.text) if scope is not None else None
    head = head_of(declared) if declared is not None else None
    if head is None or not isinstance(head[1], ast.Agent):
        return
    own = head[0].home is scope
    params = parameter_types(document.facts, head[1]) if own else {one.name.text: None for one in head[1].params}
    value = prompt.value.replace("\r\n", "\n").replace("\r", "\n")
    at = LiteralPlaces(document.source, prompt.span, prompt.value).value_offset(offset)
    if at is None:
        return
    begin = at
    while begin > 0 and (value[begin - 1].isalnum() or value[begin - 1] == "_"):
        begin -= 1
    opened = [word for word in templates.words(value[:begin]) if word.kind == templates.MARK]
    if not opened or not opened[-1].text.startswith("{"):
        return
    start = offset - (at - begin)
    before = value[opened[-1].end : begin].rstrip()
    if before.endswith("."):
        kind = templates.type_before(value, begin, params)
        inner = required(kind) if kind is not None else None
        if isinstance(inner, Record):
            for name, field in inner.fields:
                yield Proposal(name, symbols.FIELD, start, show(field))
        return
    if before.endswith("|"):
        from masdsl.check.template_filters import FILTERS

        for name in FILTERS:
            yield Proposal(name, _FILTERS, start)
        return
    if not before and opened[-1].text.startswith("{%"):
        for tag in _TAGS:
            yield Proposal(tag, "keyword", start)
        return
    if before == "for":
        return
    for name, kind in templates.visible(value, begin, params).items():
        yield Proposal(name, symbols.PARAMETER, start, show(kind) if kind is not None else "")
    if opened[-1].text.startswith("{%"):
        for word in ("in", "is", "not", "and", "or", "none"):
            yield Proposal(word, "keyword", start)
