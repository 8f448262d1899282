"""A model's reply as a value of the declared type, or a precise fault that the model can act on.

A text is taken as it is. For every other type, the reply is searched for JSON, as models write it
(`masdsl.runtime.loose`), what is found is mended towards the type (names in another case, words for numbers, one value
for a list of one, ...), and where there is no JSON, the words of the reply are read (`masdsl.runtime.words`).
Everything that was mended is reported. What could mean two different things is a fault, never a guess.

The order: the whole reply as JSON, JSON in a code fence, JSON by the book anywhere, JSON that needs mending, JSON that
the end of the reply cut off, `field: value` lines or list items, and prose. The first of these that fits decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

from masdsl.fences import fenced_blocks
from masdsl.formats import spell
from masdsl.runtime.failures import ShapeError
from masdsl.runtime.loose import Bare, Found, Node, find_json, read_exact
from masdsl.runtime.mend import Mender, Mismatch, answer_in, is_null_word, scalar_reader
from masdsl.runtime.shapes import (
    BoolShape,
    Clip,
    EnumShape,
    FieldShape,
    FloatShape,
    IntShape,
    ListShape,
    OptionalShape,
    RecordShape,
    Shape,
    TextShape,
    expected,
    fit,
    type_of,
)
from masdsl.runtime.text import brief, clean
from masdsl.runtime.words import Several, bare, find_value, normal, unwrapped

LONGEST_REPLY = 1024 * 1024
"""Characters of a reply that are read."""

Scalar: TypeAlias = IntShape | FloatShape | BoolShape | EnumShape


class Parsed(NamedTuple):
    """A typed value, what had to be mended to read it, and what was clipped."""

    value: Any
    repairs: tuple[str, ...] = ()
    clips: tuple[Clip, ...] = ()


class Fault(NamedTuple):
    """Why a reply is no value of the type, in a few words for the model, and the reply."""

    text: str
    reply: str


def parse_reply(reply: str, shape: Shape) -> Parsed | Fault:
    """Return the value of a reply, or what is wrong with it. Never raises; takes time linear in the length."""
    text = clean(reply[:LONGEST_REPLY]).strip()
    if text and isinstance(shape, TextShape):  # taken as it is, as `_read` has it
        value, clips = fit(text, shape)
        return Parsed(value, (), clips)
    mender = Mender()
    return _finished(reply, shape, mender, lambda: _read(text, shape, mender))


def read_value(node: Node, shape: Shape, reply: str) -> Parsed | Fault:
    """Return JSON that was read from a reply as a value of the type, or what is wrong with it."""
    mender = Mender()
    return _finished(reply, shape, mender, lambda: mender.mend(node, shape, ""))


def _finished(reply: str, shape: Shape, mender: Mender, read: Callable[[], Any]) -> Parsed | Fault:
    try:
        value, clips = fit(read(), shape)
    except Mismatch as mismatch:
        return Fault(mismatch.text, reply)
    except ShapeError as error:
        return Fault(str(error), reply)
    except RecursionError:
        return Fault("the reply is nested too deeply", reply)
    return Parsed(value, mender.repairs, clips)


def _read(text: str, shape: Shape, mender: Mender) -> Any:
    """Return plain data of the shape from a text; raise Mismatch."""
    if not text:
        raise Mismatch.one("", expected(shape), "an empty reply")
    match shape:
        case TextShape():
            return text
        case OptionalShape(TextShape()):
            return None if len(text) < 40 and bare(text).lower() in ("null", "none") else text
        case OptionalShape(inner):
            return _read_optional(unwrapped(text), inner, mender)
        case RecordShape() | ListShape():
            return _read_structure(unwrapped(text), shape, mender)
        case IntShape() | FloatShape() | BoolShape() | EnumShape():
            return _read_scalar(unwrapped(text), shape, mender)


def _read_optional(text: str, inner: Shape, mender: Mender) -> Any:
    words = inner.words if isinstance(inner, EnumShape) else ()
    word = bare(text) if len(text) < 80 else ""
    if is_null_word(word) and word not in words:
        return None
    if isinstance(inner, IntShape | FloatShape | BoolShape | EnumShape):
        found, node = answer_in(text)
        if found and node is None:
            return None
    return _read(text, inner, mender)


# ---------------------------------------------------------------- scalars


def _read_scalar(text: str, shape: Scalar, mender: Mender) -> Any:
    found, node = answer_in(text)
    if found:
        return mender.mend(node, shape, "")
    hit = find_value(text, scalar_reader(shape))
    if hit is None:
        raise Mismatch.one("", expected(shape), f'"{brief(text)}"')
    if isinstance(hit, Several):
        shown = ", ".join(
            str(value).lower() if isinstance(value, bool) else str(value) for value in hit.values if value != ""
        )
        got = (
            f"several: {shown}" if len(hit.values) > 1 and "" not in hit.values else f'no clear choice: "{brief(text)}"'
        )
        raise Mismatch.one("", expected(shape), got)
    if not hit.whole:
        mender.note("a value found in prose")
    return mender.scalar(hit.value, shape, "")


# ---------------------------------------------------------------- records and lists


def _read_structure(text: str, shape: RecordShape | ListShape, mender: Mender) -> Any:
    whole = read_exact(text, 0)
    if whole is not None and whole.end == len(text):
        mender.reading(whole)
        return mender.mend(whole.value, shape, "")
    found = list(find_json(text)) if "{" in text or "[" in text else []
    groups = list(_groups(text, found))
    faults: list[tuple[bool, Mismatch]] = []
    for likely in (True, False):
        for group in groups:
            value = _fitting(group, shape, likely, mender, faults)
            if value is not _NOTHING:
                return value
    try:
        return _read_prose(text, shape, mender, found)
    except Mismatch as mismatch:
        raise _best([*faults, (False, mismatch)]) from None


def _groups(text: str, found: Sequence[Found]) -> Iterable[list[Found]]:
    """Yield what was found in groups of the same worth, the best first."""
    fences = [(block.start, block.end) for block in fenced_blocks(text)] if found else []

    def worth(item: Found) -> int:
        if item.truncated:
            return 3
        if any(start <= item.start < end for start, end in fences):
            return 0
        return 2 if item.repairs else 1

    for level in range(4):
        group = [item for item in found if worth(item) == level]
        if group:
            yield group


_NOTHING = object()


def _fitting(
    group: list[Found],
    shape: RecordShape | ListShape,
    likely: bool,
    mender: Mender,
    faults: list[tuple[bool, Mismatch]],
) -> Any:
    """Return the one value of a group that fits, or _NOTHING; raise Mismatch if several different ones do.

    `likely` chooses what is of the right kind: objects for a record, lists for a list; or else the others.
    """
    kind = dict if isinstance(shape, RecordShape) else list
    group = [item for item in group if isinstance(item.value, kind) == likely]
    if isinstance(shape, ListShape) and not likely and len(group) > 1:
        group = [_joined(group)]  # one object after another, each on its line
    fits: list[tuple[Any, Mender]] = []
    for item in group:
        attempt = Mender()
        attempt.reading(item)
        try:
            value = attempt.mend(item.value, shape, "")
        except Mismatch as mismatch:
            faults.append((likely, mismatch))
            continue
        if not any(value == other for other, _ in fits):
            fits.append((value, attempt))
        if item.truncated:  # those that follow are parts of it
            break
    if len(fits) > 1:
        raise Mismatch.one("", f"one {'object' if kind is dict else 'list'}", f"{len(fits)} different ones")
    if not fits:
        return _NOTHING
    value, attempt = fits[0]
    mender.adopt(attempt)
    return value


def _joined(group: list[Found]) -> Found:
    repairs = tuple(dict.fromkeys(("objects without a list around them", *(r for item in group for r in item.repairs))))
    twice = tuple(key for item in group for key in item.twice)
    return Found([item.value for item in group], group[0].start, group[-1].end, repairs, group[-1].truncated, twice)


def _best(faults: list[tuple[bool, Mismatch]]) -> Mismatch:
    """Return the fault to show: of the last thing that was of the right kind, else of the reply as a whole."""
    likely = [mismatch for is_kind, mismatch in faults if is_kind]
    return likely[-1] if likely else faults[-1][1]


# ---------------------------------------------------------------- structures without JSON


def _read_prose(text: str, shape: RecordShape | ListShape, mender: Mender, found: Sequence[Found]) -> Any:
    missing = Mismatch.one("", f"JSON of the form {spell(type_of(shape))}", f'"{brief(text)}"')
    if isinstance(shape, ListShape):
        return _read_items(text, shape, mender, missing)
    sections = _sections(text, shape)
    if sections:
        return _read_sections(sections, shape, mender)
    if len(shape.fields) == 1 and not found:
        mender.note("the bare value of the only field")
        return {shape.fields[0].name: _read(text, shape.fields[0].shape, mender)}
    raise missing


_LABEL = re.compile(r"^[\s>*#+\u2022-]*[\"'`*_]*([A-Za-z_][\w -]{0,63}?)[\"'`*_]*\s*[:=][ \t]*[*_]*[ \t]*(.*)$")


def _sections(text: str, shape: RecordShape) -> list[tuple[FieldShape, str]]:
    """Return the parts of a text that start with `field:`, by field."""
    names = {normal(field.name): field for field in shape.fields}
    sections: list[tuple[FieldShape, list[str]]] = []
    for line in text.split("\n"):
        match = _LABEL.match(line) if len(line) < 10_000 else None
        field = names.get(normal(match.group(1))) if match else None
        if match and field:
            sections.append((field, [match.group(2)]))
        elif sections:
            sections[-1][1].append(line)
    return [(field, _unquoted("\n".join(lines).strip())) for field, lines in sections]


def _unquoted(text: str) -> str:
    text = text.removesuffix("```").strip().removesuffix(",")
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'`" and text[0] not in text[1:-1]
    return text[1:-1] if quoted else text


def _read_sections(sections: list[tuple[FieldShape, str]], shape: RecordShape, mender: Mender) -> dict[str, Any]:
    mender.note("lines `field: value` for JSON")
    made: dict[str, Any] = {}
    faults: list[Mismatch] = []
    for field, text in sections:
        try:
            value = _read(text, field.shape, mender) if text else _empty(field.shape)
        except Mismatch as mismatch:
            faults.append(mismatch.below(field.name))
            continue
        if field.name in made and made[field.name] != value:
            faults.append(Mismatch.one(field.name, "one value", "two different ones"))
        made[field.name] = value
    named = {field.name for field, _ in sections}
    for field in shape.fields:
        if field.name not in named:
            if isinstance(field.shape, OptionalShape):
                made[field.name] = None
            else:
                faults.append(Mismatch.one(field.name, expected(field.shape), "nothing"))
    if faults:
        raise Mismatch.all(faults)
    return made


def _empty(shape: Shape) -> Any:
    match shape:
        case TextShape():
            return ""
        case OptionalShape():
            return None
        case ListShape(_, 0, _):
            return []
    raise Mismatch.one("", expected(shape), "nothing")


_BULLET = re.compile(r"^([ \t]*)(?:[-*+\u2022\u2013]|\(?\d{1,4}[.):]|[A-Za-z][.)])[ \t]+(\S.*)$")


def _read_items(text: str, shape: ListShape, mender: Mender, missing: Mismatch) -> list[Any]:
    if is_null_word(bare(text)) or text in ("[]", "(empty)"):
        if shape.low == 0:
            return []
        raise missing
    parts = _bullets(text)
    if parts:
        mender.note("list items for JSON")
    elif isinstance(shape.element, TextShape):
        parts = [line.strip() for line in text.split("\n") if line.strip()]
        parts = parts[1:] if parts[0].endswith(":") else parts
        if len(parts) < 2:
            raise missing
        mender.note("lines for JSON")
    elif isinstance(shape.element, IntShape | FloatShape | BoolShape | EnumShape):
        parts = [part for part in re.split(r"[,;\n]|\sand\s", text) if part.strip()]
        if len(parts) > shape.high:
            raise missing
        mender.note("words for a list")
    else:
        raise missing
    items = []
    for at, part in enumerate(parts[: shape.high]):
        try:
            items.append(_read(_unquoted(part.strip()), shape.element, mender))
        except Mismatch as mismatch:
            raise mismatch.below(f"[{at}]") from None
    return [*items, *parts[shape.high :]]


def _bullets(text: str) -> list[str]:
    """Return the items of a bulleted or numbered list with the lines that belong to them."""
    items: list[list[str]] = []
    indent, open_item = 0, False
    for line in text.split("\n"):
        match = _BULLET.match(line) if len(line) < 10_000 else None
        if match and (not items or len(match.group(1)) <= indent):
            indent = len(match.group(1)) if not items else indent
            items.append([match.group(2)])
            open_item = True
        elif not line.strip():
            open_item = False
        elif items and (open_item or line[:1] in " \t"):
            items[-1].append(line.strip())
    return ["\n".join(lines) for lines in items]


def loose_objects(text: str) -> list[dict[str, Node]]:
    """Return the objects in a reply, in order, read as tolerantly as `parse_reply` reads them."""
    found = [item for item in find_json(clean(text[:LONGEST_REPLY])) if isinstance(item.value, dict)]
    whole = [item for item in found if not item.truncated] or found[:1]
    return [item.value for item in whole if isinstance(item.value, dict)]


def as_json(node: Node) -> Any:
    """Return what was read as plain JSON data, numbers as numbers."""
    if isinstance(node, Bare):
        exact = read_exact_number(node)
        return str(node) if exact is None else exact
    if isinstance(node, dict):
        return {name: as_json(value) for name, value in node.items()}
    if isinstance(node, list):
        return [as_json(item) for item in node]
    return node


def read_exact_number(text: str) -> float | None:
    """Return the number that JSON text is, None where it is none or too large to be kept."""
    if re.fullmatch(r"-?\d{1,18}", text):
        return int(text)
    if re.fullmatch(r"-?\d{1,300}(?:\.\d{1,300})?(?:[eE][+-]?\d{1,2})?", text):
        return float(text)
    return None
