"""Agents and models as compiled programs declare them. How an agent is asked: `masdsl.runtime.asking`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar, final, overload

from masdsl.formats import (
    ToolForm,
    is_free_text,
    output_contract,
    reply_tokens,
    schema,
    schema_tokens,
    tool_instructions,
    turn_tokens,
)
from masdsl.runtime.models.base import Message
from masdsl.runtime.prompt import Prompt
from masdsl.runtime.replies import parse_reply
from masdsl.runtime.shapes import Shape, fit, shape_of, type_of
from masdsl.runtime.text import clean
from masdsl.sizes import agent_seconds

if TYPE_CHECKING:
    from masdsl.runtime.tool import Tool

T_co = TypeVar("T_co", covariant=True)

DEFAULT_TIER: Final = "default"


class Model(NamedTuple):
    """`on "gpt-4o"`: a model by its own name. A bare string in `Agent(model=...)` is a tier."""

    name: str


@final
class _Missing:
    """The type of `MISSING`."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
"""Stands for a default that was not declared, since None can be one."""


class Parameters:
    """The declared inputs of an agent or tool: their shapes and the defaults of those that may be left out."""

    def __init__(self, owner: str, inputs: Mapping[str, object], optional: Mapping[str, object]) -> None:
        self.owner = owner
        self.shapes = {name: shape_of(annotation) for name, annotation in inputs.items()}
        self.names = tuple(self.shapes)
        unknown = [name for name in optional if name not in self.shapes]
        if unknown:
            raise TypeError(f"{owner}: `optional` names {unknown[0]!r}, which is none of its inputs")
        self.defaults = {name: fit(value, self.shapes[name]).value for name, value in optional.items()}

    def name_of(self, python_name: str) -> str:
        """Return the input that a keyword argument is for: `class_` passes `class`.

        Raises TypeError for a name that is none.
        """
        name = python_name
        while name not in self.shapes and name.endswith("_"):
            name = name[:-1]
        if name not in self.shapes:
            raise TypeError(f"{self.owner} has no input {python_name!r}")
        return name

    def complete(self, inputs: Mapping[str, object]) -> Mapping[str, object]:
        """Return all inputs by their declared names, in order of declaration, defaults filled in.

        Raises TypeError for unknown and missing ones: a fault of the compiled program, not of the data.
        """
        if tuple(inputs) == self.names:
            return inputs
        given = {self.name_of(name): value for name, value in inputs.items()}
        values = {name: given.get(name, self.defaults.get(name, MISSING)) for name in self.shapes}
        missing = [name for name, value in values.items() if value is MISSING]
        if missing:
            raise TypeError(f"{self.owner} needs the input {missing[0]!r}")
        return values


class Agent(Generic[T_co]):
    """A prompt with typed inputs and a typed output, answered by a model.

    `returns` is the output's annotation, and the class's parameter is the same type without caps, for type checkers:
    `Agent[list[str]](returns=Annotated[list[str], Items(0, 8)], ...)`.

    - `inputs` maps parameters to annotations; `optional` gives the defaults of those that may be left out.
    - `model` is a tier, or `Model("name")`; None is the tier `default`.
    - `role` is the system message. `prompt` is a Jinja2 template; inputs that it does not mention are appended.
    - `max_tokens` bounds a reply (by default as large as the type needs), `temperature` None leaves it to the model.
    - `retries` is how often it asks again after a faulty reply or a failed call. `timeout` bounds the whole step in
      seconds, with retries and tools; without one, each call may take `sizes.MODEL_SECONDS`.
    - `tools` may be used at most `steps` times before the answer.
    - `default` is the value when all that failed; without one, the step fails.
    """

    @overload
    def __init__(
        self,
        *,
        name: str,
        returns: type[T_co],
        prompt: str,
        inputs: Mapping[str, object] = ...,
        optional: Mapping[str, object] = ...,
        model: str | Model | None = ...,
        role: str | None = ...,
        temperature: float | None = ...,
        max_tokens: int | None = ...,
        retries: int = ...,
        timeout: float | None = ...,
        tools: Sequence[Tool[Any]] = ...,
        steps: int = ...,
        default: object = ...,
        doc: str = ...,
    ) -> None: ...

    @overload
    def __init__(
        self,
        *,
        name: str,
        returns: object,
        prompt: str,
        inputs: Mapping[str, object] = ...,
        optional: Mapping[str, object] = ...,
        model: str | Model | None = ...,
        role: str | None = ...,
        temperature: float | None = ...,
        max_tokens: int | None = ...,
        retries: int = ...,
        timeout: float | None = ...,
        tools: Sequence[Tool[Any]] = ...,
        steps: int = ...,
        default: object = ...,
        doc: str = ...,
    ) -> None: ...

    def __init__(
        self,
        *,
        name: str,
        returns: object,
        prompt: str,
        inputs: Mapping[str, object] | None = None,
        optional: Mapping[str, object] | None = None,
        model: str | Model | None = None,
        role: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        retries: int = 0,
        timeout: float | None = None,
        tools: Sequence[Tool[Any]] = (),
        steps: int = 0,
        default: object = MISSING,
        doc: str = "",
    ) -> None:
        self.name = name
        self.doc = doc
        self.model = model.name if isinstance(model, Model) else model or DEFAULT_TIER
        self.is_tier = not isinstance(model, Model)
        self.role = role
        self.temperature = temperature
        self.retries = max(retries, 0)
        self.timeout = timeout
        self.tools = tuple(tools)
        self.steps = max(steps, 0) if self.tools else 0
        longest_tool = max((tool.seconds for tool in self.tools), default=0.0)
        self.seconds = agent_seconds(timeout, self.retries, self.steps, longest_tool)
        """How long a step may take in all."""
        self.parameters = Parameters(f"agent {name}", inputs or {}, optional or {})
        self.prompt = Prompt(prompt, self.parameters.names)
        self.returns: Shape = shape_of(returns)
        self.default = default if default is MISSING else fit(default, self.returns).value
        kind = type_of(self.returns)
        self.max_tokens = max(max_tokens, 1) if max_tokens is not None else self._longest_reply()
        self.contract = (
            tool_instructions(map(form_of, self.tools), kind, self.steps) if self.steps else output_contract(kind)
        )
        self.schema = None if is_free_text(kind) else schema(kind)
        self.schema_tokens = schema_tokens(self.schema)
        self.parse = partial(parse_reply, shape=self.returns)
        """Reads a reply."""
        self.opening = (Message("system", clean(role)),) if role else ()
        """The messages in front of its prompt."""
        self.hashes: dict[str, bytes] = {}  # of this declaration, by the name of the model (`hashes.agent_hash`)
        self.asked: tuple[Message, ...] = ()  # the last opening of a chat: samples ask the same, and share it

    def _longest_reply(self) -> int:
        """Return the size of the largest reply that the type, or the use of a tool, may need."""
        kind = type_of(self.returns)
        return turn_tokens(map(form_of, self.tools), kind) if self.steps else reply_tokens(kind)

    @property
    def has_default(self) -> bool:
        """Whether the declaration has an `else`."""
        return self.default is not MISSING

    def __repr__(self) -> str:
        return f"<agent {self.name}>"


def form_of(tool: Tool[Any]) -> ToolForm:
    """Return what a model is told about a tool."""
    return ToolForm(tool.name, {name: type_of(shape) for name, shape in tool.parameters.shapes.items()}, tool.doc)
