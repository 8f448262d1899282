"""What OpenAI-compatible providers say, and what it means: shared by the adapters that talk to them.

Two things differ between servers that all claim the same protocol. They refuse different optional parameters, so what
is asked is a `Dialect`, which gives way step by step when a server refuses one. And they fail in their own words, so
`fault_of` sorts what they say into the kinds of `ModelError`.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any, Literal, NamedTuple, TypeAlias

from masdsl.redaction import Secret, one_line
from masdsl.runtime.models.base import ErrorKind, ModelError, Reply, Request
from masdsl.runtime.models.envelope import Envelope, envelope_of
from masdsl.runtime.models.tool_calls import calls_of, text_with_calls

MAX_BODY_BYTES = 1024 * 1024
DEFAULT_TIMEOUT = 120.0
LONGEST_RETRY_AFTER = 3600.0
MOST_TOKENS = 100_000_000
_FINISHES: Mapping[str, Literal["stop", "length"]] = {
    "stop": "stop",
    "eos": "stop",
    "length": "length",
    "max_tokens": "length",
}

_REFUSALS = {400, 404, 422, 500, 501}  # with these a server may mean "not this parameter"
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_TOO_LONG = re.compile(
    r"context[ _](length|size|window)|maximum context|too many tokens|prompt is too long|input is too long"
    r"|exceed_context_size|reduce the length",
    re.IGNORECASE,
)
_FORMAT_WORDS = re.compile(
    r"response_format|json_schema|json_object|structured output|guided|grammar|schema", re.IGNORECASE
)
_QUOTA = re.compile(r"insufficient_quota|exceeded your current quota|billing", re.IGNORECASE)
_FILTER = re.compile(r"content_filter|content_policy|content management policy|safety", re.IGNORECASE)


_NOT_KNOWN = re.compile(
    r"(?=.*(unknown|unrecogni[sz]ed|unexpected|unsupported|not (supported|permitted|allowed)|extra|additional))"
    r"(?=.*(argument|parameter|input|field|key|property|properties))",
    re.IGNORECASE | re.DOTALL,
)

_GRAMMAR_FIELDS = ("grammar", "structured_outputs", "guided_grammar")
"""Where servers look for a grammar: llama.cpp; vLLM; vLLM before 0.11. Each passes over the names of the others."""
_SPARED = (*_GRAMMAR_FIELDS, "chat_template_kwargs")
"""Parameters of a request with a grammar that a server may do without."""

Format: TypeAlias = Literal["strict", "schema", "object", "none"]
_SIMPLER: Mapping[Format, Format] = {"strict": "schema", "schema": "object", "object": "none"}


class Dialect(NamedTuple):
    """What a server has been found to accept; it starts with everything.

    `format` is how a schema is sent: `strict`, `schema` (not strict), `object` (any JSON object) or `none`.
    `limit` is the name of the parameter for the longest reply. `without` are those of a request with a grammar that it
    does not know.
    """

    format: Format = "strict"
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    temperature: bool = True
    seed: bool = True
    without: frozenset[str] = frozenset()

    def options(self, request: Request) -> tuple[dict[str, Any], Envelope | None]:
        """Return the optional parameters of a request, and the envelope that its reply will come in."""
        options: dict[str, Any] = {self.limit: request.max_tokens}
        if request.temperature is not None and self.temperature:
            options["temperature"] = request.temperature
        if request.seed is not None and self.seed:
            options["seed"] = request.seed
        if request.grammar:
            return options | self._grammar_options(request), None
        if request.schema is None or self.format == "none":
            return options, None
        envelope = envelope_of(request.schema)
        if self.format == "object":
            if envelope is not None:  # nothing would tell the model which object to put its list or number in
                return options, None
            options["response_format"] = {"type": "json_object"}
            return options, None
        schema = request.schema if envelope is None else envelope.schema
        described = {"name": "reply", "schema": schema, "strict": self.format == "strict"}
        options["response_format"] = {"type": "json_schema", "json_schema": described}
        return options, envelope

    def _grammar_options(self, request: Request) -> dict[str, Any]:
        """Return what holds a reply to the grammar, and lets it go on with the assistant's message at the end."""
        given: dict[str, Any] = {
            "grammar": request.grammar,
            "structured_outputs": {"grammar": request.grammar},
            "guided_grammar": request.grammar,
            "chat_template_kwargs": {"enable_thinking": False},  # thoughts would have to keep to the grammar as well
        }
        if request.messages and request.messages[-1].role == "assistant":
            given |= {"continue_final_message": True, "add_generation_prompt": False}
        return {name: value for name, value in given.items() if name not in self.without}

    def after_refusal(self, status: int, said: str, options: Mapping[str, Any]) -> Dialect | None:
        """Return what to try next after a refusal of `options`, or None when no optional parameter is to blame."""
        if status not in _REFUSALS or _TOO_LONG.search(said):
            return None
        if self.limit == "max_tokens" and "max_completion_tokens" in said:
            return self._replace(limit="max_completion_tokens")
        if "temperature" in options and "temperature" in said:
            return self._replace(temperature=False)
        if "seed" in options and re.search(r"\bseed\b", said):
            return self._replace(seed=False)
        if _NOT_KNOWN.search(said):
            refused = {name for name in _SPARED if name in options and re.search(rf"\b{name}\b", said)}
            if refused and any(name in options and name not in refused for name in _GRAMMAR_FIELDS):
                return self._replace(without=self.without | refused)
        if "response_format" in options and (status in (400, 422) or _FORMAT_WORDS.search(said)):
            return self._replace(format=_SIMPLER[self.format])
        return None


def fault_of(
    status: int, said: str, *, retry_after: float | None, secret: Secret, who: str = "the server"
) -> ModelError:
    """Return the failure that an HTTP status other than 2xx stands for; `said` is the message of `who` answered."""
    detail = f"{who} answered {status}"
    message = secret.redact(said)
    if message.strip():
        detail = f"{detail}: {message}"
    kind: ErrorKind = "bad_request"
    billed = False
    if status in (400, 413, 422) and (_TOO_LONG.search(said) or status == 413):
        kind = "too_long"
    elif status == 429 and _QUOTA.search(said):
        kind = "auth"
        detail = f"the account's quota is used up: {detail}"
    elif status in (401, 403):
        kind = "auth"
    elif status == 404:
        kind = "not_found"
    elif status == 408:
        kind, billed = "timeout", True
    elif status == 429:
        kind = "rate_limit"
    elif status >= 500 or status == 425:
        kind, billed = "overloaded", status >= 500 and status not in (501, 503, 529)
    elif _FILTER.search(said):
        kind, billed = "refused", True
    elif 300 <= status < 400:
        kind = "connection"
        detail = f"{who} answered {status}, a redirect, which is not followed because it would carry the key along"
    return ModelError(kind, one_line(detail), retry_after=retry_after, billed=billed)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server asks to wait, at most an hour; None where it does not say.

    Read are `retry-after-ms` and `Retry-After`, in seconds or as a date.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name)
        if text is None:
            continue
        try:
            seconds = float(text) * unit
        except ValueError:
            try:
                seconds = parsedate_to_datetime(text).timestamp() - time.time()
            except (ValueError, TypeError, OverflowError):
                continue
        if math.isfinite(seconds):
            return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
    return None


def message_of(body: object) -> str:
    """Return the message in an error's body: `{"error": {"message": ...}}` and its many variants, else the whole."""
    if not isinstance(body, dict):
        return str(body)
    error = body.get("error", body)
    if not isinstance(error, dict):
        return str(error)
    parts = [error.get("message", error.get("detail")), error.get("code"), error.get("type")]
    said = [str(part) for part in parts if isinstance(part, str | int | list | dict) and part not in ("", [], {})]
    return " ".join(said) or str(body)


def reply_of(body: object, envelope: Envelope | None, secret: Secret, *, with_calls: bool = False) -> Reply:
    """Return the reply in the body of an answer with status 200; calls of tools count where they were offered.

    Raises ModelError: `connection` for an answer that is none of this protocol or is empty, `refused` where the
    provider's filter or the model declined.
    """
    if isinstance(body, dict) and body.get("error"):  # some gateways put failures into an answer with status 200
        code = body["error"].get("code") if isinstance(body["error"], dict) else None
        status = code if isinstance(code, int) and 400 <= code < 600 else 502
        raise fault_of(status, message_of(body), retry_after=None, secret=secret)
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(choices, list):
        raise _no_reply("the answer is no chat completion: it has no list of `choices`")
    if not choices or not isinstance(choices[0], dict):
        raise _no_reply("the answer has no choice in it")
    message = choices[0].get("message")
    if not isinstance(message, dict):
        raise _no_reply("the answer's choice has no message")
    finish = str(choices[0].get("finish_reason"))
    text = _text_of(message.get("content"))
    calls = calls_of(message) if with_calls else []
    if not text.strip() and not calls:
        refusal = message.get("refusal")
        if finish == "content_filter" or (isinstance(refusal, str) and refusal.strip()):
            why = f": {secret.redact(refusal)}" if isinstance(refusal, str) else ""
            raise ModelError("refused", one_line(f"the model declined to answer{why}"), billed=True)
        if finish == "length":
            raise _no_reply("the reply is empty: the model used up `max` before it wrote any text")
        raise _no_reply("the reply is empty")
    raw_usage = body.get("usage")
    usage: Mapping[str, Any] = raw_usage if isinstance(raw_usage, dict) else {}
    model = body.get("model")
    text = text if envelope is None else envelope.open(text)
    return Reply(
        text=clean_text(text_with_calls(text.strip(), calls)) if calls else text,
        input_tokens=count_of(usage.get("prompt_tokens")),
        output_tokens=count_of(usage.get("completion_tokens")),
        model=one_line(model, 200) if isinstance(model, str) else "",
        finish=_FINISHES.get(finish, "other"),
    )


def without_beginning(reply: Reply, request: Request) -> Reply:
    """Return a reply without the assistant's message that it goes on with, which llama.cpp's server says again."""
    last = request.messages[-1] if request.messages else None
    if last is None or last.role != "assistant" or not last.content or not reply.text.startswith(last.content):
        return reply
    return replace(reply, text=reply.text[len(last.content) :])


def count_of(value: object) -> int | None:
    """Return a provider's token count, or None for one that cannot be: a negative count would refund the budget."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS else None


def clean_text(text: str) -> str:
    """Return text without lone surrogates, which no encoder takes; each becomes U+FFFD."""
    return _LONE_SURROGATE.sub("\ufffd", text)


def _text_of(content: object) -> str:
    """Return the text of a message: plain, or the text parts of a list of parts."""
    if isinstance(content, str):
        return clean_text(content)
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") in ("text", None)]
        return clean_text("".join(text for text in texts if isinstance(text, str)))
    return ""


def no_grammars(name: str) -> ModelError:
    """Return the failure of a model that is asked to keep to a grammar and cannot."""
    return ModelError("bad_request", f"`{name}` takes no grammars here; `grammar` in [models] says that a server does")


def _no_reply(detail: str) -> ModelError:
    return ModelError("connection", detail, billed=True)
