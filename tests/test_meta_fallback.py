"""Never lose to the simple: the simplest systems for any budget, and when one is run in place of a designed one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import masdsl
from masdsl.config import DEFAULT
from masdsl.diagnostics.base import Findings
from masdsl.meta import library
from masdsl.meta.evaluation import Evaluation
from masdsl.meta.fallback import choice_by, simplest, why_no_better
from masdsl.meta.host import Host, fit_of, shape_of
from masdsl.meta.library import Entry, Record, entries, hash_of, use_of
from masdsl.meta.outcome import System
from masdsl.meta.systems import parsed
from masdsl.meta.task import Spent, Task
from masdsl.meta.team import team_for
from masdsl.runtime import Limits
from masdsl.runtime.models.base import Price
from masdsl.runtime.models.scripted import ScriptedModel
from masdsl.syntax import ast

HOST = Host(DEFAULT, {"default": ScriptedModel({"*": "x"}, price=Price(1, 1))})
PROGRAM = """mas 1

agent thinker(query) -> text(60)
  "Think about: {{ query }}"

agent solver(query, thought: text(60)) -> text
  "Answer."

## Thinks first.
flow main(query) -> text {
  thought = thinker(query)
  return solver(query, thought)
}
"""


@pytest.fixture(autouse=True)
def near_by_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which systems are near does not depend on whether `masdsl[meta]` is installed."""
    monkeypatch.setattr("masdsl.meta.embedding.is_installed", lambda: False)


# ---------------------------------------------------------------- the simplest systems


def first_that_fits(signature: str, left: Limits) -> tuple[str, int]:
    """The name of the simplest system for a signature that fits at its worst, and its calls at worst."""
    task = Task("x", signature=signature)
    shape = shape_of(task, HOST)
    for name, text in simplest(task, shape):
        fit = fit_of(text, shape, HOST, left)
        if fit.program is not None and not fit.over and fit.most is not None:
            return name, fit.most.calls
    return "", 0


@pytest.mark.parametrize(
    ("signature", "calls", "name"),
    [
        ("flow main(query) -> bool", 100, "self-consistency of 15"),
        ("flow main(query) -> int", 29, "self-consistency of 11"),
        ("flow main(query, n: int) -> text(20)", 14, "self-consistency of 7"),
        ("flow main(query) -> bool", 6, "self-consistency of 3"),
        ("flow main(query) -> bool", 5, "one call"),
        ("flow main(query) -> text", 100, "self-consistency of 5"),
        ("flow main(query) -> text", 5, "self-consistency of 3"),
        ("flow main(query) -> text", 3, "one call"),
        ("flow main(query) -> float", 100, "one call"),
        ("flow main(a: text(20)[4]) -> (x: int, y)", 100, "one call"),
    ],
)
def test_as_many_samples_as_the_budget_permits(signature: str, calls: int, name: str) -> None:
    found, most = first_that_fits(signature, Limits(calls=calls))
    assert found == name and most <= calls


@given(st.integers(1, 40), st.none() | st.integers(500, 200_000), st.sampled_from(["bool", "int", "text", "text(9)"]))
@settings(max_examples=15, deadline=None)
def test_what_is_taken_fits_at_its_worst(calls: int, tokens: int | None, kind: str) -> None:
    name, most = first_that_fits(f"flow main(query) -> {kind}", Limits(calls=calls, tokens=tokens))
    assert most <= calls and (name or (tokens is not None and tokens < 4_000))


def test_the_most_frequent_answer_is_given() -> None:
    task = Task("x", signature="flow main(query) -> int")
    replies = [{"thinking": "a", "answer": 7}, {"thinking": "b", "answer": 8}, {"thinking": "c", "answer": 8}]
    for name, text in simplest(task, shape_of(task, HOST)):
        if name == "self-consistency of 3":
            program = HOST.check(text, Findings())
            assert program is not None
            model = ScriptedModel({f"main.found[{number}]": reply for number, reply in enumerate(replies)})
            assert Host(DEFAULT, {"default": model}).loaded(program).flows["main"].sync("?") == 8
            return
    pytest.fail("there is none")


# ---------------------------------------------------------------- the choice


def record(own: tuple[int, int] | None, simple: tuple[int, int] | None, text: str = PROGRAM) -> Record:
    """A record with right answers of ten, and tokens, of the program and of the simple system."""
    tree = parsed(text)
    assert tree is not None

    def made(told: tuple[int, int] | None) -> Evaluation | None:
        return None if told is None else Evaluation(10, told[0], 0, Spent(10, told[1], 0, 0))

    return Record(hash_of(tree), "main", "o", "now", 1, "d", made(own), made(simple), "self-consistency of 5")


@pytest.mark.parametrize(
    ("own", "simple", "why"),
    [
        ((8, 100), (5, 900), ""),
        ((5, 100), (5, 900), ""),
        ((5, 900), (5, 900), "for 900 and 900 tokens"),
        ((5, 900), (5, 100), "for 900 and 100 tokens"),
        ((4, 100), (5, 900), "4 of 10 right, and 5 by self-consistency of 5"),
        ((4, 100), None, ""),
        (None, None, ""),
    ],
)
def test_a_record_says_whether_its_system_is_better(
    own: tuple[int, int] | None, simple: tuple[int, int] | None, why: str
) -> None:
    said = why_no_better(record(own, simple))
    assert (why in said) if why else said == ""


SIMPLE = System("mas 1\n", "self-consistency of 5", 6, 100, 0)
BAD = record((4, 100), (5, 900))


def used() -> str:
    tree = parsed(PROGRAM)
    assert tree is not None
    flow = next(item for item in tree.items if isinstance(item, ast.Flow))
    text = use_of("thinking", flow.replace(name=ast.Name("think")), tree)
    assert text is not None
    return text


CASES: dict[str, tuple[System, Entry, str]] = {
    "the same program": (System(PROGRAM, "d"), Entry("t", PROGRAM, BAD), "no better"),
    "with models and repairs": (
        System(
            PROGRAM.replace("mas 1\n", "mas 1\n\nrectify tries 2\n").replace("-> text(60)\n", "-> text(60) on fast\n"),
            "d",
        ),
        Entry("t", PROGRAM, BAD),
        "no better",
    ),
    "another program": (System(PROGRAM.replace("Answer.", "Say."), "d"), Entry("t", PROGRAM, BAD), ""),
    "a record that is good": (System(PROGRAM, "d"), Entry("t", PROGRAM, record((6, 1), (5, 1))), ""),
    "a module that was changed": (
        System(PROGRAM.replace("Answer.", "Say."), "d"),
        Entry("t", PROGRAM.replace("Answer.", "Say."), BAD),
        "",
    ),
    "a program that only calls it": (System(used(), "d"), Entry("thinking", PROGRAM, BAD), "no better"),
    "one that does more": (
        System(used().replace("mas 1\n", 'mas 1\n\nagent more(x) -> text\n  "{{ x }}"\n'), "d"),
        Entry("thinking", PROGRAM, BAD),
        "",
    ),
    "above its budget": (System(PROGRAM, "d", over=("tokens",)), Entry("x", PROGRAM, None), "left of tokens"),
}


@pytest.mark.parametrize("what", CASES)
def test_a_designed_system_gives_way_where_it_is_no_better(what: str) -> None:
    designed, entry, why = CASES[what]
    said = choice_by((entry,))(Task("?"), designed, SIMPLE, Limits())
    assert (why in said) if why else said == ""


def test_without_a_record_the_designed_system_runs() -> None:
    assert choice_by(())(Task("?"), System(PROGRAM, "d"), SIMPLE, Limits()) == ""


# ---------------------------------------------------------------- in a session


def solve(folder: Path, **more: Any) -> Any:
    replies = {"*": f"So.\n```mas\n{PROGRAM}```", "thinker": "hm", "solver": "designed", "decider": "simple"}
    models = {tier: ScriptedModel(replies, name="one", price=Price(1, 1)) for tier in ("default", "fast", "smart")}
    config = DEFAULT._replace(library=str(folder))
    team = team_for(Host(config, models), implementer="rules", rectifier="rules")
    return masdsl.solve("Which?", config=config, models=models, team=team, **more)


def test_a_session_says_that_its_record_speaks_for_the_simple_one(tmp_path: Path) -> None:
    assert solve(tmp_path).value == "designed"
    library.add(str(tmp_path), "thinking", PROGRAM, BAD)
    assert len(entries(str(tmp_path), Findings())) == 1
    done = solve(tmp_path)
    assert done.value == "simple" and done.designed.system.name == "self-consistency of 5"
    assert any("4 of 10 right, and 5 by self-consistency of 5" in note for note in done.notes)


def test_a_session_takes_the_simple_one_where_the_designed_one_may_not_fit(tmp_path: Path) -> None:
    done = solve(tmp_path, budget=Limits(calls=20, tokens=8_000))
    told = [note for note in done.notes if "more than is left of tokens" in note]
    assert told and done.designed.system.over == () and not done.failed
