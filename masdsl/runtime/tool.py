"""Tools: functions of the host that a program may use, by the names that the host grants."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeAlias, TypeVar, overload

from masdsl.runtime.agent import MISSING, Parameters
from masdsl.runtime.shapes import Shape, fit, plain, shape_of
from masdsl.runtime.threads import in_thread

T_co = TypeVar("T_co", covariant=True)

ToolFunction: TypeAlias = Callable[..., Any]
"""A host's function: gets the inputs by name as JSON data, returns (or resolves to) what fits the declared type."""


IDEMPOTENCY_KEY: Final = "idempotency_key"
"""The parameter by which a host's function gets a text that is the same whenever the same use is meant."""


class Tool(Generic[T_co]):
    """A function of the host with typed inputs and a typed output.

    `granted_as` is the name under which a host grants it (`from "sandbox.python"`). `effect` marks one that changes the
    world: its function may have a parameter `idempotency_key`. `timeout` is in seconds (`sizes.TOOL_SECONDS` without
    one), `default` the value when the tool fails; without one, the step fails. A tool is never tried twice.
    """

    @overload
    def __init__(
        self,
        *,
        name: str,
        returns: type[T_co],
        granted_as: str,
        inputs: Mapping[str, object] = ...,
        optional: Mapping[str, object] = ...,
        effect: bool = ...,
        timeout: float | None = ...,
        default: object = ...,
        doc: str = ...,
    ) -> None: ...

    @overload
    def __init__(
        self,
        *,
        name: str,
        returns: object,
        granted_as: str,
        inputs: Mapping[str, object] = ...,
        optional: Mapping[str, object] = ...,
        effect: bool = ...,
        timeout: float | None = ...,
        default: object = ...,
        doc: str = ...,
    ) -> None: ...

    def __init__(
        self,
        *,
        name: str,
        returns: object,
        granted_as: str,
        inputs: Mapping[str, object] | None = None,
        optional: Mapping[str, object] | None = None,
        effect: bool = False,
        timeout: float | None = None,
        default: object = MISSING,
        doc: str = "",
    ) -> None:
        self.name = name
        self.doc = doc
        self.granted_as = granted_as
        self.effect = effect
        self.timeout = timeout
        self.parameters = Parameters(f"tool {name}", inputs or {}, optional or {})
        self.returns: Shape = shape_of(returns)
        self.default = default if default is MISSING else fit(default, self.returns).value
        self.hash: bytes | None = None  # of this declaration (`hashes.tool_hash`)

    @property
    def has_default(self) -> bool:
        """Whether the declaration has an `else`."""
        return self.default is not MISSING

    def __repr__(self) -> str:
        return f"<tool {self.name}>"


async def call_function(function: ToolFunction, inputs: Mapping[str, object], key: str | None = None) -> Any:
    """Call a host's function with plain data: a coroutine function here, any other in a thread of its own.

    `key` is passed to a function that has a parameter `idempotency_key`, unless that is an input of the tool.
    """
    arguments = {name: plain(value) for name, value in inputs.items()}
    if key is not None and IDEMPOTENCY_KEY not in arguments and _takes_key(function):
        arguments[IDEMPOTENCY_KEY] = key
    if inspect.iscoroutinefunction(function):
        return await function(**arguments)
    value = await in_thread(lambda: function(**arguments))
    return await value if inspect.isawaitable(value) else value


def _takes_key(function: ToolFunction) -> bool:
    try:
        parameter = inspect.signature(function).parameters.get(IDEMPOTENCY_KEY)
    except (TypeError, ValueError):  # a function of C need not say what it takes
        return False
    return parameter is not None and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
