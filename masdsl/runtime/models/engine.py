"""llama.cpp in this process, through xllamacpp: one engine for each file of weights, one call at a time.

An engine has a thread of its own, which loads the weights at the first call and answers calls in the order in which
they came. More at once would not be faster: measured on two cores, eight calls in a row take as long as eight side by
side. A call that nobody waits for any more ends at its next token, or at the next 128 tokens while the prompt is
read.

xllamacpp also opens a port on this machine; it is closed to everybody by a random key.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import util
from typing import Any, Final, NamedTuple

from masdsl.redaction import one_line
from masdsl.runtime.models.base import ModelError
from masdsl.runtime.models.constraints import llguidance_grammar

PROMPT_BLOCK: Final = 128
"""Tokens of a prompt that are read at once: about a second of work on a slow core, and the longest wait for an end."""
LONGEST_TEXT: Final = 1024 * 1024
_EXIT_SECONDS = 10.0
_INSTALL = 'this model runs in the package xllamacpp, which is missing: pip install "masdsl[local]"'


class EngineKey(NamedTuple):
    """What makes an engine: the file of weights, the longest text in tokens, and the threads of one call.

    `adapter` is a LoRA adapter in the format GGUF that is put onto the weights, empty for none.
    """

    path: str
    context: int
    threads: int
    adapter: str = ""


@dataclass(eq=False)
class Call:
    """A request on its way; `outcome` belongs to the loop of the caller."""

    body: Mapping[str, Any]
    loop: asyncio.AbstractEventLoop
    outcome: asyncio.Future[dict[str, Any]]
    ends: float
    is_over: threading.Event = field(default_factory=threading.Event)

    def give(self, answer: dict[str, Any] | None, error: ModelError | None = None) -> None:
        """Hand the outcome to whoever waits, if anybody still does."""

        def settle() -> None:
            if self.outcome.done():
                return
            if error is not None:
                self.outcome.set_exception(error)
            else:
                self.outcome.set_result(answer or {})

        try:
            self.loop.call_soon_threadsafe(settle)
        except RuntimeError:  # the loop has closed
            pass

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits and there is time."""
        return not self.is_over.is_set() and time.monotonic() < self.ends


class Engine:
    """One file of weights, loaded once. Use `engine_of`, so that a file is loaded once for all."""

    def __init__(self, key: EngineKey) -> None:
        self.key = key
        self._waiting: deque[Call] = deque()
        self._current: Call | None = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def queue_length(self) -> int:
        """How many calls are under way or wait."""
        return len(self._waiting) + (self._current is not None)

    async def chat(self, body: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Answer one request in the form of OpenAI's protocol within `seconds`.

        Raises ModelError (`unavailable`, `too_long`, `bad_request`), and TimeoutError. Cancelled, it ends the call.
        """
        loop = asyncio.get_running_loop()
        call = Call(body, loop, loop.create_future(), time.monotonic() + seconds)
        with self._changed:
            if self._closed:
                raise ModelError("unavailable", "the local model has been closed, because Python is about to end")
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="masdsl-local-model", daemon=True)
                self._thread.start()
            self._waiting.append(call)
            self._changed.notify()
        try:
            async with asyncio.timeout(seconds):
                return await call.outcome
        finally:
            call.is_over.set()

    def close(self) -> None:
        """End the call under way, refuse those that wait, and free the weights. Blocks until that is done.

        All of them raise ModelError (`unavailable`) at once: the one under way does not wait for its next token.
        """
        with self._changed:
            self._closed = True
            for call in (*self._waiting, *([self._current] if self._current else [])):
                call.is_over.set()
                is_billed = call is self._current
                call.give(None, ModelError("unavailable", "the local model has been closed", billed=is_billed))
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(_EXIT_SECONDS)

    def _work(self) -> None:
        """Answer calls until the engine is closed: the body of its thread."""
        server: Any = None
        while True:
            with self._changed:
                self._current = None
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return  # `server` goes here, on its own thread, and with it the weights
                call = self._current = self._waiting.popleft()
            if not call.is_wanted:
                continue
            try:
                if server is None:
                    server = _load(self.key)
                answer = _answer(server, call)
            except ModelError as error:
                call.give(None, error)
            except Exception as error:
                call.give(None, ModelError("bad_request", one_line(f"the local model refuses the request: {error}")))
            else:
                if answer is not None:
                    call.give(answer)


# ---------------------------------------------------------------- sharing

_engines: dict[EngineKey, Engine] = {}
_owner = os.getpid()
_lock = threading.Lock()


def engine_of(key: EngineKey) -> Engine:
    """Return the engine of a key, the same for all who ask in this process."""
    global _owner
    with _lock:
        if _owner != os.getpid():  # a fork has none of the threads
            _engines.clear()
            _owner = os.getpid()
        if key not in _engines:
            _engines[key] = Engine(key)
        return _engines[key]


def close_engines() -> None:
    """Free all weights. The next call loads them again."""
    with _lock:
        engines = list(_engines.values()) if _owner == os.getpid() else []
        _engines.clear()
    for engine in engines:
        engine.close()


# A native call that is still under way when the interpreter goes would abort the process.
atexit.register(close_engines)


# ---------------------------------------------------------------- xllamacpp


def check_installed() -> None:
    """Raise ModelError (`unavailable`) where xllamacpp is missing; does not import it."""
    if util.find_spec("xllamacpp") is None:
        raise ModelError("unavailable", _INSTALL)


def has_llguidance() -> bool:
    """Whether this build of llama.cpp keeps to grammars of llguidance; imports xllamacpp."""
    import xllamacpp

    return str(xllamacpp.json_schema_to_grammar({"type": "boolean"})).startswith("%llguidance")


def _load(key: EngineKey) -> Any:
    """Load weights and return xllamacpp's server. Prints nothing."""
    try:
        with open(key.path, "rb") as file:
            magic = file.read(4)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ModelError("unavailable", f"the weights {key.path} cannot be read: {reason}") from None
    if magic != b"GGUF":
        raise ModelError("unavailable", f"{key.path} holds no weights in the format GGUF")
    try:
        import xllamacpp
    except ImportError as error:
        why = _INSTALL if error.name == "xllamacpp" else one_line(f"xllamacpp cannot be loaded: {error}")
        raise ModelError("unavailable", why) from None
    parameters = xllamacpp.CommonParams()
    parameters.model.path = key.path
    if key.adapter:
        parameters.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(key.adapter, 1.0)]
    parameters.n_ctx = key.context
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = key.threads
    parameters.cpuparams_batch.n_threads = key.threads
    parameters.n_batch = parameters.n_ubatch = PROMPT_BLOCK
    parameters.prompt = ""
    parameters.warmup = False
    parameters.verbosity = 0
    # the server would keep the state of up to 8 GB of earlier prompts, which are never used again
    parameters.cache_ram_mib = parameters.n_ctx_checkpoints = 0
    parameters.cache_idle_slots = False
    parameters.api_keys = [os.urandom(32).hex()]
    parameters.cors_origins = ""
    for switch in ("ui", "endpoint_slots", "endpoint_props", "endpoint_metrics"):
        setattr(parameters, switch, False)
    try:
        return xllamacpp.Server(parameters)
    except Exception as error:
        what = f"{key.path} with {key.adapter}" if key.adapter else key.path
        detail = f"llama.cpp cannot load {what} ({error}): the file is damaged, of an unknown kind or too large"
        raise ModelError("unavailable", one_line(detail)) from None


def _answer(server: Any, call: Call) -> dict[str, Any] | None:
    """Make one native call and return its outcome as one chat completion; None where nobody wanted it to the end."""
    texts: list[str] = []
    answer: dict[str, Any] = {}
    size = 0

    def on_chunk(chunk: Any) -> bool:
        """Take a part of the reply; tell whether to stop."""
        nonlocal size
        if "error" in chunk or "choices" not in chunk:
            answer["error"] = chunk.get("error", chunk)
            return True
        for choice in chunk["choices"]:
            text = choice.get("delta", {}).get("content")
            if isinstance(text, str):
                texts.append(text)
                size += len(text)
            if choice.get("finish_reason"):
                answer["finish"] = choice["finish_reason"]
        if chunk.get("usage"):
            answer["usage"] = chunk["usage"]
        return not call.is_wanted or size > LONGEST_TEXT

    options = {"stream": True, "stream_options": {"include_usage": True}, "return_progress": True}
    server.handle_chat_completions({**_with_constraint(call.body), **options}, on_chunk)
    if "error" in answer:
        raise _fault(answer["error"])
    if "finish" not in answer:
        if call.is_wanted:
            raise ModelError("too_large", f"the reply is longer than {LONGEST_TEXT} characters", billed=True)
        return None
    message = {"role": "assistant", "content": "".join(texts)}
    choice = {"index": 0, "message": message, "finish_reason": answer["finish"]}
    return {"choices": [choice], "usage": answer.get("usage")}


def _with_constraint(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body with its `json_schema`, if it has one, in the form that this build of llama.cpp keeps to.

    llguidance, where it is built in, takes any schema and writes no needless blanks. The converter to GBNF, the other
    way, refuses long lists and complains about them on standard error.
    """
    if "json_schema" not in body:
        return dict(body)
    other = {key: value for key, value in body.items() if key != "json_schema"}
    schema = body["json_schema"]
    if has_llguidance():
        return {**other, "grammar": llguidance_grammar(schema)}
    return {**other, "response_format": {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}}


def _fault(error: Any) -> ModelError:
    """Return the failure that an error of the server stands for."""
    told: Mapping[str, Any] = error if isinstance(error, dict) else {"message": error}
    if told.get("type") == "exceed_context_size_error":
        needed, room = told.get("n_prompt_tokens"), told.get("n_ctx")
        return ModelError("too_long", f"the prompt has {needed} tokens, the model takes {room} with its reply")
    return ModelError("bad_request", one_line(f"the local model refuses the request: {told.get('message', told)}"))
