"""The price table that comes with litellm, read as data: litellm itself is never imported for it.

A price taken from the table is the most that one token of our requests may be billed:

- of what a model reads, the dearest of its rates for a prompt of any length, and of the rates for writing to a prompt
  cache, which OpenAI's newer models do (and bill) unasked; not so for Claude models, which do it only when asked;
- of what it writes, the dearest of its rates for an answer to a prompt of any length, and of the rate for reasoning;
- times the surcharge of a region, where the address of the provider depends on the machine's settings (Vertex AI).

Left out is what a request of ours never asks for: batch, flex, priority and faster processing, caches that last longer,
audio, images, searches, and other addresses of the provider. An entry that bills in another way as well, that lacks a
rate, or whose numbers cannot be meant, has no price and a reason, never a zero.

The table has three megabytes. What is needed of it is kept in the cache folder under the digest of the table.
"""

from __future__ import annotations

import os
import re
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from masdsl import resources
from masdsl.money import BadAmount, TokenPrice, price_per_token
from masdsl.pricing import NoPrice

if TYPE_CHECKING:
    from decimal import Decimal

TABLE_NAME: Final = "model_prices_and_context_window_backup.json"
TABLE_BYTES: Final = 64 * 1024 * 1024
"""A table larger than that is none."""
_MAGIC: Final = b"masdsl prices\n"
_FORMAT: Final = 1
_CHAT_MODES: Final = (None, "chat", "completion", "responses")
_BASE_INPUT: Final = re.compile(r"input_cost_per_token(_above_\d+k?_tokens)?")
_INPUT: Final = re.compile(r"(input_cost_per_token|cache_creation_input_token_cost)(_above_\d+k?_tokens)?")
_OUTPUT: Final = re.compile(r"output_cost_per(_reasoning)?_token(_above_\d+k?_tokens)?")
_BASE: Final = ("input_cost_per_token", "output_cost_per_token")
_BESIDE_TOKENS: Final = ("input_cost_per_request", "citation_cost_per_token")
_SEARCH: Final = "search_context_cost_per_query"
_UPLIFT: Final = "regional_endpoint_uplift_multiplier"
_FINE_TUNED: Final = re.compile(r"(?:^|/)(ft:[^:/]+)(?::[^:]*){3}$")


class Entry(NamedTuple):
    """What the table says of a model: a price, or why it gives none."""

    provider: str
    price: TokenPrice | None
    fault: str


class Table(NamedTuple):
    """A price table: SHA-256 of the file, and its entries by their names in small letters."""

    digest: str
    entries: dict[str, tuple[str, tuple[int, int] | None, str]]

    def find(self, model: str) -> Entry:
        """Return the entry that litellm takes for a model such as `openai/gpt-4o-mini`.

        A dated snapshot that is not listed is not taken for the model without a date: it may cost more.

        Raises:
            NoPrice: there is none.
        """
        name = model.lower()
        provider, slash, rest = name.partition("/")
        candidates = [name, rest] if slash else [name]
        fine_tuned = _FINE_TUNED.search(name)
        if fine_tuned:
            candidates.append(fine_tuned[1])
        for candidate in candidates:
            found = self.entries.get(candidate)
            if found is not None and (candidate == name or not slash or _serves(provider, found[0])):
                return Entry(found[0], None if found[1] is None else TokenPrice(*found[1]), found[2])
        raise NoPrice("litellm's price table does not list it")

    def price(self, model: str) -> TokenPrice:
        """Return the most that a token of a model costs. Raises NoPrice."""
        entry = self.find(model)
        if entry.price is None:
            raise NoPrice(entry.fault)
        return entry.price


def table_path() -> str:
    """Return where the table of the installed litellm is. Raises NoPrice where there is none."""
    from importlib.util import find_spec

    try:
        found = find_spec("litellm")
    except (ImportError, ValueError):  # ValueError: a stand-in for the module that is no real one
        found = None
    for folder in (found.submodule_search_locations or ()) if found else ():
        path = os.path.join(folder, TABLE_NAME)
        if os.path.isfile(path):
            return path
    if found is None:
        raise NoPrice("litellm, whose price table would be used, is not installed")
    raise NoPrice(f"the installed litellm has no price table {TABLE_NAME}")


def table_stamp() -> str:
    """Return what tells one installed table from another without reading it, for keys of caches; quick."""
    for folder in sys.path:
        path = os.path.join(folder, "litellm", TABLE_NAME)
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            continue
        return f"{path} {status.st_size} {status.st_mtime_ns}"
    return "missing"


def litellm_version() -> str:
    """Return the version of the installed litellm, or `unknown`. Takes some ten milliseconds."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("litellm")
    except PackageNotFoundError:
        return "unknown"


@cache
def installed_table() -> Table:
    """Return the table of the installed litellm; it is read once in a process. Raises NoPrice."""
    return read_table(table_path())


def read_table(path: str) -> Table:
    """Return a table, from the cache where it was read before. Raises NoPrice for a file that is no price table."""
    from hashlib import sha256

    try:
        with open(path, "rb") as file:
            data = file.read(TABLE_BYTES + 1)
    except OSError as error:
        raise NoPrice(f"litellm's price table cannot be read: {error.strerror or error}") from None
    if len(data) > TABLE_BYTES:
        raise NoPrice(f"litellm's price table is larger than {TABLE_BYTES} bytes")
    digest = sha256(data).hexdigest()
    return _cached(digest) or _parse(data, digest)


# ---------------------------------------------------------------- the cache


def _cache_file(digest: str) -> str | None:
    folder = resources.cache_directory()
    return os.path.join(folder, f"prices-{digest[:16]}-{_FORMAT}.bin") if folder else None


def _cached(digest: str) -> Table | None:
    import marshal

    path = _cache_file(digest)
    body = resources.read_sealed(path, _MAGIC) if path else None
    if body is None:
        return None
    try:
        written_by, entries = marshal.loads(body)
    except (ValueError, TypeError, EOFError):
        return None
    return Table(digest, entries) if written_by == (_FORMAT, digest) and isinstance(entries, dict) else None


def _parse(data: bytes, digest: str) -> Table:
    import json
    import marshal

    try:
        listed: Any = json.loads(data)
    except (ValueError, RecursionError):
        raise NoPrice("litellm's price table is not JSON; install litellm again") from None
    if not isinstance(listed, dict):
        raise NoPrice("litellm's price table is not a table; install litellm again")
    entries: dict[str, tuple[str, tuple[int, int] | None, str]] = {}
    for name, entry in listed.items():
        if name != "sample_spec":  # a description of the fields, in the form of an entry
            provider, price, fault = read_entry(name, entry)
            entries[name.lower()] = (provider, None if price is None else (price.input, price.output), fault)
    path = _cache_file(digest)
    if path:
        resources.write_sealed(path, _MAGIC, marshal.dumps(((_FORMAT, digest), entries)))
    return Table(digest, entries)


# ---------------------------------------------------------------- entries


def read_entry(name: str, entry: Any) -> Entry:
    """Return what an entry of the table says; whatever it holds, nothing is raised."""
    if not isinstance(entry, dict):
        return Entry("", None, "litellm's price table holds no prices for it")
    provider = entry.get("litellm_provider")
    provider = provider.lower() if isinstance(provider, str) else ""
    try:
        return Entry(provider, _price(name, entry), "")
    except NoPrice as fault:
        return Entry(provider, None, str(fault))
    except BadAmount as fault:  # a rate that is fine becomes absurd by its surcharge
        return Entry(provider, None, f"a price of it in litellm's price table {fault}")


def _price(name: str, entry: dict[str, Any]) -> TokenPrice:
    mode = entry.get("mode")
    if mode not in _CHAT_MODES:
        raise NoPrice(f"litellm's price table has it as a model for {str(mode)[:40].replace('_', ' ')}, not for chat")
    for field in _BESIDE_TOKENS:
        if entry.get(field):
            raise NoPrice(f"it is billed by more than tokens (`{field}` in litellm's price table)")
    if entry.get(_SEARCH) and (name.startswith("perplexity/") or "-search-" in name):
        raise NoPrice(f"it is billed by the search as well (`{_SEARCH}` in litellm's price table)")
    tiers = entry.get("tiered_pricing") or []
    if not isinstance(tiers, list) or not all(isinstance(tier, dict) for tier in tiers):
        raise NoPrice("its `tiered_pricing` in litellm's price table is not a list of tables")
    tables = [entry, *tiers]
    writes_when_asked = "claude" in name.lower()
    read = _rates(tables, _BASE_INPUT if writes_when_asked else _INPUT)
    written = _rates(tables, _OUTPUT)
    for field, rates in zip(_BASE, (read, written), strict=True):
        if field not in rates:
            raise NoPrice(f"litellm's price table has no `{field}` for it")
    uplift = _uplift(entry)
    price = TokenPrice(
        max(price_per_token(rate * uplift) for rate in read.values()),
        max(price_per_token(rate * uplift) for rate in written.values()),
    )
    if (price.input == 0) != (price.output == 0):
        field = _BASE[price.output == 0]
        raise NoPrice(f"its `{field}` in litellm's price table is 0, which cannot be all that it costs")
    return price


def _rates(tables: list[dict[str, Any]], pattern: re.Pattern[str]) -> dict[str, Decimal]:
    """Return the highest rate of each field that counts, in USD per token."""
    rates: dict[str, Decimal] = {}
    for table in tables:
        for field, value in table.items():
            if pattern.fullmatch(field):
                rate = _rate(field, value)
                rates[field] = max(rates.get(field, rate), rate)
    return rates


def _rate(field: str, value: Any) -> Decimal:
    from decimal import Decimal

    try:
        if not isinstance(value, int | float):
            raise BadAmount("is not a number")
        price_per_token(value)
    except BadAmount as fault:
        raise NoPrice(f"its `{field}` in litellm's price table {fault}") from None
    return Decimal(str(value))


def _uplift(entry: dict[str, Any]) -> Decimal:
    from decimal import Decimal

    value = entry.get(_UPLIFT, 1)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 10:
        raise NoPrice(f"its `{_UPLIFT}` in litellm's price table is no factor")
    return max(Decimal(1), Decimal(str(value)))


def _serves(provider: str, owner: str) -> bool:
    """Whether an entry of one provider's holds for another name in front of it, as litellm sees it."""
    if provider == owner or not owner:
        return True
    if provider in ("vertex_ai", "fireworks_ai", "bedrock"):
        return owner.startswith(provider)
    return (provider, owner) in (
        ("openai", "text-completion-openai"),
        ("azure_ai", "azure"),
        ("azure_ai", "openai"),
        ("vertex_ai_beta", "vertex_ai"),
    )
