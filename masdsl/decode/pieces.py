"""The grammar of the next piece of a draft: the typed productions of what may stand at its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from masdsl.decode.bnf import Bnf, Production, read_bnf, text
from masdsl.decode.draft import Draft
from masdsl.decode.layout import laid
from masdsl.decode.parts import (
    NEW,
    NEW_TYPE,
    PROMPT,
    agent_heads,
    bindings,
    excluded,
    paths_of_head,
    patterns,
)
from masdsl.decode.profile import CAPS
from masdsl.decode.targets import written
from masdsl.decode.typed import EITHER, ITEM, VALUE, Typing
from masdsl.types import Bool, Enum, List


class PieceGrammar(NamedTuple):
    """What may come next: `bnf` derives it, `excluded` are the words that its patterns leave out."""

    bnf: Bnf
    excluded: dict[str, frozenset[str]]

    def written(self, target: str) -> str:
        """Return it in a notation of `targets.TARGETS`."""
        return written(laid(self.bnf), target, self.excluded)


def next_piece(draft: Draft) -> PieceGrammar | None:
    """Return the grammar of the next piece; None where nothing but the end may follow: close the draft then."""
    if draft.done:
        return None
    if draft.profile.whole_language:
        from masdsl.decode.whole_pieces import whole_piece

        try:
            return PieceGrammar(*whole_piece(draft))
        except ValueError:
            return None
    place = _Place(draft)
    productions = tuple(place.productions())
    if not productions:
        return None
    try:
        bnf = place.typing.finished(
            "piece", productions, patterns(draft.profile, paths_of_head(draft.head, draft.scope))
        )
    except ValueError:
        return None
    return PieceGrammar(bnf, excluded(draft.scope, draft.text, draft.head, draft.signature))


class _Place:
    """What may stand behind a draft, as productions of the grammar's `chunk`."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.bnf = read_bnf("chunk")
        self.typing = Typing(self.bnf, draft.scope, draft.profile)

    def productions(self) -> Iterator[Production]:
        draft = self.draft
        if draft.head:
            yield (PROMPT,)
        elif not draft.stack:
            yield from self._declarations()
        elif draft.stack[-1].kind == "match":
            yield from self._arms()
        elif draft.exits:
            yield (text("}"),)
        else:
            yield from self._statements()

    # ------------------------------------------------------------ declarations

    def _declarations(self) -> Iterator[Production]:
        draft, profile = self.draft, self.draft.profile
        if draft.agents < profile.agents:
            yield from agent_heads(self.bnf, self.typing, profile)
        if draft.types < profile.types and not draft.agents:
            yield from self._types()
        if draft.agents:
            yield (text(f"{draft.signature} {{"),)

    def _types(self) -> Iterator[Production]:
        profile = self.draft.profile
        for production in self.bnf.rules["type_decl"]:
            names = [symbol.name for symbol in production]
            if "fields" in names:
                (fields,) = (one for one in self.bnf.rules["fields"] if len(one) == 2)
                (field,) = (one for one in self.bnf.rules["field"] if len(one) == 3)
                entry = (NEW, field[1], self.typing.symbol("type"))
                for count in range(1, profile.fields + 1):
                    inner = self.typing.listed(fields, 1, [entry] * count)
                    if inner is not None:
                        yield (production[0], NEW_TYPE, production[2], *inner, production[-1])
            elif len(production) == 5:
                for count in range(2, profile.words + 1):
                    made = self.typing.listed((production[0], NEW_TYPE, *production[2:]), 4, [(NEW,)] * count)
                    if made is not None:
                        yield made

    # ------------------------------------------------------------ statements

    def _statements(self) -> Iterator[Production]:
        draft, typing = self.draft, self.typing
        scope, profile, block = draft.scope, draft.profile, draft.stack[-1]
        nested = len(draft.stack) > 1
        if block.statements and nested:
            yield (text("}"),)
        if draft.closed_if:
            yield from self.bnf.rules["else_head"]
        if scope.returns is not None and (not nested or block.kind in ("if", "else", "arm")):
            (returns,) = (one for one in self.bnf.rules["simple"] if one[0] == text("return"))
            if nested or block.statements:
                yield (returns[0], typing.symbol("rhs", scope.returns, EITHER))
        if draft.statements >= profile.statements:
            return
        yield from bindings(self.bnf, typing, scope)
        if block.kind == "loop" and block.statements:
            (until,) = (one for one in self.bnf.rules["simple"] if one[0] == text("until"))
            yield (until[0], typing.symbol("expr", Bool(), VALUE))
        if len(draft.stack) <= profile.depth and draft.statements + 2 <= profile.statements:
            yield from self._openers()

    def _openers(self) -> Iterator[Production]:
        draft, typing = self.draft, self.typing
        scope, profile = draft.scope, draft.profile
        brace = text("{")
        for production in self.bnf.rules["block_head"]:
            match [symbol.name for symbol in production]:
                case ["loop", "size"]:
                    for times in range(2, min(profile.rounds, scope.calls) + 1):
                        yield (production[0], text(str(times)), brace)
                case ["for", "binder", "in", "expr"] if ITEM not in dict(scope.names):
                    for place, kind in typing.places(scope.names, lambda kind: isinstance(kind, List)):
                        if isinstance(kind, List) and 0 < kind.high <= max(CAPS):
                            yield (production[0], text(ITEM), production[2], *place, brace)
        (if_head,) = (one for one in self.bnf.rules["if_opener"] if len(one) == 2)
        yield (if_head[0], typing.symbol("expr", Bool(), VALUE), brace)
        (match_head,) = (one for one in self.bnf.rules["match_opener"] if len(one) == 2)
        for place, _ in typing.places(scope.names, lambda kind: isinstance(kind, Enum)):
            yield (match_head[0], *place, brace)

    def _arms(self) -> Iterator[Production]:
        block = self.draft.stack[-1]
        words = block.subject.words if block.subject is not None else ()
        left = [word for word in words if word not in block.words]
        (head,) = (one for one in self.bnf.rules["arm_head"] if len(one) == 2)
        for word in left:
            yield (text(word), head[1])
        if left and len(left) < len(words):
            yield from self.bnf.rules["else_head"]
        if not left:
            yield (text("}"),)
