"""The functions behind `extern` in the modules of the standard library.

Like the built-in functions they are pure, total and bounded: no argument of the declared types makes one fail, the same
arguments always give the same value, and no result is larger than its declaration in `stdlib/*.mas` says. They work on
typed values and on plain data alike. Each has the name of its declaration; a test matches the two, and the sizes.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from masdsl.runtime import answers
from masdsl.runtime.builtins import key_of
from masdsl.runtime.shapes import Record, plain

T = TypeVar("T")

# ---------------------------------------------------------------- std.text


def normalise(answer: str) -> str:
    """The key by which answers are compared."""
    return answers.clipped_to(answers.normal_answer(answer), answer)


def same(a: str, b: str) -> bool:
    """Whether two answers say the same."""
    return answers.normal_answer(a) == answers.normal_answer(b)


def similarity(a: str, b: str) -> float:
    """How much two texts have in common, from 0 to 1."""
    return answers.likeness(a, b)


def overlap(query: str, passage: str) -> float:
    """The share of the query's content words that the passage has, from 0 to 1."""
    return answers.covered(query, passage)


def chosen(reply: str, options: Sequence[str]) -> int | None:
    """The index of the option that a reply names; None where that is not plain."""
    return answers.option_named(reply, options)


def code_block(reply: str) -> str:
    """The code in a reply."""
    return answers.clipped_to(answers.code_in(reply), reply)


def final_answer(reply: str) -> str:
    """The answer that a reply comes to."""
    return answers.clipped_to(answers.answer_in(reply), reply)


def tagged(reply: str, tag: str) -> str | None:
    """What stands in `<tag>..</tag>`."""
    found = answers.inside_tag(reply, tag)
    return None if found is None else answers.clipped_to(found, reply)


def replaced(text: str, old: str, new: str) -> str:
    """The text with `new` wherever it has `old`, cut to the size of the text."""
    return answers.clipped_to(answers.put_in_place(text, old, new), text)


# ---------------------------------------------------------------- std.math


def sqrt(x: float) -> float:
    """The square root; 0.0 of what is negative."""
    return math.sqrt(x) if x > 0 else 0.0


def log(x: float) -> float:
    """The natural logarithm; 0.0 of what is not positive."""
    return math.log(x) if x > 0 else 0.0


def exp(x: float) -> float:
    """e to the power of x, at most the largest number."""
    return power(math.e, x)


def power(x: float, y: float) -> float:
    """x to the power of y; 0.0 where that is no number, at most the largest number."""
    try:
        value = float(x) ** float(y)
    except OverflowError:
        return -sys.float_info.max if x < 0 and float(y) % 2 == 1 else sys.float_info.max
    except ZeroDivisionError:
        return 0.0
    return value if isinstance(value, float) and math.isfinite(value) else 0.0


# ---------------------------------------------------------------- std.vote


def vote(options: Sequence[T]) -> T:
    """The most frequent option; of equally frequent ones the earliest."""
    return weighted(options, [])


def agreement(options: Sequence[T]) -> float:
    """The share of the most frequent option."""
    keys = [_answer_key(option) for option in options]
    return max(map(keys.count, set(keys)), default=0) / max(len(keys), 1)


def weighted(options: Sequence[T], weights: Sequence[float]) -> T:
    """The option with the greatest sum of weights; an option without a weight weighs 1. Of equal ones the earliest."""
    sums: dict[str, float] = {}
    first: dict[str, T] = {}
    for at, option in enumerate(options):
        key = _answer_key(option)
        first.setdefault(key, option)
        sums[key] = sums.get(key, 0.0) + (float(weights[at]) if at < len(weights) else 1.0)
    return first[max(sums, key=lambda key: sums[key])]


def best(options: Sequence[T], scores: Sequence[float]) -> T:
    """The option with the highest score, of equal ones the earliest; one without a score comes last."""
    return ranked(options, scores)[0]


def ranked(options: Sequence[T], scores: Sequence[float]) -> list[T]:
    """The options by falling score; equal ones keep their order, and those without a score come last."""
    scored = sorted(range(min(len(options), len(scores))), key=lambda at: -scores[at])
    return [*(options[at] for at in scored), *options[len(scored) :]]


def shuffled(items: Sequence[T], seed: int) -> list[T]:
    """The items in another order, the same one for each seed and number of items; 0 leaves them as they are."""
    order = list(items)
    if seed:
        random.Random(seed).shuffle(order)
    return order


def _answer_key(option: Any) -> str:
    """Return a text that is equal for answers that say the same: that of the field `answer` where there is one."""
    value = plain(option) if isinstance(option, Record) else option
    if isinstance(value, dict) and "answer" in value:
        value = value["answer"]
    return key_of(_normal(value))


def _normal(value: Any) -> Any:
    value = plain(value)
    if isinstance(value, str):
        return answers.normal_answer(value)
    if isinstance(value, list):
        return [_normal(item) for item in value]
    if isinstance(value, dict):
        return {name: _normal(inner) for name, inner in value.items()}
    return value


EXTERNS: Final[dict[str, Callable[..., Any]]] = {
    function.__name__: function
    for function in (
        normalise, same, similarity, overlap, chosen, code_block, final_answer, tagged, replaced,
        sqrt, log, exp, power,
        vote, agreement, weighted, best, ranked, shuffled,
    )
}  # fmt: skip
"""The functions by their names in programs."""
