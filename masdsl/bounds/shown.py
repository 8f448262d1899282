"""How many counted tokens a value of a type takes, at least and at most, in each way in which a prompt shows one.

There are three ways (`runtime/prompt.py`, `runtime/text.py`), and a function for each: `printed` for `{{ value }}`,
`show` for the sections of a prompt and the results of tools, `as_json` for what is inside both.

A text of size n has at most 6n thirds of a token. JSON's escapes at most double them. `INDENTED` says what the indents
of its lines may add.
"""

from __future__ import annotations

from typing import Final, assert_never

from masdsl.bounds.runs import NO_TEXT, Run, any_of, between, constant, unknown
from masdsl.bounds.runs import Extent as Extent
from masdsl.types import Bool, Enum, Float, Int, List, Nothing, Opaque, Optional, Record, Text, Type, Unknown

SIZE: Final = 6
"""Thirds of a counted token in a size of 1."""
INDENTED: Final = (11, 6)
"""The greatest factor by which a text counts more with two blanks behind each end of a line, as a fraction: the blanks
add 2, and a digit at the start of the line counts 3 more behind them, where it and the end of the line counted 6."""

_INT: Final = between("0", "-9223372036854775808")
_FLOAT: Final = between("0", "-2.2250738585072014e-308")
_JSON_FLOAT: Final = between("0.0", "-2.2250738585072014e-308")
_BOOL: Final = any_of(("true", "false"))
_NULL: Final = constant("null")
_NONE: Final = constant("none")
_QUOTES: Final = constant('""')

Known = dict[tuple[int, int | None], Run]


def shown(kind: Type) -> Extent:
    """Return how many counted tokens a value of the type has as `runtime.text.show` gives it."""
    return show(kind).tokens


def printed(kind: Type) -> Run:
    """Return what `{{ value }}` prints for a value of the type: its text, nothing for none, JSON for what has parts."""
    match kind:
        case Text(cap=cap):
            return unknown(SIZE * cap)
        case Int():
            return _INT
        case Float():
            return _FLOAT
        case Bool():
            return _BOOL
        case Enum(words=words):
            return any_of(words)
        case Optional(inner=inner):
            return printed(inner).maybe()
        case Record() | List():
            return as_json(kind)
        case Nothing() | Unknown() | Opaque():
            return NO_TEXT
        case _:
            assert_never(kind)


def as_json(kind: Type, level: int | None = None, known: Known | None = None) -> Run:
    """Return the JSON of a value of the type: on one line, or with its lines indented from `level` blanks on.

    `known` keeps what was found for the parts of one type: records that share parts stay cheap.
    """
    match kind:
        case Text(cap=cap):
            return Run(_QUOTES.rest, _QUOTES.full._replace(size=_QUOTES.full.size + 2 * SIZE * cap))
        case Float():
            return _JSON_FLOAT
        case Enum(words=words):
            run = constant(f'"{words[0]}"') if words else _QUOTES
            for word in words[1:]:
                run = run.either(constant(f'"{word}"'))
            return run
        case Nothing() | Unknown() | Opaque():
            return _NULL
        case Optional(inner=inner):
            return _NULL.either(as_json(inner, level, known))
        case Record() | List():
            known = {} if known is None else known
            found = known.get((id(kind), level))
            if found is None:
                found = known[id(kind), level] = _structure(kind, level, known)
            return found
        case _:
            return printed(kind)


def _structure(kind: Record | List, level: int | None, known: Known) -> Run:
    inside = None if level is None else level + 1
    line = "" if inside is None else "\n" + inside * " "
    comma = constant(f",{line or ' '}")
    end = "" if level is None else "\n" + level * " "
    if isinstance(kind, List):
        empty = constant("[]")
        if not kind.high:
            return empty
        items = _in_a_row(as_json(kind.element, inside, known), comma, max(kind.low, 1), kind.high)
        run = constant(f"[{line}").then(items).then(constant(f"{end}]"))
        return run if kind.low else run.either(empty)
    run = constant("{")
    for position, (name, field) in enumerate(kind.fields):
        run = run.then(comma if position else constant(line))
        run = run.then(constant(f'"{name}": ')).then(as_json(field, inside, known))
    return run.then(constant(f"{end}}}" if kind.fields else "}"))


def _in_a_row(item: Run, separator: Run, low: int, high: int) -> Run:
    """Return from `low` (at least one) to `high` items with something between them."""
    return item.then(separator.then(item).repeated(low - 1, high - 1))


# ---------------------------------------------------------------- sections


def show(kind: Type) -> Run:
    """Return a value of the type as `runtime.text.show` gives it."""
    match kind:
        case Optional(inner=inner):
            return _NONE.either(show(inner))
        case Nothing() | Unknown() | Opaque():
            return _NONE
        case Record():
            return _show_record(kind)
        case List():
            return _show_list(kind)
        case _:
            return printed(kind)


def _show_record(kind: Record) -> Run:
    """A line for each field, or JSON on several lines where a field has several lines or parts itself."""
    if any(isinstance(field, Record | List) for _, field in kind.fields):
        return as_json(kind, 0)
    run = NO_TEXT
    for position, (name, field) in enumerate(kind.fields):
        run = run.then(constant(f"\n{name}: " if position else f"{name}: ")).then(_on_a_line(field))
    if any(_has_parts(field) or _may_break(field) for _, field in kind.fields):
        run = run.either(as_json(kind, 0))
    return run


def _show_list(kind: List) -> Run:
    """A line for each item; JSON on a line for each where an item has parts itself."""
    empty = constant("(empty)")
    if not kind.high:
        return empty
    element = kind.element
    if _has_parts(element):
        item = as_json(element)
        if isinstance(element, Optional):
            item = item.either(_NONE)
    else:
        item = _indented(element)
    run = _in_a_row(constant("- ").then(item), constant("\n"), max(kind.low, 1), kind.high)
    return run if kind.low else run.either(empty)


def _indented(kind: Type) -> Run:
    """Return an item without parts, with two blanks behind each end of a line in it."""
    if isinstance(kind, Optional):
        return _NONE.either(_indented(kind.inner))
    if isinstance(kind, Text):
        return unknown(SIZE * kind.cap * INDENTED[0] // INDENTED[1])
    return show(kind)


def _on_a_line(kind: Type) -> Run:
    """Return what `show` gives for a value of one line; of an optional one with parts, that is `none`."""
    return _NONE if _has_parts(kind) else show(kind)


def _has_parts(kind: Type) -> bool:
    return isinstance(kind.inner if isinstance(kind, Optional) else kind, Record | List)


def _may_break(kind: Type) -> bool:
    inner = kind.inner if isinstance(kind, Optional) else kind
    return isinstance(inner, Text) and inner.cap > 0
