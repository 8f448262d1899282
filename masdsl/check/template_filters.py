"""The filters of prompts and their types. What they do is in `runtime/prompt.py`; a test matches the two lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from masdsl.check.relations import fits, list_of, show
from masdsl.check.relations import text as text_of
from masdsl.types import Bool, Enum, Float, Int, List, Nothing, Optional, Text, Type

Rule = Callable[[Type, Sequence[object]], Type | str]


class Filter(NamedTuple):
    """How a filter is written, and the rule for the type of its result or, as a text, what is wrong with its use."""

    usage: str
    rule: Rule


def filter_result(name: str, kind: Type, arguments: Sequence[object]) -> Type | str:
    """Return the type of `value|name(arguments)` for a value of type `kind`, or what is wrong with it."""
    return FILTERS[name].rule(kind, arguments)


def _no_arguments(arguments: Sequence[object]) -> str | None:
    return "takes no arguments" if arguments else None


def _same_text(kind: Type, arguments: Sequence[object]) -> Type | str:
    if isinstance(kind, Enum):
        kind = Text(max(len(word) for word in kind.words))
    if not isinstance(kind, Text):
        return f"works on a text, and this is `{show(kind)}`"
    return _no_arguments(arguments) or kind


def _length(kind: Type, arguments: Sequence[object]) -> Type | str:
    if not isinstance(kind, Text | List):
        return f"works on a text or a list, and this is `{show(kind)}`"
    return _no_arguments(arguments) or Int()


def _item(kind: Type, arguments: Sequence[object]) -> Type | str:
    if not isinstance(kind, List):
        return f"works on a list, and this is `{show(kind)}`"
    if kind.low or isinstance(kind.element, Optional):
        return _no_arguments(arguments) or kind.element
    return _no_arguments(arguments) or Optional(kind.element)


def _join(kind: Type, arguments: Sequence[object]) -> Type | str:
    if not isinstance(kind, List):
        return f"works on a list, and this is `{show(kind)}`"
    if not isinstance(kind.element, Text | Int | Float | Bool | Enum | Nothing):
        return f"joins texts, numbers and words, and these are `{show(kind.element)}`"
    if len(arguments) > 1 or any(not isinstance(argument, str) for argument in arguments):
        return "takes one text: what to put between the items"
    between = len(str(arguments[0])) if arguments else 0
    each = kind.element.cap if isinstance(kind.element, Text) else 64
    return text_of(kind.high * (each + between))


def _default(kind: Type, arguments: Sequence[object]) -> Type | str:
    if not isinstance(kind, Optional):
        return f"replaces `none`, and this is `{show(kind)}`, which is never `none`"
    if len(arguments) != 1:
        return "takes one argument: the value in place of `none`"
    inner, value = kind.inner, arguments[0]
    if isinstance(value, list) and isinstance(inner, List):
        return list_of(inner.element, 0, inner.high)
    if isinstance(inner, Enum) and value in inner.words:
        return inner
    given = _kind_of(value)
    if given is not None and fits(given, inner):
        return Text(max(inner.cap, len(str(value)))) if isinstance(inner, Text) else inner
    return f"needs a constant of type `{'text' if isinstance(inner, Text) else show(inner)}` here"


def _kind_of(value: object) -> Type | None:
    match value:
        case bool():
            return Bool()
        case int():
            return Int()
        case float():
            return Float()
        case str():
            return Text(len(value))
        case _:
            return None


FILTERS: dict[str, Filter] = {
    "default": Filter('`{{ notes|default("none yet") }}`', _default),
    "first": Filter("`{{ drafts|first }}`", _item),
    "join": Filter('`{{ notes|join(", ") }}`', _join),
    "last": Filter("`{{ drafts|last }}`", _item),
    "length": Filter("`{{ drafts|length }}`", _length),
    "lower": Filter("`{{ name|lower }}`", _same_text),
    "trim": Filter("`{{ name|trim }}`", _same_text),
    "upper": Filter("`{{ name|upper }}`", _same_text),
}
