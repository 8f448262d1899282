"""Repeatable chance: a draw is a function of what it is drawn for, so nothing depends on the order of calls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import blake2b
from statistics import NormalDist
from typing import Final, TypeVar

_NORMAL: Final = NormalDist()
Item = TypeVar("Item")


def uniform(*key: object) -> float:
    """Return a number between 0 and 1, exclusive, that is drawn for a key of texts and numbers."""
    digest = blake2b("\x1f".join(map(str, key)).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") + 0.5) / 2**64


def correlated(share: float, common: Sequence[object], own: Sequence[object]) -> float:
    """Return a uniform draw of which a share (of the variance of its normal score) is common to all with one key."""
    score = math.sqrt(share) * _NORMAL.inv_cdf(uniform(*common)) + math.sqrt(1 - share) * _NORMAL.inv_cdf(uniform(*own))
    return _NORMAL.cdf(score)


def pick(items: Sequence[Item], *key: object) -> Item:
    """Return one of the items, each as likely."""
    return items[int(uniform(*key) * len(items))]


def logistic(strength: float) -> float:
    """Return the probability that belongs to log odds."""
    return 1 / (1 + math.exp(-max(min(strength, 700.0), -700.0)))
