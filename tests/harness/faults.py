# ruff: noqa: E501 a table with one line for each kind
"""Every fault that providers, tools and journals are known for: one table, with what each must lead to.

A kind of fault says what becomes of the call (`then`), what the ledger charges for it (`bills`), and how it is made:
`answer` for a scripted model, `call` for a scripted tool (`tool_faults`), `wire` for the server of `faulty_server`. What a kind leads to
is written down here, not taken from the runtime, so that the runtime can be held against it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

from masdsl import sizes
from masdsl.runtime.models.base import ModelError, Reply, Request
from masdsl.types import Enum, Float, Int, List, Record, Text, Type
from tests.harness import faulty_server as wire
from tests.harness.faulty_server import Behaviour

Then: TypeAlias = Literal["value", "other value", "corrected", "again", "ended", "told", "failed"]
"""What becomes of a call with a fault: its value all the same, or another one of the type; another attempt, in which the
fault is shown or not; no further attempt. An agent with tools may be told, which takes one of its uses. A tool fails."""
Bills: TypeAlias = Literal["counts", "least", "most", "prompt", "nothing"]
"""What a call counts: what was reserved of its prompt and the reply by our own rule; the least that is possible of both;
all that was reserved; the prompt alone; nothing."""

LONG = 10**7
"""Seconds that no step may take."""
MEGABYTE = 1_000_000


class Context(NamedTuple):
    """A call that is to go wrong: the request (None for a tool), the right reply to it, and the type of what is replied."""

    request: Request | None
    text: str
    kind: Type
    uses_tools: bool
    """Whether the reply is a turn of an agent with tools."""


Answer: TypeAlias = Callable[[Context], Awaitable[Any]]
Call: TypeAlias = Callable[[Any, Mapping[str, Any]], Any]
"""Gets the right result and the inputs. A coroutine function is called in the loop, any other in a thread."""


class Kind(NamedTuple):
    """A kind of fault; see the module docstring. `fits` says to which replies it can be done."""

    name: str
    then: Then
    bills: Bills = "nothing"
    answer: Answer | None = None
    call: Call | None = None
    wire: Callable[[str], Behaviour] | None = None
    fits: Callable[[Context], bool] = lambda _: True
    hangs: bool = False
    """Whether it takes all the time that the call has: a step with a time of its own has none left afterwards."""
    blocks: bool = False
    """Whether it keeps a thread busy, which takes real time."""


def billed(kind: Kind, request: Request, reserved: int, said: str) -> tuple[int, int]:
    """Return the tokens of prompt and reply that a call counts."""
    own = sizes.counted_tokens(said)
    match kind.bills:
        case "counts":
            return reserved, min(own, request.max_tokens)
        case "least":
            share = sizes.LEAST_SHARE
            return -(-reserved // share), min(-(-own // share), request.max_tokens)
        case "most":
            return reserved, request.max_tokens
        case "prompt":
            return reserved, 0
    return 0, 0


# ---------------------------------------------------------------- how a scripted model does it


def fails(kind: Any, detail: str = "scripted", *, billed: bool = False, wait: Any = None) -> Answer:
    """Fail as an adapter does."""

    async def answer(_: Context) -> Reply:
        raise ModelError(kind, detail, billed=billed, retry_after=wait)

    return answer


def raises(error: Callable[[], BaseException]) -> Answer:
    """Raise what no adapter should."""

    async def answer(_: Context) -> Reply:
        raise error()

    return answer


def gives(value: Any) -> Answer:
    """Return what is no reply."""

    async def answer(_: Context) -> Any:
        return value

    return answer


def says(change: Callable[[Context], str], finish: Any = "stop") -> Answer:
    """Reply with other words."""

    async def answer(context: Context) -> Reply:
        text = change(context)
        return Reply(text, None, None, "scripted", finish)

    return answer


def counts(tokens_in: Any, tokens_out: Any, model: str = "scripted") -> Answer:
    """Reply rightly, with such counts of tokens."""

    async def answer(context: Context) -> Reply:
        return Reply(context.text, tokens_in, tokens_out, model)

    return answer


def after(seconds: Callable[[float], float]) -> Answer:
    """Reply rightly, but so late; seconds follow from the request's timeout."""

    async def answer(context: Context) -> Reply:
        await asyncio.sleep(seconds((context.request and context.request.timeout) or 0.0))
        return Reply(context.text)

    return answer


async def _drip(context: Context) -> Reply:
    for _ in range(LONG // 10):
        await asyncio.sleep(10)
    return Reply(context.text)


async def _deaf(context: Context) -> Reply:
    try:
        await asyncio.sleep(LONG)
    except asyncio.CancelledError:
        await asyncio.sleep(LONG)
    return Reply(context.text)


class Silent(Exception):
    """An exception that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


# ---------------------------------------------------------------- which replies a fault can be done to


def _structured(context: Context) -> bool:
    return not context.uses_tools and not isinstance(context.kind, Text)


def _is(*kinds: Any) -> Callable[[Context], bool]:
    return lambda context: not context.uses_tools and isinstance(context.kind, kinds)


def _may_use(context: Context) -> bool:
    return context.uses_tools and '"tool"' in context.text


def _answers(context: Context) -> bool:
    return context.uses_tools and '"tool"' not in context.text


def _plain_text(context: Context) -> bool:
    return not context.uses_tools and isinstance(context.kind, Text)


def _with_word(context: Context, word: Any) -> str:
    if not isinstance(context.kind, Record):
        return str(word)
    data = json.loads(context.text)
    name = next(name for name, inner in context.kind.fields if isinstance(inner, Enum))
    return json.dumps({**data, name: word})


def _has_word(context: Context) -> bool:
    kind = context.kind
    return not context.uses_tools and (
        isinstance(kind, Enum) or (isinstance(kind, Record) and any(isinstance(one, Enum) for _, one in kind.fields))
    )


def _longer(context: Context) -> str:
    return json.dumps(json.loads(context.text) + ["more"] * 500)


def _less(context: Context) -> str:
    return json.dumps(dict(list(json.loads(context.text).items())[1:]))


def _use(tool: str | None = None, **arguments: Any) -> Callable[[Context], str]:
    def change(context: Context) -> str:
        named = json.loads(context.text) if '"tool"' in context.text else {"tool": "look", "arguments": {}}
        return json.dumps({"tool": tool or named["tool"], "arguments": arguments})

    return change


# ---------------------------------------------------------------- models

HTML = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
_429 = "slow down"


def _error(status: int, message: str, *headers: str, **more: Any) -> Callable[[str], Behaviour]:
    return lambda _: wire.error(status, message, headers=headers, **more)


def _told(**more: Any) -> Callable[[str], Behaviour]:
    return lambda text: wire.ok(text, **more)


def _content(value: Any, **more: Any) -> Callable[[str], Behaviour]:
    return lambda _: wire.ok(value, **more)


def _body(value: Any, **more: Any) -> Callable[[str], Behaviour]:
    return lambda _: wire.body(value, **more)


def _usage(tokens_in: Any, tokens_out: Any) -> Callable[[str], Behaviour]:
    return _told(usage={"prompt_tokens": tokens_in, "completion_tokens": tokens_out})


BROKEN = "broken off"

MODEL_KINDS: tuple[Kind, ...] = (
    # no answer in time
    Kind("its own timeout", "again", "most", fails("timeout", billed=True), wire=_error(408, "took too long")),
    Kind("a timeout that claims to be free", "again", "most", fails("timeout", billed=False)),
    Kind("hung", "again", "most", after(lambda _: LONG), wire=lambda _: wire.silent, hangs=True),
    Kind("hung and deaf", "again", "most", _deaf, hangs=True),
    Kind("slow drip", "again", "most", _drip, wire=lambda _: wire.slow, hangs=True),
    Kind("just too late", "again", "most", after(lambda seconds: seconds + 1e-3), hangs=True),
    Kind("at the last moment", "value", "counts", after(lambda seconds: seconds - 1e-3)),
    Kind("the adapter's TimeoutError", "again", "most", raises(TimeoutError)),
    # come back later
    Kind("429", "again", "nothing", fails("rate_limit"), wire=_error(429, _429)),
    Kind("429, soon", "again", "nothing", fails("rate_limit", wait=2.0), wire=_error(429, _429, "Retry-After: 0.05")),
    Kind("429, in an hour", "ended", "nothing", fails("rate_limit", wait=3600), wire=_error(429, _429, "Retry-After: 999999999999")),
    Kind("429, never", "ended", "nothing", fails("rate_limit", wait=float("inf")), wire=_error(429, _429, "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT")),
    Kind("429, in the past", "again", "nothing", fails("rate_limit", wait=-7.0), wire=_error(429, _429, "Retry-After: -7")),
    Kind("429, in words", "again", "nothing", fails("rate_limit", wait="soon"), wire=_error(429, _429, "Retry-After: soon")),
    Kind("429, not a number", "again", "nothing", fails("rate_limit", wait=float("nan")), wire=_error(429, _429, "Retry-After: nan")),
    Kind("quota used up", "ended", "nothing", fails("auth"), wire=_error(429, "You exceeded your current quota", code="insufficient_quota")),
    # the provider's fault
    Kind("500", "again", "prompt", fails("overloaded", billed=True), wire=_error(500, "boom")),
    Kind("502", "again", "prompt", fails("overloaded", billed=True), wire=lambda _: wire.raw(HTML.encode(), status=502)),
    Kind("503", "again", "nothing", fails("overloaded"), wire=_error(503, "loading")),
    Kind("529", "again", "nothing", fails("overloaded"), wire=_error(529, "overloaded")),
    Kind("an error with status 200", "again", "prompt", fails("overloaded", billed=True), wire=_body({"error": {"message": "boom", "code": 500}})),
    Kind("connection refused", "again", "nothing", fails("connection")),
    Kind("connection reset", "again", "prompt", fails("connection", BROKEN, billed=True), wire=lambda _: wire.reset),
    Kind("hung up", "again", "prompt", fails("connection", BROKEN, billed=True), wire=lambda _: wire.hang_up),
    Kind("cut stream", "again", "prompt", fails("connection", BROKEN, billed=True), wire=lambda _: wire.cut),
    Kind("no HTTP", "again", "prompt", fails("connection", BROKEN, billed=True), wire=lambda _: wire.garbage),
    Kind("no JSON", "again", "prompt", fails("connection", BROKEN, billed=True), wire=lambda _: wire.raw(HTML.encode())),
    Kind("cut JSON", "again", "prompt", fails("connection", BROKEN, billed=True), wire=lambda text: wire.raw(json.dumps(wire.completion(text)).encode()[:-9])),
    Kind("no choices", "again", "prompt", fails("connection", BROKEN, billed=True), wire=_body({"object": "chat.completion", "model": "m", "choices": []})),
    Kind("no list of choices", "again", "prompt", fails("connection", BROKEN, billed=True), wire=_body({"ok": True})),
    Kind("no message", "again", "prompt", fails("connection", BROKEN, billed=True), wire=_body({"object": "chat.completion", "model": "m", "choices": [{"index": 0, "finish_reason": "stop"}]})),
    Kind("content is null", "again", "prompt", fails("connection", BROKEN, billed=True), wire=_content(None)),
    Kind("content is empty", "again", "prompt", fails("connection", BROKEN, billed=True), wire=_content("")),
    Kind("content is blank", "again", "prompt", fails("connection", BROKEN, billed=True), wire=_content(" \n\t ")),
    Kind("all thought, no words", "again", "prompt", fails("connection", BROKEN, billed=True), wire=_content("", finish="length")),
    Kind("50 MB", "again", "prompt", fails("too_large", billed=True), wire=lambda _: wire.huge),
    # declined
    Kind("filtered", "ended", "prompt", fails("refused", billed=True), wire=_content(None, finish="content_filter")),
    Kind("refused by the model", "ended", "prompt", fails("refused", billed=True), wire=_content(None, refusal="I cannot help with that")),
    Kind("prompt filtered", "ended", "prompt", fails("refused", billed=True), wire=_error(400, "content management policy", code="content_filter")),
    Kind("401", "ended", "nothing", fails("auth"), wire=lambda _: wire.echo_key),
    Kind("403", "ended", "nothing", fails("auth"), wire=_error(403, "not for you")),
    Kind("404", "ended", "nothing", fails("not_found"), wire=_error(404, "no such model")),
    Kind("redirect", "again", "nothing", fails("connection"), wire=_body({}, status=307, headers=("Location: http://127.0.0.1:9/",))),
    Kind("too long", "ended", "nothing", fails("too_long"), wire=_error(400, "maximum context length is 8", code="context_length_exceeded")),
    Kind("413", "ended", "nothing", fails("too_long"), wire=_error(413, "entity too large")),
    Kind("bad request", "ended", "nothing", fails("bad_request"), wire=_error(400, "bad thing")),
    Kind("not on this machine", "ended", "nothing", fails("unavailable")),
    # adapters that break their word
    Kind("the adapter's KeyError", "ended", "prompt", raises(lambda: KeyError("choices"))),
    Kind("the adapter's MemoryError", "ended", "prompt", raises(MemoryError)),
    Kind("the adapter's RecursionError", "ended", "prompt", raises(RecursionError)),
    Kind("the adapter's StopAsyncIteration", "ended", "prompt", raises(StopAsyncIteration)),
    Kind("the adapter's own cancellation", "ended", "prompt", raises(asyncio.CancelledError)),
    Kind("an exception without a text", "ended", "prompt", raises(Silent)),
    Kind("an exception of a megabyte", "ended", "prompt", raises(lambda: ValueError("\ud800\x1b[31m" * (MEGABYTE // 6)))),
    Kind("no reply object", "ended", "prompt", gives(None)),
    Kind("a reply without a text", "ended", "prompt", gives(Reply(None))),  # type: ignore[arg-type]
    # words that do not fit, or hardly
    Kind("an empty reply", "corrected", "counts", says(lambda _: "")),
    Kind("a blank reply", "corrected", "counts", says(lambda _: " \n\t\u3000\u2028 ")),
    Kind("another schema", "corrected", "counts", says(lambda _: '{"name": "Ada", "tags": []}'), wire=_content('{"name": "Ada", "tags": []}'), fits=_is(Record, Enum, Int, Float)),
    Kind("a missing field", "corrected", "counts", says(_less), fits=_is(Record)),
    Kind("malformed JSON", "corrected", "counts", says(lambda _: '{"ok": [tru, "sco'), wire=_content('{"ok": [tru, "sco'), fits=_is(Record, Enum, Int, Float)),
    Kind("JSON that can be mended", "value", "counts", says(lambda context: context.text[:-1] + ",}"), fits=_is(Record)),
    Kind("truncated JSON", "corrected", "counts", says(lambda context: context.text[: len(context.text) // 3], "length"), fits=_is(Record)),
    Kind("trailing prose", "value", "counts", says(lambda context: f"{context.text}\n\nI hope this helps!"), wire=lambda text: wire.ok(f"{text}\n\nI hope this helps!"), fits=_is(Record, List)),
    Kind("a code fence", "value", "counts", says(lambda context: f"Sure:\n```json\n{context.text}\n```\n"), wire=lambda text: wire.ok(f"Sure:\n```json\n{text}\n```\n"), fits=_structured),
    Kind("another word", "corrected", "counts", says(lambda context: _with_word(context, "poetry")), wire=_content("poetry"), fits=_has_word),
    Kind("a list too long", "value", "counts", says(_longer), fits=_is(List)),
    Kind("a number as text", "value", "counts", says(lambda context: f'"{context.text}"'), wire=lambda text: wire.ok(f'"{text}"'), fits=_is(Int, Float)),
    Kind("a number too large", "other value", "counts", says(lambda _: "9" * 40), fits=_is(Int)),
    Kind("lone surrogates", "other value", "counts", says(lambda context: f"{context.text[:3]}\ud800{context.text[3:]}"), fits=_plain_text),
    Kind("only surrogates", "corrected", "counts", says(lambda _: "\udfff\ud800" * 50), wire=_content("\ud800" * 50), fits=_is(Record, Enum, Int, Float)),
    Kind("controls and escapes", "other value", "counts", says(lambda context: f"\x1b[2J\0\x07{context.text}\u202e"), fits=_plain_text),
    Kind("a megabyte", "corrected", "most", says(lambda _: "word " * (MEGABYTE // 5)), wire=_content("word " * 150_000), fits=_is(Record, Enum, Int, Float)),
    Kind("a megabyte of text", "other value", "most", says(lambda _: "word " * (MEGABYTE // 5)), fits=_plain_text),
    Kind("a thousand brackets and more", "corrected", "most", says(lambda _: "[" * 100_000), fits=_is(Record, Enum, Int, Float)),
    Kind("a page of HTML", "corrected", "counts", says(lambda _: HTML), wire=_content(HTML), fits=_is(Record, Enum)),
    # turns of agents with tools
    Kind("a tool that there is not", "told", "counts", says(_use("format_disk", q="/")), fits=_may_use),
    Kind("a tool without its argument", "told", "counts", says(_use()), fits=_may_use),
    Kind("a tool with a wrong argument", "told", "counts", says(_use(q={"a": [1]})), fits=_may_use),
    Kind("arguments that are none", "corrected", "counts", says(lambda _: '{"tool": "look", "arguments": 3}'), fits=_may_use),
    Kind("two answers", "corrected", "counts", says(lambda _: '{"answer": "a"}\n{"answer": "b"}'), fits=_answers),
    Kind("an object for an answer", "corrected", "counts", says(lambda _: '{"reply": "a"}'), fits=_answers),
    # counts that cannot be
    Kind("no counts", "value", "counts", counts(None, None), wire=_told()),
    Kind("counts below nothing", "value", "counts", counts(-1, -(10**30)), wire=_usage(-1, -(10**30))),
    Kind("truths for counts", "value", "counts", counts(True, False), wire=_usage(True, False)),
    Kind("words for counts", "value", "counts", counts("12", "4"), wire=_usage("12", "4")),
    Kind("counts that are no numbers", "value", "counts", counts(float("nan"), float("inf"))),
    Kind("counts beyond all", "value", "counts", counts(10**30, 10**12), wire=_usage(10**30, 10**12)),
    Kind("counts above what was reserved", "value", "most", counts(10**6, 10**6), wire=_usage(10**6, 10**6)),
    Kind("counts of nothing", "value", "least", counts(0, 0), wire=_usage(0, 0)),
    Kind("the wrong model's name", "value", "counts", counts(None, None, "gpt-2"), wire=_told(model="gpt-2")),
    Kind("a model's name of a megabyte", "value", "counts", counts(None, None, "\x1b]0;x\x07" * 150_000)),
)  # fmt: skip
