"""Counts tokens by `cl100k_base`, the tokenizer of GPT-4, whose file every installed litellm holds: no download."""

from __future__ import annotations

import os
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tiktoken import Encoding

NAME: Final = "cl100k_base"
_FILE: Final = "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
"""What tiktoken calls the file of the tokenizer: the SHA-1 of its address. tiktoken checks what is in it."""


def count(text: str) -> int:
    """Return how many tokens a text has; raise FileNotFoundError where litellm does not bring the tokenizer."""
    return len(_encoding().encode(text, disallowed_special=()))


@lru_cache(maxsize=1)
def _encoding() -> Encoding:
    package = find_spec("litellm")
    assert package is not None and package.origin is not None
    folder = Path(package.origin).parent / "litellm_core_utils" / "tokenizers"
    if not (folder / _FILE).is_file():
        raise FileNotFoundError(f"{folder / _FILE}: this litellm brings no {NAME}")
    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
    try:
        import tiktoken

        return tiktoken.get_encoding(NAME)
    finally:
        if before is None:
            del os.environ["TIKTOKEN_CACHE_DIR"]
        else:
            os.environ["TIKTOKEN_CACHE_DIR"] = before
