"""Why an edit cannot be made: what the modules that make edits share."""

from __future__ import annotations

from masdsl.diagnostics.base import Diagnostic
from masdsl.diagnostics.patches import WrongEdit
from masdsl.node import Span
from masdsl.patch.places import ARM, OPTION, OTHERWISE, PARAM
from masdsl.syntax import ast


class Refused(Exception):
    """An edit cannot be made; the diagnostic says why."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.title())
        self.diagnostic = diagnostic


def wrong(problem: str, advice: str, span: Span) -> Refused:
    """Return the refusal of an edit that does not fit its place."""
    return Refused(WrongEdit(problem, advice, span=span))


def place_span(place: ast.Place) -> Span:
    """Return where a patch writes a place."""
    return place[0].span.to(place[-1].span) if isinstance(place, tuple) else place.span


_ITEM_WORDS = {
    ast.RecordDecl: "a type",
    ast.EnumDecl: "a type",
    ast.Tool: "a tool",
    ast.Agent: "an agent",
    ast.Variant: "an agent",
    ast.Extern: "a function",
    ast.Flow: "a flow",
    ast.Use: "an import",
    ast.Budget: "the budget",
    ast.Rectify: "the rectifier",
    ast.Test: "a test",
}


def kind_of(item: ast.Item) -> str:
    """Return what a declaration is, for messages."""
    return _ITEM_WORDS[type(item)]


def article(kind: str) -> str:
    """Return a kind of place with its article."""
    return {OTHERWISE: "an `else`", ARM: "an arm", OPTION: "an option", PARAM: "a parameter"}.get(kind, f"a {kind}")
