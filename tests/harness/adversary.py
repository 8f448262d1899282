"""Models that make a run as dear as it can be, and their honest twin.

    enemy = Adversary(program, seed=3)
    result = virtual_time.run(program.run(inputs=..., models=enemy, tools=enemy.tools))

`program` is a compiled one (`masdsl.runtime.Program`), whose agents and tools say what may be replied. An adversary
keeps to the protocol and does its worst within it: replies as long as they may be and values as large as their types
allow, of the characters that count most where they are shown; replies that do not fit until the last attempt; failures
that are billed; every use of a tool; results that are none, so that fallbacks are tried; answers at the last moment.
What it reports as usage is the most that the ledger takes: all that was reserved.

Everything follows from the seed and the address of the call. `choose` decides single calls: it gets the request and
returns an `Act`, or None to leave it to the adversary.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal, TypeAlias

from masdsl import sizes
from masdsl.formats import schema_tokens, tools_tokens, value_tokens
from masdsl.runtime import Agent, Program, Tool
from masdsl.runtime.accounts import request_tokens
from masdsl.runtime.models.base import ModelError, Price, Reply, Request
from masdsl.runtime.models.tool_calls import ToolCall, text_with_calls
from masdsl.runtime.shapes import type_of
from masdsl.types import Bool, Enum, Float, Int, List, Optional, Record, Text, Type

Act: TypeAlias = Literal["value", "none", "faulty", "tool", "billed", "unbilled", "timeout", "refused", "denied"]
"""What to do with a call: a value of the agent's type, none where it is optional, a reply that does not fit, the use of
a tool, a failure of the connection that is billed or not, no answer in time, a refusal, no permission (these two are
not tried again, and the last costs nothing)."""
Choose: TypeAlias = Callable[[Request], "Act | None"]
Pace: TypeAlias = Literal["instant", "last moment", "mixed"]

Counts: TypeAlias = Literal["most", "zero", "none", "absurd"]

DEAR = Price(3.0, 15.0)
MOMENT = 1e-6
"""Seconds before the deadline at which an answer comes that comes at the last moment."""
TEXTS = ("!", '"', "\\", "!\n", "word ", "Q7", "\u6f22", "\U0001f600", "\u00e9")
"""What texts are made of: each counts most in some place. Quotes and backslashes double in JSON, line ends in lists."""


def draw(seed: int, *where: object) -> float:
    """Return a number from 0 up to 1 that follows from a seed and a place."""
    digest = sha256(repr((seed, *where)).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def filled(size: int, of: str = "!") -> str:
    """Return a text of a size, with nothing that is cut off at its ends."""
    if size <= 0:
        return ""
    text = sizes.clip_text(of * (2 * size * sizes.MOST_CHARACTERS_PER_TOKEN // len(of) + 1), size)
    if text.strip() == text and text:
        return text
    return sizes.clip_text(f"!{sizes.clip_text(text, size - 1)}".rstrip() + "!", size)


def largest(kind: Type, of: str = "!", share: float = 1.0) -> Any:
    """Return the largest value of a type as JSON data, or one of about a share of its texts and lists."""
    match kind:
        case Text(cap=cap):
            return filled(max(1, int(cap * share)), of) if cap else ""
        case Int():
            return -(2**63)
        case Float():
            return -1.7976931348623157e308
        case Bool():
            return False
        case Enum(words=words):
            return max(words, key=sizes.counted_tokens)
        case List(element=element, low=low, high=high):
            return [largest(element, of, share)] * max(low, int(high * share))
        case Optional(inner=inner):
            return largest(inner, of, share)
        case Record(fields=fields):
            return {name: largest(inner, of, share) for name, inner in fields}
    return None


def some(kind: Type, of: str, share: float, seed: int, *where: object) -> Any:
    """Return any value of a type, its texts of about a share of their size at most, by the seed and a place."""
    chance = draw(seed, kind, *where)
    match kind:
        case Text(cap=cap):
            return filled(int(cap * share * chance * 1.2), of) if chance < 0.8 else ""
        case Int():
            return (-(2**63), -1, 0, 1, 2, 100, 2**63 - 1)[int(chance * 7)]
        case Float():
            return (-1.7976931348623157e308, -0.5, 0.0, 1.0, 1e300)[int(chance * 5)]
        case Bool():
            return chance < 0.5
        case Enum(words=words):
            return words[int(chance * len(words))]
        case List(element=element, low=low, high=high):
            count = max(low, int((high + 1) * share * chance))
            return [some(element, of, share, seed, *where, at) for at in range(count)]
        case Optional(inner=inner):
            return None if chance < 0.3 else some(inner, of, share, seed, *where)
        case Record(fields=fields):
            return {name: some(inner, of, share, seed, *where, name) for name, inner in fields}
    return None


def written(value: Any) -> str:
    """Return a value as a model writes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@dataclass
class Adversary:
    """See the module docstring.

    `faults` is the share of attempts before the last one that are spoilt, `nones` that of optional results which are
    none, `failures` that of last attempts which fail for good; `broken` is the share of spoilt attempts that are billed
    failures instead of replies that do not fit, `varied` that of values which are any of their type instead of the
    largest: what branches depend on. All are 0 to 1. `text` is what texts are made of (one of `TEXTS`), each time
    another one where it is left out. `counts` is what is reported as usage: the most that is taken, 0, nothing, or what
    cannot be.
    A failure of the connection asks to wait for `wait` seconds, and `value` gives single values, as `choose` does acts.
    """

    program: Program
    seed: int = 0
    pace: Pace = "instant"
    faults: float = 1.0
    broken: float = 0.0
    nones: float = 0.0
    failures: float = 0.0
    text: str | None = None
    varied: float = 0.0
    counts: Counts = "most"
    wait: float | None = None
    choose: Choose | None = None
    value: Callable[[Request], Any] | None = None
    name: str = "adversary"
    price: Price | None = DEAR
    requests: list[Request] = field(default_factory=list)
    answered: int = 0

    async def complete(self, request: Request) -> Reply:
        """Answer in the dearest way, or fail in it."""
        self.requests.append(request)
        agent = self.program.agents[request.agent]
        act = (self.choose(request) if self.choose else None) or self._act(request, agent)
        await asyncio.sleep(self._pause(request, act))
        self.answered += 1
        match act:
            case "billed" | "unbilled":
                raise ModelError("connection", "broken off", retry_after=self.wait, billed=act == "billed")
            case "refused":
                raise ModelError("refused", "not that", billed=True)
            case "denied":
                raise ModelError("auth", "not you")
            case "timeout":
                raise ModelError("timeout", "too slow", billed=True)
        text = self._text(request, agent, act)
        tokens_in: Any = asked_tokens(request)
        tokens_out: Any = request.max_tokens
        if self.counts == "none":
            tokens_in = tokens_out = None
        elif self.counts == "zero":
            tokens_in = tokens_out = 0
        elif self.counts == "absurd":
            tokens_in, tokens_out = (ABSURD[int(self._draw(request, what) * len(ABSURD))] for what in ("in", "out"))
        return Reply(text, tokens_in, tokens_out, self.name, "length" if act == "faulty" else "stop")

    async def close(self) -> None:
        """Nothing is held."""

    @property
    def tools(self) -> dict[str, Callable[..., Any]]:
        """The host's functions: each takes all its time, and returns the largest result."""
        return {tool.granted_as: self._function(tool) for tool in self.program.tools.values()}

    # ------------------------------------------------------------ choices

    def _draw(self, request: Request, what: str) -> float:
        return draw(self.seed, what, request.step, request.attempt, len(request.messages))

    def _act(self, request: Request, agent: Agent[Any]) -> Act:
        if request.attempt < agent.retries and self._draw(request, "spoil") < self.faults:
            return "billed" if self._draw(request, "break") < self.broken else "faulty"
        if may_use_tools(request):
            return "tool"
        if self._draw(request, "fail") < self.failures:
            return "faulty"
        if isinstance(type_of(agent.returns), Optional) and self._draw(request, "none") < self.nones:
            return "none"
        return "value"

    def _pause(self, request: Request, act: Act) -> float:
        last = (request.timeout or 0.0) - MOMENT
        if act == "timeout":
            return (request.timeout or 0.0) * 2
        if self.pace == "instant":
            return 0.0
        share = 1.0 if self.pace == "last moment" else self._draw(request, "pace")
        return max(0.0, last * share)

    def _text(self, request: Request, agent: Agent[Any], act: Act) -> str:
        of = self._made_of(self._draw(request, "text"))
        returns = type_of(agent.returns)
        inner = returns.inner if isinstance(returns, Optional) else returns
        any_value = self._draw(request, "vary") < self.varied

        def made(kind: Type, share: float) -> Any:
            if not any_value:
                return largest(kind, of, share)
            return some(kind, of, share, self.seed, request.step, request.attempt, len(request.messages))

        match act:
            case "faulty" if isinstance(inner, Text) or self._draw(request, "blank") < 0.5:
                return "\n" * (2 * request.max_tokens)  # an empty reply, for every type
            case "faulty":
                return filled(request.max_tokens, "?!")
            case "none":
                return '{"answer": null}' if _wraps(request, agent) else "null"
            case "tool":
                tool = agent.tools[int(self._draw(request, "tool") * len(agent.tools))]
                if not self.varied:
                    tool = max(agent.tools, key=lambda one: value_tokens(type_of(one.returns)))
                kinds = {name: type_of(shape) for name, shape in tool.parameters.shapes.items()}
                if not any_value:  # what a model says is shown to it again, however little of it a tool can take
                    kinds = {
                        name: Text(max(kind.cap, request.max_tokens)) if isinstance(kind, Text) else kind
                        for name, kind in kinds.items()
                    }
                count = 1 + int(self._draw(request, "calls") * 4) if self.varied and request.tools else 1

                def use(share: float) -> dict[str, Any]:
                    return {"tool": tool.name, "arguments": {name: made(kind, share) for name, kind in kinds.items()}}

                return self._calls(request, use, count) if request.tools else self._fitting(request, use)
        if act == "value" and self.value is not None and (given := self.value(request)) is not None:
            return written({"answer": given} if _wraps(request, agent) else given)
        if _wraps(request, agent):
            return self._fitting(request, lambda share: {"answer": made(returns, share)})
        if isinstance(inner, Text) and not any_value:
            return filled(request.max_tokens, of)
        return self._fitting(request, lambda share: made(returns, share))

    def _made_of(self, chance: float) -> str:
        return self.text or TEXTS[int(chance * len(TEXTS))]

    def _calls(self, request: Request, use: Callable[[float], dict[str, Any]], count: int) -> str:
        """Return calls of a protocol, each as large as the model is still reminded of in full."""
        share, room = 1.0, 2 * request.max_tokens + sizes.CALL_TOKENS - 1
        while sizes.counted_tokens(as_calls([use(share)])) > room and share > 1e-3:
            share *= 0.96
        return as_calls([use(share)] * count)

    def _fitting(self, request: Request, made: Callable[[float], Any]) -> str:
        """Return the largest that a provider's `max_tokens` can hold."""
        share = 1.0
        while True:
            text = written(made(share))
            if sizes.counted_tokens(text) <= sizes.LEAST_SHARE * request.max_tokens or share < 1e-4:
                return text
            share /= 2

    def _function(self, tool: Tool[Any]) -> Callable[..., Any]:
        asked = 0

        async def function(**inputs: Any) -> Any:
            nonlocal asked
            asked += 1
            chance = draw(self.seed, "tool", tool.name, asked)
            longest = sizes.TOOL_SECONDS if tool.timeout is None else tool.timeout
            if self.pace != "instant":
                await asyncio.sleep(max(0.0, longest * (1.0 if self.pace == "last moment" else chance) - MOMENT))
            if chance < self.failures:
                raise RuntimeError("?" * 100_000)
            kind, of = type_of(tool.returns), self._made_of(chance)
            return some(kind, of, 1.0, self.seed, tool.name, asked) if chance < self.varied else largest(kind, of)

        return function


def may_use_tools(request: Request) -> bool:
    """Whether a request is a turn in which a tool may be used."""
    if request.tools:
        return request.may_call
    turns: list[Mapping[str, Any]] = (request.schema or {}).get("anyOf", [])
    return any("tool" in turn.get("properties", {}) for turn in turns)


def asked_tokens(request: Request) -> int:
    """What a request counts."""
    return request_tokens(request.messages, schema_tokens(request.schema) + tools_tokens(request.tools))


def as_calls(uses: list[dict[str, Any]]) -> str:
    """Return uses of tools as the calls of a protocol."""
    return text_with_calls("", [ToolCall(use["tool"], use["arguments"], f"id-{at}") for at, use in enumerate(uses)])


def _wraps(request: Request, agent: Agent[Any]) -> bool:
    """Whether an answer stands in an object: that of an agent with tools in plain text does."""
    return bool(agent.steps) and not request.tools


@dataclass
class Honest(Adversary):
    """The twin: it and its tools reply at once with values of a common size, fail never, and it counts by our rule."""

    faults: float = 0.0
    name: str = "honest"

    def _function(self, tool: Tool[Any]) -> Callable[..., Any]:
        return lambda **_: largest(type_of(tool.returns), "word ", draw(self.seed, "tool", tool.name) / 2)

    async def complete(self, request: Request) -> Reply:
        """Answer as a good model would."""
        self.requests.append(request)
        agent = self.program.agents[request.agent]
        share = self._draw(request, "share") / 2
        returns = type_of(agent.returns)
        value = largest(returns, "word ", share)
        if may_use_tools(request) and self._draw(request, "use") < 0.5:
            tool = agent.tools[int(self._draw(request, "tool") * len(agent.tools))]
            arguments = {name: largest(type_of(s), "word ", share) for name, s in tool.parameters.shapes.items()}
            use = {"tool": tool.name, "arguments": arguments}
            text = as_calls([use]) if request.tools else written(use)
        else:
            text = written({"answer": value}) if _wraps(request, agent) else written(value)
        self.answered += 1
        own = min(sizes.counted_tokens(text), request.max_tokens)
        return Reply(text, asked_tokens(request), own, self.name)


ABSURD: tuple[Any, ...] = (None, -1, -(10**30), True, False, 0, 1, 10**9, 10**30, float("nan"), float("inf"), "12", 2.5)
"""Counts of tokens that no provider should report, and some do."""


@dataclass
class Hostile:
    """A model that keeps to nothing: absurd counts, endless replies, failures of every kind, exceptions, no answer."""

    seed: int = 0
    name: str = "hostile"
    price: Price | None = DEAR
    began: int = 0
    ended: int = 0
    """Calls that ended by themselves: by a reply, or by a failure of their own."""

    async def complete(self, request: Request) -> Reply:
        """Do anything."""
        self.began += 1

        def chance(what: str) -> float:
            return draw(self.seed, what, request.step, request.attempt, len(request.messages))

        def count(what: str) -> Any:
            return ABSURD[int(chance(what) * len(ABSURD))]

        kind = int(chance("kind") * 16)
        await asyncio.sleep(chance("after") * 20 if kind < 14 else 10**6)
        self.ended += 1
        wait: Any = (None, 0.0, 3.0, -1.0, float("nan"), float("inf"), 10**9, "soon")[int(chance("wait") * 8)]
        match kind:
            case 0:
                raise ModelError("connection", "billed", billed=True, retry_after=wait)
            case 1:
                raise ModelError("rate_limit", "not billed", retry_after=wait)
            case 2:
                raise KeyError("choices")
            case 3:
                raise ModelError("timeout", "its own", billed=False)
            case 4:
                nothing: Any = None
                return nothing  # type: ignore[no-any-return]
            case 5:
                return Reply("word " * 200_000, count("in"), count("out"), finish="length")
            case 6:
                return Reply("", count("in"), count("out"))
            case 7:
                return Reply("\x00\ud800" * 500, count("in"), count("out"))
            case 8 | 9 if request.tools:
                name = str(request.tools[0]["function"]["name"]) if chance("name") < 0.8 else "t" * 10**5
                arguments: Any = {"query": "\ud800" * 10**4} if chance("arguments") < 0.8 else "{no json"
                calls = [ToolCall(name, arguments, "i" * 10**4)] * int(1 + 9 * chance("calls"))
                return Reply(text_with_calls("?", calls), count("in"), count("out"))
            case 8 | 9 if may_use_tools(request):
                name = request.schema["anyOf"][0]["properties"]["tool"]["enum"][0] if request.schema else ""
                use = {"tool": name if chance("name") < 0.8 else "t" * 10**5, "arguments": {"query": "\ud800" * 10**4}}
                return Reply(json.dumps(use), count("in"), count("out"))
        return Reply("3" if chance("fits") < 0.8 else "dunno", count("in"), count("out"))

    async def close(self) -> None:
        """Nothing is held."""
