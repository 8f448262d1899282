"""Patches on texts: parsed, applied whole or not at all, and the program that comes of it checked like any other.

A fault of that program is told at the edit that brought it, where one did; else in the program as it would be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from masdsl import limits
from masdsl.diagnostics.base import ERROR, Finding, Findings
from masdsl.diagnostics.patches import FaultyAfterPatch, StalePatch
from masdsl.node import Node, Span
from masdsl.patch.apply import PatchRefused, edit_tree
from masdsl.patch.identity import SHOWN_DIGITS, base_of, is_for
from masdsl.patch.tree import Tree
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.comments import Notes, attach, key
from masdsl.syntax.parse import Parsed, parse_patch, parse_program
from masdsl.syntax.print import print_with_notes

Check = Callable[[Source, Findings], object]
"""Checks a program and adds what is wrong with it to the findings, as `pipeline.check_source` does."""


class Patched(NamedTuple):
    """A program after a patch: its text, in canonical layout with its comments, and its tree."""

    source: Source
    program: ast.Program


def apply_patch(patch: Source, program: Source, findings: Findings, check: Check | None = None) -> Patched | None:
    """Return a program after a patch; None, with findings, where either has errors or the patch is refused.

    The result is named like `program`, so that it imports the same modules. Without `check` it is not looked at whether
    it is well typed and within its budget. The program may have errors that the patch mends.
    """
    document = read_patch(patch, findings)
    parsed = parse_program(program, findings)
    if document is None or not parsed.ok:
        return None
    assert isinstance(document.document, ast.Patch)
    notes = attach(document.document, patch.text, document.comments)
    return patched(document.document, patch, notes, parsed, findings, check)


def read_patch(patch: Source, findings: Findings) -> Parsed | None:
    """Parse a patch within its limits; None, with findings, where it has errors."""
    from masdsl.diagnostics.syntax import LimitExceeded

    size = len(patch.text.encode("utf-8", "surrogatepass"))
    if size > limits.PATCH_BYTES:
        end = len(patch.text)
        action = "split it, or change the program itself"
        too_long = LimitExceeded("the patch has too many bytes", limits.PATCH_BYTES, action, span=Span(end - 1, end))
        findings.add(patch, too_long)
        return None
    parsed = parse_patch(patch, findings)
    if not parsed.ok:
        return None
    assert isinstance(parsed.document, ast.Patch)
    edits = parsed.document.edits
    if len(edits) > limits.PATCH_EDITS:
        action = "split it, or change the program itself"
        span = edits[limits.PATCH_EDITS].span
        findings.add(patch, LimitExceeded("the patch has too many edits", limits.PATCH_EDITS, action, span=span))
        return None
    return parsed


def patched(
    patch: ast.Patch, origin: Source, notes: Notes, program: Parsed, findings: Findings, check: Check | None
) -> Patched | None:
    """Do what `apply_patch` does, with what is parsed already; `origin` is the text that the patch comes from."""
    before = program.document
    assert isinstance(before, ast.Program)
    if patch.base is not None and not is_for(patch.base.value, before):
        findings.add(origin, StalePatch(patch.base.value, base_of(before)[:SHOWN_DIGITS], span=patch.base.span))
        return None
    tree = Tree(before, notes_of([program]))
    tree.add_patch(patch, notes)
    try:
        edit_tree(patch, tree)
    except PatchRefused as refused:
        for diagnostic in refused.diagnostics:
            findings.add(origin, diagnostic)
        return None
    source = Source(program.source.name, print_with_notes(tree.program, tree.notes))
    faults = Findings()
    again = parse_program(source, faults)
    if again.ok:
        assert again.document == tree.program, "the patched text does not say what the edits did"
        if check is not None:
            check(source, faults)
    if not faults.ok:
        places = list(_places(tree, again.document)) if again.ok else []
        for found in faults.sorted():
            if found.diagnostic.severity == ERROR:
                findings.add(*_told(found, source, origin, places))
        return None
    return Patched(source, tree.program)


def notes_of(documents: Sequence[Parsed]) -> Notes:
    """Return the comments of some texts, each attached to what it belongs to."""
    together = Notes({}, {}, {}, {})
    tables: tuple[dict[int, Any], ...] = tuple(together)
    for parsed in documents:
        own: tuple[dict[int, Any], ...] = tuple(attach(parsed.document, parsed.source.text, parsed.comments))
        for table, more in zip(tables, own, strict=True):
            table.update(more)
    return together


# ---------------------------------------------------------------- where a fault comes from


class _Brought(NamedTuple):
    """What a patch has brought into a program: where it stands there, and where in the patch."""

    span: Span
    origin: Span


def _places(tree: Tree, document: Node) -> Iterator[_Brought]:
    """Yield what the patch has brought. The document is the tree, printed and parsed again."""
    waiting: list[tuple[Any, Any]] = [(tree.program, document)]
    while waiting:
        one, other = waiting.pop()
        if isinstance(one, tuple):
            waiting.extend(zip(one, other, strict=True))
        elif isinstance(one, Node):
            if key(one) in tree.foreign:
                yield _Brought(other.span, tree.foreign[key(one)])
            waiting.extend((getattr(one, field), getattr(other, field)) for field in one._fields)


def _told(found: Finding, source: Source, origin: Source, places: list[_Brought]) -> Finding:
    if found.source != source:
        return found
    at = found.diagnostic.span
    around = [place for place in places if place.span.start <= at.start and at.end <= place.span.end]
    if not around:
        return found
    place = min(around, key=lambda one: one.span.end - one.span.start)
    fault = found.diagnostic
    return Finding(origin, FaultyAfterPatch(fault.code, fault.title(), fault.label(), fault.help(), span=place.origin))
