"""The tokenizers that a configuration names: `tokenizer` in `[models]`, a `tokenizer.json` or weights in GGUF.

A program's bounds depend on what its configuration says, never on what else lies on the machine: a model without that
key counts by the rule, the embedded one too.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from masdsl.tokenizers import Counter


def counter_of(path: str) -> Counter | None:
    """Return the counter of a tokenizer's file; None where weights have one of a kind that is not known here.

    Raises masdsl.tokenizers.TokenizerError for a file that cannot be used. One that stays the same is read once.
    """
    try:
        changed = os.stat(path).st_mtime_ns
    except (OSError, ValueError):
        changed = 0
    return _counter(path, changed)


@lru_cache(maxsize=16)
def _counter(path: str, changed: int) -> Counter | None:
    from masdsl.tokenizers import counter_from_gguf, counter_from_json

    return counter_from_gguf(path) if path.endswith(".gguf") else counter_from_json(path)
