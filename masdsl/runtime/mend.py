"""Mending: data that a model wrote, bent towards a shape without guessing."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from masdsl.runtime.loose import Bare, Found, Node, Partial, find_json
from masdsl.runtime.shapes import (
    BoolShape,
    EnumShape,
    FloatShape,
    IntShape,
    ListShape,
    OptionalShape,
    RecordShape,
    Shape,
    TextShape,
    describe,
    expected,
)
from masdsl.runtime.text import brief
from masdsl.runtime.words import Hit, NumberReader, ScalarReader, TruthReader, WordReader, find_value, normal

_NULL_WORDS = frozenset(("null", "none", "nil", "n/a", "na", "not applicable", "(none)", "empty"))
_ANSWER_KEYS = frozenset(
    ("answer", "value", "result", "finalanswer", "output", "verdict", "decision", "label", "score")
)
_MOST_FAULTS = 4


class Mismatch(Exception):
    """A reply does not fit: what was expected and what is there, for each place. `text` is for the model."""

    def __init__(self, faults: tuple[tuple[str, str, str], ...]) -> None:
        super().__init__(faults)
        self.faults = faults

    @classmethod
    def one(cls, where: str, wanted: str, got: str) -> Mismatch:
        """Return the mismatch at one place."""
        return cls(((where, wanted, got),))

    @classmethod
    def all(cls, mismatches: list[Mismatch]) -> Mismatch:
        """Return several mismatches as one."""
        return cls(tuple(fault for mismatch in mismatches for fault in mismatch.faults))

    def below(self, where: str) -> Mismatch:
        """Return the mismatch as seen from a level above, at whose part `where` it is."""
        return Mismatch(tuple((join_path(where, inner), wanted, got) for inner, wanted, got in self.faults))

    @property
    def text(self) -> str:
        """All of it in one line, for the model."""
        shown = [
            f"{f'at `{where}`: ' if where else ''}expected {wanted}, got {got}"
            for where, wanted, got in self.faults[:_MOST_FAULTS]
        ]
        more = len(self.faults) - len(shown)
        return "; ".join(shown) + (f"; and {more} more" if more else "")


def join_path(outer: str, inner: str) -> str:
    """Return `a.b`, or `a[0]`."""
    return f"{outer}.{inner}" if outer and inner and inner[0] != "[" else f"{outer}{inner}"


def is_null_word(word: str) -> bool:
    """Whether a word says that there is nothing."""
    return word.lower() in _NULL_WORDS


@lru_cache(maxsize=256)
def scalar_reader(shape: IntShape | FloatShape | BoolShape | EnumShape) -> ScalarReader:
    """Return the reader of a scalar type's words."""
    match shape:
        case EnumShape(_, words):
            return WordReader(words)
        case BoolShape():
            return TruthReader()
        case IntShape() | FloatShape():
            return NumberReader()


def answer_in(text: str) -> tuple[bool, Node]:
    """Return whether a text is, or has, one JSON object that holds one answer, and that answer.

    That is an object with a single field, or with one called `answer`, `value` or the like. Raises Mismatch where two
    objects answer differently.
    """
    if "{" not in text:
        return False, None
    answers: list[Node] = []
    for item in find_json(text):
        if isinstance(item.value, dict) and not item.truncated:
            named = [value for key, value in item.value.items() if normal(key) in _ANSWER_KEYS]
            values = named if len(named) == 1 else list(item.value.values()) if len(item.value) == 1 else []
            if values and values[0] not in answers:
                answers.append(values[0])
    if len(answers) > 1:
        raise Mismatch.one("", "one answer", f"{len(answers)} different ones")
    return bool(answers), answers[0] if answers else None


class Mender:
    """Bends nodes to shapes, remembering what it did."""

    def __init__(self) -> None:
        self._notes: dict[str, None] = {}
        self._truncated = False
        self._twice: frozenset[str] = frozenset()

    @property
    def repairs(self) -> tuple[str, ...]:
        """What was mended, in order, each once."""
        return tuple(self._notes)

    def note(self, repair: str) -> None:
        """Remember that something was mended."""
        self._notes[repair] = None

    def reading(self, found: Found) -> None:
        """Start to mend what was found, taking over what was mended to read it."""
        for repair in found.repairs:
            self.note(repair)
        self._truncated = found.truncated
        self._twice = frozenset(found.twice)

    def adopt(self, other: Mender) -> None:
        """Take over the notes of another mender."""
        self._notes.update(other._notes)

    def mend(self, node: Node, shape: Shape, where: str) -> Any:
        """Return a node as plain data of the shape; raise Mismatch where that would be a guess."""
        match shape:
            case OptionalShape(inner):
                return self._optional(node, inner, where)
            case TextShape():
                return self._text(node, where)
            case ListShape():
                return self._list(node, shape, where)
            case RecordShape():
                return self._record(node, shape, where)
            case IntShape() | FloatShape() | BoolShape() | EnumShape():
                return self._scalar_node(node, shape, where)

    def _optional(self, node: Node, inner: Shape, where: str) -> Any:
        if node is None:
            return None
        if isinstance(node, str) and not isinstance(node, Partial):
            is_word = isinstance(inner, EnumShape) and node in inner.words
            quoted_text = isinstance(inner, TextShape) and not isinstance(node, Bare)
            if not is_word and not quoted_text and (is_null_word(node.strip()) or not node.strip()):
                self.note("a word for null")
                return None
        return self.mend(node, inner, where)

    def _text(self, node: Node, where: str) -> str:
        if isinstance(node, str):
            if isinstance(node, Bare):
                self.note("a value without quotes for text")
            return str(node)
        if isinstance(node, bool):
            self.note("a value without quotes for text")
            return "true" if node else "false"
        if isinstance(node, list) and node and all(isinstance(item, str) for item in node):
            self.note("a list for text")
            return "\n".join(str(item) for item in node)
        raise Mismatch.one(where, "text", _shown(node))

    # ------------------------------------------------------------ scalars

    def _scalar_node(self, node: Node, shape: IntShape | FloatShape | BoolShape | EnumShape, where: str) -> Any:
        if isinstance(node, list) and len(node) == 1:
            self.note("a list of one for its item")
            return self.mend(node[0], shape, where)
        if isinstance(node, dict) and len(node) == 1:
            self.note("an object around a value")
            return self.mend(next(iter(node.values())), shape, where)
        if isinstance(node, bool):
            if isinstance(shape, BoolShape):
                return node
            if isinstance(shape, EnumShape):
                node = "true" if node else "false"
        if not isinstance(node, str) or isinstance(node, Partial):
            raise Mismatch.one(where, expected(shape), _shown(node))
        if isinstance(shape, EnumShape) and node in shape.words:
            return str(node)
        hit = find_value(node, scalar_reader(shape))
        if not isinstance(hit, Hit):
            raise Mismatch.one(where, expected(shape), _shown(node))
        if not isinstance(node, Bare) or not isinstance(shape, IntShape | FloatShape) or not hit.whole:
            self.note("another spelling of a value" if hit.whole else "a value found in prose")
        return self.scalar(hit.value, shape, where)

    def scalar(self, value: Any, shape: IntShape | FloatShape | BoolShape | EnumShape, where: str) -> Any:
        """Return a value that was read, checked against what its reader cannot know."""
        if isinstance(shape, IntShape) and isinstance(value, float):
            if not value.is_integer():
                raise Mismatch.one(where, expected(shape), repr(value))
            return int(value)
        return value

    # ------------------------------------------------------------ lists

    def _list(self, node: Node, shape: ListShape, where: str) -> list[Any]:
        items = self._items(node, shape, where)
        made: list[Any] = []
        faults: list[Mismatch] = []
        for at, item in enumerate(items[: shape.high]):
            try:
                made.append(self.mend(item, shape.element, f"{where}[{at}]"))
            except Mismatch as mismatch:
                if self._truncated and at == len(items) - 1:
                    self.note("an unfinished item left out")
                else:
                    faults.append(mismatch)
        if faults:
            raise Mismatch.all(faults)
        if len(made) < shape.low:
            raise Mismatch.one(where, expected(shape), f"a list of {len(made)}" if made else "an empty list")
        return [*made, *items[shape.high :]]

    def _items(self, node: Node, shape: ListShape, where: str) -> list[Node]:
        if isinstance(node, list):
            return node
        if node is None or (isinstance(node, str) and (not node.strip() or is_null_word(node.strip()))):
            self.note("a word for an empty list")
            return []
        if isinstance(node, dict):
            values = list(node.values())
            if len(values) == 1 and isinstance(values[0], list):
                self.note("an object around a list")
                return values[0]
            if values and all(key.isdigit() for key in node):
                self.note("numbered fields for a list")
                return values
            if not isinstance(shape.element, RecordShape):
                raise Mismatch.one(where, expected(shape), _shown(node))
        if isinstance(node, str) and not isinstance(shape.element, RecordShape | ListShape):
            parts = node.split("\n") if isinstance(shape.element, TextShape) else node.replace("\n", ",").split(",")
            parts = [part.strip().removeprefix("- ") for part in parts if part.strip()]
            self.note("text for a list")
            return [Partial(part) if isinstance(node, Partial) else part for part in parts]
        self.note("one value for a list of it")
        return [node]

    # ------------------------------------------------------------ records

    def _record(self, node: Node, shape: RecordShape, where: str) -> dict[str, Any]:
        if isinstance(node, list) and len(node) == 1 and isinstance(node[0], dict):
            self.note("a list of one for its item")
            node = node[0]
        if not isinstance(node, dict):
            if len(shape.fields) == 1 and node is not None:
                self.note("the bare value of the only field")
                only = shape.fields[0]
                return {only.name: self.mend(node, only.shape, join_path(where, only.name))}
            raise Mismatch.one(where, expected(shape), _shown(node))
        matched = self._matched(node, shape, where)
        if not matched and len(node) == 1:
            inner = next(iter(node.values()))
            if isinstance(inner, dict) or (isinstance(inner, list) and len(inner) == 1):
                self.note("an object around the object")
                return self._record(inner, shape, where)
        made: dict[str, Any] = {}
        faults: list[Mismatch] = []
        for field in shape.fields:
            at = join_path(where, field.name)
            if field.name in matched:
                try:
                    made[field.name] = self.mend(matched[field.name], field.shape, at)
                except Mismatch as mismatch:
                    faults.append(mismatch)
            elif isinstance(field.shape, OptionalShape):
                self.note("a missing optional field")
                made[field.name] = None
            else:
                faults.append(Mismatch.one(at, expected(field.shape), "nothing"))
        if faults:
            raise Mismatch.all(faults)
        return made

    def _matched(self, node: dict[str, Node], shape: RecordShape, where: str) -> dict[str, Node]:
        """Return the values of an object by the names of the fields that its keys stand for."""
        exact = {field.name for field in shape.fields}
        by_normal = {normal(field.name): field.name for field in shape.fields}
        matched: dict[str, Node] = {key: value for key, value in node.items() if key in exact}
        for key, value in node.items():
            if key in exact:
                if key in self._twice:
                    raise Mismatch.one(join_path(where, key), "one value", "two different ones")
                continue
            name = by_normal.get(normal(key))
            if name is None:
                continue
            if name not in matched:
                self.note("another spelling of a field")
                matched[name] = value
            elif name not in node and matched[name] != value:
                raise Mismatch.one(join_path(where, name), "one value", "two different ones")
        if matched and any(key not in exact and normal(key) not in by_normal for key in node):
            self.note("fields that were not asked for")
        return matched


def _shown(node: Node) -> str:
    if isinstance(node, Bare):
        return brief(node, 60)
    return f"{describe(str(node))}, cut off" if isinstance(node, Partial) else describe(node)
