"""What an editor writes between the lines: types of bound names, the worst case of steps and flows, what can be run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from masdsl.check.relations import show
from masdsl.editor import costs
from masdsl.editor.document import PROGRAM, Document
from masdsl.editor.symbols import DECLARE, ITEM, LOCAL
from masdsl.node import Span
from masdsl.syntax import ast
from masdsl.types import Unknown

TYPE, COST = "type", "cost"
RUN, TEST, SHOW_COST = "run", "test", "cost"


class Hint(NamedTuple):
    """A remark at an offset; `kind` is type, behind a name, or cost, at the end of a line."""

    offset: int
    label: str
    kind: str
    tooltip: str = ""


class Lens(NamedTuple):
    """A line above a declaration; `action` is what happens on a click: run, test or cost.

    `arguments` are those of the command `mas`, the program's path excepted, which follows the first of them.
    """

    span: Span
    title: str
    action: str
    arguments: tuple[str, ...]


def hints(document: Document, within: Span) -> Iterator[Hint]:
    """Yield the hints of a part of a document: the types of names where they are bound, what steps cost at most."""
    for one in document.occurrences:
        if one.use == DECLARE and not one.prompt and one.symbol.kind in (LOCAL, ITEM) and _in(one.span, within):
            kind = document.facts.types.get(one.span)
            if kind is not None and not isinstance(kind, Unknown):
                yield Hint(one.span.end, f": {show(kind)}", TYPE)
    source = document.source
    for flow, bound in document.facts.flow_bounds().values():
        for span, part in costs.step_parts(flow, bound):
            if _in(span, within):
                line = source.position(span.start).line
                end = source.offset(line) + len(source.line(line))
                yield Hint(end, costs.short(part.most), COST, f"{part.path}: {costs.in_words(part.most, part.seconds)}")


def lenses(document: Document) -> Iterator[Lens]:
    """Yield the lenses of a document: the worst case of flows, running flows and tests."""
    if document.kind != PROGRAM:
        return
    bounds = document.facts.flow_bounds()
    tests = [item for item in document.items if isinstance(item, ast.Test)]
    for item in document.items:
        if isinstance(item, ast.Flow):
            if not item.statics and not any(isinstance(param.type, ast.AgentType) for param in item.params):
                arguments = ("run",) if item.name.text == "main" else ("run", "--flow", item.name.text)
                yield Lens(item.name.span, "run", RUN, arguments)
            found = bounds.get(item.span)
            if found is not None:
                title = f"at most {costs.in_words(found[1].most, found[1].seconds)}"
                yield Lens(item.name.span, title, SHOW_COST, ("cost",))
        elif isinstance(item, ast.Test):
            yield Lens(item.title.span, "run test", TEST, ("test", "-k", item.title.value))
    if len(tests) > 1:
        yield Lens(tests[0].title.span, f"run all {len(tests)} tests", TEST, ("test",))


def _in(span: Span, within: Span) -> bool:
    return within.start <= span.start <= within.end
