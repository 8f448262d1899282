"""A JSON body as the inputs of a flow: read strictly, with every fault at its place.

What the published schema forbids is refused, what it allows is taken: sizes of texts in characters, items of lists,
fields that nobody declared. (`masdsl.runtime.shapes.fit` is more lenient: it cuts what is too long.)
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from json import JSONDecoder
from typing import Any, Final, NamedTuple

from masdsl import formats, sizes
from masdsl.redaction import one_line
from masdsl.runtime.shapes import describe
from masdsl.runtime.text import LARGEST_INT
from masdsl.serve.problems import Problem
from masdsl.types import Bool, Enum, Float, Int, List, Optional, Record, Text, Type

LARGEST_FLOAT: Final = sys.float_info.max
MOST_FAULTS: Final = 20
"""Faults of one body that are told."""


class Parameter(NamedTuple):
    """An input of a flow: its name in the program, its type, and its default as JSON data."""

    name: str
    type: Type
    is_required: bool
    default: Any = None


class Fault(NamedTuple):
    """A place in a body (a JSON pointer, RFC 6901) that is not what was expected."""

    pointer: str
    expected: str
    got: str


def read_body(body: bytes, parameters: tuple[Parameter, ...]) -> dict[str, Any]:
    """Return the inputs that a body gives, with the defaults of those it leaves out, as JSON data.

    Raises Problem: `malformed-request` for what is no JSON, `wrong-inputs` with every place that does not fit.
    """
    return fit_inputs(read_json(body) if body.strip() else {}, parameters)


def fit_inputs(data: Any, parameters: tuple[Parameter, ...]) -> dict[str, Any]:
    """Return the inputs that JSON data gives, with the defaults of those it leaves out.

    Raises Problem `wrong-inputs` with every place that does not fit.
    """
    faults: list[Fault] = []
    if not isinstance(data, dict):
        names = ", ".join(one.name for one in parameters) or "none"
        raise _refused([Fault("", f"an object with the inputs of the flow: {names}", describe(data))])
    types = {one.name: one.type for one in parameters}
    values: dict[str, Any] = {}
    for one in parameters:
        if one.name in data:
            values[one.name] = _conform(data[one.name], one.type, _below("", one.name), faults)
        elif one.is_required:
            faults.append(Fault(_below("", one.name), formats.expected(one.type), "nothing"))
        else:
            values[one.name] = one.default
    faults += [Fault(_below("", name), _no_such(types, "inputs"), "it") for name in data if name not in types]
    if faults:
        raise _refused(faults)
    return values


def _refused(faults: list[Fault]) -> Problem:
    first = faults[0]
    where = f"at {first.pointer}" if first.pointer else "the body"
    more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
    told = [
        Fault(one_line(one.pointer, 200), one_line(one.expected, 200), one_line(one.got, 200))._asdict()
        for one in faults[:MOST_FAULTS]
    ]
    detail = f"{where}: expected {one_line(first.expected, 300)}, got {one_line(first.got, 100)}{more}"
    return Problem("wrong-inputs", detail, more={"faults": told})


# ---------------------------------------------------------------- JSON


class _NotJson(ValueError):
    """What Python's parser takes and JSON does not."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _NotJson(f"an object has the name {twice!r} twice")
    return made


def _constant(text: str) -> Any:
    raise _NotJson(f"{text} is no number of JSON")


_DECODER: Final = JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant)


def read_json(body: bytes) -> Any:
    """Return the data of a JSON text, read strictly. Raises Problem `malformed-request`."""
    try:
        return _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise Problem("malformed-request", "the body is no UTF-8 text") from None
    except RecursionError:
        raise Problem("malformed-request", "the body is nested too deeply") from None
    except ValueError as error:  # also a number of more digits than Python reads
        raise Problem("malformed-request", f"the body is no JSON: {error}") from None


# ---------------------------------------------------------------- values


def _conform(value: Any, kind: Type, where: str, faults: list[Fault]) -> Any:
    """Return a value of the type; add a fault where it is none. Types end, so however deep the value is, this does."""
    match kind:
        case Text(cap=cap):
            if isinstance(value, str):
                most = cap * sizes.MOST_CHARACTERS_PER_TOKEN
                if len(value) > most:
                    faults.append(Fault(where, f"text of at most {most} characters", f"{len(value)} characters"))
                return value
        case Int():
            if isinstance(value, float) and value.is_integer():
                value = int(value)  # JSON does not tell 1.0 from 1
            if isinstance(value, int) and not isinstance(value, bool):
                if not -LARGEST_INT - 1 <= value <= LARGEST_INT:
                    faults.append(Fault(where, "a whole number of 64 bits", "a huge number"))
                return value
        case Float():
            if isinstance(value, int | float) and not isinstance(value, bool):
                if abs(value) > LARGEST_FLOAT:
                    faults.append(Fault(where, "a number in double precision", "a huge number"))
                    return value
                return float(value)
        case Bool():
            if isinstance(value, bool):
                return value
        case Enum(words=words):
            if isinstance(value, str) and value in words:
                return value
        case Optional(inner=inner):
            return None if value is None else _conform(value, inner, where, faults)
        case List(element=element, low=low, high=high):
            if isinstance(value, list):
                if not low <= len(value) <= high:
                    faults.append(Fault(where, formats.expected(kind), describe(value)))
                    return value
                return [_conform(item, element, _below(where, str(at)), faults) for at, item in enumerate(value)]
        case Record():
            if isinstance(value, dict):
                return _record(value, kind, where, faults)
    faults.append(Fault(where, formats.expected(kind), describe(value)))
    return value


def _record(value: dict[str, Any], kind: Record, where: str, faults: list[Fault]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, field in kind.fields:
        if name in value:
            made[name] = _conform(value[name], field, _below(where, name), faults)
        elif isinstance(field, Optional):
            made[name] = None
        else:
            faults.append(Fault(_below(where, name), formats.expected(field), "nothing"))
    known = dict(kind.fields)
    faults += [Fault(_below(where, name), _no_such(known, "fields"), "it") for name in value if name not in known]
    return made


def _no_such(known: Mapping[str, Type], what: str) -> str:
    return f"only the {what} {', '.join(known)}" if known else f"no {what}"


def _below(where: str, name: str) -> str:
    return f"{where}/{name.replace('~', '~0').replace('/', '~1')}"
