"""What may come next in a program, by names and types: the derived grammar, specialised.

Every production here is one of the grammar's own (`bnf`), with names in the place of roles and with sub-rules that are
specialised for the type that is wanted: `expr` for a bool that may use two names becomes a rule of its own. A
production without a typing rule is left out, so what can be written is a subset of the language, never more. What types
do not say (names given twice in one declaration, budgets) is for the checker to find, piece by piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from masdsl.check.builtins import result_type
from masdsl.check.program import Param
from masdsl.check.relations import fits
from masdsl.decode.bnf import Bnf, Production, Symbol, pruned, rule, text
from masdsl.decode.profile import CAPS, SIZES, Profile
from masdsl.types import Bool, Enum, Float, Int, List, Nothing, Optional, Record, Text, Type

ANY: Final = "any"
"""No type is wanted: whatever a step gives."""

Names = tuple[tuple[str, Type], ...]
Wanted = Type | str


class Target(NamedTuple):
    """A step that can be called: what it takes and gives, and how many calls of models it makes at most."""

    name: str
    params: tuple[Param, ...]
    returns: Type
    calls: int


class Scope(NamedTuple):
    """What is visible at a place, in the order in which it was declared.

    `carried` are names that may be given another value there, `calls` is how many calls of models still fit, each
    counted as often as the loops around the place run.
    """

    names: Names = ()
    carried: Names = ()
    callables: tuple[Target, ...] = ()
    types: tuple[Enum | Record, ...] = ()
    returns: Type | None = None
    calls: int = 0


class Mode(NamedTuple):
    """What an expression may be: a step, a value, either, or plain (a value without `and` and `or`).

    A step is made `times` times, and calls `only` that one if it is given.
    """

    kind: str
    times: int = 1
    only: str = ""

    @property
    def calls(self) -> bool:
        """Whether a step may stand there."""
        return self.kind in ("step", "either")


class _Key(NamedTuple):
    """A specialised rule: for what type, with which names, and what it may be."""

    rule: str
    want: Wanted
    names: Names
    mode: Mode


STEP, VALUE, EITHER, _PLAIN = Mode("step"), Mode("value"), Mode("either"), Mode("plain")
_UNARY: Final = ("len", "first", "last", "majority", "number", "trim", "lower", "text", "sum")
"""Built-in functions of one argument that are offered."""


class Typing:
    """Builds specialised rules, each once; `bnf` is the grammar that they are taken from."""

    def __init__(self, bnf: Bnf, scope: Scope, profile: Profile) -> None:
        self.rules: dict[str, tuple[Production, ...]] = {}
        self._bnf = bnf
        self._scope = scope
        self._profile = profile
        self._made: dict[_Key, str] = {}
        self._open: list[_Key] = []
        self._by_rule: Mapping[str, Callable[[Production, _Key], Iterable[Production]]] = {
            "rhs": self._rhs,
            "attempt": self._attempt,
            "expr": self._either,
            "and_expr": self._either,
            "not_expr": self._not,
            "compare": self._compare,
            "sum": self._sum,
            "term": self._through,
            "factor": self._through,
            "postfix": self._postfix,
            "call": self._call,
            "atom": self._atom,
            "record": self._record,
            "tag": self._tag,
            "list": self._list,
            "type": self._type,
        }

    def symbol(self, name: str, want: Wanted = ANY, mode: Mode = EITHER, names: Names | None = None) -> Symbol:
        """Return the symbol of a rule of the grammar, specialised for a wanted type."""
        key = _Key(name, want, self._scope.names if names is None else names, mode)
        if key not in self._made:
            self._made[key] = f"{name}_t{len(self._made)}"
            self._open.append(key)
        return rule(self._made[key])

    def finished(self, start: str, productions: Iterable[Production], patterns: Mapping[str, str]) -> Bnf:
        """Return the grammar of some productions with all that they need. Raises ValueError if it is empty."""
        self.rules[start] = tuple(productions)
        while self._open:
            key = self._open.pop()
            make = self._by_rule[key.rule]
            found = (made for production in self._bnf.rules[key.rule] for made in make(production, key))
            self.rules[self._made[key]] = tuple(dict.fromkeys(found))
        return pruned(Bnf(start, {**self._bnf.rules, **self.rules}, {**self._bnf.patterns, **patterns}))

    # ------------------------------------------------------------ helpers

    def _sub(self, key: _Key, name: str, want: Wanted | None = None, mode: Mode | None = None) -> Symbol:
        return self.symbol(name, key.want if want is None else want, key.mode if mode is None else mode, key.names)

    def element(self, star: Symbol) -> Production:
        """Return what a repetition repeats once: `COMMA expr` of `("," expr)*`."""
        return next(one for one in self._bnf.rules[star.name] if one[0] != star)

    def listed(self, production: Production, star: int, fillings: Iterable[Production]) -> Production | None:
        """Return a production with exactly these entries where it has one and a repetition of it at `star`."""
        entries = list(fillings)
        if not entries:
            return None
        separator = self.element(production[star])[:-1]
        joined = list(entries[0])
        for entry in entries[1:]:
            joined += [*separator, *entry]
        return (*production[: star - 1], *joined, *production[star + 1 :])

    def places(self, names: Names, holds: Callable[[Type], bool], depth: int = 2) -> Iterator[tuple[Production, Type]]:
        """Yield names and fields of them whose types hold: as symbols, with the type."""
        for name, kind in names:
            yield from self._fields((text(name),), kind, holds, depth)

    def _fields(
        self, symbols: Production, kind: Type, holds: Callable[[Type], bool], depth: int
    ) -> Iterator[tuple[Production, Type]]:
        if holds(kind):
            yield symbols, kind
        if isinstance(kind, Record) and depth:
            for field, inner in kind.fields:
                yield from self._fields((*symbols, text("."), text(field)), inner, holds, depth - 1)

    # ------------------------------------------------------------ steps

    def _rhs(self, production: Production, key: _Key) -> Iterator[Production]:
        names = [symbol.name for symbol in production]
        if names == ["attempt"]:
            yield (self._sub(key, "attempt"),)
            return
        if (key.want != ANY and not isinstance(key.want, List)) or key.mode == VALUE:
            return
        element: Wanted = key.want.element if isinstance(key.want, List) else ANY
        low, high = (max(key.want.low, 2), key.want.high) if isinstance(key.want, List) else (2, self._profile.rounds)
        if names[:2] == ["size", "of"]:
            for times in range(low, min(high, self._profile.rounds) + 1):
                one = self._with_calls(element, key.names, times)
                if one is not None:
                    yield (text(str(times)), production[1], one)
        elif "where" not in names:
            for place, kind in self.places(key.names, lambda kind: isinstance(kind, List) and kind.high > 0):
                assert isinstance(kind, List)
                inner = (*key.names, (ITEM, kind.element))
                body = self._with_calls(element, inner, kind.high)
                if body is not None and ITEM not in dict(key.names) and (key.want == ANY or kind.high <= high):
                    yield (production[0], text(ITEM), production[2], *place, production[4], body)

    def _with_calls(self, want: Wanted, names: Names, times: int) -> Symbol | None:
        """Return a step of which `times` still fit the budget, None if there is none."""
        if not any(one.calls * times <= self._scope.calls for one in self._callables(want)):
            return None
        return self.symbol("attempt", want, Mode("step", times), names)

    def _callables(self, want: Wanted) -> Iterator[Target]:
        return (one for one in self._scope.callables if isinstance(want, str) or fits(one.returns, want))

    def _attempt(self, production: Production, key: _Key) -> Iterator[Production]:
        if len(production) == 1:
            yield (self._sub(key, "expr"),)
            return
        for one in self._callables(key.want) if key.mode.calls else ():
            if (
                one.calls * key.mode.times <= self._scope.calls
            ):  # a step may fail: what stands instead is a value of the same type
                other = (*self.element(production[1])[:-1], self._sub(key, "expr", one.returns, VALUE))
                yield (self._sub(key, "expr", key.want, key.mode._replace(only=one.name)), *other)

    def _call(self, production: Production, key: _Key) -> Iterator[Production]:
        if not any(symbol.name.startswith("__call_star") for symbol in production):
            return
        star = next(at for at, symbol in enumerate(production) if symbol.name.startswith("__call_star"))
        if key.mode.calls:
            for one in self._callables(key.want):
                fitting = one.calls * key.mode.times <= self._scope.calls
                if fitting and key.mode.only in ("", one.name):
                    yield from self._step(production, star, one, key)
        if key.mode.kind in ("value", "either") and not isinstance(key.want, str):
            yield from self._builtins(production, star, key, key.want)

    def _step(self, production: Production, star: int, one: Target, key: _Key) -> Iterator[Production]:
        required = [param for param in one.params if not param.optional]
        optional = [param for param in one.params if param.optional]
        entries: list[Production] = [(self._sub(key, "expr", param.type, VALUE),) for param in required]
        for more in (0, *range(1, len(optional) + 1)):
            named: list[Production] = [
                (text(param.name), text(":"), self._sub(key, "expr", param.type, VALUE)) for param in optional[:more]
            ]
            whole = self.listed((text(one.name), *production[1:]), star, [*entries, *named])
            yield whole or (text(one.name), production[1], production[-1])

    def _builtins(self, production: Production, star: int, key: _Key, want: Type) -> Iterator[Production]:
        places = list(self.places(key.names, lambda kind: True))
        for name in _UNARY:
            for place, kind in places:
                if place != (text(ITEM),) or name != "text":
                    given = result_type(name, (kind,))
                    if given is not None and given != kind and fits(given, want):
                        made = self.listed((text(name), *production[1:]), star, [place])
                        if made is not None:
                            yield made
        for place, kind in places:
            if isinstance(want, Bool) and isinstance(kind, Text):
                made = self.listed((text("contains"), *production[1:]), star, [place, (Symbol("pattern", "WORDS"),)])
                if made is not None:
                    yield made
            if isinstance(want, Text) and isinstance(kind, List) and isinstance(kind.element, Text):
                made = self.listed((text("join"), *production[1:]), star, [place, (text('"\\n"'),)])
                if made is not None:
                    yield made

    # ------------------------------------------------------------ values

    def _either(self, production: Production, key: _Key) -> Iterator[Production]:
        """`or` and `and`: of bools, twice at most."""
        inner = production[0].name
        if len(production) == 1:
            yield (self._sub(key, inner),)
        elif isinstance(key.want, Bool) and key.mode == VALUE:
            word, _ = self.element(production[1])
            yield (self._sub(key, inner, mode=_PLAIN), word, self._sub(key, inner, mode=_PLAIN))

    def _not(self, production: Production, key: _Key) -> Iterator[Production]:
        if len(production) == 1:
            yield (self._sub(key, production[0].name),)
        elif isinstance(key.want, Bool) and key.mode in (VALUE, _PLAIN):
            for place, _ in self.places(key.names, lambda kind: isinstance(kind, Bool)):
                yield (production[0], *place)

    def _compare(self, production: Production, key: _Key) -> Iterator[Production]:
        if len(production) == 1:
            yield (self._sub(key, production[0].name),)
            return
        if not isinstance(key.want, Bool) or key.mode not in (VALUE, _PLAIN):
            return
        for place, kind in self.places(key.names, lambda kind: True):
            match kind:
                case Int() | Float():
                    yield (*place, production[1], self.symbol("atom", Int(), VALUE, key.names))
                    others = self.places(key.names, lambda other: isinstance(other, Int | Float))
                    yield from ((*place, production[1], *other) for other, _ in others if other != place)
                case Enum():
                    for sign in ("==", "!="):
                        yield (*place, text(sign), self.symbol("tag", kind, VALUE, key.names))
                case Optional():
                    for sign in ("==", "!="):
                        yield (*place, text(sign), text("none"))
                case Text():
                    others = self.places(key.names, lambda other: isinstance(other, Text))
                    yield from ((*place, text("=="), *other) for other, _ in others if other != place)

    def _sum(self, production: Production, key: _Key) -> Iterator[Production]:
        if len(production) == 1:
            yield (self._sub(key, production[0].name),)
        elif isinstance(key.want, Int | Float) and key.mode == VALUE:
            plus, _ = self.element(production[1])
            for place, _ in self.places(key.names, lambda kind: fits(kind, key.want)):  # type: ignore[arg-type]
                yield (*place, plus, self.symbol("atom", Int(), VALUE, key.names))

    def _through(self, production: Production, key: _Key) -> Iterator[Production]:
        if len(production) == 1:
            yield (self._sub(key, production[0].name),)

    def _postfix(self, production: Production, key: _Key) -> Iterator[Production]:
        kinds = [symbol.name for symbol in production]
        if kinds == ["call"]:
            yield (self._sub(key, "call"),)
        elif isinstance(key.want, str) or key.mode.kind == "step":
            return
        elif kinds == ["var_ref"]:
            want = key.want
            yield from (place for place, _ in self.places(key.names, lambda kind: fits(kind, want)))
        elif kinds == ["atom"]:
            yield (self._sub(key, "atom", mode=VALUE),)

    def _atom(self, production: Production, key: _Key) -> Iterator[Production]:
        (symbol,) = production
        want = key.want.inner if isinstance(key.want, Optional) else key.want
        if isinstance(key.want, Optional) and symbol == text("none"):
            yield production
        match want:
            case Text() if symbol.name == "STRING":
                yield (Symbol("pattern", "WORDS"),)
            case Int() if symbol.name == "INT":
                yield (Symbol("pattern", "SMALL"),)
            case Float() if symbol.name == "FLOAT":
                yield (Symbol("pattern", "FRACTION"),)
            case Bool() if symbol.name in ("true", "false"):
                yield production
            case Record() | Enum() | List() if symbol.name == _SPELT[type(want)]:
                yield (self._sub(key, symbol.name, want),)

    def _record(self, production: Production, key: _Key) -> Iterator[Production]:
        want = key.want
        star = next((at for at, symbol in enumerate(production) if symbol.name.startswith("__record_star")), None)
        if (
            not isinstance(want, Record)
            or star is None
            or (production[0].name == "type_ref") != (want.name is not None)
        ):
            return
        entries: list[Production] = [
            (text(field), text(":"), self._sub(key, "expr", kind, VALUE)) for field, kind in want.fields
        ]
        head = (text(want.name), *production[1:]) if want.name is not None else production
        made = self.listed(head, star, entries)
        if made is not None:
            yield made

    def _tag(self, production: Production, key: _Key) -> Iterator[Production]:
        if isinstance(key.want, Enum):
            yield from ((text(key.want.name), production[1], text(word)) for word in key.want.words)

    def _list(self, production: Production, key: _Key) -> Iterator[Production]:
        want = key.want
        if not isinstance(want, List) or isinstance(want.element, Nothing):
            return
        star = next((at for at, symbol in enumerate(production) if symbol.name.startswith("__list_star")), None)
        if len(production) == 2 and want.low == 0:
            yield production
        elif star is not None:
            for count in range(max(want.low, 1), min(want.high, max(self._profile.items, want.low)) + 1):
                made = self.listed(production, star, [(self._sub(key, "expr", want.element, VALUE),)] * count)
                if made is not None:
                    yield made

    # ------------------------------------------------------------ types

    def _type(self, production: Production, key: _Key) -> Iterator[Production]:
        """Primitive types, declared ones, and lists of both; `key.want` plays no part."""
        sizes = [text("text"), *(text(f"text({size})") for size in SIZES)]
        plain = [*sizes, text("int"), text("float"), text("bool"), *(text(one.name or "") for one in self._scope.types)]
        if len(production) == 1:
            yield from ((one,) for one in plain)
        else:
            yield from ((text(f"{one.name}[{cap}]"),) for one in plain for cap in CAPS)


ITEM: Final = "item"
"""What `each` and `for` call an item."""
_SPELT: Final[Mapping[type, str]] = {Record: "record", Enum: "tag", List: "list"}
