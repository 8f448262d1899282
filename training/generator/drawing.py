"""Queries by kind, for training and held out: hand-written ones (`queries.toml`), arithmetic, and pools of others.

What is held out differs from what is trained on in its phrasing and in what the phrasing is about. Arithmetic from
templates has a gold answer, as pools have; the open kinds have none.
"""

from __future__ import annotations

import os
import random
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from masdsl.batch.rows import DataFault, rows_of
from masdsl.sizes import text_tokens

SIGNATURE: Final = "flow main({query}) -> {returns}"
CALLS: Final = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20)
"""Calls that a run may make; 20 is what larger numbers are told as (`masdsl.meta.trained`)."""
SUMS: Final = ("What is {}?", "Calculate {}.", "How much is {}?", "Work out {}.", "{} = ?", "Compute {}.")
HELD_OUT_SUMS: Final = ("Tell me what {} makes.", "Give me the result of {}.", "{}, please")
PROBLEMS: Final = (
    "{name} has {a} {thing} and buys {b} more. How many {thing} does {name} have now?",
    "There are {a} {thing} in a box. {name} takes {b} away. How many are left?",
    "{name} packs {a} bags with {b} {thing} each. How many {thing} are that?",
    "{name} had {a} {thing}, lost {b} and found {c}. How many {thing} are there in the end?",
    (
        "A shop sells {thing} for {b} dollars each. {name} buys {c} of them and pays with {a} dollars more than"
        " needed. How much does {name} pay?"
    ),
    "{name} reads {b} pages a day. How many pages does {name} read in {c} days?",
)
HELD_OUT_PROBLEMS: Final = (
    "{name} picks {a} {thing} in the morning and {b} in the afternoon. What is the total?",
    "Of {a} {thing}, {name} gives {b} to a friend. How many does {name} keep?",
    "Each of {c} children gets {b} {thing} from {name}. How many {thing} are handed out?",
)
NAMES: Final = ("Ana", "Ben", "Carla", "Deniz", "Emil", "Fay", "Gus", "Hana", "Ivo", "Juno")
THINGS: Final = ("apples", "stickers", "books", "coins", "shells", "pencils", "cards", "eggs")
NUMBERS: Final = ("text", "text", "int", "float", "text(20)")


class Drawn(NamedTuple):
    """A query with the type that is asked for, the tools and calls that there are, and its gold answer if any."""

    kind: str
    query: str
    returns: str
    tools: tuple[str, ...]
    calls: int
    answer: Any = None
    grader: str = ""

    @property
    def signature(self) -> str:
        """The head of the flow: with a size where the query needs it."""
        size = text_tokens(self.query)
        return SIGNATURE.format(query="query" if size <= 800 else f"query: text({size})", returns=self.returns)


class Pool(NamedTuple):
    """A pool of queries with gold answers (`training.data.pools` has their form): how many are taken of each half."""

    path: str
    kind: str
    grader: str
    train: int
    held_out: int


def draw(each: int, pools: Sequence[Pool], seed: int, *, held_out: bool) -> tuple[Drawn, ...]:
    """Return about `each` queries of each kind, shuffled. Raises DataFault for a pool that cannot be read."""
    chance = random.Random(f"{seed}/{held_out}")
    found = [*_sums(each, chance, held_out), *_problems(each, chance, held_out)]
    for kind, spec in written().items():
        found += _written(kind, spec, each, chance, held_out)
    for pool in pools:
        found += _of_pool(pool, chance, held_out)
    unique = list({one.query: one for one in found}.values())
    chance.shuffle(unique)
    return tuple(unique)


def written() -> dict[str, dict[str, Any]]:
    """Return the queries that are written by hand, by kind."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "queries.toml"), "rb") as file:
        return tomllib.load(file)


def _written(kind: str, spec: Mapping[str, Any], each: int, chance: random.Random, held_out: bool) -> list[Drawn]:
    before = "held_out_" if held_out else ""
    answers = spec.get("answers", []) if held_out else []
    pairs = [
        (phrasing, filler, answers[at] if answers else None)
        for phrasing in spec[f"{before}phrasings"]
        for at, filler in enumerate(spec[f"{before}fillers"])
    ]
    made = []
    for number, (phrasing, filler, answer) in enumerate(chance.sample(pairs, min(each, len(pairs)))):
        tools = tuple(spec.get("tools", ())) if number % 2 else ()
        query = phrasing.format(filler)
        query = query[:1].upper() + query[1:]
        returns = chance.choice(spec["returns"])
        grader = spec["grader"] if answers else ""
        made.append(Drawn(kind, query, returns, tools, _calls(chance), answer, grader))
    return made


def _calls(chance: random.Random) -> int:
    return 20 if chance.random() < 0.35 else chance.choice(CALLS)


def _sums(each: int, chance: random.Random, held_out: bool) -> list[Drawn]:
    made = []
    for _ in range(each):
        a, b, sign = chance.randint(3, 60), chance.randint(2, 40), chance.choice("+-*")
        if sign == "*":
            a, b = a % 12 + 2, b % 9 + 2
        a, b = max(a, b), min(a, b)
        result = {"+": a + b, "-": a - b, "*": a * b}[sign]
        said = chance.choice((f"{a} {sign} {b}", f"{a}{sign}{b}", f"{a} {_WORDS[sign]} {b}"))
        query = chance.choice(HELD_OUT_SUMS if held_out else SUMS).format(said)
        made.append(Drawn("sum", query, chance.choice(NUMBERS), (), _calls(chance), str(result), "numeric"))
    return made


_WORDS: Final = {"+": "plus", "-": "minus", "*": "times"}


def _problems(each: int, chance: random.Random, held_out: bool) -> list[Drawn]:
    made = []
    for _ in range(each):
        values = {
            "name": chance.choice(NAMES),
            "thing": chance.choice(THINGS),
            "a": chance.randint(20, 60),
            "b": chance.randint(3, 19),
            "c": chance.randint(2, 9),
        }
        query = chance.choice(HELD_OUT_PROBLEMS if held_out else PROBLEMS).format(**values)
        made.append(Drawn("word_problem", query, chance.choice(NUMBERS), (), _calls(chance)))
    return made


def _of_pool(pool: Pool, chance: random.Random, held_out: bool) -> list[Drawn]:
    """Return rows of a pool: the first half of its rows is for training, the second is held out."""
    rows = [(row.number, dict(row.columns)) for row in rows_of(pool.path)]
    half = len(rows) // 2
    rows = rows[half:] if held_out else rows[:half]
    count = min(pool.held_out if held_out else pool.train, len(rows))
    made = []
    for number, row in chance.sample(rows, count):
        query, answer = row.get("query"), row.get("answer")
        if not isinstance(query, str) or answer is None:
            raise DataFault(f"{pool.path}:{number}: it has no query or no answer; give each row both")
        returns = "text" if pool.kind == "choice" else chance.choice(NUMBERS)
        made.append(Drawn(pool.kind, query, returns, (), _calls(chance), answer, pool.grader))
    return made
