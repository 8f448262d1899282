# ruff: noqa: E501 programs on one line each
"""Bounds hold: no run of a program takes more than its bound in any measure, and none that gives a value less."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from masdsl import sizes
from masdsl.bounds import flows
from masdsl.bounds.flows import bound
from masdsl.bounds.result import FlowBound
from masdsl.check.uses import statements_of
from masdsl.runtime import Limits
from tests.bench import tightness
from tests.harness import battery, dearest, slowest
from tests.harness.adversary import Adversary, Honest
from tests.harness.bounding import MEASURES, Case, checked, exceeded, largest_inputs, most, play, prepared
from tests.harness.generate_dear import program as generated


def bound_of(case: Case) -> FlowBound:
    return bound(case.program, case.prices).flows["main"]


# ---------------------------------------------------------------- reached exactly


@pytest.mark.parametrize("name", [known.name for known in dearest.PROGRAMS])
def test_the_dearest_run_reaches_the_bound_and_the_cheapest_the_least(name: str) -> None:
    assert not battery.of_dearest(bound, name)


LOOSE = {
    "none in a section",  # what is passed for an optional counts as what may be passed
    "names in capitals",  # letters may be three in capitals
    "a list that may be empty in a template",  # of a text it is not asked how many lines it has
    "a list of many rounds in rounds",  # what an inner loop has made longer is as long as it may be
}
"""Programs whose bound on input tokens is far from what any run takes, and why."""


def test_the_table_reaches_calls_everywhere_and_input_tokens_nearly() -> None:
    exact = [known for known in dearest.PROGRAMS if len(known.exact) == 2]
    assert len(exact) >= 80 and len(dearest.PROGRAMS) - len(exact) <= 7
    assert {known.name for known in exact if known.share < 0.6} == LOOSE
    assert sum(known.share >= 0.98 for known in exact) >= 12


@pytest.mark.parametrize("body", [body for body, _ in slowest.PROGRAMS])
def test_a_run_in_which_nothing_answers_takes_as_long_as_its_bound(body: str) -> None:
    assert not battery.of_slowest(bound, body)


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ("return once(x)", 120),
        ("return often(x)", 3 * 120 + 2 * 8),
        ("return using(x)", 3 * 120 + 2 * 4),
        ("v = often(x) w = once(v) return w", 496),
        ("v = often(x) w = once(x) return v + w", 376),
    ],
)
def test_a_step_without_a_timeout_reaches_its_time_by_answers_at_the_last_moment(body: str, seconds: float) -> None:
    """Each attempt fails at its last moment, and the provider asks for the longest pause that is taken for one."""
    case = slowest.slow_case(body)

    def choose(request: Any) -> Any:
        return "billed" if request.agent == "often" and request.attempt < 2 else None

    model = slowest.Silent(case.compiled, pace="last moment", wait=sizes.LONGEST_PAUSE, choose=choose)
    took, found = play(case, model, largest_inputs(case)), bound_of(case)
    assert not exceeded(took, found)
    assert found.seconds == seconds * 1_000_000
    assert found.seconds - 20 <= took.seconds


@pytest.mark.parametrize("name", [path.name for path in tightness.EXAMPLES])
def test_the_examples_reach_their_bounds(name: str) -> None:
    case = dict(tightness.examples())[name]
    for key, found in bound(case.program, case.prices).flows.items():
        dear, late, honest = (took for _, took in tightness.runs(case, key))
        assert not exceeded(dear, found) and not exceeded(late, found) and not exceeded(honest, found)
        if any(tool.designs for tool in case.program.tools):
            continue  # how far a designed system goes is its designer's business: `tests/harness/designs.py` goes all the way
        assert (dear.calls, dear.tokens_out) == (found.most.calls, found.most.tokens_out)
        assert dear.tokens_in >= 0.9 * found.most.tokens_in and late.seconds >= 0.9 * found.seconds
        assert honest.gives and honest.tokens <= found.most.tokens / 2


# ---------------------------------------------------------------- generated programs


@pytest.mark.parametrize("seed", range(60))
def test_no_run_of_a_generated_program_takes_more_than_its_bound(seed: int) -> None:
    assert not battery.of_seed(bound, seed, 4), battery.generated(seed).text


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.randoms(use_true_random=False), st.integers(0, 10**9))
def test_no_run_of_any_program_takes_more_than_its_bound(random: Random, seed: int) -> None:
    case = prepared(generated(random, 4))
    found = bound_of(case)
    if found.most.calls <= battery.MOST_CALLS:
        took = battery.played(case, seed)
        assert not exceeded(took, found), (took, case.text)


def test_the_enemies_take_much_of_the_bounds() -> None:
    """Else nothing would be said by none of them taking more."""
    taken: list[list[float]] = []
    for seed in range(60):
        found = bound_of(battery.generated(seed))
        for took in battery.runs(seed, 4):
            taken.append([spent / limit for spent, limit in zip(took[:6], most(found), strict=True) if limit])
    full = [run for run in taken if len(run) == len(MEASURES)]
    reached = [sum(run[place] > 0.99 for run in full) for place in (0, 2)]
    assert len(full) > 150 and min(reached) > 15
    assert sum(run[1] > 0.4 for run in full) > 20 and sum(run[5] > 0.5 for run in full) > 15


# ---------------------------------------------------------------- budgets that are as high as the bound


@pytest.mark.parametrize("name", [known.name for known in dearest.PROGRAMS if len(known.exact) == 2])
def test_a_budget_as_high_as_the_bound_refuses_nothing(name: str) -> None:
    case, found = dearest.case_of(name), bound_of(dearest.case_of(name))
    usd = -(-found.most.usd // 10**6) / 10**6
    enough = Limits(calls=found.most.calls, tokens=found.most.tokens, usd=usd)
    assert dearest.dearest(name) == dearest.dear_run(name, case, budget=enough)


# ---------------------------------------------------------------- wide programs

WIDE = """
flow part(x: text(30)) -> text(30) else "none" budget calls 3 tokens 4k {
  within calls 2 { a = two(x) else x }
  b = one(a) else bad(a)
  return b
}
flow chain(x: text(30)) -> text(30) { return bad(x) else nil(x) else kept(x) }
flow main(x: text(30), ys: text(30)[64], ok: bool) -> text(30)[64] %s {
  as = 64 of two(x) else x
  bs = each y in ys: chain(y) else part(y)
  cs = 64 of part(x)
  ds = each y in cs where ok: user(y) else y
  within calls 40 usd 0.004 seconds 400 { es = each d in ds: long(d) else part(d) else d }
  return es
}
"""


@pytest.mark.parametrize("budget", ["", "calls", "tokens", "usd", "seconds", "all"])
@pytest.mark.parametrize("seed", range(3))
def test_wide_programs_hold_their_bounds_and_their_budgets(budget: str, seed: int) -> None:
    """64 samples, 64 items, flows and slices in them, all beside each other, under budgets of every measure."""
    part = {"calls": "calls 150", "tokens": "tokens 90k", "usd": "usd 0.05", "seconds": "seconds 200"}
    limits = part.get(budget, " ".join(part.values()) if budget else "")
    case = prepared(dearest.HEAD + WIDE % (f"budget {limits}" if limits else ""))
    found = bound_of(case)
    made = {"calls": 0, "tokens": 3, "usd": 4, "seconds": 5}
    given = {"calls": 150, "tokens": 90_000, "usd": 50_000_000_000, "seconds": 200_000_000}
    for model in (battery.enemy(case, seed), Honest(case.compiled, seed), Adversary(case.compiled, seed)):
        took = play(case, model, {**largest_inputs(case), "ok": True}, seed=seed)
        assert not exceeded(took, found)
        amounts = took[:6]
        for measure, place in made.items():
            if budget in (measure, "all"):
                assert amounts[place] <= given[measure]
                assert most(found)[place] <= given[measure]


# ---------------------------------------------------------------- large programs


class Counted(flows._Walk):
    """Counts the statements that the analysis looks at."""

    looked = 0

    def _statement(self, node: Any, env: Any) -> Any:
        Counted.looked += 1
        return super()._statement(node, env)


def looked_at(text: str, monkeypatch: pytest.MonkeyPatch) -> tuple[FlowBound, int, int]:
    """Return the bound, how many statements were looked at for it, and how many there are."""
    program = checked(dearest.HEAD + text)
    monkeypatch.setattr(flows, "_Walk", Counted)
    Counted.looked = 0
    found = bound(program, {}).flows["main"]
    return found, Counted.looked, sum(len(list(statements_of(flow.body))) for flow in program.flows)


MAIN = "flow main(x: text(30), xs: text(30)[10000]+, ok: bool) -> text(32000)"
LOOPS = "loop 1000 { " * 12
LARGE = [
    (f"{MAIN} {{ {LOOPS} x = two(x) {'} ' * 12} return x }}", 3 * 1000**12),
    (f"{MAIN} {{ {LOOPS} a = 1000 of two(x) {'} ' * 12} return x }}", 3 * 1000**13),
    (f"{MAIN} {{ loop 1000 {{ loop 1000 {{ a = each y in xs: two(y) }} }} return x }}", 3 * 10**10),
    (f"{MAIN} {{ for y in xs {{ for z in xs {{ a = each w in xs: two(w) else one(w) }} }} return x }}", 4 * 10**12),
    (f"{MAIN} {{ acc = [] loop 1000 {{ v = more(x, notes: acc) acc += [v] }} return x }}", 1000),
    (f"{MAIN} {{ acc = [] loop 1000 {{ loop 1000 {{ v = more(x, notes: acc) acc += [v, v] }} }} return x }}", 10**6),
    (f'{MAIN} {{ t = "" loop 1000 {{ v = one(x) t = t + v }} return t }}', 1000),
    (f"{MAIN} {{ acc = [] for y in xs {{ v = more(y, notes: acc) if ok {{ acc += [v] }} }} return x }}", 10_000),
    (
        f"flow in(l: text(30)[100]) -> text(30) {{ return more('!', notes: l) }} {MAIN} {{ acc = [] loop 1000 {{ v = in(acc) acc += [v] }} return x }}".replace(
            "'", '"'
        ),
        1000,
    ),
    (
        f"{MAIN} {{ a = [] b = [] {'loop 1000 { ' * 6} v = more(x, notes: a) a += [v] b += a {'} ' * 6} return x }}",
        1000**6,
    ),
]


@pytest.mark.parametrize(("text", "calls"), LARGE)
def test_products_of_any_size_are_exact_and_found_at_once(
    text: str, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, looked, statements = looked_at(text, monkeypatch)
    assert found.most.calls == calls
    assert found.most.tokens_out == 30 * calls
    assert looked <= flows.STATEMENTS + flows.CONTEXTS * statements
    assert found.seconds > 0


def test_a_program_as_large_as_may_be_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    body = "".join(f'  v{number} = one("{"word " * 4}{number}")\n' for number in range(70))
    text = "".join(f"flow f{number}(x: text(30)) -> text(30) {{\n{body}  return v7\n}}\n" for number in range(90))
    assert len(text) > 230_000
    _, looked, statements = looked_at(f"{text}{MAIN} {{ v = f7(x) return v }}", monkeypatch)
    assert statements == 90 * 71 + 2
    assert looked <= statements + 71


def test_statements_are_looked_at_no_more_often_for_more_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []
    for rounds in (100, 1000):
        text = f"{MAIN} {{ acc = [] loop {rounds} {{ v = more(x, notes: acc) acc += [v] }} return x }}"
        counts.append(looked_at(text, monkeypatch)[1])
        monkeypatch.undo()
    assert counts[0] == counts[1] <= 2 + 2 * (flows.UNROLLED_ROUNDS + flows.CHUNKS + 1)


# ---------------------------------------------------------------- small prompts, rounding, failures that cost nothing

SMALL = [
    ('agent e(x: text(1)) -> text(5) "{{ x }}" flow main(x: text(1)) -> text(5) { return e(x) }', "", {}),
    ('agent e(x: text(1)) -> int "{{ x }}" flow main(x: text(1)) -> int { return e(x) }', "", {}),
    ('agent e() -> text(5) "" flow main(x: text(1)) -> text(5) { return e() }', "", {}),
    ('agent e() -> int? "" flow main(x: text(1)) -> int? { return e() }', "", {}),
    (
        'tool look(q) -> text(4) from "look" agent e(x: text(1)) -> int tools [look] steps 1 "{{ x }}" flow main(x: text(1)) -> int { return e(x) }',
        "",
        {},
    ),
    (
        'agent e(x: text(1)) -> int else 3 "{{ x }}" flow main(x: text(1)) -> int { return e(x) }',
        "",
        {"choose": lambda request: "unbilled"},
    ),
    (
        'agent e(x: text(32000)) -> int else 3 "{{ x }}{{ x }}" flow main(x: text(32000)) -> int { return e(x) }',
        "a" * 192_000,  # the prompt is too large to be sent
        {},
    ),
    *(
        (
            f'agent e(x: text(1)) -> int "{"ab" * size}{"!" * size}{{{{ x }}}}" flow main(x: text(1)) -> int {{ return e(x) }}',
            "",
            {},
        )
        for size in range(1, 9)
    ),
]


@pytest.mark.parametrize(("text", "x", "habits"), SMALL)
def test_nothing_is_lost_to_rounding_or_to_what_is_empty(text: str, x: str, habits: Mapping[str, Any]) -> None:
    """The provider reports no tokens at all: an eighth of our count is what counts then, and that is the least."""
    case = prepared(f"mas 1\n{text}")
    found = bound_of(case)
    for counts in ("most", "zero"):
        took = play(case, Adversary(case.compiled, faults=0.0, counts=counts, **habits), {"x": x})
        assert not exceeded(took, found)
