"""A table of programs whose steps design systems, what they cost at worst, and a designer that takes all it can get.

The designer asks until the slice around it refuses: what it takes is the most that any designed system could take.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import count
from random import Random
from typing import Any, NamedTuple

from masdsl.money import PICODOLLARS
from masdsl.runtime import Agent, StepFailed
from masdsl.runtime.designing import Workshop
from masdsl.runtime.models.base import Reply, Request
from masdsl.sizes import DESIGN_TOKENS
from masdsl.tools.base import Declared, Mismatch
from tests.harness.bounding import Case, Took, largest_inputs, play, prepared

HEAD = """mas 1
tool design(q) -> text(30) from "masdsl.design" timeout 50
tool mild(q) -> text(30) else "m" from "masdsl.design"
agent a(q) -> text(30) else "a" timeout 3 "A. {{ q }}"
flow own(x: text(30)) -> text(30) budget calls 3 tokens 20k { v = design(x) return v }
"""
DEAREST = 15_000_000
"""Picodollars of a token of the dearest tier (`bounding.PRICES`)."""


class Known(NamedTuple):
    """The body of a flow `main(x: text(30), xs: text(30)[2]+)`, and its worst case; None is what is not looked at.

    `least` are its calls where nothing fails, `required` the tokens that it needs for that.
    """

    body: str
    calls: int
    tokens: int | None
    usd: int | None
    seconds: float
    least: int = 1
    required: int = DESIGN_TOKENS


PROGRAMS = (
    Known("within calls 4 tokens 9k { v = design(x) } return v", 4, 9_000, 9_000 * DEAREST, 50),
    Known("within calls 4 tokens 9k { v = mild(x) } return v", 4, 9_000, 9_000 * DEAREST, 600, least=0),
    Known("within calls 4 tokens 9k usd 0.02 { v = design(x) } return v", 4, 9_000, PICODOLLARS // 50, 50),
    Known("within calls 4 tokens 9k seconds 7 { v = design(x) } return v", 4, 9_000, 9_000 * DEAREST, 7),
    Known("within tokens 9k { within calls 4 { v = design(x) } } return v", 4, 9_000, 9_000 * DEAREST, 50),
    Known(
        "within calls 4 tokens 9k { v = design(x) w = design(v) } return w", 4, 9_000, 18_000 * DEAREST, 100, least=2
    ),
    Known("loop 3 { within calls 4 tokens 9k { x = design(x) } } return x", 12, 27_000, 27_000 * DEAREST, 150, least=3),
    Known("v = own(x) return v", 3, 20_000, 20_000 * DEAREST, 50),
    Known("v = own(x) else a(x) return v", 4, None, None, 53, required=0),
    Known("v = each i in xs: own(i) return first(v)", 6, 40_000, 40_000 * DEAREST, 50),
    Known("within calls 4 tokens 9k { v = 2 of design(x) } return first(v)", 4, 9_000, 18_000 * DEAREST, 50, least=2),
)


class Greedy:
    """A designer that asks until it is refused, and gives its value then."""

    def mismatches(self, declared: Declared) -> Iterable[Mismatch]:
        return ()

    async def open(self, declared: Declared) -> None:
        """Need nothing."""

    def function(self, declared: Declared) -> Any:
        raise AssertionError("a designer is no function")

    def among(self, tools: Iterable[Declared]) -> Greedy:
        return self

    async def design(self, workshop: Workshop, declared: Declared, inputs: Mapping[str, object]) -> object:
        number = 0
        try:
            while True:
                for agent in (LARGE, SMALL):
                    await workshop.ask(number, agent)
                number += 1
        except StepFailed:
            return "as much as there was"


LARGE = Agent[str](name="large", returns=str, prompt="!" * 1_000, max_tokens=500, model="smart")
SMALL = Agent[str](name="small", returns=str, prompt="!", max_tokens=20, model="odd")


def drawn(draw: Random) -> Known:
    """Return a random program with steps that design, alone, side by side, one inside of what the other may take."""

    names = (f"v{number}" for number in count())

    def block(depth: int, known: str, limited: bool) -> tuple[list[str], str]:
        """Return lines that begin with this name for a text, and the name for the text behind them."""
        lines = []
        kinds = ["a({})", "own({})", "2 of own({})"] + ["design({})", "mild({})", "design({}) else a({})"] * limited
        for kind in draw.choices([*kinds, "3 of mild({})"] if limited else kinds, k=draw.randint(1, 2)):
            name = next(names)
            lines.append(f"{name} = {kind.format(known, known)}")
            if " of " in kind:
                lines.append(f"{(once := next(names))} = first({name})")
                name = once
            known = name
        if depth:
            limits = f"calls {draw.randint(1, 7)} tokens {draw.randint(1, 9)}k"
            limits += draw.choice(("", f" seconds {draw.randint(1, 90)}", f" usd 0.0{draw.randint(1, 9)}"))
            inner, behind = block(depth - 1, known, True)
            lines += [f"within {limits} {{", *inner, "}"]
            head = draw.choice(("loop 2 {", f'if {known} == "" {{'))
            lines += [head, *block(depth - 1, known, limited)[0], "}"]
            known = behind
        return lines, known

    lines, last = block(2, "x", False)
    return Known("\n".join((*lines, f"return {last}")), 0, None, None, 0)


@cache
def case(known: Known) -> Case:
    """Return a program, compiled."""
    return prepared(f"{HEAD}flow main(x: text(30), xs: text(30)[2]+) -> text(30) {{ {known.body} }}\n")


@cache
def taken(known: Known, slow: bool) -> Took:
    """Return what a run takes in which every design is greedy; `slow` models never answer."""
    of = case(known)
    return play(of, Long(slow), largest_inputs(of), tools={"masdsl.design": Greedy()})


class Long:
    """Answers with as many tokens as it may have; where it is `slow`, not while anybody waits."""

    def __init__(self, slow: bool) -> None:
        self._slow = slow

    async def complete(self, request: Request) -> Reply:
        if self._slow:
            await asyncio.sleep(1e6)
        return Reply("!" * request.max_tokens, output_tokens=request.max_tokens)
