"""Any provider that litellm knows, by its litellm name (`openai/gpt-4o-mini`, `anthropic/claude-...`).

This is the one module that imports litellm: at the first call, in a thread, because it takes seconds. litellm's own
retries are off, it fetches nothing and prints nothing, and the deadline is ours, since its own one is not kept. Of the
traps measured with 1.106.2, these are closed here: its import loads a price list from the network; a missing usage
arrives as zero tokens; a body of 50 MB is read whole, and a regular expression over it then blocks the process for
minutes (see `body_cap`); the exception for a refused key repeats the key.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import threading
import warnings
from importlib import metadata
from typing import Any

from masdsl import pricing
from masdsl.money import usd_per_million
from masdsl.redaction import Secret, one_line
from masdsl.runtime.models.base import ModelError, Price, Reply, Request
from masdsl.runtime.models.body_cap import limit_bodies, room_for
from masdsl.runtime.models.chat_api import (
    DEFAULT_TIMEOUT,
    MAX_BODY_BYTES,
    Dialect,
    clean_text,
    fault_of,
    no_grammars,
    reply_of,
    retry_after,
)
from masdsl.runtime.models.keys import ambient_secrets, secret_from
from masdsl.runtime.models.tool_calls import ADVICE, is_about_tools, tool_options, wire_messages
from masdsl.runtime.threads import in_thread

STOLE_CREDENTIALS = ("1.82.7", "1.82.8")
DISOWNED = ("1.107.0",)
_PREFIX = re.compile(r"^(?:(?:litellm\.)?\w*(?:Error|Exception)(?: - |: ))+")
_importing = threading.Lock()


class LiteLLMModel:
    """A model that litellm reaches.

    `model` is litellm's name for it. `url` replaces the provider's address. `key_env` names the environment variable
    with the key; without it, litellm finds the provider's usual variable by itself. `price` None means that of
    litellm's price list, unless there is a `url`. `timeout` in seconds bounds every call, also where the request allows
    more.
    """

    def __init__(
        self,
        name: str,
        *,
        model: str,
        url: str | None = None,
        key_env: str | None = None,
        price: Price | None = None,
        timeout: float | None = None,
        tool_calls: bool = False,
    ) -> None:
        self.tool_calls = tool_calls
        self._name = name
        self._model = model
        self._url = url
        self._key_env = key_env
        self._price = price
        self._timeout = timeout
        self._dialect = Dialect()

    @property
    def name(self) -> str:
        """The model's name as the configuration has it."""
        return self._name

    @property
    def price(self) -> Price | None:
        """USD per million tokens: the configuration's, else litellm's, else None."""
        return self._price or listed_price(self._model, self._url)

    async def complete(self, request: Request) -> Reply:
        """Answer one request, or raise `ModelError`."""
        if request.grammar:
            raise no_grammars(self._name)
        secret = secret_from(self._key_env)
        limits = [limit for limit in (request.timeout, self._timeout) if limit is not None]
        seconds = min(limits, default=DEFAULT_TIMEOUT)
        try:
            async with asyncio.timeout(seconds):
                litellm = await in_thread(load_litellm)
                return await self._ask(litellm, request, secret, seconds)
        except TimeoutError:
            raise ModelError("timeout", f"no answer from {self._model} within {seconds:g} s", billed=True) from None

    async def close(self) -> None:
        """Do nothing: litellm keeps its connections for all users in the process."""

    async def _ask(self, litellm: Any, request: Request, secret: Secret, seconds: float) -> Reply:
        dialect = self._dialect
        _hush()
        hidden = ambient_secrets(secret)
        address = {} if self._url is None else {"api_base": self._url}
        key = {"api_key": secret.reveal()} if secret.reveal() else {}
        messages = [
            {**message, "content": clean_text(message["content"])} for message in wire_messages(request.messages)
        ]
        if request.tools:
            self._check_tools(litellm)
        while True:
            options, envelope = dialect.options(request)
            with room_for(MAX_BODY_BYTES) as room:
                try:
                    response = await litellm.acompletion(
                        model=self._model,
                        messages=messages,
                        timeout=seconds,
                        num_retries=0,
                        max_retries=0,
                        drop_params=True,  # a provider without seeds or schemas is asked without them
                        **address,
                        **key,
                        **tool_options(request),
                        **options,
                    )
                except Exception as raised:
                    if room.exceeded:
                        detail = (
                            f"the answer of {self._model} is larger than {MAX_BODY_BYTES} bytes, so it was given up"
                        )
                        raise ModelError("too_large", detail, billed=True) from None
                    status = getattr(raised, "status_code", None)
                    simpler = dialect.after_refusal(status, str(raised), options) if isinstance(status, int) else None
                    if simpler is None:
                        fault = _fault(raised, hidden)
                        if is_about_tools(fault.detail, request):
                            fault.detail = f"{fault.detail}; {ADVICE}"
                        raise fault from None
                    dialect = simpler
                    continue
            reply = reply_of(_body(response), envelope, hidden, with_calls=bool(request.tools))
            self._dialect = dialect
            return reply

    def _check_tools(self, litellm: Any) -> None:
        """Raise ModelError where litellm would leave the tools out of a request without a word."""
        try:
            known = litellm.get_supported_openai_params(model=self._model)
        except Exception:  # a provider that it does not know: it will say so itself
            return
        if known is not None and "tools" not in known:
            raise ModelError("bad_request", f"litellm knows no tool calls for {self._model}: {ADVICE}")


# ---------------------------------------------------------------- loading


def check_version(version: str) -> None:
    """Raise ModelError (`unavailable`) for a release of litellm that must not be run."""
    if version in STOLE_CREDENTIALS:
        raise ModelError(
            "unavailable",
            f"litellm {version} is a release that stole credentials; it is not loaded. Uninstall it, replace every key"
            " this machine holds, then: pip install --upgrade litellm",
        )
    if version in DISOWNED:
        raise ModelError(
            "unavailable",
            f"litellm {version} is a release that its maintainers disown; it is not loaded."
            " Install another one: pip install 'litellm!=1.107.0'",
        )


def load_litellm() -> Any:
    """Return the module litellm, silenced; the first call takes seconds. Raises ModelError (`unavailable`)."""
    with _importing:
        try:
            check_version(metadata.version("litellm"))
        except metadata.PackageNotFoundError:
            raise ModelError("unavailable", "this model needs the package litellm: pip install litellm") from None
        variable = "LITELLM_LOCAL_MODEL_COST_MAP"  # read once, at import: else it fetches its price list from GitHub
        before = os.environ.get(variable)
        os.environ[variable] = "True"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import litellm
        except Exception as fault:
            raise ModelError("unavailable", one_line(f"litellm cannot be loaded: {fault}")) from None
        finally:
            if before is None:
                del os.environ[variable]
            else:
                os.environ[variable] = before
        module: Any = litellm
        module.suppress_debug_info = True
        module.telemetry = False
        module.set_verbose = False
        if "LITELLM_LOG" not in os.environ:
            logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)
        limit_bodies()
        return module


def _hush() -> None:
    """Ignore the warnings that litellm's own types raise while they are built, at the first calls."""
    warnings.filterwarnings("ignore", module=r"litellm\b")
    for message in ("Pydantic serializer warnings", r"(?s).*using the `ReadOnly` qualifier"):
        warnings.filterwarnings("ignore", message=message)


def listed_price(model: str, url: str | None = None) -> Price | None:
    """Return the price of a model in the list that comes with litellm (`masdsl.pricing.table`), None without one."""
    price = pricing.listed_price(model, url)
    return None if price is None else Price(*(float(usd_per_million(part)) for part in price))


# ---------------------------------------------------------------- answers and failures


def _body(response: Any) -> dict[str, Any]:
    """Return litellm's response as the JSON of the protocol, without the counts it makes up."""
    body: dict[str, Any] = response.model_dump(warnings=False)
    for choice in body.get("choices") or ():
        message = choice.get("message") or {}
        extra = message.get("provider_specific_fields") or {}
        message.setdefault("refusal", extra.get("refusal"))
    usage = body.get("usage") or {}
    if not usage.get("prompt_tokens"):  # no prompt has none: the provider sent no usage
        body["usage"] = None
    return body


def _fault(raised: Exception, secret: Secret) -> ModelError:
    """Return the failure that an exception of litellm stands for."""
    kind = type(raised).__name__
    said = _PREFIX.sub("", str(raised)[:20_000])
    if isinstance(raised, ModelError):
        return raised
    if isinstance(raised, ImportError):
        return ModelError("unavailable", one_line(f"litellm lacks a package for this provider: {secret.redact(said)}"))
    if "LLM Provider NOT provided" in said:
        return ModelError("not_found", "litellm knows no such model: write provider/model, as in openai/gpt-4o-mini")
    if kind == "Timeout":
        return ModelError("timeout", one_line(secret.redact(said)), billed=True)
    if kind == "ContextWindowExceededError":
        return ModelError("too_long", one_line(secret.redact(said)))
    if kind == "ContentPolicyViolationError":
        return ModelError("refused", one_line(secret.redact(said)), billed=True)
    if kind == "APIConnectionError" or "Connection error" in said:
        return ModelError("connection", one_line(f"the connection failed: {secret.redact(said)}"), billed=True)
    status = getattr(raised, "status_code", None)
    if not isinstance(status, int):
        return ModelError("connection", one_line(f"litellm failed: {kind}: {secret.redact(said)}"), billed=True)
    headers = getattr(raised, "litellm_response_headers", None) or {}
    wait = retry_after({str(name).lower(): str(value) for name, value in dict(headers).items()})
    return fault_of(status, said, retry_after=wait, secret=secret, who="litellm")
