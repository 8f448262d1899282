"""How a tree is built: what builders share, the table that they register in, and the values of tokens.

The parser calls `BUILDERS[rule](site, children, span)`. `children` are the values of the rule's right side as written,
with repetitions flattened into it and without punctuation and keywords, which carry no value. `LEAVES` says what a
token's value is; a brace is its span.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from masdsl import limits
from masdsl.node import Node, Span
from masdsl.syntax import ast, strings

Children: TypeAlias = list[Any]


class Site:
    """What builders share during one parse: the height of each expression so far, and where to complain.

    `complain(kind, span, text)` gets the name of a fault and the text that is at fault.
    """

    __slots__ = ("_complained", "_heights", "complain")

    def __init__(self, complain: Callable[[str, Span, str], None]) -> None:
        self.complain = complain
        self._complained = False  # one such diagnostic is enough, whatever its size
        self._heights: dict[int, tuple[int, Node]] = {}  # the node is kept so that its id stays its own

    def raised(self, node: Node, parts: tuple[Node, ...] | list[Node]) -> bool:
        """Note the height of a node over its parts. False, with a complaint, if it would be too high to build on."""
        heights = self._heights
        height = 0
        for part in parts:
            known = heights.get(id(part))
            if known and known[0] > height:
                height = known[0]
        if height + 1 >= limits.EXPRESSION_DEPTH:
            if not self._complained:
                self._complained = True
                self.complain("depth", node.span, "")
            return False
        heights[id(node)] = (height + 1, node)
        return True


Builder: TypeAlias = Callable[[Site, Children, Span], Any]
BUILDERS: dict[str, Builder] = {}


def rule(*names: str) -> Callable[[Builder], Builder]:
    """Register a function as the builder of the rules of these names."""

    def register(builder: Builder) -> Builder:
        for name in names:
            BUILDERS[name] = builder
        return builder

    return register


def _text(site: Site, text: str, span: Span) -> str:
    return text


def _name(site: Site, text: str, span: Span) -> ast.Name:
    return ast.Name(text, span=span)


def _brace(site: Site, text: str, span: Span) -> Span:
    return span


def _integer(site: Site, text: str, span: Span) -> ast.IntLit:
    if len(text) > limits.INTEGER_DIGITS and len(text.lstrip("0")) > limits.INTEGER_DIGITS:
        site.complain("digits", span, text)
        return ast.IntLit(0, span=span)
    return ast.IntLit(int(text), span=span)


def _scaled(site: Site, text: str, span: Span) -> ast.IntLit:
    zeros = "000" if text[-1] == "k" else "000000"
    return _integer(site, text[:-1] + zeros, span)


def _float(site: Site, text: str, span: Span) -> ast.FloatLit:
    whole, _, fraction = text.partition(".")
    if len(whole) > limits.INTEGER_DIGITS:
        site.complain("digits", span, text)
        return ast.FloatLit(0.0, span=span)
    if len(fraction) > limits.FRACTION_DIGITS:
        site.complain("fraction", span, text)
        return ast.FloatLit(0.0, span=span)
    return ast.FloatLit(float(text), span=span)


def _percent(site: Site, text: str, span: Span) -> ast.FloatLit:
    if len(text) - 1 > limits.INTEGER_DIGITS:
        site.complain("digits", span, text)
        return ast.FloatLit(0.0, span=span)
    return ast.FloatLit(int(text[:-1]) / 100, span=span)


def _string(site: Site, text: str, span: Span) -> ast.StrLit:
    value, faults = strings.decode(text)
    for fault in faults:
        start = span.start + fault.offset
        site.complain("escape", Span(start, start + len(fault.text)), fault.text)
    if len(value) * 4 > limits.STRING_BYTES and len(value.encode("utf-8")) > limits.STRING_BYTES:
        site.complain("string", span, str(len(value.encode("utf-8"))))
        value = ""
    return ast.StrLit(value, span=span)


LEAVES: dict[str, Callable[[Site, str, Span], Any]] = {
    "NAME": _name,
    "TYPENAME": _name,
    "INT": _integer,
    "SCALED": _scaled,
    "FLOAT": _float,
    "PERCENT": _percent,
    "STRING": _string,
    "TRUE": lambda site, text, span: ast.BoolLit(True, span=span),
    "FALSE": lambda site, text, span: ast.BoolLit(False, span=span),
    "NONE": lambda site, text, span: ast.NoneLit(span=span),
    "LBRACE": _brace,
    "RBRACE": _brace,
}
LEAVES.update(
    dict.fromkeys(("OPT", "PLUS", "MINUS", "STAR", "SLASH", "CMP", "CALLS", "TOKENS", "USD", "SECONDS"), _text)
)


_PLACES = {word: place for place, word in enumerate((*ast.ATTRIBUTE_ORDER, *ast.LIMIT_ORDER))}


def in_order(parts: Children) -> tuple[Any, ...]:
    """Attributes or limits in the one order that trees have them in: programs that differ only in theirs are equal."""
    return tuple(sorted(parts, key=lambda part: _PLACES[part.key if isinstance(part, ast.Attr) else part.kind]))
