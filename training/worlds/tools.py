"""Tools of the simulated world, which fail for a share of the requests, always for the same ones.

`tools_of` gives them for the world in a folder; the module that stands there (`simulated.SHIM`) offers them to its
configuration. A tool that fails raises, as any Python function may.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from typing import NamedTuple

from training.worlds.chance import uniform
from training.worlds.problems import value_of

_WORD = re.compile(r"\w+")


class ServiceDown(RuntimeError):
    """The simulated service does not answer."""


class WorldTools(NamedTuple):
    """The tools of a world: `fails` is the share of requests that they do not answer, `seed` the world's."""

    folder: str
    fails: float
    seed: int

    def look_up(self, query: str) -> str:
        """Return the document that has most of the words of a query; raises ServiceDown for a share of them."""
        self._may_fail("look_up", query)
        words = {word.casefold() for word in _WORD.findall(query)}
        documents = _documents(os.path.join(self.folder, "documents.jsonl"))
        best = max(documents, key=lambda one: len(words & one[1]), default=("", frozenset()))
        return best[0] if len(words & best[1]) > 2 else "Nothing was found."

    def calculate(self, expression: str) -> str:
        """Return the value of an expression of whole numbers; raises ServiceDown for a share of them.

        Raises ValueError for anything else, ZeroDivisionError for a division by nothing.
        """
        self._may_fail("calculate", expression)
        value = value_of(expression[:200])
        return str(value.numerator) if value.denominator == 1 else str(float(value))

    def _may_fail(self, tool: str, request: str) -> None:
        if uniform(self.seed, tool, request) < self.fails:
            raise ServiceDown("simulated: the service does not answer")


@cache
def _documents(path: str) -> tuple[tuple[str, frozenset[str]], ...]:
    with open(path, encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    return tuple((text, frozenset(word.casefold() for word in _WORD.findall(text))) for text in texts)
