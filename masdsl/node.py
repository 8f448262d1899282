"""Immutable value classes for trees: `Node`, the base of every AST and program node.

A subclass lists its fields as annotations, like a dataclass:

    class Not(Node):
        operand: Expr

`Not(x, span=s)` then builds one. Instances are slotted and frozen; equality and hashing compare class and all fields
except `span`, so that two programs that differ only in layout are equal. The standard `dataclass` does the same, but
compiles five methods for each class: for the sixty classes of the language that is 50 ms of every cold start, measured
beside 2 ms here.
"""

from __future__ import annotations

from types import CodeType, FunctionType
from typing import Any, ClassVar, NamedTuple, Self, dataclass_transform


class Span(NamedTuple):
    """A half-open range of code points in a `Source`."""

    start: int
    end: int

    def to(self, other: Span) -> Span:
        """Return the span from the start of this one to the end of `other`."""
        return Span(self.start, other.end)


NOWHERE = Span(0, 0)


_templates: dict[int, CodeType] = {}


def _initialiser(fields: tuple[str, ...], defaults: dict[str, Any]) -> FunctionType:
    """Return the `__init__` of a class with these fields, of which the last ones have the defaults.

    Python is compiled once for each number of fields; a class only puts its names into that code. (Compiling for each
    class took a third of a cold start.)
    """
    count = len(fields)
    template = _templates.get(count)
    if template is None:
        names = [f"field_{number}" for number in range(count)]
        lines = "".join(f"\n set_field(self, {name!r}, {name})" for name in (*names, "span"))
        scope: dict[str, Any] = {}
        exec(f"def __init__(self, {', '.join((*names, '*'))}, span):{lines}", scope)
        template = _templates[count] = scope["__init__"].__code__
    constants = {f"field_{number}": field for number, field in enumerate(fields)}
    code = template.replace(
        co_varnames=("self", *fields, "span"),
        co_consts=tuple(constants.get(value, value) for value in template.co_consts),
    )
    made = FunctionType(code, {"set_field": object.__setattr__}, "__init__", tuple(defaults.values()))
    made.__kwdefaults__ = {"span": NOWHERE}
    assert tuple(defaults) == fields[count - len(defaults) :], "fields with a default come last"
    return made


def _field(*, default: Any, kw_only: bool) -> Any:
    """Tell type checkers what the metaclass does with `span`: a keyword argument with a default."""
    return default


@dataclass_transform(frozen_default=True, eq_default=True, field_specifiers=(_field,))
class _NodeType(type):
    _fields: tuple[str, ...]

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any) -> _NodeType:
        annotations = namespace.get("__annotations__", {})
        inherited = next((base._fields for base in bases if isinstance(base, _NodeType)), ())
        own = tuple(field for field, kind in annotations.items() if not str(kind).startswith("ClassVar"))
        fields = (*inherited, *(field for field in own if field != "span"))
        defaults = {field: namespace.pop(field) for field in own if field in namespace}
        if "span" in own:
            defaults.pop("span", None)
        slots = tuple(field for field in own if field not in inherited)
        namespace["__slots__"] = slots if any(isinstance(base, _NodeType) for base in bases) else (*slots, "_hash")
        namespace["_fields"] = fields
        namespace["__init__"] = _initialiser(fields, defaults)
        return super().__new__(mcs, name, bases, namespace, **kwargs)


class Node(metaclass=_NodeType):
    """Base of every tree node; see the module docstring."""

    _fields: ClassVar[tuple[str, ...]]
    span: Span = _field(default=NOWHERE, kw_only=True)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable: build a changed copy with `.replace({name}=...)`")

    __delattr__ = __setattr__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, field) == getattr(other, field) for field in self._fields)

    def __hash__(self) -> int:
        try:
            known: int = self._hash  # type: ignore[attr-defined]  # kept: types are keys, and large ones share their parts
        except AttributeError:
            known = hash((type(self), *(getattr(self, field) for field in self._fields)))
            object.__setattr__(self, "_hash", known)
        return known

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{field}={getattr(self, field)!r}' for field in self._fields)})"

    def replace(self, **changes: Any) -> Self:
        """Return a copy with `changes` in place of the fields of those names (`span` included)."""
        values = {field: getattr(self, field) for field in (*self._fields, "span")}
        return type(self)(**(values | changes))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), tuple(getattr(self, field) for field in self._fields), self.span)


def _rebuild(kind: type[Node], values: tuple[Any, ...], span: Span) -> Node:
    return kind(*values, span=span)
