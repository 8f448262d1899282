"""What all kinds of tools share: what a program declares, how it may differ from what is granted, how a use fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, Protocol, TypeGuard

from masdsl.types import Bool, Enum, Float, Int, List, Nothing, Opaque, Optional, Record, Text, Type, Unknown

IDEMPOTENCY_KEY: Final = "idempotency_key"
"""The parameter by which a host's function gets a text that is the same whenever the same use is meant."""


class Declared(NamedTuple):
    """A tool as a program declares it.

    `optional` are the inputs that have a default, so that they are always passed nevertheless; `timeout` is in seconds.
    """

    name: str
    granted_as: str
    inputs: Mapping[str, Type]
    optional: frozenset[str]
    returns: Type
    effect: bool
    timeout: float


class Mismatch(NamedTuple):
    """A way in which a declaration differs from what is granted.

    `where` is the input that it is about; "" is the result, None the tool as a whole. `problem` goes on from "the tool
    `search`", `advice` is the next action.
    """

    where: str | None
    problem: str
    advice: str


class Answered(NamedTuple):
    """A tool's result together with what gave it, for the record: `by` names it, as the tier of a sandbox."""

    result: object
    by: str


class ToolFault(Exception):
    """A tool cannot do what it was asked for; the text says why, for whoever asked: a model, or a person."""


class ToolUnusable(Exception):
    """What is granted cannot be used on this machine; the text says why, and what to do."""


def required_type(kind: Type) -> Type:
    """Return the type of the values besides `none`."""
    return kind.inner if isinstance(kind, Optional) else kind


def is_checkable(kind: Type) -> bool:
    """Whether anything is known of a type: that of a faulty declaration fits everywhere."""
    return not isinstance(kind, Unknown | Opaque | Nothing)


def in_words(kind: Type) -> str:
    """Return what a type is called in messages about tools, where sizes do not matter."""
    match kind:
        case Text():
            return "text"
        case Int():
            return "int"
        case Float():
            return "float"
        case Bool():
            return "bool"
        case Enum(name=name):
            return name
        case List(element=element):
            return f"a list of {in_words(element)}"
        case Optional(inner=inner):
            return f"{in_words(inner)}?"
        case Record(name=name, fields=fields):
            return name or f"({', '.join(f'{field}: {in_words(inner)}' for field, inner in fields)})"
        case _:
            return "nothing"


class Offer(Protocol):
    """A granted tool whose function depends on how a program declares it: a built-in one, or one of an MCP server."""

    def mismatches(self, declared: Declared) -> Iterable[Mismatch]:
        """Return how a declaration differs from what is granted, as far as that is known without opening it."""
        ...

    async def open(self, declared: Declared) -> None:
        """Make ready what a use needs, such as a connection; it may be ready already.

        Raises ToolUnusable, also where it turns out only now that the declaration differs.
        """
        ...

    def function(self, declared: Declared) -> Callable[..., Any]:
        """Return what is called with the inputs by name; it raises ToolFault for what it cannot do."""
        ...


class Designer(Offer, Protocol):
    """A granted tool whose use is a system of its own, which is designed when the step is due, and run there."""

    def among(self, tools: Iterable[Declared]) -> Designer:
        """Return the same for a program with these tools, which the system may use as far as that is allowed."""
        ...

    async def design(self, workshop: Any, declared: Declared, inputs: Mapping[str, object]) -> object:
        """Return the value of a step. `workshop` is what the runtime gives for it (`masdsl.runtime.designing`).

        Raises masdsl.runtime.StepFailed.
        """
        ...


def is_designer(granted: object) -> TypeGuard[Designer]:
    """Whether what is granted is a `Designer`."""
    return hasattr(granted, "design") and is_offer(granted)


def is_offer(granted: object) -> TypeGuard[Offer]:
    """Whether what is granted is an `Offer`, rather than a function."""
    return hasattr(granted, "mismatches") and hasattr(granted, "function")
