"""The signature of the call that is being written, and which of its parameters comes next."""

from __future__ import annotations

from typing import NamedTuple

from masdsl.check.builtins import BUILTINS
from masdsl.editor.document import Document, tokens_of
from masdsl.editor.hover import head_text
from masdsl.editor.symbols import head_of
from masdsl.node import Span
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.lex import Tokens


class OpenCall(NamedTuple):
    """A call whose bracket is still open: the name, how many arguments are complete, and the name of the next one."""

    name: str
    argument: int
    keyword: str


class Signature(NamedTuple):
    """A signature; `parts` are the places of its parameters in `label`, `active` the next one, -1 for none."""

    label: str
    parts: tuple[Span, ...]
    active: int
    doc: str


def open_call(tokens: Tokens) -> OpenCall | None:
    """Return the innermost call that is open at the end of the tokens."""
    depth = commas = 0
    keyword = ""
    kinds, texts = tokens.kinds, tokens.texts
    for at in range(len(kinds) - 1, -1, -1):
        kind = kinds[at]
        if kind in ("RPAR", "RSQB", "RBRACE"):
            depth += 1
        elif kind in ("LPAR", "LSQB", "LBRACE"):
            if depth == 0:
                if kind != "LPAR" or at == 0 or not texts[at - 1].isidentifier():
                    return None
                declares = at > 1 and kinds[at - 2] in ("AGENT", "FLOW", "TOOL", "EXTERN")
                return None if declares else OpenCall(texts[at - 1], commas, keyword)
            depth -= 1
        elif depth == 0 and kind == "COMMA":
            commas += 1
        elif depth == 0 and kind == "COLON" and commas == 0 and at > 0 and not keyword:
            keyword = texts[at - 1]
    return None


def signature_help(document: Document, offset: int) -> Signature | None:
    """Return the signature of the call around an offset."""
    call = open_call(tokens_of(Source("<before>", document.source.text[:offset])))
    scope = document.facts.own
    if call is None:
        return None
    declared = scope.names.get(call.name) if scope is not None else None
    if declared is None:
        known = BUILTINS.get(call.name)
        return None if known is None else Signature(known.text, (), -1, known.summary)
    home, doc = declared.home, declared.home.doc(declared.node)
    if isinstance(declared.node, ast.RecordDecl):
        return _listed(call, f"{call.name}(", home.source, declared.node.fields, ")", doc)
    head = head_of(declared)
    if head is None:
        return None
    home, node = head[0].home, head[1]
    written = " ".join(head_text(home, node).split())
    opening = f"{node.name.text}("
    returns = written.partition("->")[2].strip()
    closing = f") -> {returns}" if returns else ")"
    return _listed(call, opening, home.source, node.params, closing, doc or home.doc(node))


def _listed(
    call: OpenCall,
    opening: str,
    source: Source,
    nodes: tuple[ast.Param, ...] | tuple[ast.Field, ...],
    end: str,
    doc: str,
) -> Signature:
    label, parts = opening, []
    for number, node in enumerate(nodes):
        text = " ".join(source.slice(node.span).split())
        label += ", " if number else ""
        parts.append(Span(len(label), len(label) + len(text)))
        label += text
    names = [node.name.text for node in nodes]
    active = names.index(call.keyword) if call.keyword in names else call.argument
    return Signature(label + end, tuple(parts), active if active < len(parts) else -1, doc)
