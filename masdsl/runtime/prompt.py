"""Prompts: an agent's template filled in with plain data, and the sections and formats added to it.

A template sees plain data only (texts, numbers, lists, records as mappings), through an environment without globals,
whose attribute access finds the fields of records and nothing else. So a template that got past the checker by some
other way still reaches no object of Python. What a template may say is checked at compile time
(`masdsl/check/prompts.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Final

from masdsl.runtime.text import scalar_text, section

if TYPE_CHECKING:
    from jinja2 import nodes
    from jinja2.sandbox import ImmutableSandboxedEnvironment

LARGEST_PROMPT: Final = 256 * 1024
"""Bytes of a prompt after rendering."""

_MARK = re.compile(r"\{[{%#]")
_KEPT_NAMES = frozenset(("and", "else", "false", "if", "in", "is", "loop", "none", "not", "or", "self", "true"))


class PromptFailed(Exception):
    """A prompt cannot be filled in; the text says why."""


class Prompt:
    """A template and the names of the parameters it may mention, parsed at first use."""

    def __init__(self, text: str, names: Sequence[str]) -> None:
        self.text = text
        self.names = tuple(names)

    @cached_property
    def unmentioned(self) -> tuple[str, ...]:
        """The parameters that the template never names, in order: `render` appends them as sections."""
        if not self._is_template:
            return self.names
        from jinja2 import meta

        mentioned = meta.find_undeclared_variables(self._tree)
        return tuple(name for name in self.names if name not in mentioned - _KEPT_NAMES)

    @cached_property
    def _is_template(self) -> bool:
        return _MARK.search(self.text) is not None

    @cached_property
    def _tree(self) -> nodes.Template:
        from jinja2 import TemplateError

        try:
            return _environment().parse(self.text)
        except (TemplateError, RecursionError) as error:
            raise PromptFailed(f"the prompt is no template: {error}") from None

    @cached_property
    def _insertions(self) -> tuple[tuple[str, str], ...] | None:
        """The template as its texts and the parameters behind them, where it only inserts some, as most do."""
        from jinja2 import nodes

        found = []
        for part in self._tree.body:
            for node in part.nodes if isinstance(part, nodes.Output) else (part,):
                if isinstance(node, nodes.TemplateData):
                    found.append((node.data, ""))
                elif isinstance(node, nodes.Name) and node.name in self.names and node.name not in _KEPT_NAMES:
                    found.append(("", node.name))
                else:
                    return None
        return tuple(found)

    @cached_property
    def _stream(self) -> Callable[..., Iterable[str]]:
        return _environment().from_string(self.text).generate

    def render(self, values: Mapping[str, Any]) -> str:
        """Return the prompt for plain values of all parameters.

        Raises PromptFailed where the template cannot be filled in, or where the result is larger than LARGEST_PROMPT.
        """
        text = (self._filled(values) if self._is_template else self.text).strip()
        if self.unmentioned:
            sections = [section(name, values[name]) for name in self.unmentioned if name in values]
            text = "\n\n".join([text, *sections] if text else sections)
        if len(text) > LARGEST_PROMPT // 4 and len(text.encode("utf-8", "replace")) > LARGEST_PROMPT:
            raise PromptFailed(_TOO_LARGE)
        return text

    def _filled(self, values: Mapping[str, Any]) -> str:
        pieces: list[str] = []
        size = 0
        try:
            for piece in self._pieces(values):
                pieces.append(piece)
                size += len(piece)
                if size > LARGEST_PROMPT:
                    raise PromptFailed(_TOO_LARGE)
        except KeyError as name:
            raise PromptFailed(f"the prompt cannot be filled in: {name} is undefined") from None
        except Exception as error:
            if not isinstance(error, _faults()):
                raise
            raise PromptFailed(f"the prompt cannot be filled in: {error}") from None
        return "".join(pieces)

    def _pieces(self, values: Mapping[str, Any]) -> Iterable[str]:
        if self._insertions is None:
            return self._stream(**{name: value for name, value in values.items() if name not in _KEPT_NAMES})
        return (_printed(values[name]) if name else text for text, name in self._insertions)


@lru_cache(maxsize=1)
def _faults() -> tuple[type[Exception], ...]:
    """What a template, or the filters in it, may raise."""
    from jinja2 import TemplateError

    return (TemplateError, ArithmeticError, TypeError, ValueError, RecursionError)


_TOO_LARGE = f"the prompt is larger than {LARGEST_PROMPT // 1024} KiB when it is filled in"


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    from jinja2 import StrictUndefined, Undefined
    from jinja2.runtime import LoopContext
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class PlainEnvironment(ImmutableSandboxedEnvironment):
        """Fields of records and of `loop`, and nothing else that has a dot."""

        intercepted_binops = frozenset(("*", "**", "%", "+", "//"))

        def getattr(self, obj: Any, attribute: str) -> Any:
            if isinstance(obj, dict):
                return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
            if isinstance(obj, LoopContext) and attribute in ("index", "index0", "length", "first", "last"):
                return getattr(obj, attribute)
            return self.undefined(obj=obj, name=attribute)

        def getitem(self, obj: Any, argument: Any) -> Any:
            if isinstance(obj, dict) and isinstance(argument, str):
                return self.getattr(obj, argument)
            return self.undefined(obj=obj, name=str(argument))

        def is_safe_callable(self, obj: Any) -> bool:
            return False

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            raise TypeError(f"`{operator}` is not for prompts")

    def printed(value: Any) -> Any:
        return value if isinstance(value, Undefined) else _printed(value)

    environment = PlainEnvironment(undefined=StrictUndefined, finalize=printed, autoescape=False)
    environment.globals.clear()
    environment.filters.clear()
    environment.filters.update(FILTERS)
    environment.tests = {"none": lambda value: value is None}
    return environment


def _printed(value: Any) -> str:
    """Return what `{{ value }}` prints: nothing for none, JSON for lists and records, else the plain text."""
    if type(value) is str:
        return value
    if value is None:
        return ""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str | int | float):
        raise TypeError("a prompt shows plain values only")
    return scalar_text(value)


def _default(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value


def _first(items: list[Any]) -> Any:
    return items[0] if items else None


def _last(items: list[Any]) -> Any:
    return items[-1] if items else None


def _join(items: list[Any], between: str = "") -> str:
    return between.join(_printed(item) for item in items)


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "default": _default,
    "first": _first,
    "join": _join,
    "last": _last,
    "length": len,
    "lower": lambda text: str(text).lower(),
    "trim": lambda text: str(text).strip(),
    "upper": lambda text: str(text).upper(),
}
"""The filters of prompts; `masdsl/check/template_filters.py` has their types, a test matches the two."""
