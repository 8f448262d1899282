"""Runs that are held against bounds: each is made once, however many analyses are judged by it.

`faults(bound)` judges an analysis by all of them. The tests of bounds use it for the analysis itself, where it finds
nothing, and for mutants of it, where it must find something.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from random import Random
from typing import Any

from masdsl.bounds.result import Bounds, Part
from masdsl.check.program import Program
from masdsl.money import TokenPrice
from masdsl.sizes import MICROSECONDS
from tests.harness import dearest, designs, generate_dear, slowest
from tests.harness.adversary import Adversary, Counts, Hostile, Pace, draw
from tests.harness.bounding import Case, Took, exceeded, largest_inputs, play, prepared

Analysis = Callable[[Program, Mapping[str, TokenPrice]], Bounds]
MOST_CALLS = 3_000
"""Generated programs whose bound is higher take too long to run."""
PACES: tuple[Pace, ...] = ("instant", "last moment", "mixed")
COUNTS: tuple[Counts, ...] = ("most", "most", "zero", "none", "absurd")


def enemy(case: Case, seed: int) -> Adversary:
    """Return an adversary whose habits follow from the seed: the worst there is, a mild one, or any."""
    habits: dict[str, Any] = {name: draw(seed, name) for name in ("faults", "broken", "nones", "failures", "varied")}
    if seed % 4 == 0:
        habits = {"varied": draw(seed, "varied")}
    elif seed % 4 == 1:
        habits = {"faults": 0.3, "failures": 0.1, "nones": 0.2, "varied": 0.8}
    counts = "most" if seed % 4 == 0 else COUNTS[int(draw(seed, "counts") * len(COUNTS))]
    return Adversary(case.compiled, seed, PACES[seed % 3], counts=counts, **habits)


def played(case: Case, seed: int) -> Took:
    """Run a program of the generator against an enemy."""
    texts = ("!", "word ", '"', "!\n")
    inputs = largest_inputs(case, of=texts[int(draw(seed, "of") * len(texts))])
    if seed % 16 == 15:
        return play(case, Hostile(seed), inputs, tools=enemy(case, seed).tools, seed=seed)
    return play(case, enemy(case, seed), inputs, seed=seed)


@cache
def generated(seed: int, size: int = 5) -> Case:
    """Return a generated program; of every other one the models call tools by a protocol."""
    return prepared(generate_dear.program(Random(seed), size), native=seed % 2 == 1)


@cache
def runs(seed: int, count: int) -> tuple[Took, ...]:
    """Return what so many runs of a generated program took; none where it is too dear to be run."""
    from masdsl.bounds.flows import bound  # the true one

    case = generated(seed)
    if bound(case.program, case.prices).flows["main"].most.calls > MOST_CALLS:
        return ()
    return tuple(played(case, 100 * seed + number) for number in range(count))


def faults(analysis: Analysis, seeds: range) -> Iterator[str]:
    """Yield what runs show to be wrong with an analysis."""
    for known in dearest.PROGRAMS:
        yield from (f"{known.name}: {fault}" for fault in of_dearest(analysis, known.name))
    for body, _ in slowest.PROGRAMS:
        yield from (f"{body}: {fault}" for fault in of_slowest(analysis, body))
    for design in designs.PROGRAMS:
        yield from (f"{design.body}: {fault}" for fault in of_design(analysis, design))
    for seed in seeds:
        yield from (f"seed {seed}: {fault}" for fault in of_seed(analysis, seed, 4))


def of_dearest(analysis: Analysis, name: str) -> list[str]:
    """Return what is wrong with the bound of a program of the table `dearest`."""
    known, case = dearest.BY_NAME[name], dearest.case_of(name)
    found = analysis(case.program, case.prices).flows["main"]
    dear, cheap = dearest.dearest(name), dearest.cheapest(name)
    wrong = [*exceeded(dear, found), *exceeded(cheap, found)]
    if not dear.gives or not cheap.gives:
        wrong.append(f"no value: {dear.why}{cheap.why}")
    for measure in known.exact:
        taken, limit = getattr(dear, measure), getattr(found.most, measure)
        if taken != limit:
            wrong.append(f"{measure}: {taken} at most, not {limit}")
    if dear.tokens_in < known.share * found.most.tokens_in:
        wrong.append(f"input tokens: {dear.tokens_in} are too little of {found.most.tokens_in}")
    if not _shares_suffice(found.parts, found.needed.calls):
        wrong.append("statements have too little of the calls")
    least = (cheap.calls, cheap.tokens_in)
    if known.least and least != (found.least.calls, found.least.tokens_in):
        wrong.append(f"the least is {least}")
    return wrong


def _shares_suffice(parts: Sequence[Part], calls: int) -> bool:
    """Whether statements make up the calls of what they are in, and so do those inside them."""
    inside = (_shares_suffice(part.parts, part.most.calls) for part in parts if part.parts)
    return sum(part.most.calls for part in parts) >= calls and all(inside)


def of_slowest(analysis: Analysis, body: str) -> list[str]:
    """Return what is wrong with the bound of a program of the table `slowest`."""
    case, slow = slowest.slow_case(body), slowest.slowest(body)
    found = analysis(case.program, case.prices).flows["main"]
    wrong = exceeded(slow, found)
    expected = round(dict(slowest.PROGRAMS)[body] * MICROSECONDS)
    if not slow.seconds == found.seconds == expected:
        wrong.append(f"microseconds: took {slow.seconds}, bound {found.seconds}, expected {expected}")
    return wrong


def of_design(analysis: Analysis, known: designs.Known) -> list[str]:
    """Return what is wrong with the bound of a program of the table `designs`."""
    case = designs.case(known)
    found = analysis(case.program, case.prices).flows["main"]
    runs = [designs.taken(known, slow) for slow in (False, True)]
    wrong = [fault for took in runs for fault in exceeded(took, found)]
    if runs[0].calls != known.calls and not runs[0].refused:
        wrong.append(f"{runs[0].calls} calls")
    bounds = (found.most.calls, found.most.tokens, found.most.usd, found.seconds)
    expected = (known.calls, known.tokens, known.usd, round(known.seconds * MICROSECONDS))
    if any(wanted is not None and one != wanted for one, wanted in zip(bounds, expected, strict=True)):
        wrong.append(f"bound {bounds}, expected {expected}")
    if found.least.calls != known.least or (known.least and found.required.tokens < known.required):
        wrong.append(f"the least is {found.least}, with {found.required}")
    return wrong


def of_seed(analysis: Analysis, seed: int, count: int) -> list[str]:
    """Return what runs of a generated program show to be wrong with its bound."""
    wrong: list[str] = []
    took = runs(seed, count)
    if took:
        case = generated(seed)
        found = analysis(case.program, case.prices).flows["main"]
        wrong = [fault for one in took for fault in exceeded(one, found)]
    return wrong
