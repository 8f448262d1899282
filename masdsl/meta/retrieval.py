"""Systems that are near to a query: of the pool that comes with masdsl, of past successes, of whatever else is known.

By default nearness is that of words (BM25 over what a system says of itself); with the extra `masdsl[meta]` it is that
of meaning (`masdsl.meta.embedding`), and words decide between equals.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from masdsl.meta.systems import parsed
from masdsl.resources import names, read_text
from masdsl.syntax import ast
from masdsl.syntax.walk import iterate

POOL: Final = "examples/pool"
QUERY_WORDS: Final = 400
"""Words of a query that are looked for; what stands behind them of a very long one says nothing new."""
PROVED: Final = 1.25
"""The worth of a system whose answer somebody has called good."""
K1, B = 1.2, 0.75
"""BM25's usual constants."""
_WORD = re.compile(r"[^\W_]+")
_COMMON = (
    "a an and are as at be but by can do for from give has have how i if in into is it its me of on or so that the them"
    " then there this to was what when where which who why will with you your"
)
_STOP_WORDS: Final = frozenset(_COMMON.split())
GENERAL: Final = ("masgpt_self_consistency", "self_refine", "maslab_cot", "maslab_llm_debate")
"""Systems for anything: those of the pool that are nearest to a query that nothing is near to."""

Embed = Callable[[Sequence[str]], "list[list[float]]"]
"""Gives texts as vectors of length 1."""


class Known(NamedTuple):
    """A system that is known: its program, what it is in a sentence, what it says of itself, where it comes from.

    `worth` says how much nearer to a query it counts than it is, for having proved itself.
    """

    name: str
    text: str
    title: str
    about: str
    origin: Literal["pool", "success", "library"] = "pool"
    worth: float = 1.0


class Example(NamedTuple):
    """A known system and how near it is to a query: 0 is not at all; only the order counts."""

    system: Known
    score: float


@lru_cache(maxsize=1)
def pool_systems() -> tuple[Known, ...]:
    """Return the systems of the pool, by name; none where an installation lacks them."""
    found = []
    for name in names(POOL, ".mas"):
        text = read_text(POOL, name)
        found.append(Known(name.removesuffix(".mas"), text, title(text), about(text)))
    return tuple(found)


def title(text: str) -> str:
    """Return the first sentence of what stands above a program's `main`, or of its first comment."""
    before = text.partition("\nflow main")[0].splitlines()
    said: list[str] = []
    for line in reversed(before):
        if not line.startswith("##"):
            break
        said.insert(0, line.strip("# "))
    return re.split(r"(?<=[.!?])\s", " ".join(said), maxsplit=1)[0]


def about(text: str) -> str:
    """Return what a program says of itself: its comments, roles, prompts and names, as plain words."""
    said = [line.strip("# ") for line in text.splitlines() if line.startswith("##") and "Paper:" not in line]
    program = parsed(text)
    for item in program.items if program is not None else ():
        if isinstance(item, ast.Test | ast.Use | ast.Budget | ast.Rectify):
            continue
        said += [node.value for node in iterate(item) if isinstance(node, ast.StrLit)]
        if isinstance(item, ast.Agent | ast.Variant | ast.Flow | ast.Tool):
            said.append(item.name.text.replace("_", " "))
    return " ".join(" ".join(said).split())


def nearest(query: str, known: Iterable[Known], count: int, embed: Embed | None = None) -> tuple[Example, ...]:
    """Return the systems that are nearest to a query, the nearest first; of equals, the first by name.

    Of equals, those of past successes and of a library stand before those of the pool.
    """
    systems = sorted(known, key=lambda one: (one.origin == "pool", one.name))
    by_words = bm25(query, [f"{one.name.replace('_', ' ')} {one.about}" for one in systems])
    scores = by_words
    if embed is not None and systems:
        asked, *vectors = embed([" ".join(query.split()[:QUERY_WORDS]), *(one.about for one in systems)])
        most = max(by_words, default=0.0) or 1.0
        near = [sum(mine * theirs for mine, theirs in zip(asked, vector, strict=True)) for vector in vectors]
        scores = [meaning + 0.01 * words / most for meaning, words in zip(near, by_words, strict=True)]
    found = [Example(system, score * system.worth) for system, score in zip(systems, scores, strict=True)]

    def order(one: Example) -> tuple[float, int]:
        name = one.system.name
        return -one.score, GENERAL.index(name) if name in GENERAL else len(GENERAL)

    return tuple(sorted(found, key=order)[:count])  # sorting keeps the order of equals


def bm25(query: str, documents: Sequence[str]) -> list[float]:
    """Return the BM25 score of each document for a query (Robertson and Zaragoza, 2009)."""
    counted = [Counter(terms(document)) for document in documents]
    lengths = [sum(one.values()) for one in counted]
    mean = sum(lengths) / len(lengths) if lengths else 1.0
    asked = dict.fromkeys(terms(query)[:QUERY_WORDS])
    scores = [0.0] * len(documents)
    for term in asked:
        having = sum(term in one for one in counted)
        if not having:
            continue
        weight = math.log(1 + (len(documents) - having + 0.5) / (having + 0.5))
        for number, one in enumerate(counted):
            times = one[term]
            if times:
                scores[number] += weight * times * (K1 + 1) / (times + K1 * (1 - B + B * lengths[number] / mean))
    return scores


def terms(text: str) -> list[str]:
    """Return the words of a text that say something, in small letters and without the commonest endings."""
    return [_stem(word) for word in _WORD.findall(text.lower()) if word not in _STOP_WORDS]


def _stem(word: str) -> str:
    for ending in ("ations", "ation", "ings", "ing", "ies", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word.removesuffix(ending)
    return word
