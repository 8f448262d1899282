"""Budgets inside budgets: of the host, the caller, the program, flows and slices. The narrowest holds, and is named."""

from __future__ import annotations

import os
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import masdsl
from masdsl import sizes
from masdsl.config import DEFAULT, Ceiling
from masdsl.money import limit_of
from masdsl.runtime import Agent, BudgetExceeded, Limits, Program, Result, Run, RunFailed, StepFailed, flow
from masdsl.runtime.models.base import Price
from masdsl.runtime.models.scripted import Says, ScriptedModel
from masdsl.source import Source
from tests.harness.virtual_time import run

ok = Agent[str](name="ok", returns=str, prompt="OK", max_tokens=100, default="-")
firm = Agent[str](name="firm", returns=str, prompt="OK", max_tokens=100)
PRICE = Price(1.0, 10.0)
ASKED = sizes.REQUEST_TOKENS + sizes.MESSAGE_TOKENS + sizes.counted_tokens("OK")
SAID = sizes.counted_tokens("x")
RESERVED, TAKEN = ASKED + 100, ASKED + SAID


def play(main: Any, own: Limits | None = None, model: Any = None, **options: Any) -> Result:
    program = Program(name="p", flows=(main,), agents=(ok, firm), budget=own)
    model = model or ScriptedModel({"*": Says("x", after=1.0)}, price=PRICE)
    return run(program.run(main.__name__, models=model, **options))


def refusals(result: Result) -> list[str]:
    return [f"{event.address}: {event.detail}" for event in result.events if event.kind == "refused"]


async def some(run: Run, count: int) -> str:
    """A flow that asks so many times, one after the other."""
    return "".join([await step.call("x", ok) for step in run.loop("r", count)])


# ---------------------------------------------------------------- the order of limits

# Every kind of budget that a call may stand under, from the outside in, and its name in messages.
PLACES = ("ceiling", "program", "caller", "flow", "slice")
NAMES = {
    "ceiling": "the ceiling in mas.toml",
    "program": "the budget",
    "caller": "the budget of this run",
    "flow": "the budget of flow main.inner",
    "slice": "`within` at main.inner.part",
}


def under(limits: dict[str, Limits]) -> Result:
    """Ask five times under budgets in all places."""

    @flow(limits=limits["flow"])
    async def inner(run: Run) -> str:
        own = limits["slice"]
        async with run.within("part", calls=own.calls, tokens=own.tokens, usd=own.usd, seconds=own.seconds) as part:
            return "".join([await step.call("x", ok) for step in part.loop("r", 5)])

    async def main(run: Run) -> str:
        return await run.call("inner", inner)

    return play(main, limits["program"], budget=limits["caller"], ceiling=limits["ceiling"])


def of_kind(kind: str, calls: int) -> Limits:
    """A limit of some kind that has room for so many calls, and not for one more. Of seconds, half a call is left."""
    tokens = TAKEN * (calls - 1) + RESERVED if calls else 0
    picodollars = calls and (TAKEN * 1 + SAID * 9) * 10**6 * (calls - 1) + (RESERVED * 1 + 100 * 9) * 10**6
    return {
        "calls": Limits(calls=calls),
        "tokens": Limits(tokens=tokens),
        "usd": Limits(usd=picodollars / 10**12),
        "seconds": Limits(seconds=calls + 0.5),
    }[kind]


@pytest.mark.parametrize("kind", ["calls", "tokens", "usd", "seconds"])
@pytest.mark.parametrize("tightest", PLACES)
def test_the_narrowest_budget_holds_wherever_it_stands(kind: str, tightest: str) -> None:
    result = under({place: of_kind(kind, 2 if place == tightest else 4) for place in PLACES})
    assert (result.value, result.calls) == ("xx---", 3 if kind == "seconds" else 2)
    assert all(f"refused by {NAMES[tightest]}: " in refusal for refusal in refusals(result))


@pytest.mark.parametrize("order", list(permutations(("calls", "tokens", "usd"))))
def test_limits_of_different_kinds_hold_together(order: tuple[str, ...]) -> None:
    """Each place limits another thing, contradicting the others: the one that is used up first refuses."""
    rooms = dict(zip(("program", "flow", "slice"), (3, 2, 1), strict=True))
    limits = {place: of_kind(kind, rooms[place]) for place, kind in zip(rooms, order, strict=True)}
    result = under({place: limits.get(place, Limits()) for place in PLACES})
    assert (result.value, result.calls) == ("x----", 1)
    assert all(f"refused by {NAMES['slice']}" in refusal for refusal in refusals(result))


def test_an_inner_budget_that_is_wider_changes_nothing() -> None:
    assert under({place: Limits(calls=PLACES.index(place)) for place in PLACES}).calls == 0


# ---------------------------------------------------------------- callees, siblings, flows in slices


def test_a_callee_cannot_outspend_the_slice_of_its_caller() -> None:
    @flow(limits=Limits(calls=100))
    async def inner(run: Run) -> str:
        return await run.call("more", some, count=9)

    async def main(run: Run) -> str:
        async with run.within("part", calls=3) as part:
            value = await part.call("inner", inner)
        return value + await run.call("rest", some, count=2)

    result = play(main)
    assert (result.value, result.calls) == ("xxx------xx", 5)
    assert set(refusals(result)) == {
        f"main.part.inner.more.r.x[{n}]: refused by `within` at main.part: all 3 calls are used up" for n in range(3, 9)
    }


def test_slices_side_by_side_do_not_share() -> None:
    async def main(run: Run) -> str:
        async def first() -> str:
            async with run.within("first", calls=1) as part:
                return await part.call("s", some, count=3)

        async def second() -> str:
            async with run.within("second", calls=2) as part:
                return await part.call("s", some, count=3)

        one, two = run.start(first()), run.start(second())
        return f"{await one} {await two}"

    assert play(main).value == "x-- xx-"


def test_a_slice_begins_anew_in_every_round_and_every_sample() -> None:
    async def main(run: Run) -> str:
        async def one(run: Run) -> str:
            async with run.within("part", calls=1) as part:
                return await part.call("s", some, count=2)

        rounds = [await one(step) for step in run.loop("again", 2)]
        return " ".join([*rounds, *await run.sample(2, one)])

    assert play(main).value == "x- x- x- x-"
    assert play(main, Limits(calls=3)).calls == 3


def test_samples_share_the_slice_around_them() -> None:
    async def main(run: Run) -> str:
        async def one(run: Run) -> str:
            return await run.call("x", ok)

        async with run.within("part", calls=3) as part:
            return "".join(await part.sample(5, one))

    assert play(main).value == "xxx--"


def test_every_call_of_a_flow_has_its_own_budget_within_the_slice() -> None:
    @flow(limits=Limits(calls=2))
    async def inner(run: Run) -> str:
        return await run.call("s", some, count=3)

    async def main(run: Run) -> str:
        async with run.within("part", calls=5) as part:
            values = [await part.call(f"c{number}", inner) for number in range(4)]
        return " ".join(values)

    result = play(main)
    assert (result.value, result.calls) == ("xx- xx- x-- ---", 5)
    names = [refusal.split(": ")[1].removeprefix("refused by ") for refusal in refusals(result)]
    assert names == [
        "the budget of flow main.part.c0",
        "the budget of flow main.part.c1",
        *["`within` at main.part"] * 5,
    ]


def test_a_slice_in_a_slice() -> None:
    async def main(run: Run) -> str:
        async with run.within("outer", calls=3) as outer:
            async with outer.within("inner", calls=2) as inner:
                first = await inner.call("s", some, count=3)
            return f"{first} {await outer.call('s', some, count=3)}"

    assert play(main).value == "xx- x--"


def test_the_seconds_of_a_slice_begin_with_it() -> None:
    async def main(run: Run) -> str:
        before = await run.call("s", some, count=3)
        async with run.within("part", seconds=2.5) as part:
            inside = await part.call("s", some, count=4)
        return f"{before} {inside} {await run.call('t', some, count=1)}"

    result = play(main)
    assert (result.value, result.seconds) == ("xxx xx-- x", 6.5)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.none() | st.integers(0, 900)), min_size=4, max_size=4),
    st.lists(st.integers(0, 6), min_size=3, max_size=3),
)
def test_nested_slices_spend_what_a_ledger_by_hand_spends(
    sizes_of: list[tuple[int, int | None]], rounds: list[int]
) -> None:
    """Three slices inside one another around sequences of calls, against a reckoning by hand."""
    limits = [Limits(calls=calls, tokens=tokens) for calls, tokens in sizes_of]

    async def main(run: Run) -> str:
        async def inside(run: Run, depth: int) -> str:
            if depth == 3:
                return ""
            own = limits[depth + 1]
            async with run.within(f"d{depth}", calls=own.calls, tokens=own.tokens) as part:
                own_calls = await part.call("s", some, count=rounds[depth])
                return own_calls + await inside(part, depth + 1)

        return await inside(run, 0)

    left = [[limit.calls or 0, 10**9 if limit.tokens is None else limit.tokens] for limit in limits]
    expected = ""
    for depth in range(3):
        for _ in range(rounds[depth]):
            around = left[: depth + 2]
            fits = all(calls >= 1 and tokens >= RESERVED for calls, tokens in around)
            expected += "x" if fits else "-"
            for place in around if fits else ():
                place[0] -= 1
                place[1] -= TAKEN
    assert play(main, limits[0]).value == expected


# ---------------------------------------------------------------- nothing, too little, contradictions


@pytest.mark.parametrize(
    ("budget", "why"),
    [
        (Limits(calls=0), "refused by the budget: it allows no calls"),
        (Limits(seconds=0), "refused by the budget: it allows no time"),
        (Limits(tokens=0), f"refused by the budget: it may need {RESERVED} tokens, more than the 0 in all"),
        (
            Limits(tokens=RESERVED - 1),
            f"refused by the budget: it may need {RESERVED} tokens, more than the {RESERVED - 1} in all",
        ),
        (Limits(usd=0.0), "more than the 0 in all"),
        (Limits(usd=1e-13), "more than the 0 in all"),
        (Limits(usd=1e-6), "more than the 0.000001 in all"),
    ],
)
def test_a_budget_that_fits_no_call_refuses_the_first_one(budget: Limits, why: str) -> None:
    async def main(run: Run) -> str:
        return await run.call("x", firm)

    model = ScriptedModel({"*": "x"}, price=PRICE)
    with pytest.raises(BudgetExceeded) as caught:
        play(main, budget, model)
    assert why in caught.value.reason and caught.value.step == "main.x"
    result = caught.value.result
    assert (result.calls, result.tokens, result.picodollars, model.requests) == (0, 0, 0, [])


def test_free_models_run_under_no_money_at_all() -> None:
    async def main(run: Run) -> str:
        return await run.call("x", firm)

    assert play(main, Limits(usd=0.0), ScriptedModel({"*": "x"})).value == "x"


def test_a_refused_step_follows_its_else_and_the_run_goes_on() -> None:
    async def main(run: Run) -> str:
        try:
            value = await run.call("x", firm)
        except StepFailed:
            value = await run.call("cheap", ok)
        return value + "!"

    result = play(main, Limits(calls=0))
    assert (result.value, result.calls) == ("-!", 0)


# ---------------------------------------------------------------- the host's ceiling

PROGRAM = """mas 1
budget calls 50
agent asker(q) -> text(20) else "-" "Answer."
flow main(q) -> text {
  a = asker(q)
  b = asker(q)
  c = asker(q)
  return join([a, b, c], "")
}
"""


def loaded(ceiling: Ceiling, text: str = PROGRAM) -> Any:
    """Load a program, and only then lower the ceiling: the checker would not let programs through that cannot fit."""
    program = masdsl.load(Source("<test>", text), config=DEFAULT, models=ScriptedModel({"*": "x"}, price=PRICE))
    program.config = DEFAULT._replace(ceiling=ceiling)
    return program


@pytest.mark.parametrize(
    ("ceiling", "value"),
    [
        (Ceiling(), "xxx"),
        (Ceiling(calls=2), "xx-"),
        (Ceiling(calls=0), "---"),
        (Ceiling(tokens=1), "---"),
        (Ceiling(usd=0.0), "---"),
        (Ceiling(seconds=0.0), "---"),
    ],
)
def test_a_ceiling_holds_around_programs_that_are_loaded(ceiling: Ceiling, value: str) -> None:
    result = run(loaded(ceiling).main.run("q"))
    assert result.value == value
    assert all(": refused by the ceiling in mas.toml: " in refusal for refusal in refusals(result))


def test_neither_program_nor_caller_can_raise_the_ceiling() -> None:
    program = loaded(Ceiling(calls=1))
    for options in ({"budget": Limits(calls=99)}, {"ceiling": Limits(calls=99)}, {"ceiling": None}):
        assert run(program.start("main", {"q": "q"}, **options)).value == "x--"


def test_a_callers_own_ceiling_may_be_lower() -> None:
    assert run(loaded(Ceiling(calls=2)).start("main", {"q": "q"}, ceiling=Limits(calls=1))).value == "x--"


def test_a_compiled_program_by_itself_is_held_by_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "script.toml").write_text('[replies]\n"*" = "x"\n')
    (tmp_path / "mas.toml").write_text(
        '[tiers]\ndefault = "mine"\n[models.mine]\nkind = "scripted"\npath = "script.toml"\n[budget]\ncalls = 2\n'
    )
    monkeypatch.chdir(tmp_path)
    program = Program(name="p", flows=(four,), agents=(ok,), budget=Limits(calls=50))
    result = run(program.run("four"))
    assert result.value == "xx--"
    assert run(program.run("four", ceiling=Limits(calls=1))).value == "x---"
    assert run(program.run("four", ceiling=Limits(calls=3))).value == "xx--"
    assert run(program.run("four", models=ScriptedModel({"*": "x"}))).value == "xxxx", "the host brings its own models"
    (tmp_path / "mas.toml").write_text("[budget]\ncalls = -2\n")
    assert run(program.run("four")).calls == 0, "with a faulty configuration there is no model to spend on"
    assert os.getcwd() == str(tmp_path)


async def four(run: Run) -> str:
    return await run.call("s", some, count=4)


def test_a_run_that_needs_more_than_the_ceiling_fails_for_want_of_budget() -> None:
    program = loaded(Ceiling(calls=1), PROGRAM.replace(' else "-"', ""))
    with pytest.raises(RunFailed) as caught:
        run(program.main.run("q"))
    assert isinstance(caught.value, BudgetExceeded)
    assert caught.value.reason == "refused by the ceiling in mas.toml: all 1 calls are used up"
    assert caught.value.result.calls == 1


def test_a_ceiling_in_usd_is_as_exact_as_a_budget() -> None:
    picodollars = (RESERVED + 9 * 100) * 10**6

    async def main(run: Run) -> str:
        return await run.call("x", firm)

    usd = picodollars / 10**12
    assert limit_of(usd) == picodollars
    assert play(main, ceiling=Limits(usd=usd)).value == "x"
    with pytest.raises(BudgetExceeded, match="the ceiling in mas.toml"):
        play(main, ceiling=Limits(usd=(picodollars - 1) / 10**12))
