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


SHORT_CONTEXT: Final = 6_000
"""A model that reads no more tokens is shown one example: what it writes is kept right by the decoder, or mended."""
SHORT_GUIDE: Final = """\
A program of the language masdsl:
```mas
mas 1
agent solver(query) -> text(300)
  "Work on this: {{ query }}"
agent critic(query, answer: text(300)) -> text(200)
  "What is wrong with {{ answer }} as an answer to {{ query }}?"
agent editor(answer: text(300), faults: text(200)) -> text(300)
  "Mend {{ faults }} in {{ answer }}"
flow main(query) -> text(300) {
  answer = solver(query)
  faults = critic(query, answer)
  return editor(answer, faults)
}
```"""


def guide_for(context: int | None) -> str:
    """Return the guide for a model that reads so many tokens; None where that is not known."""
    return SHORT_GUIDE if context is not None and context <= SHORT_CONTEXT else language_guide()


def language_reference() -> str:
    """Return the whole reference of the language, in Markdown. Raises FileNotFoundError like `language_guide`."""
    return read_text("grammar", "spec.md")
