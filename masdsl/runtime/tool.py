"""Tools: functions of the host that a program may use, by the names that the host grants."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeAlias, TypeVar, overload

from masdsl.runtime.agent import MISSING, Parameters
from masdsl.runtime.shapes import Shape, fit, plain, shape_of, type_of
from masdsl.runtime.threads import in_thread
from masdsl.sizes import TOOL_SECONDS
from masdsl.tools.base import IDEMPOTENCY_KEY, Declared, Designer, Offer, is_offer

T_co = TypeVar("T_co", covariant=True)

ToolFunction: TypeAlias = "Callable[..., Any] | Offer"
"""A host's function: gets the inputs by name as JSON data, returns (or resolves to) what fits the declared type. Or an
offer of one, whose function depends on how the tool is declared."""


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
        self.designer: Designer | None = None
        """What designs the systems behind it in a program that was designed itself; else what the host grants does."""
        self._used: tuple[Offer, Callable[..., Any]] | None = None

    @property
    def declared(self) -> Declared:
        """The declaration, as what is granted is compared with it."""
        return Declared(
            name=self.name,
            granted_as=self.granted_as,
            inputs={name: type_of(shape) for name, shape in self.parameters.shapes.items()},
            optional=frozenset(self.parameters.defaults),
            returns=type_of(self.returns),
            effect=self.effect,
            timeout=self.seconds,
        )

    @property
    def seconds(self) -> float:
        """How long a use may take."""
        return TOOL_SECONDS if self.timeout is None else self.timeout

    def function_of(self, given: ToolFunction) -> Callable[..., Any]:
        """Return what is called to use the tool, of what the host gives for it."""
        if not is_offer(given):
            function: Any = given
            return function  # type: ignore[no-any-return]
        if self._used is None or self._used[0] is not given:
            self._used = given, given.function(self.declared)
        return self._used[1]

    @property
    def has_default(self) -> bool:
        """Whether the declaration has an `else`."""
        return self.default is not MISSING

    def __repr__(self) -> str:
        return f"<tool {self.name}>"


async def call_function(function: Callable[..., Any], inputs: Mapping[str, object], key: str | None = None) -> Any:
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


def _takes_key(function: Callable[..., Any]) -> bool:
    try:
        parameter = inspect.signature(function).parameters.get(IDEMPOTENCY_KEY)
    except (TypeError, ValueError):  # a function of C need not say what it takes
        return False
    return parameter is not None and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
