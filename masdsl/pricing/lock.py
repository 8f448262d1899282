"""`mas.lock`: the prices that bounds and budgets count with, pinned beside the configuration.

A JSON text, sorted, with nothing in it that changes by itself:

    {
      "format": 1,
      "from": {"package": "litellm", "sha256": "<of its price table>", "version": "1.106.2"},
      "hash": "<SHA-256 of all the rest>",
      "models": {"openai/gpt-4o-mini": {"input_price": "0.15", "output_price": "0.6"}},
      "unit": "USD per million tokens"
    }

Prices are exact decimals in texts. The hash is over the rest, as JSON without spaces and with sorted keys: a price that
was edited by hand, or mangled by a merge, is noticed. `mas lock` writes the file, nothing else does.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from masdsl.money import BadAmount, TokenPrice, price_per_million, usd_per_million

if TYPE_CHECKING:
    from masdsl.config import Config

LOCK_NAME: Final = "mas.lock"
FORMAT: Final = 1
UNIT: Final = "USD per million tokens"
LOCK_BYTES: Final = 1024 * 1024
"""A lock is far smaller."""
NAME_LENGTH: Final = 256
"""Characters of a model's name in a lock."""


class Lock(NamedTuple):
    """What a lock pins: prices by litellm's names of models, and the table that they are from.

    `version` is litellm's, `digest` the SHA-256 of its table.
    """

    version: str
    digest: str
    prices: Mapping[str, TokenPrice]


class LockFault(Exception):
    """A lock cannot be used. The text says why, as in `it was changed by hand`; `path` is where it is."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(reason)
        self.path = path


def lock_path(config: Config, folder: str | None) -> str | None:
    """Return where the lock is, or would be: beside the configuration's file, else in the program's `folder`.

    None for a program that is no file under a configuration that is none.
    """
    place = config.folder() or folder
    return None if place is None else os.path.join(place, LOCK_NAME)


def read_lock(path: str) -> Lock | None:
    """Return the lock at `path`, None where there is none. A file that stays the same is read once in a process.

    Raises:
        LockFault: it is damaged, was changed by hand, or has a format of another version.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise LockFault(path, _unreadable(error)) from None
    return _read(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=64)
def _read(path: str, changed: int, size: int) -> Lock:
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise LockFault(path, "it is not a regular file")
            data = file.read(LOCK_BYTES + 1)
    except OSError as error:
        raise LockFault(path, _unreadable(error)) from None
    return parse_lock(data, path)


def _unreadable(error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) else None
    return f"it cannot be read: {(reason or type(error).__name__).lower()}"


def parse_lock(data: bytes, path: str = LOCK_NAME) -> Lock:
    """Return the lock that a file's bytes are. Raises LockFault, whatever the bytes are."""
    if len(data) > LOCK_BYTES:
        raise LockFault(path, f"it is larger than {LOCK_BYTES:,} bytes")
    import json

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(found)
        if len(table) < len(found):
            names = [name for name, _ in found]
            twice = next(name for name in names if names.count(name) > 1)
            raise LockFault(path, f"it contradicts itself: `{twice[:NAME_LENGTH]}` stands in it twice")
        return table

    try:
        content: Any = json.loads(data, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        reason = "a merge in it is not finished" if b"<<<<<<<" in data else "it is not JSON"
        raise LockFault(path, reason) from None
    if not isinstance(content, dict):
        raise LockFault(path, "it is not a table")
    version = content.get("format")
    if version != FORMAT or isinstance(version, bool):
        shown = version if isinstance(version, int) and not isinstance(version, bool) else "no known"
        raise LockFault(path, f"it has {shown} format, and this masdsl reads format {FORMAT}")
    if set(content) != {"format", "from", "hash", "models", "unit"}:
        raise LockFault(path, "it has other keys than a lock has")
    if content["hash"] != content_hash(content):
        raise LockFault(path, "it was changed by hand: its hash does not fit its content")
    if content["unit"] != UNIT:
        raise LockFault(path, f"its unit is not {UNIT}")
    return _lock(content, path)


def _lock(content: dict[str, Any], path: str) -> Lock:
    source, models = content["from"], content["models"]
    texts = isinstance(source, dict) and all(isinstance(source.get(key), str) for key in ("version", "sha256"))
    if not texts or source.get("package") != "litellm":
        raise LockFault(path, "it does not say which price table it is from")
    if not isinstance(models, dict):
        raise LockFault(path, "its `models` is not a table")
    return Lock(source["version"], source["sha256"], {name: _price(models[name], name, path) for name in models})


def _price(entry: Any, name: str, path: str) -> TokenPrice:
    shown = name[:NAME_LENGTH]
    if not name or len(name) > NAME_LENGTH or not isinstance(entry, dict) or len(entry) != 2:
        raise LockFault(path, f"its entry `{shown}` is not that of a model")
    prices = []
    for key in ("input_price", "output_price"):
        text = entry.get(key)
        try:
            if not isinstance(text, str):
                raise BadAmount("is not a decimal number in a text")
            price = price_per_million(text)
            if usd_per_million(price) != text:
                raise BadAmount("is not an exact decimal number")
        except BadAmount as fault:
            raise LockFault(path, f"the `{key}` of `{shown}` {fault}") from None
        prices.append(price)
    return TokenPrice(*prices)


def content_hash(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of everything in a lock's content but its `hash`."""
    import json
    from hashlib import sha256

    rest = {key: value for key, value in content.items() if key != "hash"}
    return sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode("ascii")).hexdigest()


def render_lock(lock: Lock) -> str:
    """Return the text of a lock; `parse_lock` gives the same lock back."""
    import json

    content: dict[str, Any] = {
        "format": FORMAT,
        "from": {"package": "litellm", "sha256": lock.digest, "version": lock.version},
        "models": {
            name: {"input_price": usd_per_million(price.input), "output_price": usd_per_million(price.output)}
            for name, price in lock.prices.items()
        },
        "unit": UNIT,
    }
    content["hash"] = content_hash(content)
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
