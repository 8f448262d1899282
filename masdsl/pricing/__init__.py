"""What a model costs: the configuration says it, else `mas.lock`, else the price table that comes with litellm.

Nothing else does: no network, no environment variable, no guess. A model for which none of them has a price has none,
which is an error before a run (`masdsl.bounds.rates`), and never a zero. Models that run on this machine cost nothing.
"""

from __future__ import annotations

import os
from typing import Final

from masdsl.config import LOCAL_KINDS, Config, ModelConfig
from masdsl.money import FREE, BadAmount, TokenPrice, price_per_million
from masdsl.pricing.lock import LOCK_NAME, lock_path, read_lock

LISTED_ADDRESSES: Final = ("https://api.openai.com/",)
"""Addresses at which the table's prices hold. At any other, such as that of a server of one's own, of a reseller or of
a provider's region, only the one who names it knows the price."""


class NoPrice(LookupError):
    """A model has no price; the text says why, as in `litellm's price table does not list it`."""


class NotLocked(NoPrice):
    """There is a lock, and it does not pin the model."""


class Prices:
    """The prices under one configuration; `folder` is the program's, where the lock is without a configuration."""

    def __init__(self, config: Config, folder: str | None = None) -> None:
        self.lock_path = lock_path(config, folder)

    def of(self, entry: ModelConfig) -> TokenPrice:
        """Return the most that a token of a model costs.

        Raises:
            NotLocked: the lock does not pin it.
            NoPrice: nothing says its price.
            masdsl.pricing.lock.LockFault: the lock is needed and cannot be used.
        """
        price = own_price(entry)
        if price is not None:
            return price
        name = listed_name(entry)
        lock = read_lock(self.lock_path) if self.lock_path else None
        if lock is None:
            from masdsl.pricing.table import installed_table  # regular expressions that most programs do without

            return installed_table().price(name)
        try:
            return lock.prices[name]
        except KeyError:
            raise NotLocked(f"{LOCK_NAME} does not pin it") from None


def own_price(entry: ModelConfig) -> TokenPrice | None:
    """Return the price that needs no list: a configured one, or that of a model on this machine; else None.

    Raises:
        NoPrice: the configured one cannot be meant.
    """
    if entry.kind in LOCAL_KINDS:
        return FREE
    if entry.input_price is not None and entry.output_price is not None:
        try:
            return TokenPrice(price_per_million(entry.input_price), price_per_million(entry.output_price))
        except BadAmount as fault:
            raise NoPrice(f"a price of it in the configuration {fault}") from None
    return FREE if entry.kind == "scripted" else None


def listed_name(entry: ModelConfig) -> str:
    """Return the name of a model in litellm's table. Raises NoPrice for one whose price cannot stand there."""
    name = entry.model or ""
    if entry.url and not f"{entry.url}/".startswith(LISTED_ADDRESSES):
        raise NoPrice("it is at an address of your own, so only you know the price")
    if entry.kind == "python":
        raise NoPrice("it is a Python object of yours, so only you know the price")
    return f"openai/{name}" if entry.kind == "openai" else name


def listed_price(model: str, url: str | None = None) -> TokenPrice | None:
    """Return the price of a model by litellm's name for it in litellm's table, None where that has none.

    `url` is the address at which it is asked, if it is not the provider's usual one.
    """
    from masdsl.pricing.table import installed_table

    try:
        return installed_table().price(listed_name(ModelConfig(model, "litellm", model=model, url=url)))
    except NoPrice:
        return None


def folder_of(name: str) -> str | None:
    """Return the folder of a program by the name of its source; None for one that is no file, such as `<input>`."""
    return None if name.startswith("<") else os.path.dirname(name) or os.curdir
