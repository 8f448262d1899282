"""Who may call, and how much: API keys, their budgets and their limits.

A file of keys is TOML; keys themselves are never in it, only their SHA-256:

    [keys.acme]
    sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    flows = ["hello/main", "coder/*"]     # default: all
    window = "day"                        # of the budget: "hour" or "day", by UTC; default: day
    usd = 2.50                            # at most so much in a window; each may be left out
    tokens = 500_000
    calls = 1_000
    requests_per_minute = 60
    runs_at_once = 4
    metrics = true                        # may read /metrics; default: false
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

from masdsl.diagnostics.suggest import nearest
from masdsl.money import BadAmount, limit_of

WINDOWS: Final[Mapping[str, int]] = {"hour": 3600, "day": 86_400}
"""Seconds of the windows of budgets; each begins at a whole multiple of them since 1970, in UTC."""
LARGEST_FILE: Final = 4 * 1024 * 1024
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_HASH: Final = re.compile(r"[0-9a-fA-F]{64}")
_KNOWN: Final = (
    ("sha256", "flows", "window", "usd", "tokens", "calls", "requests_per_minute", "runs_at_once", "metrics")
)  # fmt: skip


class BadKeys(ValueError):
    """A file of keys cannot be used; the text says why, where, and what to write."""


class Allowance(NamedTuple):
    """What may be spent in a window; None is no limit. Money is in picodollars."""

    window: str = "day"
    calls: int | None = None
    tokens: int | None = None
    picodollars: int | None = None


class Key(NamedTuple):
    """An API key, without the key. `flows` are patterns of `program/flow`."""

    name: str
    sha256: str
    flows: tuple[str, ...] = ("*",)
    allowance: Allowance = Allowance()
    requests_per_minute: int | None = None
    runs_at_once: int | None = None
    metrics: bool = False

    def may_call(self, flow: str) -> bool:
        """Whether the key may call `program/flow`."""
        return any(fnmatchcase(flow, pattern) for pattern in self.flows)


LOCAL: Final = Key("", "", metrics=True)
"""Whoever calls a service without keys, which only this machine can."""


class Keys:
    """The keys of a service; none at all where it has no file of them."""

    def __init__(self, keys: tuple[Key, ...] | None) -> None:
        self._keys = keys

    @property
    def are_required(self) -> bool:
        """Whether a request needs a key."""
        return self._keys is not None

    def find(self, presented: str) -> Key | None:
        """Return the key that was presented. How long that takes says nothing about the keys there are."""
        digest = hashlib.sha256(presented.encode("utf-8", "surrogateescape")).hexdigest()
        found = None
        for key in self._keys or ():
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def named(self, name: str) -> Key | None:
        """Return the key of a name; `LOCAL` for the empty one, where no keys are needed."""
        if self._keys is None:
            return LOCAL if not name else None
        return next((key for key in self._keys if key.name == name), None)


def window_of(window: str, now: float) -> tuple[int, float]:
    """Return the number of the window that a moment is in, and in how many seconds the next one begins."""
    length = WINDOWS[window]
    number = int(now // length)
    return number, (number + 1) * length - now


def read_keys(path: str) -> Keys:
    """Return the keys of a file. Raises BadKeys."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise BadKeys(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    if len(data) > LARGEST_FILE:
        raise BadKeys(f"{path} is larger than {LARGEST_FILE // 2**20} MiB")
    try:
        table = tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BadKeys(f"{path} is no TOML: {error}") from None
    entries = table.get("keys")
    if set(table) - {"keys"} or not isinstance(entries, dict) or not entries:
        raise BadKeys(f"{path} has to have entries such as [keys.acme], and nothing else")
    keys = tuple(_key(path, name, entry) for name, entry in entries.items())
    if len({key.sha256 for key in keys}) < len(keys):
        raise BadKeys(f"{path} has the same `sha256` twice; give each name a key of its own")
    return Keys(keys)


def _key(path: str, name: str, entry: object) -> Key:
    where = f"{path}: [keys.{name}]"
    if not _NAME.fullmatch(name):
        raise BadKeys(f"{where}: a name has at most 64 letters, digits, `_`, `-` and `.`")
    if not isinstance(entry, dict):
        raise BadKeys(f'{where} is no table; write [keys.{name}] and sha256 = "..." below it')
    for given in entry:
        if given not in _KNOWN:
            near = nearest(given, _KNOWN)
            raise BadKeys(f"{where} has no setting `{given}`; " + (f"did you mean `{near}`?" if near else _listed()))
    digest = entry.get("sha256")
    if not isinstance(digest, str) or not _HASH.fullmatch(digest):
        raise BadKeys(f"{where}: `sha256` is the SHA-256 of the key, 64 hexadecimal digits: printf %s KEY | sha256sum")
    window = entry.get("window", "day")
    if window not in WINDOWS:
        raise BadKeys(f"{where}: `window` is one of {', '.join(WINDOWS)}")
    flows = entry.get("flows", ["*"])
    if not isinstance(flows, list) or not all(isinstance(one, str) for one in flows):
        raise BadKeys(f'{where}: `flows` is a list of texts, as in ["hello/main", "coder/*"]')
    if not isinstance(entry.get("metrics", False), bool):
        raise BadKeys(f"{where}: `metrics` is true or false")
    return Key(
        name=name,
        sha256=digest.lower(),
        flows=tuple(flows),
        allowance=Allowance(window, _count(where, entry, "calls"), _count(where, entry, "tokens"), _usd(where, entry)),
        requests_per_minute=_count(where, entry, "requests_per_minute"),
        runs_at_once=_count(where, entry, "runs_at_once"),
        metrics=entry.get("metrics", False),
    )


def _listed() -> str:
    return f"there are {', '.join(_KNOWN)}"


def _count(where: str, entry: Mapping[str, Any], name: str) -> int | None:
    value = entry.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise BadKeys(f"{where}: `{name}` is a whole number from 0 on")


def _usd(where: str, entry: Mapping[str, Any]) -> int | None:
    value = entry.get("usd")
    if value is None:
        return None
    try:
        return limit_of(value)
    except BadAmount as fault:
        raise BadKeys(f"{where}: `usd` {fault}") from None


class Bucket:
    """Requests of one key: so many per minute, evenly refilled, as many at once at most. Times are monotonic."""

    __slots__ = ("_at", "_left", "_per_minute")

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._left = float(per_minute)
        self._at = time.monotonic()

    def take(self) -> float:
        """Take one; return 0, or in how many seconds there is one again."""
        now = time.monotonic()
        self._left = min(self._per_minute, self._left + (now - self._at) * self._per_minute / 60)
        self._at = now
        if self._left >= 1:
            self._left -= 1
            return 0.0
        return (1 - self._left) * 60 / self._per_minute if self._per_minute else 60.0
