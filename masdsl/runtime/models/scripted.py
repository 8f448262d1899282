"""A model that says what it was told to: for tests, examples and `mas run --script FILE`.

    model = ScriptedModel({
        "coder": ["def f(): pass", "def f(): return 1"],    # by agent: one after another, the last one repeats
        "main.refine.r[1]": {"ok": True, "issues": []},     # by step, with or without indices; before the agent
        "sorter": Fails("timeout", after=2.0),              # a failure, two seconds later
        "*": lambda request: request.messages[-1].content,  # everybody else
    })

A text is the reply itself; any other value is replied as JSON (so a list that is one reply stands in a list of its
own). Nothing depends on the clock, on chance or on the order of dictionaries, so runs are repeatable.

A file says the same in TOML or JSON, under `replies`; special replies are tables with keys that start with a `$`:

    [replies]
    coder = ["def f(): pass", "def f(): return 1"]
    sorter = { "$fails" = "timeout", "$detail" = "too slow", "$after" = 2.0 }
    judge = { "$reply" = "yes", "$after" = 0.5 }
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, get_args

from masdsl.formats import schema_tokens, tools_tokens
from masdsl.runtime.accounts import request_tokens
from masdsl.runtime.models.base import ErrorKind, ModelError, Price, Reply, Request
from masdsl.sizes import counted_tokens

FREE = Price(0.0, 0.0)
OTHERS = "*"
LARGEST_FILE = 16 * 1024 * 1024
_INDICES = re.compile(r"\[[0-9,]*\]")
_KINDS = get_args(ErrorKind)


@dataclass(frozen=True, slots=True)
class Fails:
    """A failure of the call, `after` seconds of the loop's time."""

    kind: ErrorKind
    detail: str = "scripted failure"
    after: float = 0.0
    retry_after: float | None = None
    billed: bool = False


@dataclass(frozen=True, slots=True)
class Says:
    """A reply that comes `after` seconds of the loop's time.

    Where no counts of tokens are given, it counts by the rule of `masdsl.sizes`.
    """

    value: Any
    after: float = 0.0
    input_tokens: int | None = None
    output_tokens: int | None = None


Item: TypeAlias = Any
"""One reply: text, any JSON value, `Says`, `Fails`, a `Reply`, or a function of the request that gives one of these."""


class ScriptError(ValueError):
    """A file of replies cannot be used; the text says what is wrong where."""


class ScriptedModel:
    """Replies by the script; keeps every request, in order, in `requests`.

    A key of `replies` is looked for in this order: the step's address (`main.refine.code[1]`), the address without
    indices, the agent's name, `*`. A list is a queue, whose last item repeats. A request that the script does not
    foresee fails with `not_found`. With `tool_calls` it is told of tools as models are that have such a protocol.
    """

    def __init__(
        self,
        replies: Mapping[str, Item] | Callable[[Request], Item],
        *,
        name: str = "scripted",
        price: Price | None = FREE,
        tool_calls: bool = False,
    ) -> None:
        self.tool_calls = tool_calls
        script = {OTHERS: replies} if callable(replies) else replies
        self._script = script
        self._queues: dict[str, list[Item]] = {
            key: list(items) if isinstance(items, list) else [items] for key, items in script.items()
        }
        self._asked: dict[str, int] = dict.fromkeys(self._queues, 0)
        self._name = name
        self._price = price
        self.requests: list[Request] = []

    @property
    def name(self) -> str:
        """The model's name."""
        return self._name

    @property
    def price(self) -> Price | None:
        """USD per million tokens; nothing unless it was given one."""
        return self._price

    def anew(self) -> ScriptedModel:
        """Return a model that says the same from the beginning: what one run has heard is not missing in another."""
        return ScriptedModel(self._script, name=self._name, price=self._price, tool_calls=self.tool_calls)

    def unused(self) -> tuple[str, ...]:
        """Return the keys of the script that no request has asked for, in order."""
        return tuple(key for key, count in self._asked.items() if count == 0)

    async def complete(self, request: Request) -> Reply:
        """Give the next reply of the script, or raise the failure that stands there."""
        self.requests.append(request)
        item = self._next(request)
        while callable(item):
            item = item(request)
        if isinstance(item, ModelError):
            raise item
        if isinstance(item, Fails):
            await asyncio.sleep(item.after)
            raise ModelError(item.kind, item.detail, retry_after=item.retry_after, billed=item.billed)
        said = item if isinstance(item, Says) else Says(item)
        await asyncio.sleep(said.after)
        if isinstance(said.value, Reply):
            return replace(said.value, model=said.value.model or self._name)
        text, tokens_in, tokens_out = _text(said.value), said.input_tokens, said.output_tokens
        if tokens_in is None:
            tokens_in = request_tokens(request.messages, schema_tokens(request.schema) + tools_tokens(request.tools))
        if tokens_out is None:
            tokens_out = min(counted_tokens(text), request.max_tokens)
        return Reply(text, tokens_in, tokens_out, self._name)

    async def close(self) -> None:
        """Do nothing: a script holds nothing."""

    def _next(self, request: Request) -> Item:
        for key in (request.step, _INDICES.sub("", request.step), request.agent, OTHERS):
            queue = self._queues.get(key)
            if queue:
                at = self._asked[key]
                self._asked[key] = at + 1
                return queue[min(at, len(queue) - 1)]
        who = f"the agent `{request.agent}`" if request.agent else "this request"
        where = f" at step `{request.step}`" if request.step else ""
        raise ModelError("not_found", f"the script has no reply for {who}{where}: add one, or `*` for everybody else")


def load_script(path: str, *, name: str = "scripted", price: Price | None = FREE) -> ScriptedModel:
    """Return the model of a file of replies: TOML, or JSON where the name ends with `.json`.

    Raises ScriptError for a file that cannot be read or says something else.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ScriptError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    if len(data) > LARGEST_FILE:
        raise ScriptError(f"{path} is larger than {LARGEST_FILE // 2**20} MiB")
    try:
        script = _parsed(data.decode("utf-8-sig"), is_json=path.endswith(".json"))
    except (ValueError, RecursionError) as error:
        raise ScriptError(f"{path} is no script: {error}") from None
    return ScriptedModel(script, name=name, price=price)


def _parsed(text: str, *, is_json: bool) -> dict[str, Item]:
    if is_json:
        table = json.loads(text)
    else:
        import tomllib

        table = tomllib.loads(text)
    if not isinstance(table, dict) or not isinstance(table.get("replies"), dict):
        raise ValueError("it has no table `replies`")
    others = [key for key in table if key != "replies"]
    if others:
        raise ValueError(f"it has a key `{others[0]}`; only `replies` is known")
    return {
        key: [_item(key, item) for item in value] if isinstance(value, list) else _item(key, value)
        for key, value in table["replies"].items()
    }


def _item(key: str, value: Any) -> Item:
    """Return a reply as the file has it; special ones are tables whose keys start with `$`."""
    if not isinstance(value, dict) or not any(name.startswith("$") for name in value):
        return value
    known = {"$reply", "$after"} if "$reply" in value else {"$fails", "$detail", "$after", "$retry_after"}
    wrong = [name for name in value if name not in known]
    if wrong or not ("$reply" in value or "$fails" in value):
        raise ValueError(
            f"`{key}` has a special reply with {', '.join(wrong or value)};"
            " write `$reply` and `$after`, or `$fails`, `$detail`, `$after` and `$retry_after`"
        )
    after = _seconds(key, "$after", value.get("$after", 0.0))
    if "$reply" in value:
        return Says(value["$reply"], after=after)
    if value["$fails"] not in _KINDS:
        raise ValueError(f"`{key}` fails with {value['$fails']!r}; write one of {', '.join(_KINDS)}")
    wait = None if "$retry_after" not in value else _seconds(key, "$retry_after", value["$retry_after"])
    return Fails(value["$fails"], str(value.get("$detail", "scripted failure")), after, wait)


def _seconds(key: str, name: str, value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 86_400:
        return float(value)
    raise ValueError(f"`{key}` has {value!r} as `{name}`; write a number of seconds")


def _text(value: Any) -> str:
    """Return a reply as text: JSON for everything that is none; records and enums of a program are plain data."""
    if isinstance(value, str):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    from masdsl.runtime.shapes import Record, plain

    return plain(value) if isinstance(value, Record) else str(value)  # else a date of TOML
