"""The language on one page, for a model that is to write it, and the whole reference: `grammar/guide.md`, `spec.md`."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from masdsl.resources import read_text

MOST_TOKENS: Final = 1_500
"""The guide is shorter, by any of the tokenizers that it is tested with."""


@lru_cache(maxsize=1)
def language_guide() -> str:
    """Return the guide, in Markdown: programs, bindings and patches, each with an example that is right.

    Raises FileNotFoundError for a broken installation.
    """
    return read_text("grammar", "guide.md")


def language_reference() -> str:
    """Return the whole reference of the language, in Markdown. Raises FileNotFoundError like `language_guide`."""
    return read_text("grammar", "spec.md")
