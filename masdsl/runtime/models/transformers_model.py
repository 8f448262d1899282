"""Models of Hugging Face's format that run in this process through transformers, token by token.

Replies keep to a grammar, or to the JSON schema of a declared type, by a mask for every token from llguidance: what the
grammar forces is not sampled at all. A text that is gone on with piece by piece is read once, since what was computed
for its beginning is kept. Every call is sampled with a seed of its own. Nothing is ever fetched from a hub.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import util
from typing import Any, Final

from masdsl.redaction import Secret, one_line
from masdsl.runtime.models.base import Message, ModelError, Price, Reply, Request
from masdsl.runtime.models.chat_api import DEFAULT_TIMEOUT, reply_of
from masdsl.runtime.models.constraints import constraint_of, llguidance_grammar
from masdsl.runtime.models.local import plain_text
from masdsl.runtime.threads import in_thread

DEFAULT_CONTEXT: Final = 2_048
"""The longest prompt and reply together, in tokens, where neither the configuration nor the model says it."""
PROMPT_BLOCK: Final = 256
"""Tokens of a prompt that are read at once: the longest wait for an end of the call."""
_NEEDED: Final = ("torch", "transformers", "llguidance")


class TransformersModel:
    """A causal language model from a folder of weights and a tokenizer.

    `loaded` is such a model and its tokenizer in place of the folder, as while it is trained. `context` is the longest
    prompt and reply together, in tokens; `timeout` in seconds bounds every call, waiting for others and loading
    included. Raises ModelError (`unavailable`) where a package or the folder is missing.
    """

    def __init__(
        self,
        name: str,
        path: str = "",
        *,
        loaded: tuple[Any, Any] | None = None,
        context: int | None = None,
        timeout: float | None = None,
    ) -> None:
        missing = [package for package in _NEEDED if util.find_spec(package) is None]
        if missing:
            advice = 'pip install "masdsl[transformers]"'
            raise ModelError("unavailable", f"the model `{name}` needs {', '.join(missing)}: {advice}")
        if loaded is None and not os.path.isdir(path):
            raise ModelError("unavailable", f"the model `{name}` has no folder {path}")
        self._name = name
        self._path = path
        self._loaded = loaded
        self.context = context
        self._timeout = timeout
        self._writer: _Writer | None = None
        self._turn = threading.Lock()

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
        """The notation of grammars that it keeps to."""
        return "llguidance"

    async def complete(self, request: Request) -> Reply:
        """Answer one request, or raise `ModelError`."""
        limits = [limit for limit in (request.timeout, self._timeout) if limit is not None]
        seconds = min(limits, default=DEFAULT_TIMEOUT)
        ends = time.monotonic() + seconds
        is_over = threading.Event()

        def is_wanted() -> bool:
            return not is_over.is_set() and time.monotonic() < ends

        try:
            async with asyncio.timeout(seconds):
                return await in_thread(lambda: self._answer(request, is_wanted))
        except TimeoutError:
            raise ModelError("timeout", f"no reply within {seconds:g} s", billed=True) from None
        finally:
            is_over.set()

    async def close(self) -> None:
        """Do nothing: the weights stay loaded for the next run of this process."""

    def _answer(self, request: Request, is_wanted: Callable[[], bool]) -> Reply:
        """Answer a request in the present thread; one call at a time."""
        while not self._turn.acquire(timeout=0.1):
            if not is_wanted():
                raise TimeoutError
        try:
            if self._writer is None:
                self._writer = _Writer(*(self._loaded or _load(self._path)), self.context)
            envelope, grammar = None, request.grammar
            if not grammar and request.schema is not None:
                schema, envelope = constraint_of(request.schema, request.max_tokens)
                grammar = llguidance_grammar(schema)
            answer = self._writer.write(request, grammar, is_wanted)
            return reply_of({**answer, "model": self._name}, envelope, Secret())
        finally:
            self._turn.release()


@lru_cache(maxsize=2)
def _load(path: str) -> tuple[Any, Any]:
    """Return the model of a folder and its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(path, local_files_only=True)
    except Exception as error:
        detail = one_line(f"{type(error).__name__}: {error}")
        raise ModelError("unavailable", f"the weights in {path} cannot be loaded: {detail}") from None
    return model.eval(), tokenizer


class _Writer:
    """A loaded model: it turns messages into tokens, and samples what comes next."""

    def __init__(self, model: Any, tokenizer: Any, context: int | None) -> None:
        import llguidance.hf

        self._model = model
        self._tokenizer = tokenizer
        own = getattr(model.config, "max_position_embeddings", None)
        self._context = context or own or DEFAULT_CONTEXT
        self._guide = llguidance.hf.from_tokenizer(tokenizer, n_vocab=model.config.vocab_size)
        settings = model.generation_config
        ends = settings.eos_token_id if settings.eos_token_id is not None else tokenizer.eos_token_id
        self._ends = frozenset(ends if isinstance(ends, list) else [] if ends is None else [ends])
        self._temperature = (settings.temperature or 1.0) if settings.do_sample else 0.0
        self._known: list[int] = []  # the tokens of which `_cache` holds what was computed
        self._cache: Any = None

    def write(self, request: Request, grammar: str, is_wanted: Callable[[], bool]) -> dict[str, Any]:
        """Return the answer to a request in the form of OpenAI's protocol. Raises ModelError and TimeoutError."""
        import torch

        prompt = self._tokens_of(request.messages, goes_on=bool(request.grammar))
        most = min(request.max_tokens, self._context - len(prompt))
        if most < 1:
            raise ModelError("too_long", f"the prompt has {len(prompt)} tokens, and the model reads {self._context}")
        matcher = self._matcher(grammar) if grammar else None
        chance = torch.Generator().manual_seed((request.seed or 0) % 2**63)
        temperature = self._temperature if request.temperature is None else request.temperature
        if not request.grammar:
            self._known, self._cache = [], None  # replies must not change with what was asked before
        written: list[int] = []
        finish = "length"
        with torch.inference_mode():
            while len(written) < most:
                forced = [] if matcher is None else matcher.compute_ff_tokens()[: most - len(written)]
                if matcher is not None and forced:
                    matcher.consume_tokens(forced)
                    written += forced
                elif matcher is not None and matcher.is_stopped():
                    finish = "stop"
                    break
                else:
                    logits = self._logits([*prompt, *written], is_wanted)
                    token = self._sampled(logits, matcher, temperature, chance)
                    if token in self._ends:
                        finish = "stop"
                        break
                    written.append(token)
            else:
                if matcher is not None and matcher.is_stopped():
                    finish = "stop"
        text = self._tokenizer.decode(written, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
        return {"choices": [choice], "usage": {"prompt_tokens": len(prompt), "completion_tokens": len(written)}}

    def _tokens_of(self, messages: Sequence[Message], *, goes_on: bool) -> list[int]:
        """Return the tokens of messages; the last one is left open where the reply goes on with it."""
        said = [{"role": role, "content": plain_text(content)} for role, content in messages]
        is_open = goes_on and bool(said) and said[-1]["role"] == "assistant"
        beginning = said.pop()["content"] if is_open else ""
        if getattr(self._tokenizer, "chat_template", None):
            text = self._tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
        else:
            text = "".join(f"{one['role']}: {one['content']}\n\n" for one in said) + "assistant: "
        ids: list[int] = self._tokenizer.encode(text + beginning, add_special_tokens=False)
        return ids

    def _matcher(self, grammar: str) -> Any:
        from llguidance import LLMatcher

        matcher = LLMatcher(self._guide, LLMatcher.grammar_from_lark(grammar), log_level=0)
        if matcher.is_error():
            raise ModelError("bad_request", one_line(f"the grammar cannot be used: {matcher.get_error()}"))
        return matcher

    def _logits(self, tokens: Sequence[int], is_wanted: Callable[[], bool]) -> Any:
        """Return the scores of the next token; what was computed for the same beginning is used again."""
        import torch
        from transformers import DynamicCache

        same = 0
        while same < min(len(self._known), len(tokens) - 1) and self._known[same] == tokens[same]:
            same += 1
        if self._cache is None or same == 0:
            self._cache, same = DynamicCache(config=self._model.config), 0
        elif same < len(self._known):
            self._cache.crop(same - len(self._known))  # so many at its end are forgotten
        self._known = list(tokens[:same])
        while True:
            if not is_wanted():
                raise TimeoutError
            block = tokens[len(self._known) : len(self._known) + PROMPT_BLOCK]
            given = torch.tensor([list(block)], device=self._model.device)
            done = self._model(input_ids=given, past_key_values=self._cache, use_cache=True, logits_to_keep=1)
            self._known += block
            if len(self._known) == len(tokens):
                return done.logits[0, -1].float().cpu()

    def _sampled(self, logits: Any, matcher: Any, temperature: float, chance: Any) -> int:
        """Return a token by its chances among those that the matcher lets through, and tell the matcher."""
        import torch

        if matcher is not None:
            bits = torch.frombuffer(bytearray(matcher.compute_bitmask()), dtype=torch.uint8)
            allowed = (bits.unsqueeze(1) >> torch.arange(8, dtype=torch.uint8) & 1).flatten()[: len(logits)]
            logits = logits[: len(allowed)].masked_fill(allowed == 0, float("-inf"))
        if temperature <= 0:
            token = int(torch.argmax(logits))
        else:
            chances = torch.softmax(logits / temperature, dim=-1)
            token = int(torch.multinomial(chances, 1, generator=chance))
        if matcher is not None and token not in self._ends and not matcher.consume_token(token):
            raise ModelError("bad_request", one_line(f"the grammar has no way on: {matcher.get_error()}"))
        return token
