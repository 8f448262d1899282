"""Types of the language as Python annotations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from masdsl.emit.layout import Affix, Atom, Bracket, Piece
from masdsl.emit.literals import literal
from masdsl.lower import ir
from masdsl.lower.names import field_names, word_names
from masdsl.lower.variables import same_class
from masdsl.types import Bool, Enum, Float, Int, List, Nothing, Optional, Record, Text, Type

LONGEST = 60
"""A list of a type that is longer gets an alias for that."""


class Types:
    """Writes types. `used` collects the names that have to be imported."""

    def __init__(self, classes: Sequence[ir.Class], used: set[str], taken: set[str]) -> None:
        self.used = used
        self._new_aliases: list[tuple[str, Piece]] = []
        self._taken = taken
        self._alias_of: dict[Type, str] = {}
        self._classes: Mapping[Type, str] = {same_class(entry.type): entry.name for entry in classes}
        self._fields: dict[Record, dict[str, str]] = {}
        self._words: dict[Enum, dict[str, str]] = {}

    def new_aliases(self) -> list[tuple[str, Piece]]:
        """Return the aliases that have come up since the last call: they have to stand before their use."""
        found, self._new_aliases = self._new_aliases, []
        return found

    def class_of(self, kind: Record | Enum) -> str:
        """Return the name of the class of a record or an enum."""
        return self._classes[same_class(kind)]

    def field(self, kind: Type, name: str) -> str:
        """Return the attribute of a field of a record."""
        assert isinstance(kind, Record)
        if kind not in self._fields:
            self._fields[kind] = field_names(field for field, _ in kind.fields)
        return self._fields[kind][name]

    def word(self, kind: Enum, word: str) -> str:
        """Return a word of an enum, as an expression."""
        if kind not in self._words:
            self._words[kind] = word_names(kind.words)
        return f"{self.class_of(kind)}.{self._words[kind][word]}"

    def bare(self, kind: Type) -> str:
        """Return a type without sizes, for type checkers."""
        match kind:
            case Text():
                return "str"
            case Int():
                return "int"
            case Float():
                return "float"
            case Bool():
                return "bool"
            case Nothing():
                return "None"
            case Enum() | Record():
                return self.class_of(kind)
            case List():
                element = self.bare(kind.element)
                return f"list[{element if len(element) <= LONGEST else self._short(kind.element)}]"
            case Optional():
                return f"{self.bare(kind.inner)} | None"
            case _:
                raise AssertionError(f"{kind} is no type of a value")

    def result(self, kinds: Sequence[Type]) -> str:
        """Return the type of what a helper gives: nothing, a value, or a tuple."""
        if not kinds:
            return "None"
        return self.bare(kinds[0]) if len(kinds) == 1 else f"tuple[{', '.join(map(self.bare, kinds))}]"

    def sized(self, kind: Type, alias: str | None = None) -> Piece:
        """Return a type with its sizes, for the runtime; `alias` is a field's name where Python has another for it."""
        notes: list[Piece] = []
        if alias is not None:
            self.used |= {"Annotated", "Alias"}
            notes = [Atom(f"Alias({literal(alias)})")]
        match kind:
            case Text():
                self.used |= {"Annotated", "Tokens"}
                inner: Piece = Atom("str")
                notes.insert(0, Atom(f"Tokens({kind.cap})"))
            case List():
                self.used |= {"Annotated", "Items"}
                element = self.sized(kind.element).flat
                inner = Atom(f"list[{element if len(element) <= LONGEST else self._short(kind.element)}]")
                notes.insert(0, Atom(f"Items({kind.low}, {kind.high})"))
            case Optional():
                inner = Affix("", self.sized(kind.inner), " | None")
            case _:
                inner = Atom(self.bare(kind))
        return Bracket("Annotated[", [("", inner), *(("", note) for note in notes)], "]") if notes else inner

    def _short(self, kind: Type) -> str:
        """Return a type with an alias in place of its lists; other types are names already."""
        match kind:
            case Optional():
                return f"{self._short(kind.inner)} | None"
            case List():
                return self._alias(kind)
            case _:
                return self.bare(kind)

    def _alias(self, kind: List) -> str:
        if kind not in self._alias_of:
            number = 1
            while f"Nested{number}" in self._taken:
                number += 1
            name = self._alias_of[kind] = f"Nested{number}"
            self._taken.add(name)
            piece = self.sized(kind)
            self._new_aliases.append((name, piece))
        return self._alias_of[kind]
