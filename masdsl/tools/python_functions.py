"""Python functions as tools: importing them, and holding what they say of themselves against a declaration.

A function is called with its inputs by name, as plain data: text, numbers, truth values, lists, and dicts for records.
What its annotations say is compared where they say something; a missing annotation, `Any` and types that are not known
here fit everything.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import sys
import types
import typing
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from masdsl.diagnostics.suggest import did_you_mean
from masdsl.tools.base import IDEMPOTENCY_KEY, Declared, Mismatch, ToolUnusable, in_words, is_checkable
from masdsl.types import Bool, Enum, Float, Int, List, Optional, Record, Text, Type

_BY_NAME: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_UNSAID: Final = (inspect.Parameter.empty, Any, object)


def import_function(target: str, folder: str | None = None) -> Callable[..., Any]:
    """Return the function that `package.module:function` names.

    Modules are looked for in `folder` first, if there is one, then where Python looks for them. Raises ToolUnusable.
    """
    module_name, _, name = target.partition(":")
    if folder is not None and folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        found: Any = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:  # a module may raise anything while it is imported
        raise ToolUnusable(f"`{target}` cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise ToolUnusable(f"`{target}` is a {type(found).__name__}, not a function")
    function: Callable[..., Any] = found
    return function


def mismatches(function: Callable[..., Any], declared: Declared) -> Iterator[Mismatch]:
    """Yield how a declaration differs from a function's signature and annotations."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a function of C need not say what it takes
        return
    hints = _hints(function)
    by_name = {name: one for name, one in signature.parameters.items() if one.kind in _BY_NAME}
    takes_all = any(one.kind is one.VAR_KEYWORD for one in signature.parameters.values())
    for name, kind in declared.inputs.items():
        one = by_name.get(name)
        if one is None:
            if not takes_all:
                yield _unknown(name, signature, by_name)
            continue
        annotation = hints.get(name, one.annotation)
        if is_checkable(kind) and not takes(annotation, kind):
            problem = f"passes {in_words(kind)} as `{name}`, and the function takes {_shown(annotation)}"
            yield Mismatch(name, problem, f"declare `{name}` otherwise, or change the function's annotation")
    for name, one in signature.parameters.items():
        given = name in declared.inputs or (name == IDEMPOTENCY_KEY and declared.effect)
        if one.kind is one.POSITIONAL_ONLY and one.default is one.empty:
            problem = f"cannot pass `{name}`, which the function takes by position alone"
            yield Mismatch(None, problem, "take the `/` out of the function's parameters: inputs are passed by name")
        elif one.kind in _BY_NAME and one.default is one.empty and not given:
            problem = f"lacks the input `{name}`, which the function needs"
            yield Mismatch(
                None, problem, f"add `{name}` to the declaration, or give the function's parameter a default"
            )
    returns = hints.get("return", signature.return_annotation)
    if is_checkable(declared.returns) and not gives(returns, declared.returns):
        problem = f"gives {in_words(declared.returns)}, and the function returns {_shown(returns)}"
        yield Mismatch("", problem, "declare another type of result, or change the function's annotation")


def _unknown(name: str, signature: inspect.Signature, by_name: dict[str, inspect.Parameter]) -> Mismatch:
    problem = f"has an input `{name}`, which the function does not take"
    listed = ", ".join(f"`{one}`" for one in by_name) or "none"
    return Mismatch(name, problem, did_you_mean(name, by_name, f"take it out; the function's parameters are {listed}"))


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations as types, those that can be found out; texts that name nothing are left out."""
    target: Any = function
    if not inspect.isroutine(function) and not isinstance(function, type) and hasattr(function, "__call__"):  # noqa: B004
        target = type(function).__call__
    try:
        return typing.get_type_hints(target, include_extras=True)
    except Exception:  # names that exist for type checkers alone, and whatever else an annotation may raise
        return dict.fromkeys(getattr(target, "__annotations__", {}), Any)


# ---------------------------------------------------------------- types of Python and of the language


def takes(annotation: Any, kind: Type) -> bool:
    """Whether a parameter of this annotation takes every value of a type, as plain data."""
    if isinstance(kind, Optional):
        return _takes_none(annotation) and takes(annotation, kind.inner)
    annotation, origin, arguments = _parts(annotation)
    if annotation in _UNSAID or isinstance(annotation, str | typing.TypeVar):
        return True
    if origin in (Union, types.UnionType):
        return any(takes(one, kind) for one in arguments)
    if origin is Literal:
        return isinstance(kind, Enum) and set(kind.words) <= set(arguments)
    base = origin or annotation
    if not isinstance(base, type):
        return True
    match kind:
        case Text() | Enum():
            return _is_a(str, base)
        case Bool():
            return _is_a(bool, base) or base in (float, complex)
        case Int():
            return _is_a(int, base) or base in (float, complex)
        case Float():
            return _is_a(float, base) or base is complex
        case List(element=element):
            return _is_a(list, base) and (not arguments or takes(arguments[0], element))
        case Record():
            return _is_typed_dict(base) or _is_a(dict, base)
    return True


def gives(annotation: Any, kind: Type) -> bool:
    """Whether what a function of this annotation returns fits a type, as far as the annotation says."""
    annotation, origin, arguments = _parts(annotation)
    if annotation in _UNSAID or isinstance(annotation, str | typing.TypeVar):
        return True
    if origin in (Union, types.UnionType):
        return all(gives(one, kind) for one in arguments)
    if annotation is None or annotation is type(None):
        return isinstance(kind, Optional)
    if isinstance(kind, Optional):
        return gives(annotation, kind.inner)
    if origin is Literal:
        return all(isinstance(one, str) for one in arguments) and (
            isinstance(kind, Text) or (isinstance(kind, Enum) and set(arguments) <= set(kind.words))
        )
    base = origin or annotation
    if not isinstance(base, type):
        return True
    if isinstance(kind, Record):
        return _gives_record(base, kind)
    if isinstance(kind, List):
        element = arguments[0] if arguments else Any
        return (base is tuple or _is_a(list, base)) and gives(element, kind.element)
    if issubclass(base, enum.Enum):
        words = {one.value for one in base}
        return issubclass(base, str) and (
            isinstance(kind, Text) or (isinstance(kind, Enum) and words <= set(kind.words))
        )
    if issubclass(base, bool):
        return isinstance(kind, Bool)
    if issubclass(base, int):
        return isinstance(kind, Int | Float)
    if issubclass(base, float):
        return isinstance(kind, Float)
    if issubclass(base, str):
        return isinstance(kind, Text | Enum)
    return not (base in (dict, list, tuple, bytes) or _field_names(base) is not None)


def _gives_record(base: type, kind: Record) -> bool:
    names = _field_names(base)
    if names is not None:
        return all(name in names or isinstance(field, Optional) for name, field in kind.fields)
    return base not in (str, int, float, bool, list, tuple, bytes)


def _field_names(base: type) -> set[str] | None:
    """Return the names of the fields of a dataclass, named tuple, typed dict or pydantic model; None for others."""
    if is_dataclass(base):
        return {field.name for field in fields(base)}
    if _is_typed_dict(base):
        return set(base.__annotations__)
    for attribute in ("_fields", "model_fields"):
        names = getattr(base, attribute, None)
        if names is not None:
            return set(names)
    return None


def _is_typed_dict(base: Any) -> bool:
    return typing.is_typeddict(base)


def _is_a(kind: type, base: type) -> bool:
    """Whether values of a type are values of another one; yes where that one does not say."""
    if _is_typed_dict(base):
        return False
    try:
        return issubclass(kind, base)
    except TypeError:  # a protocol that is for type checkers alone
        return True


def _takes_none(annotation: Any) -> bool:
    annotation, origin, arguments = _parts(annotation)
    if origin in (Union, types.UnionType):
        return any(map(_takes_none, arguments))
    return annotation in (*_UNSAID, None, type(None)) or isinstance(annotation, str | typing.TypeVar)


def _parts(annotation: Any) -> tuple[Any, Any, tuple[Any, ...]]:
    """Return an annotation without what is around the type of the value itself, and its parts."""
    while True:
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated or (_is_awaitable(origin) and arguments):
            annotation = arguments[0] if origin is Annotated else arguments[-1]
        else:
            return annotation, origin, arguments


def _is_awaitable(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, Awaitable)


def _shown(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)
