"""Programs as the pieces that a decoder would write, and whether its grammars have them."""

from __future__ import annotations

from collections.abc import Iterator

import llguidance

from masdsl.config import Config
from masdsl.decode.draft import Draft, Refused, begin
from masdsl.decode.pieces import PieceGrammar
from masdsl.decode.profile import Profile
from masdsl.syntax import ast
from masdsl.syntax.compact import print_compact

_GIVEN = (ast.Tool, ast.Budget, ast.Rectify)
_TYPES = (ast.RecordDecl, ast.EnumDecl)
_WRITTEN = (ast.Agent, ast.Variant, ast.Flow)


def begun(program: ast.Program, config: Config, profile: Profile) -> tuple[Draft, list[str]]:
    """Return the draft of a program with what a host gives, and the pieces that are left to be written.

    What the last flow's head needs is given, too: types, or imports. Raises Refused.
    """
    signature = [line for line in _text(program, ast.Flow).splitlines() if line.startswith("flow ")][-1][:-2]
    refused = None
    for given in (_GIVEN, (*_GIVEN, *_TYPES), (ast.Use, *_GIVEN, *_TYPES)):
        written = tuple(kind for kind in (ast.Use, *_TYPES, *_WRITTEN) if kind not in given)
        try:
            return begin(signature, config, profile, _text(program, *given)), list(_pieces(_text(program, *written)))
        except Refused as error:
            refused = error
    assert refused is not None
    raise refused


def has(grammar: PieceGrammar | None, piece: str) -> bool:
    """Whether a grammar has a piece."""
    if grammar is None:
        return False
    text = llguidance.LLMatcher.grammar_from_lark(grammar.written("llguidance"))
    matcher = llguidance.LLMatcher(llguidance.LLTokenizer("byte"), text)
    assert not matcher.is_error(), matcher.get_error()
    data = list(piece.encode())
    return bool(matcher.try_consume_tokens(data) == len(data) and matcher.is_accepting())


def _text(program: ast.Program, *kinds: type) -> str:
    """Return the items of some kinds as compact text, without the first line."""
    items = tuple(item for item in program.items if isinstance(item, kinds))
    return print_compact(program.replace(items=items)).partition("\n")[2]


def _pieces(text: str) -> Iterator[str]:
    piece = ""
    for line in text.splitlines(keepends=True):
        piece += line
        if piece.startswith("} else"):
            yield "}\n"
            piece = piece[2:]
        if piece.count('"""') % 2 == 0:
            yield piece
            piece = ""
