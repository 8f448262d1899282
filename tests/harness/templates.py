"""Random types, values within their sizes, and templates that check without faults.

Everything is drawn from a `random.Random`, so that hypothesis can shrink it (`strategies.randoms`) and a seed can
repeat it. Texts are hostile: signs that JSON escapes, control characters, letters that grow when their case changes,
digits and letters that join what stands beside them, blanks that are cut off, every plane of Unicode.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from random import Random
from typing import Any

from masdsl.runtime.text import clean
from masdsl.sizes import clip_text
from masdsl.types import Bool, Enum, Float, Int, List, Optional, Record, Text, Type

SIGNS = [
    *("a", "B", "7", " ", "  ", "\n", "\r", "\t", '"', "'", "\\", "/", "{", "}", "{{", "-", ",", "e", "_", "."),
    *("\x00", "\x01", "\x1b", "\x1c", "\x1f", "\x7f", "\x85", "\xa0", "\u2028", "\u3000", "\ufeff", "\ufffd"),
    *("é", "ß", "ŉ", "ǰ", "ΐ", "ΰ", "Ⱥ", "İ", "ı", "ſ", "Σ", "ﬃ", "ᾷ", "Ꭰ", "ꭰ", "\u212a", "猫", "한", "ก", "😀", "𐐨"),
    "👩\u200d👩\u200d👧",
    "٣",
]  # fmt: skip
ENUMS = tuple(
    Enum(name, "", words)
    for name, words in (("Kind", ("math", "code", "other")), ("Step", ("s1", "s2")), ("One", ("only",)))
)
MAX_CAP = 6
LARGEST = 2**63 - 1


def type_of(chance: Random, depth: int = 2) -> Type:
    """A type of small values, up to three levels deep."""
    if depth == 0 or chance.random() < 0.4:
        leaves: list[Type] = [Text(chance.randint(0, MAX_CAP)), Text(4), Int(), Float(), Bool(), *ENUMS]
        return chance.choice(leaves)
    inner = type_of(chance, depth - 1)
    match chance.randrange(3):
        case 0:
            low, high = sorted((chance.randint(0, 3), chance.randint(0, 3)))
            return List(inner, low, high)
        case 1:
            names = chance.sample(["a", "name", "note2", "x_9"], chance.randint(1, 3))
            return Record("Rec", "", tuple((name, type_of(chance, depth - 1)) for name in names))
        case _:
            return inner if isinstance(inner, Optional) else Optional(inner)


def smaller(chance: Random, kind: Type) -> Type:
    """A type whose values all have type `kind`, with sizes that may be narrower."""
    match kind:
        case Text(cap=cap):
            return Text(chance.choice([cap, chance.randint(0, cap)]))
        case List(element=element, low=low, high=high):
            first, second = sorted((chance.randint(low, high), chance.randint(low, high)))
            return List(smaller(chance, element), first, second)
        case Record(name=name, module=module, fields=fields):
            return Record(name, module, tuple((field, smaller(chance, inner)) for field, inner in fields))
        case Optional(inner=inner):
            return Optional(smaller(chance, inner))
        case _:
            return kind


def value_of(chance: Random, kind: Type) -> Any:
    """Plain data of a type, as large and as odd as it may be."""
    match kind:
        case Text(cap=cap):
            if chance.random() < 0.4:  # full to the brim: each of these counts one token, or two
                return chance.choice(["!", '"', "\n", "\\"]) * (2 * cap) if chance.random() < 0.7 else "\n0" * cap
            text = "".join(
                _sign(chance) * (1 if chance.random() < 0.6 else 6 * MAX_CAP) for _ in range(chance.randint(0, 8))
            )
            return clip_text(clean(text), cap)
        case Int():
            return chance.choice([0, 9, 10, -LARGEST - 1, LARGEST, chance.randint(-LARGEST - 1, LARGEST)])
        case Float():
            number = math.ldexp(chance.uniform(-1, 1), chance.randint(-1040, 1020))
            return chance.choice([0.0, -0.0, 1e15, 3.0, -1e-9, -2.2250738585072014e-308, number])
        case Bool():
            return chance.random() < 0.5
        case Enum(words=words):
            return chance.choice(words)
        case List(element=element, low=low, high=high):
            return [value_of(chance, element) for _ in range(chance.choice([low, high, chance.randint(low, high)]))]
        case Record(fields=fields):
            return {name: value_of(chance, inner) for name, inner in fields}
        case Optional(inner=inner):
            return None if chance.random() < 0.3 else value_of(chance, inner)
        case _:
            raise AssertionError(kind)


def _sign(chance: Random) -> str:
    return chance.choice(SIGNS) if chance.random() < 0.9 else chr(chance.randrange(0x110000))


# ---------------------------------------------------------------- templates

_WORDS = ["a", "Item 3", " ", "\n", "  \n", "- ", "1", "é", '"', "x: ", "\t.", "{# note #}", "}}"]
_WORDS += [
    "{% raw %}{{ x }}{% endraw %}",
    "{{ 'k' }}",
    "{{ 7 }}",
    "{{ 2.50 }}",
    "{{ ' ' }}",
    "{{ none }}",
    "{{ false }}",
]
_WORDS += ["{{ ['p', 'q'] }}", "{{ [1, 2]|last }}"]
_LISTS: dict[str, Type] = {"['p', ' q1']": List(Text(9), 2, 2), "[1, 22]": List(Int(), 2, 2)}
_BETWEEN = ["", "('')", "(', ')", "('9')", "('\\n')", "(' ')", "('and')"]
MOST_LOOPS = 2
"""Loops inside each other that a template may have."""

Names = Mapping[str, Type]
"""What can be seen: names, and paths that a condition has proved to be there."""


def template(chance: Random, params: Names) -> str:
    """A template over the parameters that checks without faults."""
    return _body(chance, params, 0, chance.randint(0, 3))


def _body(chance: Random, names: Names, loops: int, depth: int) -> str:
    pieces: list[str] = []
    for _ in range(chance.randint(0, 4)):
        kinds = ["words", "words", *(["insertion"] * 4 if names else [])]
        if depth:
            kinds += ["if", "if"] if names else []
            kinds += ["for", "for"] if loops < MOST_LOOPS else []
        match chance.choice(kinds):
            case "words":
                pieces.append(chance.choice(_WORDS))
            case "insertion":
                pieces.append(_insertion(chance, names, loops))
            case "if":
                pieces.append(_if(chance, names, loops, depth))
            case _:
                pieces.append(_for(chance, names, loops, depth))
    return "".join(pieces)


def _insertion(chance: Random, names: Names, loops: int) -> str:
    text, _ = _value(chance, names)
    if loops and chance.random() < 0.25:
        text = "loop." + chance.choice(["index", "index0", "length", "first", "last"])
    return chance.choice(["{{ ", "{{", "{{- "]) + text + chance.choice([" }}", "}}", " -}}"])


def _value(chance: Random, names: Names) -> tuple[str, Type]:
    """A value of any type: a name, its fields, filters on it."""
    text = chance.choice(sorted(names))
    kind = names[text]
    for _ in range(chance.randint(0, 3)):
        if isinstance(kind, Record):
            field, kind = chance.choice(kind.fields)
            text = f"({text}).{field}" if "|" in text else f"{text}.{field}"
            kind = names.get(text, kind)
            continue
        found = _filters(kind)
        if not found:
            break
        name, kind = chance.choice(found)
        text = f"{text}|{name}"
    return text, kind


def _filters(kind: Type) -> list[tuple[str, Type]]:
    """The filters that may stand behind a value, and the type of their result."""
    match kind:
        case Text() | Enum():
            same: list[tuple[str, Type]] = [("upper", Text(9)), ("lower", Text(9)), ("trim", Text(9))]
            return [*same, ("length", Int())] if isinstance(kind, Text) else same
        case List(element=element, low=low):
            item = element if low or isinstance(element, Optional) else Optional(element)
            found: list[tuple[str, Type]] = [("first", item), ("last", item), ("length", Int())]
            if not isinstance(element, Record | List | Optional):
                found += [(f"join{between}", Text(9)) for between in _BETWEEN]
            return found
        case Optional(inner=Text()):
            return [("default('a default: 12')", Text(9)), ("default('')", Text(9)), ("default('  b ')", Text(9))]
        case Optional(inner=List(element=element, high=high)):
            return [("default([])", List(element, 0, high))]
        case Optional(inner=Enum() as inner):
            return [(f"default('{inner.words[0]}')", inner)]
        case Optional(inner=Int()):
            return [("default(3)", Int())]
        case Optional(inner=Float()):
            return [("default(0.25)", Float()), ("default(3)", Float())]
        case Optional(inner=Bool()):
            return [("default(true)", Bool())]
        case _:
            return []


def _tag(chance: Random, inside: str) -> str:
    return chance.choice(["{% ", "{% ", "{%- "]) + inside + chance.choice([" %}", " %}", " -%}"])


def _for(chance: Random, names: Names, loops: int, depth: int) -> str:
    lists: dict[str, Type] = {}
    for text, kind in names.items():
        lists.update(_lists_in(text, kind, names))
    if not lists or chance.random() < 0.2:
        lists = _LISTS
    items = chance.choice(sorted(lists))
    kind = lists[items]
    assert isinstance(kind, List)
    variable = f"v{loops}"
    body = _body(chance, {**names, variable: kind.element}, loops + 1, depth - 1)
    orelse = _tag(chance, "else") + _body(chance, names, loops, 0) if chance.random() < 0.5 else ""
    return _tag(chance, f"for {variable} in {items}") + body + orelse + _tag(chance, "endfor")


def _lists_in(text: str, kind: Type, names: Names) -> dict[str, Type]:
    match kind:
        case List():
            return {text: kind}
        case Optional(inner=List(element=element, high=high)):
            return {f"{text}|default([])": List(element, 0, high)}
        case Record(fields=fields):
            found: dict[str, Type] = {}
            for name, inner in fields:
                path = f"{text}.{name}"
                found.update(_lists_in(path, names.get(path, inner), names))
            return found
        case _:
            return {}


def _if(chance: Random, names: Names, loops: int, depth: int) -> str:
    pieces: list[str] = []
    for tag in ("if", "elif", "elif")[: chance.randint(1, 3)]:
        condition, there = _condition(chance, names)
        pieces += [_tag(chance, f"{tag} {condition}"), _body(chance, {**names, **there}, loops, depth - 1)]
    if chance.random() < 0.5:
        pieces += [_tag(chance, "else"), _body(chance, names, loops, depth - 1)]
    return "".join(pieces) + _tag(chance, "endif")


def _condition(chance: Random, names: Names) -> tuple[str, Names]:
    """A condition, and the paths that it proves to be there with their types."""
    text, kind = _value(chance, names)
    while isinstance(kind, Record):
        field, kind = kind.fields[0]
        text = f"({text}).{field}" if "|" in text else f"{text}.{field}"
        kind = names.get(text, kind)
    match kind:
        case Optional(inner=inner):
            tests = [f"{text} is not none", f"{text} != none"]
            if not isinstance(inner, Record | Enum):
                tests.append(text)
            return chance.choice(tests), {} if "|" in text else {text: inner}
        case Enum(words=words):
            return f"{text} == '{words[0]}'", {}
        case Int() | Float():
            return chance.choice([f"{text} > 3", f"not {text}", f"{text} in [1, 2] or {text} < 0"]), {}
        case Text():
            return chance.choice([text, f"not {text}", f"'a' in {text}", f"{text} == ''"]), {}
        case _:
            return chance.choice([text, f"not {text}"]), {}
