"""How many counted tokens a rendered prompt has, at least and at most: from its template and the sizes of the values.

Nothing is rendered. A part that is inserted takes what its type allows (`bounds/shown.py`), a loop repeats its body as
often as its list may be long, and of a condition's branches the shortest and the longest count: which one is taken is
not asked. The work is linear in the template, whatever the sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias, assert_never

from masdsl.bounds.kinds import narrowed
from masdsl.bounds.runs import NO_TEXT, Extent, Full, Rest, Run, any_of, constant, unknown, whole_number
from masdsl.bounds.shown import SIZE, printed, show
from masdsl.check.program import Agent
from masdsl.check.template_parts import (
    Choose,
    Constant,
    Field,
    Filtered,
    Insert,
    Named,
    Parts,
    Repeat,
    Scalar,
    Value,
    Words,
)
from masdsl.limits import RENDERED_BYTES
from masdsl.sizes import MOST_CHARACTERS_PER_TOKEN
from masdsl.types import Enum, List, Nothing, Optional, Record, Type

MOST_COUNTED_PER_BYTE: Final = 4
"""A byte of text adds at most so many counted tokens (a control character)."""
LARGEST_PROMPT: Final = RENDERED_BYTES * MOST_COUNTED_PER_BYTE
"""Counted tokens of any prompt: one of more bytes fails before a model sees it."""
UPPER: Final = (11, 3)
LOWER: Final = (11, 7)
"""The greatest factors by which a text counts more in upper and in lower case, as fractions: `ΐ` becomes a letter and
two accents, `İ` one and an accent. (Latin words at most double in upper case.)"""

Shape: TypeAlias = Type | Run
"""What is known of a value: its type, or of a text that a filter made, what it takes."""


class _Scope(NamedTuple):
    """The names that can be seen, and how often the innermost loop may run."""

    names: Mapping[str, Shape]
    rounds: int = 0


def prompt_extent(agent: Agent, kinds: Mapping[str, Type], said: str = "") -> Extent:
    """Return how many counted tokens the agent's prompt has when it is rendered, without role, contract and tools.

    `kinds` are the types of the arguments where more is known of them than the parameters' types say; they must hold
    for the values after the call has fitted them to the parameters. With `said`, the text that the runtime puts behind
    the prompt after a blank line, the whole message is counted: a part alone may lose a token to rounding.

    A prompt that is too large to be rendered, and so fails before it is sent, is not counted in the most.
    """
    types = {param.name: narrowed(kinds.get(param.name, param.type), param.type) for param in agent.params}
    filled = _parts(_stripped(agent.parts), _Scope(types))
    run = filled._replace(rest=Rest(filled.rest.core, filled.rest.first, filled.rest.last))  # what is around is cut off
    for name in agent.unmentioned:
        run = _apart(run).then(constant(f"{name}:\n")).then(show(types[name]))
    if run.full.size > 3 * LARGEST_PROMPT:
        run = Run(Rest(min(run.rest.whole, 3 * LARGEST_PROMPT)), Full(3 * LARGEST_PROMPT))
    return (_apart(run).then(constant(said)) if said else run).tokens


def _apart(run: Run) -> Run:
    """Return a text with the empty line that sets it apart from what follows, if it has any text."""
    gap = constant("\n\n")
    if run.rest.whole:
        return run.then(gap)
    return Run(run.rest, run.full.then(gap.full)) if run.full.size else run


def _stripped(parts: Parts) -> Parts:
    """Return the parts of a template without the blanks that are certainly cut off at its ends."""
    if parts and isinstance(parts[0], Words):
        text = parts[0].text.lstrip()
        parts = (Words(text), *parts[1:]) if text else parts[1:]
    if parts and isinstance(parts[-1], Words):
        text = parts[-1].text.rstrip()
        parts = (*parts[:-1], Words(text)) if text else parts[:-1]
    return parts


def _parts(parts: Parts, scope: _Scope) -> Run:
    run = NO_TEXT
    for part in parts:
        match part:
            case Words(text=text):
                run = run.then(constant(text))
            case Insert(value=value):
                run = run.then(_inserted(value, scope))
            case Repeat():
                run = run.then(_repeat(part, scope))
            case Choose(branches=branches, orelse=orelse):
                chosen = _parts(orelse, scope)
                for branch in branches:
                    chosen = chosen.either(_parts(branch, scope))
                run = run.then(chosen)
            case _:
                assert_never(part)
    return run


def _inserted(value: Value, scope: _Scope) -> Run:
    if isinstance(value, Constant) and isinstance(value.value, tuple):
        import json

        try:
            return constant(json.dumps(value.value, ensure_ascii=False))
        except ValueError:  # see `_scalar_text`
            return NO_TEXT
    return _run(_shape(value, scope))


def _run(shape: Shape) -> Run:
    return shape if isinstance(shape, Run) else printed(shape)


def _repeat(part: Repeat, scope: _Scope) -> Run:
    items = _list(_shape(part.items, scope))
    otherwise = _parts(part.orelse, scope)
    if not items.high:
        return otherwise
    body = _parts(part.body, _Scope({**scope.names, part.variable: items.element}, items.high))
    run = body.repeated(max(items.low, 1), items.high)
    return run if items.low else run.either(otherwise)


# ---------------------------------------------------------------- values


def _shape(value: Value, scope: _Scope) -> Shape:
    match value:
        case Named(name=name):
            return scope.names[name]
        case Field(value=Named(name="loop"), field=field):
            return _of_loop(field, scope.rounds)
        case Field(value=inner, field=field):
            record = _given(_shape(inner, scope))
            found = record.field(field) if isinstance(record, Record) else None
            return Nothing() if found is None else found
        case Constant(value=constant_value):
            return _constant(constant_value)
        case Filtered():
            return _filtered(value, scope)
        case _:
            assert_never(value)


def _constant(value: Scalar | tuple[Scalar, ...]) -> Shape:
    if isinstance(value, tuple):
        words = tuple(_scalar_text(item) for item in value if item is not None)
        return List(Enum("", "", words) if words else Nothing(), len(value), len(value))
    return Nothing() if value is None else Enum("", "", (_scalar_text(value),))


def _of_loop(field: str, rounds: int) -> Shape:
    if field in ("first", "last"):
        return any_of(("true", "false"))
    return whole_number(0, rounds)


def _filtered(value: Filtered, scope: _Scope) -> Shape:
    shape, arguments = _shape(value.value, scope), value.arguments
    if value.filter == "default":
        return _default(shape, arguments[0])
    shape = _given(shape)
    match value.filter:
        case "first" | "last":
            items = _list(shape)
            return items.element if items.low or isinstance(items.element, Optional) else Optional(items.element)
        case "length":
            if isinstance(shape, List):
                return whole_number(shape.low, shape.high)
            return whole_number(0, -(-_run(shape).full.size // SIZE) * MOST_CHARACTERS_PER_TOKEN)
        case "join":
            between = constant(str(arguments[0].value)) if arguments else NO_TEXT
            return _joined(_list(shape), between)
        case "trim":
            return _in_words(shape, str.strip, (1, 1))
        case "upper":
            return _in_words(shape, str.upper, UPPER)
        case "lower":
            return _in_words(shape, str.lower, LOWER)
        case _:
            raise AssertionError(f"the filter `{value.filter}` is not known here")


def _default(shape: Shape, argument: Constant) -> Shape:
    inner, value = _given(shape), argument.value
    if isinstance(inner, List):
        return List(inner.element, 0, inner.high)
    if isinstance(inner, Enum) and value in inner.words:
        return inner
    return _run(inner).either(NO_TEXT if isinstance(value, tuple) else constant(_scalar_text(value)))


def _joined(items: List, between: Run) -> Run:
    if not items.high:
        return NO_TEXT
    item = printed(items.element)
    run = item.then(between.then(item).repeated(max(items.low, 1) - 1, items.high - 1))
    return run if items.low else run.maybe()


def _in_words(shape: Shape, change: Callable[[str], str], factor: tuple[int, int]) -> Shape:
    """Return a text after a change of its characters that makes it count at most `factor` times as much."""
    if isinstance(shape, Enum):
        return Enum("", "", tuple(change(word) for word in shape.words))
    return unknown(_run(shape).full.size * factor[0] // factor[1])


def _given(shape: Shape) -> Shape:
    return shape.inner if isinstance(shape, Optional) else shape


def _list(shape: Shape) -> List:
    """Return the list that a value is; an empty one where a narrower type says that control never comes here."""
    shape = _given(shape)
    return shape if isinstance(shape, List) else List(Nothing(), 0, 0)


def _scalar_text(value: Scalar) -> str:
    """Return what a constant prints, as `runtime.text.scalar_text` does; nothing where that fails."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    try:
        return str(value)
    except ValueError:  # a whole number of thousands of digits: the prompt fails
        return ""
