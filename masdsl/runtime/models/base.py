"""What a model is to the runtime: one request, one reply, one kind of failure.

    ModelError(Exception)      every failure of a model; `kind` says which one

A model is anything with the members of `ChatModel`. It makes exactly one attempt per `complete`: retries, deadlines,
budgets and accounting are the runtime's, so an adapter switches off those of the library behind it. An adapter lets no
other exception out than `ModelError` (and cancellation), and puts no secret into an error's text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]

ErrorKind: TypeAlias = Literal[
    "timeout",  # no answer within Request.timeout
    "rate_limit",  # told to come back later (429); `retry_after` may say when
    "overloaded",  # the provider's fault (5xx, "overloaded")
    "connection",  # no connection, a broken one, or an answer that is no answer of the protocol
    "too_long",  # the prompt does not fit the model's context
    "too_large",  # the body of the answer went beyond the byte cap
    "refused",  # the provider's filter, or the model, declines to answer
    "auth",  # key missing, wrong, or without rights
    "not_found",  # no such model at the provider
    "bad_request",  # the provider rejects the request for another reason
    "unavailable",  # cannot be used on this machine: a library, weights or an entry of the configuration is missing
]
RETRIED: frozenset[ErrorKind] = frozenset({"timeout", "rate_limit", "overloaded", "connection", "too_large"})


class Message(NamedTuple):
    """One message of a chat. The role `tool` is that of a result of a tool that the model has called by its provider's
    own protocol; only models with `tool_calls` get such messages (`masdsl.runtime.models.tool_calls`).
    """

    role: Role
    content: str


class Price(NamedTuple):
    """What a model costs in USD per million tokens; a local model costs `Price(0.0, 0.0)`."""

    input: float
    output: float


class Request(NamedTuple):
    """What a model is asked.

    `schema` is the JSON schema that the reply should obey, or None for free text: an adapter that can constrain the
    reply does so, any other ignores it (the messages describe the format as well, and the runtime parses every reply).
    Its root may be of any type; where a provider wants an object, `{"value": ...}` around it is understood in the
    reply. Bounds that a provider cannot keep (`maxLength`, `maxItems`) may be left out: the runtime clips. `max_tokens`
    bounds the reply and is always positive; `temperature` None leaves it to the model. `timeout` is in seconds from
    now, or None; the runtime enforces it from outside too, by cancelling `complete`, so an adapter that blocks in a
    thread must stop by itself at that time. `seed` makes a sampling model repeatable where it can; it differs between
    samples.

    `tools` are what a model with `tool_calls` may call, each as OpenAI's protocol describes a function; with `may_call`
    false it may not call them any more, and knows them from before.

    `grammar` is a grammar that the reply keeps to, in the notation of `ChatModel.grammars`; a model without one refuses
    it (`bad_request`). Then the last message may be the assistant's: the reply goes on with its text.

    `agent` and `step` (an address such as `main.refine.code[1]`) and `attempt` (from 0) say who asks: for scripted
    models and logs, never sent to a provider.
    """

    messages: tuple[Message, ...]
    schema: Mapping[str, Any] | None = None
    max_tokens: int = 1024
    temperature: float | None = None
    timeout: float | None = None
    seed: int | None = None
    agent: str = ""
    step: str = ""
    attempt: int = 0
    tools: tuple[Mapping[str, Any], ...] = ()
    may_call: bool = True
    grammar: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered; calls of tools are lines at the end of `text` (`masdsl.runtime.models.tool_calls`).

    Token counts are the provider's, None where it gives none. `model` is the one that answered, as the provider names
    it. `finish` is `stop`, `length` (cut at `max_tokens`) or `other`.
    """

    text: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    model: str = ""
    finish: Literal["stop", "length", "other"] = "stop"


class ModelError(Exception):
    """A call of a model failed.

    `detail` is one line for a person, without secrets. `retry_after` is in seconds. A request that surely cost nothing
    (it never reached a model) has `billed` False; otherwise its input is counted as spent.
    """

    def __init__(self, kind: ErrorKind, detail: str, *, retry_after: float | None = None, billed: bool = False) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind: ErrorKind = kind
        self.detail = detail
        self.retry_after = retry_after
        self.billed = billed

    @property
    def retried(self) -> bool:
        """Whether the same request may succeed later."""
        return self.kind in RETRIED


class ChatModel(Protocol):
    """A model: a name for people, a price, and one way to ask it.

    `price` is None where it is unknown; then no budget in USD can be kept, and the runtime refuses calls under one. A
    model may have one more attribute, `tool_calls`: true where it is told of tools, and calls them, by its provider's
    own protocol (`calls_tools`).
    """

    @property
    def name(self) -> str:
        """The model's name as the configuration has it."""
        ...

    @property
    def price(self) -> Price | None:
        """USD per million tokens, None where unknown."""
        ...

    # A model that keeps to grammars also has `grammars`, the notation that it reads: see `grammars_of`.

    async def complete(self, request: Request) -> Reply:
        """Answer one request with one attempt, or raise `ModelError`."""
        ...

    async def close(self) -> None:
        """Let go of what belongs to this event loop (connections), at the end of a run.

        A later run, under another loop, may use the model again.
        """
        ...


def calls_tools(model: ChatModel) -> bool:
    """Return whether a model calls tools by its provider's own protocol; otherwise it does in plain text."""
    return getattr(model, "tool_calls", False) is True


def grammars_of(model: ChatModel) -> str:
    """Return the notation of the grammars that a model keeps to: `llguidance`, `gbnf`, or nothing for none."""
    return getattr(model, "grammars", "")


def context_of(model: ChatModel) -> int | None:
    """Return how many tokens a prompt and its reply have together at most; None where the model does not tell."""
    return getattr(model, "context", None)


class Place(Protocol):
    """A call's place among those that a model makes."""

    def leave(self, answered: bool, error: ModelError | None) -> bool:
        """Give it back, after the call or without one; return whether the call is to be made again, in a new place.

        `answered` says whether there was a reply, `error` what there was in its place, if anything was.
        """


class Places(Protocol):
    """What has places for calls."""

    async def enter(self, request: Request) -> Place:
        """Wait for a place for a call; to be cancelled by who waits no longer."""


def places_of(model: ChatModel) -> Places | None:
    """Return what a call of a model needs a place of; None where it needs none."""
    return getattr(model, "places", None)


class ModelResolver(Protocol):
    """Finds the model behind a name; called once for each name of a run."""

    def __call__(self, name: str, *, tier: bool) -> ChatModel:
        """Return the model of a tier (`fast`, `default`), or, with `tier` false, the model of that very name.

        Raises ModelError of the kind `unavailable` where the configuration knows no such tier, or what it names cannot
        be used on this machine. It must not take long: weights are loaded, and connections made, by `complete`.
        """
        ...
