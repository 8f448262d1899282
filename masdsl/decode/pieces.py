"""The grammar of the next piece of a draft: the typed productions of what may stand at its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from masdsl.check.builtins import BUILTINS
from masdsl.decode.bnf import Bnf, Production, Symbol, read_bnf, rule, text
from masdsl.decode.draft import Draft
from masdsl.decode.layout import laid
from masdsl.decode.profile import CAPS
from masdsl.decode.targets import written
from masdsl.decode.typed import ANY, EITHER, ITEM, STEP, VALUE, Typing
from masdsl.reading import HIDDEN_RANGES, SURROGATES
from masdsl.syntax.grammar import keywords
from masdsl.types import Bool, Enum, List, Optional, Record, Type

NEW: Final = Symbol("pattern", "NEW")
NEW_TYPE: Final = Symbol("pattern", "NEWTYPE")
_PLAIN: Final = rf'[^"\\{{}}\t\n{HIDDEN_RANGES.replace(SURROGATES, "")}]'


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
    place = _Place(draft)
    productions = tuple(place.productions())
    if not productions:
        return None
    used = _used(draft) | keywords() | frozenset(BUILTINS) | {ITEM}
    types = frozenset(one.name for one in draft.scope.types if one.name)
    try:
        bnf = place.typing.finished("piece", productions, place.patterns())
    except ValueError:
        return None
    return PieceGrammar(bnf, {"NEW": used, "NEWTYPE": types})


def _used(draft: Draft) -> frozenset[str]:
    """Return every word of the program: a new name is none of them, nor a field, a parameter or a word of an enum."""
    return frozenset(re.findall(r"[a-z_][a-z0-9_]*", draft.text + draft.head + draft.signature))


class _Place:
    """What may stand behind a draft, as productions of the grammar's `chunk`."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.bnf = read_bnf("chunk")
        self.typing = Typing(self.bnf, draft.scope, draft.profile)

    def productions(self) -> Iterator[Production]:
        draft = self.draft
        if draft.head:
            yield (Symbol("pattern", "PROMPT"),)
        elif not draft.stack:
            yield from self._declarations()
        elif draft.stack[-1].kind == "match":
            yield from self._arms()
        elif draft.exits:
            yield (text("}"),)
        else:
            yield from self._statements()

    def patterns(self) -> dict[str, str]:
        """Return the patterns of what is new: names, texts and numbers of bounded length, the prompt of this agent."""
        profile = self.draft.profile
        holes = "|".join(re.escape(path) for path in self._paths())
        hole = rf"\{{\{{ (?:{holes}) \}}\}}"
        return {
            "NEW": f"[a-z][a-z0-9_]{{0,{profile.name - 1}}}",
            "NEWTYPE": f"[A-Z][A-Za-z0-9]{{0,{profile.name - 1}}}",
            "WORDS": rf'"{_PLAIN}{{0,{profile.text}}}"',
            "SMALL": "0|[1-9][0-9]{0,2}",
            "FRACTION": r"[0-9]\.[0-9]{1,2}",
            "PROMPT": rf'"(?:{_PLAIN}|{hole}){{8,{profile.prompt}}}"'
            if holes
            else rf'"{_PLAIN}{{8,{profile.prompt}}}"',
        }

    def _paths(self) -> Iterator[str]:
        """Yield what the prompt of the agent whose head is there may mention: parameters and fields of records."""
        types = {one.name: one for one in self.draft.scope.types}
        for name, kind in re.findall(r"(?<=[(,] )?([a-z_][a-z0-9_]*): ([A-Za-z0-9_()]+(?:\[\d+\])?)", self.draft.head):
            yield name
            record = types.get(kind)
            if isinstance(record, Record):
                yield from (f"{name}.{field}" for field, _ in record.fields)

    # ------------------------------------------------------------ declarations

    def _declarations(self) -> Iterator[Production]:
        draft, profile = self.draft, self.draft.profile
        if draft.agents < profile.agents:
            yield from self._agent_heads()
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

    def _agent_heads(self) -> Iterator[Production]:
        """Agents without attributes: roles that a binding assigns. Their prompt is the next piece."""
        (agent,) = (
            one
            for one in self.bnf.rules["agent"]
            if not any("star" in symbol.name or symbol.name == "statics" for symbol in one)
        )
        (params,) = (one for one in self.bnf.rules["params"] if any("star" in symbol.name for symbol in one))
        star = next(at for at, symbol in enumerate(params) if "star" in symbol.name)
        (param,) = (
            one for one in self.bnf.rules["param"] if [symbol.name for symbol in one] == ["binder", ":", "param_type"]
        )
        entry = (NEW, param[1], self.typing.symbol("type"))
        for count in range(1, self.draft.profile.params + 1):
            made = self.typing.listed(params, star, [entry] * count)
            if made is not None:
                yield (agent[0], NEW, *made, agent[3], self.typing.symbol("type"))

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
        for production in self.bnf.rules["simple"]:
            yield from self._simple(production)
        if len(draft.stack) <= profile.depth and draft.statements + 2 <= profile.statements:
            yield from self._openers()

    def _simple(self, production: Production) -> Iterator[Production]:
        scope, typing = self.draft.scope, self.typing
        match [symbol.name for symbol in production]:
            case ["binder", "=", "rhs"]:
                yield (NEW, production[1], typing.symbol("rhs", ANY, STEP))
                for name, kind in scope.carried:
                    yield (text(name), production[1], typing.symbol("rhs", _open_ended(kind), STEP))
            case ["var_ref", "+=", "expr"]:
                for name, kind in scope.carried:
                    if isinstance(kind, List) and kind.high:
                        yield (
                            text(name),
                            production[1],
                            typing.symbol("list", List(kind.element, 1, 1, span=kind.span), VALUE),
                        )
            case ["until", "expr"] if self.draft.stack[-1].kind == "loop":
                if self.draft.stack[-1].statements:
                    yield (production[0], typing.symbol("expr", Bool(), VALUE))

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


def _open_ended(kind: Type) -> Type:
    """Return what a carried name may get: an optional one a value."""
    return kind.inner if isinstance(kind, Optional) else kind


__all__ = ["PieceGrammar", "next_piece", "rule"]
