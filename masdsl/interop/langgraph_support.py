"""What an exported LangGraph program holds besides its own graph. `masdsl` never imports this module.

`masdsl.interop.copied` writes those of its definitions into an exported file that the file needs, as they stand here,
with what they use of the runtime. So it is Python that stands alone: text first, a module for the tests and checkers.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from masdsl.runtime.text import scalar_text, show

MISSING: Any = object()
"""Stands for a default that there is not, since None can be one."""


class StepFailed(Exception):
    """An agent, a tool or a flow has failed for good."""


@dataclass(frozen=True)
class Host:
    """What a run is given: chat models by tier (or by name), functions by the names that tools are granted as."""

    models: Mapping[str, BaseChatModel]
    tools: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


class Record(BaseModel):
    """A record: its fields in order, each with its type."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, coerce_numbers_to_str=True)


class Word(StrEnum):
    """An enum; a word counts in any case, with blanks or hyphens for underscores."""

    @classmethod
    def _missing_(cls, value: object) -> Word | None:
        wanted = re.sub(r"[\s_-]", "", str(value)).casefold()
        return next((word for word in cls if word.value.replace("_", "").casefold() == wanted), None)


def items(low: int, high: int) -> BeforeValidator:
    """Return what keeps a list to its size: of a longer one the first items count, a shorter one is refused."""

    def sized(value: Any) -> Any:
        if isinstance(value, list) and len(value) < low:
            raise ValueError(f"at least {low} items are needed")
        return value[:high] if isinstance(value, list) else value

    return BeforeValidator(sized)


class Agent(NamedTuple):
    """A prompt with a typed reply; `sections` are the inputs that it does not mention, which follow it."""

    name: str
    model: str
    prompt: str
    returns: Any
    max_tokens: int
    sections: tuple[str, ...] = ()
    contract: str = ""
    role: str | None = None
    temperature: float | None = None
    retries: int = 0
    timeout: float | None = None
    optional: Mapping[str, Any] = {}
    default: Any = MISSING


class Tool(NamedTuple):
    """A function of the host, by the name that it is granted as."""

    name: str
    granted_as: str
    returns: Any
    timeout: float | None = None
    optional: Mapping[str, Any] = {}
    default: Any = MISSING


class Flow(NamedTuple):
    """A flow: its graph, whose state has the value at the end as `RESULT`."""

    name: str
    graph: CompiledStateGraph[Any, Any, Any, Any]
    default: Any = MISSING


async def ask(agent: Agent, host: Host, inputs: Mapping[str, Any]) -> Any:
    """Return an agent's reply as a value of its type; raise StepFailed where it has neither that nor a default."""
    model = host.models.get(agent.model)
    if model is None:
        raise LookupError(f"the agent {agent.name} has no model: pass one as Host(models={{{agent.model!r}: ...}})")
    opening: list[BaseMessage] = [SystemMessage(agent.role)] if agent.role else []
    opening.append(HumanMessage(filled(agent, {**agent.optional, **inputs})))
    try:
        async with asyncio.timeout(agent.timeout):
            return await answered(agent, model, opening)
    except (StepFailed, TimeoutError) as failure:
        if agent.default is MISSING:
            raise StepFailed(f"{agent.name}: {str(failure) or 'its time is up'}") from failure
        return agent.default


async def answered(agent: Agent, model: BaseChatModel, opening: list[BaseMessage]) -> Any:
    """Ask until a reply fits, at most `1 + retries` times; a reply that does not fit is shown with what is wrong."""
    options: dict[str, Any] = {"max_tokens": agent.max_tokens}
    if agent.temperature is not None:
        options["temperature"] = agent.temperature
    messages, fault = opening, ""
    for _ in range(1 + agent.retries):
        try:
            said = str((await model.ainvoke(messages, **options)).text)
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
            continue
        try:
            return reply_value(said, agent.returns)
        except ValueError as error:
            fault = str(error)
            again = f"That reply cannot be used: {fault}. Reply again, with only the corrected answer."
            messages = [*opening, AIMessage(said), HumanMessage(again)]
    raise StepFailed(fault)


def reply_value(reply: str, returns: Any) -> Any:
    """Return a reply as a value of the type; raise ValueError, with what is wrong in a few words."""
    text = reply.strip()
    if not text:
        raise ValueError("it is empty")
    if returns is str:
        return text
    if returns == str | None:
        return None if text.strip('."').lower() in ("null", "none") else text
    adapter, fault = TypeAdapter[Any](returns), ""
    for candidate in candidates(text):
        try:
            return adapter.validate_python(candidate)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            fault = fault or f"{'.'.join(map(str, first['loc'])) or 'the value'}: {first['msg']}"
    raise ValueError(fault)


def candidates(text: str) -> Iterator[Any]:
    """Yield what a reply may mean: the JSON that it is, that stands in a fence or in prose, and its bare words."""
    fenced = re.search(r"```[a-z]*\n(.*?)```", text, re.DOTALL)
    inside = re.search(r"\{.*\}|\[.*\]", text, re.DOTALL)
    for part in (text, fenced[1] if fenced else "", inside[0] if inside else ""):
        try:
            yield json.loads(part)
        except (ValueError, RecursionError):
            continue
    yield text.strip(" \n.\"'*`")


async def use(tool: Tool, host: Host, inputs: Mapping[str, Any]) -> Any:
    """Return what a function of the host gives, as a value of the tool's type; raise StepFailed."""
    function = host.tools.get(tool.granted_as)
    if function is None:
        raise LookupError(f"the tool {tool.name} has no function: pass one as Host(tools={{{tool.granted_as!r}: ...}})")
    arguments = plain({**tool.optional, **inputs})
    try:
        async with asyncio.timeout(tool.timeout):
            if inspect.iscoroutinefunction(function):
                value = await function(**arguments)
            else:
                value = await asyncio.to_thread(function, **arguments)
            return TypeAdapter[Any](tool.returns).validate_python(plain(value))
    except Exception as error:
        if tool.default is MISSING:
            raise StepFailed(f"{tool.name}: {type(error).__name__}: {error}") from error
        return tool.default


async def call(flow: Flow, host: Host, inputs: Mapping[str, Any], config: RunnableConfig | None = None) -> Any:
    """Run a flow and return its value; raise StepFailed where it has neither that nor a default."""
    try:
        state = await flow.graph.ainvoke(dict(inputs), config, context=host)
    except StepFailed:
        if flow.default is MISSING:
            raise
        return flow.default
    return state["RESULT"]


async def either(*options: Callable[[], Any]) -> Any:
    """Return the first that neither fails nor is None, or the last."""
    *others, last = options
    for option in others:
        try:
            value = await awaited(option())
        except StepFailed:
            continue
        if value is not None:
            return value
    return await awaited(last())


async def awaited(value: Awaitable[Any] | Any) -> Any:
    """Return a value, when it is there."""
    return await value if inspect.isawaitable(value) else value


def collected(parts: list[tuple[int, Any]] | None, more: list[tuple[int, Any]] | None) -> list[tuple[int, Any]]:
    """Return what parallel workers have given so far; None begins anew."""
    return [] if more is None else [*(parts or []), *more]


def in_order(parts: list[tuple[int, Any]]) -> list[Any]:
    """Return what parallel workers gave, in the order in which they were sent."""
    return [value for _, value in sorted(parts, key=lambda part: part[0])]


def plain(value: Any) -> Any:
    """Return a value as JSON data: records as dicts, enums as words."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return str(value) if isinstance(value, str) else value


def filled(agent: Agent, values: Mapping[str, Any]) -> str:
    """Return what an agent is told: its prompt, the sections behind it, and the form of the reply."""
    shown = {name: plain(value) for name, value in values.items()}
    names = [name for name in shown if name not in agent.sections]
    text = environment().from_string(agent.prompt).render({name: shown[name] for name in names}).strip()
    sections = [f"{name}:\n{show(shown[name])}" for name in agent.sections]
    return "\n\n".join(part for part in (text, *sections, agent.contract) if part) or "Go on."


@cache
def environment() -> ImmutableSandboxedEnvironment:
    """Return how prompts are filled in: they see plain data and a few filters, and nothing of Python."""

    class Prompts(ImmutableSandboxedEnvironment):
        def getattr(self, obj: Any, attribute: str) -> Any:
            if isinstance(obj, dict):
                return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
            return super().getattr(obj, attribute)

    prompts = Prompts(undefined=StrictUndefined, finalize=printed, autoescape=False)
    prompts.globals.clear()
    prompts.filters = {
        "default": lambda value, otherwise: otherwise if value is None else value,
        "first": lambda values: values[0] if values else None,
        "join": lambda values, between="": between.join(map(printed, values)),
        "last": lambda values: values[-1] if values else None,
        "length": len,
        "lower": lambda text: str(text).lower(),
        "trim": lambda text: str(text).strip(),
        "upper": lambda text: str(text).upper(),
    }
    prompts.tests = {"none": lambda value: value is None}
    return prompts


def printed(value: Any) -> Any:
    """Return what `{{ value }}` prints: nothing for none, JSON for lists and records, else the plain text."""
    if value is None:
        return ""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return scalar_text(value) if isinstance(value, str | int | float) else value


def clipped_to(text: str, origin: str) -> str:
    """Return a text made of `origin`: sizes of texts belong to the proved budget, which is not exported."""
    return text
