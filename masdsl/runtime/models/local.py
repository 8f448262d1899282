"""Models that run in this process: weights in the format GGUF, through llama.cpp.

Replies of a declared type are constrained to its JSON schema while they are decoded, so that even a very small model
gives well-formed values. The same requests, in any order, get the same replies on one machine: each is sampled with
its own seed, and nothing of earlier prompts is reused, because a prompt that is read in other portions gives slightly
other numbers (measured: with reuse 7 of 18 replies changed with what had been asked before).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from masdsl.redaction import Secret
from masdsl.runtime.models.base import ModelError, Price, Reply, Request
from masdsl.runtime.models.chat_api import DEFAULT_TIMEOUT, clean_text, reply_of
from masdsl.runtime.models.constraints import constraint_of
from masdsl.runtime.models.engine import EngineKey, check_installed, engine_of, has_llguidance
from masdsl.runtime.threads import in_thread

DEFAULT_CONTEXT: Final = 4096
DEFAULT_THREADS: Final = 1
"""Measured on two cores: two are 1.8 times as fast on an idle machine, and 3 to 25 times slower on a busy one."""
SMALL_MODEL_SAMPLING: Final[Mapping[str, Any]] = {
    "temperature": 0.2,
    "top_p": 0.9,
    "dry_multiplier": 0.8,
    "dry_allowed_length": 4,
}
"""What SmolLM2's authors advise, and a penalty on phrases that come again: without it half of its texts never end."""

# Marks of roles in the templates of the usual models. Inside a text they would end a message and begin one of another
# role, so whoever wrote a web page could speak as the system.
_ROLE_MARK = re.compile(
    r"<(?=\|[^|<>\n]{1,40}\|>|/?s>|(?:start|end)_of_turn>|\|?/?(?:system|user|assistant|im_\w+)\|?>)|\[(?=/?INST\])"
)


class LocalModel:
    """A model from a file of weights.

    `path` is the file, or a function that finds it (and may take a while) and raises ModelError. `context` is the
    longest prompt and reply together, in tokens. `sampling` are parameters of llama.cpp for every call; the request's
    temperature goes before that in it. `timeout` in seconds bounds every call, waiting for others and loading
    included. `adapter` makes, from the path of the weights, that of a LoRA adapter for them (`lora.adapter_for`), and
    raises ModelError; None for none.
    """

    def __init__(
        self,
        name: str,
        path: str | Callable[[], str],
        *,
        context: int = DEFAULT_CONTEXT,
        threads: int = DEFAULT_THREADS,
        sampling: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        adapter: Callable[[str], str] | None = None,
    ) -> None:
        self._name = name
        self._path = path
        self.context = context
        self._threads = threads
        self._sampling = dict(sampling or {})
        self._timeout = timeout
        self._adapter = adapter
        self._key: EngineKey | None = None

    @property
    def name(self) -> str:
        """The model's name as the configuration has it."""
        return self._name

    @property
    def price(self) -> Price | None:
        """Nothing: it runs here."""
        return Price(0.0, 0.0)

    @property
    def grammars(self) -> str:
        """The notation of grammars that this build of llama.cpp keeps to. Loads xllamacpp; raises ModelError."""
        check_installed()
        return "llguidance" if has_llguidance() else "gbnf"

    async def complete(self, request: Request) -> Reply:
        """Answer one request, or raise `ModelError`."""
        limits = [limit for limit in (request.timeout, self._timeout) if limit is not None]
        seconds = min(limits, default=DEFAULT_TIMEOUT)
        waiting = 0
        try:
            async with asyncio.timeout(seconds):
                if self._key is None:
                    self._key = await in_thread(self._find)
                engine = engine_of(self._key)
                waiting = engine.queue_length
                return await self._ask(engine, request, seconds)
        except TimeoutError:
            behind = f"; {waiting} calls were before it, and the model answers one at a time" if waiting else ""
            raise ModelError("timeout", f"no reply within {seconds:g} s{behind}", billed=True) from None

    def _find(self) -> EngineKey:
        path = self._path if isinstance(self._path, str) else self._path()
        return EngineKey(path, self.context, self._threads, "" if self._adapter is None else self._adapter(path))

    async def close(self) -> None:
        """Do nothing: the weights stay loaded for the next run of this process."""

    async def _ask(self, engine: Any, request: Request, seconds: float) -> Reply:
        messages = [{"role": role, "content": plain_text(content)} for role, content in request.messages]
        body: dict[str, Any] = {
            **self._sampling,
            "messages": messages,
            "max_tokens": request.max_tokens,
            "cache_prompt": bool(request.grammar),  # a text that grows piece by piece is read once
        }
        if request.grammar:
            body["grammar"] = request.grammar
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if request.seed is not None:
            body["seed"] = request.seed % 2**32
        envelope = None
        if request.schema is not None:
            schema, envelope = constraint_of(request.schema, request.max_tokens)
            body["json_schema"] = schema
        answer = await engine.chat(body, seconds)
        return reply_of({**answer, "model": self._name}, envelope, Secret())


def plain_text(content: str) -> str:
    """Return a message's text without what a chat template would take for the end of it.

    A blank after the first letter of such a mark keeps it readable. Lone surrogates become U+FFFD.
    """
    return _ROLE_MARK.sub(lambda mark: mark[0] + " ", clean_text(content))
