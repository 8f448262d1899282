"""The grammar of the next edit of a patch: only places that exist, and at each only what fits its type.

An edit whose rest depends on its place comes in two pieces: its head (`replace main.code =`), then what stands behind
it, which may use the names that are visible there. Not offered are declarations but for agents, blocks in the place of
a statement, and budgets: what is written is a subset of the language.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from masdsl.check.program import Agent, Append, Bind, Program, Return
from masdsl.check.uses import attempts, invokes, statements_of
from masdsl.decode.bnf import Bnf, Production, Symbol, read_bnf, text
from masdsl.decode.parts import NEW, PROMPT, agent_heads, bindings, excluded, paths_of, paths_of_head, patterns
from masdsl.decode.pieces import PieceGrammar
from masdsl.decode.profile import Profile
from masdsl.decode.typed import EITHER, VALUE, Mode, Scope, Typing
from masdsl.patch import places, properties
from masdsl.syntax import ast
from masdsl.types import Bool, List, Type

END: Final = "end"
"""What a model writes where the patch ends; it is no part of it. (A provider may take an empty line for no reply.)"""
_MAX: Final = (60, 120, 300, 600, 1000)
"""Values of `max`, in tokens."""
_RETRIES: Final = (0, 1, 2, 3)
_SECONDS: Final = (10, 30, 60, 120)
"""Values of `timeout`."""
_CONDITION: Final = "if"


class Offer(NamedTuple):
    """What a patch may be about: the program as it is by now, the tiers of the pool, steps that are finished.

    `written` are the places that the patch has given a value, which it may not do twice; `given_up` are the edits (word
    and place) of which a rest was refused.
    """

    document: ast.Program
    program: Program
    tiers: tuple[str, ...]
    finished: frozenset[str]
    profile: Profile
    written: frozenset[str] = frozenset()
    given_up: frozenset[tuple[str, str]] = frozenset()


class Place(NamedTuple):
    """A statement: its address, what it binds or returns, and what an option of its step gives (None: it has none)."""

    address: str
    node: ast.Statement
    type: Type | None
    option: Type | None

    @property
    def path(self) -> Production:
        """The address as symbols."""
        return _path(self.address)


def next_edit(offer: Offer, *, may_end: bool, more: bool) -> PieceGrammar | None:
    """Return the grammar of the next edit, or of its head; None where nothing may follow.

    `may_end` says that the patch may end here, `more` that it may go on.
    """
    typing = Typing(read_bnf("patch"), _declared(offer.program), offer.profile)
    productions: tuple[Production, ...] = ((text(END),),) if may_end else ()
    if more:
        productions += tuple(dict.fromkeys(one for one in _Edits(offer, typing).productions() if _is_open(offer, one)))
    if not productions:
        return None
    bnf = typing.finished("piece", productions, patterns(offer.profile, ()))
    return PieceGrammar(bnf, excluded(_declared(offer.program), _words(offer.document)))


def rest_of(head: str, offer: Offer, scope: Scope) -> PieceGrammar | None:
    """Return the grammar of what stands behind a head; `scope` is that of its place. None where nothing fits."""
    bnf = read_bnf("patch")
    typing = Typing(bnf, scope, offer.profile)
    holes = tuple(paths_of_head(head, scope))
    productions: tuple[Production, ...]
    words = head.split()
    if words[0] == "add":
        productions = ((PROMPT,),)
    elif words[0] == "set":
        (agent,) = (one for one in offer.program.agents if not one.module and one.name == words[1].split(".")[0])
        holes = tuple(path for param in agent.params for path in paths_of(param.name, param.type))
        productions = ((PROMPT,),)
    elif words[-1] == "{":
        productions = tuple((*one, text("}")) for one in bindings(bnf, typing, scope))
    elif words[-1] == _CONDITION:
        productions = ((typing.symbol("expr", Bool(), VALUE),),)
    else:
        place = next(one for one in statements(offer) if one.address == words[1])
        productions = _right_sides(words[0], place, typing)
    try:
        whole = typing.finished("piece", productions, patterns(offer.profile, holes))
    except ValueError:
        return None
    return PieceGrammar(whole, excluded(scope, _words(offer.document), head))


def is_head(piece: str) -> bool:
    """Whether a piece is an edit whose rest is to come."""
    return piece.endswith(("=\n", "{\n", f" {_CONDITION}\n")) or (
        piece.startswith("add agent ") and not piece.endswith('"\n')
    )


def joined(head: str) -> str:
    """Return a head as it stands in front of its rest."""
    return head if head.endswith("{\n") else head[:-1] + " "


def subject(edit: str) -> tuple[str, str]:
    """Return the word and the place of an edit or of its head."""
    word, place, *_ = (*edit.split(), "", "")
    return word, place


def written_by(edit: str) -> str:
    """Return the place that an edit gives a value; nothing if it does something else."""
    word, place = subject(edit)
    return {"set": place, "replace": place, "bind": f"{place}.on"}.get(word, "")


def _is_open(offer: Offer, production: Production) -> bool:
    edit = " ".join(one.name for one in production if one.kind == "text").replace(" . ", ".")
    return written_by(edit) not in offer.written and subject(edit) not in offer.given_up


def statements(offer: Offer) -> Iterator[Place]:
    """Yield the statements of the program's own flows, those that are reached, with the types of what they do."""
    for flow in offer.program.flows:
        declared = next((item for item in offer.document.items if _is_flow(item, flow.name)), None)
        if flow.module or flow.statics or not isinstance(declared, ast.Flow):
            continue
        checked = {one.path: one for one in statements_of(flow.body) if isinstance(one, Bind | Return)}
        appended = {one.name: one.type for one in statements_of(flow.body) if isinstance(one, Append)}
        for name, node in places.statements_of(declared):
            address = f"{flow.name}.{name}"
            found = checked.get(address)
            option = None
            if found is not None and invokes(found.value):
                option = attempts(found.value)[0].type
            kind = found.type if found is not None else None
            if isinstance(node, ast.Append):
                kind = appended.get(node.name.text)
            elif isinstance(node, ast.Return):
                kind = flow.returns
            yield Place(address, node, kind, option)


class _Edits:
    def __init__(self, offer: Offer, typing: Typing) -> None:
        self.offer = offer
        self.typing = typing
        self.bnf: Bnf = read_bnf("patch")

    def productions(self) -> Iterator[Production]:
        """Yield edits, and heads of edits."""
        agents = {one.name: one for one in self.offer.program.agents if not one.module}
        for item in self.offer.document.items:
            match item:
                case ast.Agent() | ast.Variant():
                    yield from self._agent(item, agents.get(item.name.text))
                case ast.Tool():
                    for seconds in _SECONDS:
                        yield self._set(item.name.text, "timeout", text(str(seconds)))
                case _:
                    pass
        for place in statements(self.offer):
            yield from self._statement(place)
        for head in agent_heads(self.bnf, self.typing, self.offer.profile):
            yield (text("add"), *head)

    def _agent(self, node: ast.Agent | ast.Variant, checked: Agent | None) -> Iterator[Production]:
        name = node.name.text
        on = properties.get(node, "on")
        current = on.text if isinstance(on, ast.Name) else None
        for tier in self.offer.tiers:
            if tier != current:
                yield (text("bind"), text(name), text("="), text(tier))
        yield self._set(name, "temp", Symbol("pattern", "FRACTION"))
        for prop, values in (("max", _MAX), ("retry", _RETRIES), ("timeout", _SECONDS)):
            for value in values:
                yield self._set(name, prop, text(str(value)))
        if isinstance(node, ast.Agent):
            yield self._set(name, "prompt")
            if checked is not None:
                yield self._set(name, "else", self.typing.symbol("expr", checked.returns, _LITERAL, ()))
        for prop in ("temp", "max", "retry", "timeout", "else", "role"):
            if (isinstance(node, ast.Agent) or prop != "else") and properties.get(node, prop) is not None:
                yield (text("drop"), *_path(f"{name}.{prop}"))

    def _set(self, name: str, prop: str, *value: Symbol) -> Production:
        return (text("set"), *_path(f"{name}.{prop}"), text("="), *value)

    def _statement(self, place: Place) -> Iterator[Production]:
        node, path, profile = place.node, place.path, self.offer.profile
        yield (text("drop"), *path)
        for side in ("before",) if isinstance(node, ast.Return) else ("before", "after"):
            yield (text(side), *path, text("{"))
        if not isinstance(node, ast.Return | ast.Until):
            for times in range(2, profile.rounds + 1):
                yield (text("wrap"), *path, text("in"), text("loop"), text(str(times)))
            yield (text("wrap"), *path, text("in"), text(_CONDITION))
        if isinstance(node, ast.Until) or (isinstance(node, ast.Bind | ast.Append | ast.Return) and place.type):
            yield (text("replace"), *path, text("="))
        if place.option is not None:
            yield (text("otherwise"), *path, text("="))
        if place.address in self.offer.finished:
            yield (text("redo"), *path)
        if isinstance(node, ast.Bind):
            yield (text("rename"), *path, text("="), NEW)
        if isinstance(node, ast.Bind | ast.Return):
            for number in range(1, len(places.options_of(node.value))):
                yield (text("drop"), *path, text("."), text(places.numbered("else", number)))
        for prop in ("times", "count"):
            if prop in properties.properties_of(node):
                for count in range(1, profile.rounds + 1):
                    yield (text("set"), *path, text("."), text(prop), text("="), text(str(count)))


def _right_sides(word: str, place: Place, typing: Typing) -> tuple[Production, ...]:
    if isinstance(place.node, ast.Until):
        return ((typing.symbol("expr", Bool(), VALUE),),)
    if word == "otherwise":
        return () if place.option is None else ((typing.symbol("attempt", place.option, EITHER),),)
    if place.type is None:
        return ()
    if isinstance(place.node, ast.Append):
        assert isinstance(place.type, List)
        return ((typing.symbol("list", List(place.type.element, 1, 1, span=place.type.span), VALUE),),)
    return ((typing.symbol("rhs", _perhaps_fewer(place.type), EITHER),),)


def _perhaps_fewer(kind: Type) -> Type:
    """Return a type of which a list may have fewer items; who needs more is found by the checker."""
    return List(kind.element, min(kind.low, 1), kind.high, span=kind.span) if isinstance(kind, List) else kind


def _declared(program: Program) -> Scope:
    """Return what declarations may use."""
    return Scope(types=tuple(one for one in program.types if not one.module and one.name))


def _words(document: ast.Program) -> str:
    from masdsl.syntax.compact import print_compact

    return print_compact(document)


def _is_flow(item: ast.Item, name: str) -> bool:
    return isinstance(item, ast.Flow) and item.name.text == name


def _path(address: str) -> Production:
    first, *others = address.split(".")
    return (text(first), *(symbol for part in others for symbol in (text("."), text(part))))


_LITERAL: Final = Mode("plain")
"""A value without names and operators."""
