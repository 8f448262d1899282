"""Sessions: a system for a query is designed, bound, run and repaired within one budget, whatever the models do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import masdsl
from masdsl.config import DEFAULT
from masdsl.journal import JournalError, MemoryJournal, UnknownRun
from masdsl.journal.sqlite import SqliteJournal
from masdsl.meta import queries
from masdsl.meta.host import BadTask, Host
from masdsl.meta.outcome import Seams, Solved, System
from masdsl.meta.records import CALL, NotKept, past_successes, rate, training_lines
from masdsl.meta.retrieval import Known
from masdsl.meta.task import Spent, Task
from masdsl.meta.team import Team, team_for
from masdsl.runtime import Limits
from masdsl.runtime.models.base import ErrorKind, Price, Reply, Request
from masdsl.runtime.models.scripted import Fails, ScriptedModel

PROGRAM = """mas 1

agent thinker(query) -> text(60)
  "Think about: {{ query }}"

agent solver(query, thought: text(60)) -> text
  "Answer."

flow main(query) -> text {
  thought = thinker(query)
  return solver(query, thought)
}
"""
BINDING = "bind 1\nthinker = fast\nsolver = smart\n"
PATCH = "patch 1\nbind thinker = smart\n"
HEADS = {"You design": "generator", "You assign": "implementer", "You repair": "rectifier"}


def role_of(request: Request) -> str:
    """Return which meta-agent is asked, or the agent of the system."""
    return next((role for head, role in HEADS.items() if request.messages[0].content.startswith(head)), request.agent)


GOOD: dict[str, Any] = {
    "generator": f"Two steps suit it.\n```mas\n{PROGRAM}```",
    "implementer": f"The answer counts.\n```bind\n{BINDING}```",
    "rectifier": f"The tier is down.\n```patch\n{PATCH}```",
    "thinker": "six sevens",
    "solver": "42",
    "*": "a reply",
}


class Models:
    """Two scripted models behind the tiers; says what was asked, in order."""

    def __init__(self, **replies: Any) -> None:
        script = GOOD | replies
        self.asked: list[str] = []

        def answer(name: str) -> Callable[[Request], Any]:
            def say(request: Request) -> Any:
                self.asked.append(role_of(request))
                reply = script.get(role_of(request), script["*"])
                return reply(name, request) if callable(reply) else reply

            return say

        small = ScriptedModel(answer("small"), name="small", price=Price(1, 2))
        large = ScriptedModel(answer("large"), name="large", price=Price(10, 20))
        self.tiers = {"fast": small, "default": small, "smart": large}

    def host(self) -> Host:
        """Return a host with these models."""
        return Host(DEFAULT, self.tiers)


TASK = Task("What is six times seven?", budget=Limits(calls=40, tokens=200_000))


def solved(
    models: Models, task: Task = TASK, journal: MemoryJournal | None = None, team: Team | None = None, **options: Any
) -> Solved:
    host = models.host()
    return asyncio.run(queries.solve(task, host, team or team_for(host), journal or MemoryJournal(), **options))


def within(budget: Limits, spent: dict[str, Spent]) -> bool:
    calls, tokens = sum(one.calls for one in spent.values()), sum(one.tokens for one in spent.values())
    return (budget.calls is None or calls <= budget.calls) and (budget.tokens is None or tokens <= budget.tokens)


# ---------------------------------------------------------------- as planned


def test_a_system_is_designed_bound_and_run_and_each_part_shown_apart() -> None:
    models = Models()
    done = solved(models)
    assert (done.value, done.failed, done.notes) == ("42", "", ())
    assert models.asked == ["generator", "implementer", "thinker", "solver"]
    assert {part: spent.calls for part, spent in done.spent.items()} == {"generator": 1, "implementer": 1, "run": 2}
    assert done.designed is not None
    assert done.designed.binding == BINDING and done.designed.generated.reasoning == "Two steps suit it."
    assert "on fast" in done.designed.system.text and "on fast" not in done.designed.template
    assert all(spent.picodollars > 0 for spent in done.spent.values()) and within(TASK.budget, done.spent)
    json.dumps(done.to_json())


def test_designing_alone_runs_nothing() -> None:
    models = Models()
    done = solved(models, design_only=True)
    assert done.value is None and not done.failed and models.asked == ["generator", "implementer"]
    assert done.designed is not None and done.designed.system.calls == 2


def test_nobody_is_paid_to_choose_between_tiers_of_one_model() -> None:
    models = Models()
    host = Host(DEFAULT, models.tiers["fast"])
    done = asyncio.run(queries.solve(TASK, host, team_for(host), MemoryJournal()))
    assert done.value == "42" and "implementer" not in models.asked


def test_rules_play_every_role_without_a_model() -> None:
    models = Models()
    team = team_for(models.host(), generator="rules", implementer="rules", rectifier="rules")
    done = solved(models, team=team)
    assert done.value == "a reply" and set(done.spent) == {"run"}
    assert done.designed is not None and done.designed.generated.how == "retrieved"


def test_the_cheapest_adequate_tier_is_chosen_by_rules() -> None:
    program = PROGRAM.replace("-> text(60)\n", "-> bool\n", 1).replace("thought: text(60)", "thought: bool")
    models = Models(generator=f"```mas\n{program}```", thinker="true")
    done = solved(models, team=team_for(models.host(), implementer="rules"))
    assert done.designed is not None and done.designed.binding == BINDING


# ---------------------------------------------------------------- models that give nothing good

TOO_MANY = PROGRAM.replace(
    "return solver(query, thought)",
    "drafts = 32 of solver(query, thought)\n  more = 32 of solver(query, thought)\n  return join(drafts + more, query)",
)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("no program at all", "MAS950"),
        ("", "MAS950"),
        ("```mas\nmas 1\nflow main(query) -> text {\n```", ""),
        (f"```mas\n{TOO_MANY}```", "calls"),
        ("```mas\n" + PROGRAM.replace("flow main(query)", "flow main(query, more: int)") + "```", ""),
        ("```mas\n" + PROGRAM.replace("mas 1\n", 'mas 1\ntool rm(path) -> text from "os.remove" effect\n') + "```", ""),
        (Fails("timeout"), "timeout"),
        (Fails("auth", "no key"), "no key"),
    ],
)
def test_a_generator_without_a_system_that_fits_gives_way_to_a_known_one(
    reply: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda seconds: real(0))
    models = Models(generator=reply)
    done = solved(models)
    assert done.value == "a reply" and not done.failed
    assert models.asked.count("generator") <= 3
    assert any("gave no system that fits" in note and said in note for note in done.notes), done.notes
    assert done.designed is not None and done.designed.system.name == "the nearest known system"
    assert within(TASK.budget, done.spent)


@pytest.mark.parametrize("binding", ["", "bind 1\nnobody = fast\n", "bind 1\nthinker = gold\n", "thinker"])
def test_an_implementer_without_a_binding_that_fits_gives_way_to_rules(binding: str) -> None:
    done = solved(Models(implementer=f"```bind\n{binding}```"))
    assert done.value == "42"
    assert done.designed is not None and done.designed.binding == BINDING.replace("thinker = fast", "thinker = default")
    assert any("gave no binding that fits" in note for note in done.notes)


@pytest.mark.parametrize("calls", [0, 1, 2, 3, 5, 8])
def test_whatever_the_budget_it_is_kept_and_a_call_is_made_if_one_may_be(calls: int) -> None:
    budget = Limits(calls=calls)
    done = solved(Models(), TASK._replace(budget=budget))
    assert within(budget, done.spent)
    assert bool(done.failed) == (calls == 0), done


@pytest.mark.parametrize("tokens", [0, 50, 400, 2_500, 6_000, 30_000])
def test_tokens_are_kept_to_as_well(tokens: int) -> None:
    budget = Limits(calls=20, tokens=tokens)
    done = solved(Models(), TASK._replace(budget=budget))
    assert within(budget, done.spent)
    assert done.value is not None or done.failed


class Silent:
    """A model that never answers."""

    name = "silent"
    price = Price(0, 0)

    async def complete(self, request: Request) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError

    async def close(self) -> None:
        pass


def test_no_system_is_run_twice() -> None:
    models = Models(generator="nothing", solver=never)
    task = TASK._replace(signature="flow main(query) -> bool")
    done = solved(models, task)
    assert done.failed and len({one.system for one in done.attempts}) == len(done.attempts)


@pytest.mark.parametrize("seconds", [0, 1.5])
def test_a_model_that_never_answers_is_not_waited_for_beyond_the_seconds(seconds: float) -> None:
    host = Host(DEFAULT, Silent())
    task = TASK._replace(budget=Limits(calls=20, seconds=seconds))
    done = asyncio.run(queries.solve(task, host, team_for(host), MemoryJournal()))
    assert done.failed and done.value is None
    assert sum(one.calls for one in done.spent.values()) <= 6


def test_a_system_that_fails_gives_way_to_the_simplest_one() -> None:
    def fails_once(name: str, request: Request) -> Any:
        return Fails("refused", "not that") if "Think about" in str(request.messages) else "fine"

    models = Models(thinker=fails_once, rectifier="no idea", decider="7", solver="42")
    done = solved(models, team=team_for(models.host(), rectifier="nobody"))
    assert done.value == "7" and not done.failed
    assert [bool(one.failed) for one in done.attempts] == [True, False]
    assert any("gets what is left" in note for note in done.notes)


def never(name: str, request: Request) -> Any:
    return Fails("unavailable", "down")


@pytest.mark.parametrize(
    ("returned", "replies"),
    [('if len(done) > 9 {\n    return done\n  }\n  return ""', {}), ("return done", {"solver": never})],
    ids=["by the program itself", "after repairs"],
)
def test_what_says_nothing_is_no_answer(returned: str, replies: dict[str, Any]) -> None:
    program = PROGRAM.replace("return solver(query, thought)", f"done = solver(query, thought)\n  {returned}")
    models = Models(generator=f"```mas\n{program}```", rectifier="no idea", decider="7", **replies)
    done = solved(models)
    assert done.attempts[0].failed == "its answer is empty"
    assert done.value == ("7" if not replies else None)


@pytest.mark.parametrize("query", ["", "  \n"])
def test_an_empty_query_is_refused_before_anything_is_paid(query: str) -> None:
    models = Models()
    with pytest.raises(BadTask, match="empty"):
        solved(models, TASK._replace(query=query))
    assert not models.asked


def test_a_query_of_a_hundred_kilobytes_is_read_whole_by_the_system_and_in_part_by_the_designer() -> None:
    models = Models(generator="nothing")
    query = "alpha beta gamma delta " * 4_000
    task = queries.task_for(query[:90_000], models.host())
    done = solved(models, task)
    assert done.value is not None
    host = models.tiers["smart"]
    designer = [one for one in host.requests if role_of(one) == "generator"]
    assert designer and all(len(one.messages[1].content) < 25_000 for one in designer)
    longest = max(len(str(one.messages)) for model in set(models.tiers.values()) for one in model.requests)
    assert longest > 80_000


def test_a_host_without_models_says_so() -> None:
    host = Host(DEFAULT, {})
    done = asyncio.run(queries.solve(TASK, host, team_for(host), MemoryJournal()))
    assert done.failed and "no model is given" in done.failed
    assert any("no model" in note for note in done.notes)


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_nothing_that_models_say_is_ever_raised_and_the_budget_is_kept(data: st.DataObject) -> None:
    pieces = [
        "",
        "x",
        PROGRAM,
        f"```mas\n{PROGRAM}```",
        f"```bind\n{BINDING}```",
        f"```patch\n{PATCH}```",
        "true",
        '{"a":',
        "\ud800",
    ]
    failures: list[ErrorKind] = ["auth", "refused", "too_long", "bad_request"]
    kinds = st.one_of(
        st.sampled_from(pieces),
        st.text(max_size=40),
        st.sampled_from(failures).map(lambda kind: Fails(kind)),
        st.just(Reply("x", input_tokens=-5, output_tokens=10**12)),
    )

    def say(name: str, request: Request) -> Any:
        return data.draw(kinds)

    models = Models(**dict.fromkeys(GOOD, say))
    budget = Limits(calls=data.draw(st.integers(0, 12)), tokens=data.draw(st.integers(0, 60_000)))
    done = solved(models, Task("What is six times seven?", budget=budget, effort="low"))
    assert within(budget, done.spent)
    assert bool(done.failed) != (done.value is not None)


# ---------------------------------------------------------------- repairs


def down(name: str, request: Request) -> Any:
    return Fails("unavailable", "down") if name == "small" else "six sevens"


def test_a_model_repairs_the_run_and_its_calls_are_shown_apart() -> None:
    models = Models(thinker=down)
    done = solved(models)
    assert done.value == "42" and not done.failed
    assert models.asked.count("rectifier") == 1 and done.spent["rectifier"].calls == 1
    (intervention,) = done.attempts[0].interventions
    assert intervention.accepted and intervention.patch == PATCH and intervention.who == "model large"


@pytest.mark.parametrize(
    "said", ["no idea", '```patch\npatch 1\nadd tool rm(path) -> text from "os.remove" effect\n```', Fails("refused")]
)
def test_rules_repair_where_the_model_has_no_patch(said: Any) -> None:
    done = solved(Models(thinker=down, rectifier=said))
    assert done.value == "42"
    (intervention,) = done.attempts[0].interventions
    assert intervention.accepted and "rules, because model large" in intervention.reason


# ---------------------------------------------------------------- what is kept


class Broken(BaseException):
    """The process is gone."""


def breaks_at(models: Models, number: int) -> None:
    """Let the process end at a call of a model, before it is made."""
    count = 0
    for model in set(models.tiers.values()):

        async def complete(request: Request, real: Any = model.complete) -> Any:
            nonlocal count
            count += 1
            if count > number:
                raise Broken
            return await real(request)

        model.complete = complete  # type: ignore[method-assign]


def test_a_session_that_is_broken_off_anywhere_goes_on_and_pays_nothing_twice() -> None:
    whole = Models(thinker=down)
    journal = MemoryJournal()
    first = solved(whole, journal=journal)
    for number in range(len(whole.asked)):
        models = Models(thinker=down)
        breaks_at(models, number)
        journal = MemoryJournal()
        with pytest.raises(Broken):
            solved(models, journal=journal, session="s")
        again = Models(thinker=down)
        host = again.host()
        done = asyncio.run(queries.resume("s", host, team_for(host), journal))
        assert (done.value, done.failed) == (first.value, first.failed)
        both = [*models.asked, *again.asked]
        if both.count("thinker") > whole.asked.count("thinker"):  # it had failed, and is tried once more
            both.remove("thinker")
        assert sorted(both) == sorted(whole.asked), number
        # a call that was under way counts, as it may have been paid
        took = {part: one.calls - first.spent[part].calls for part, one in done.spent.items()}
        assert set(took) == set(first.spent) and set(took.values()) <= {0, 1} and sum(took.values()) <= 1


def test_a_session_is_shown_again_without_a_model() -> None:
    journal, models = MemoryJournal(), Models(thinker=down)
    first = solved(models, journal=journal)
    silent = Models(**dict.fromkeys(GOOD, lambda name, request: pytest.fail("a model was asked")))
    rows = len(journal.read(first.session)[1])
    again = asyncio.run(queries.replay(first.session, silent.host(), team_for(silent.host()), journal))
    assert (again.value, again.designed, again.notes) == (first.value, first.designed, first.notes)
    assert not silent.asked and len(journal.read(first.session)[1]) == rows


def test_what_is_not_kept_cannot_be_shown_again() -> None:
    journal, models = MemoryJournal(), Models()
    done = solved(models, journal=journal, design_only=True)
    with pytest.raises((NotKept, UnknownRun)):
        asyncio.run(queries.replay(done.session, models.host(), team_for(models.host()), journal))
    with pytest.raises(JournalError, match="no run"):
        asyncio.run(queries.replay("nobody", models.host(), team_for(models.host()), journal))


def test_the_run_of_a_program_is_no_session() -> None:
    journal, models = MemoryJournal(), Models()
    done = solved(models, journal=journal)
    with pytest.raises(JournalError, match="not a session"):
        asyncio.run(queries.resume(f"{done.session}.1", models.host(), team_for(models.host()), journal))


def test_every_decision_is_a_line_of_training_data() -> None:
    journal = MemoryJournal()
    done = solved(Models(thinker=down), journal=journal)
    lines = list(training_lines(*journal.read(done.session)))
    assert [one["role"] for one in lines] == ["generator", "implementer", "rectifier"]
    assert [one["action"]["text"] for one in lines] == [PROGRAM, BINDING, PATCH]
    assert lines[0]["context"]["query"] == TASK.query and lines[2]["context"]["trigger"]["cause"] == "unavailable"
    assert all(one["outcome"]["taken"] and one["outcome"]["session"]["failed"] == "" for one in lines)
    assert json.loads(json.dumps(lines)) == lines
    assert sum(row.kind == CALL for row in journal.read(done.session)[1]) == 3


def test_a_decision_that_was_not_taken_says_why() -> None:
    journal = MemoryJournal()
    done = solved(Models(generator="nothing"), journal=journal)
    line = next(training_lines(*journal.read(done.session)))
    assert not line["outcome"]["taken"] and line["outcome"]["why"]


def test_past_successes_are_shown_to_the_next_generator_and_failures_are_not() -> None:
    journal = MemoryJournal()
    solved(Models(), journal=journal)
    solved(Models(**dict.fromkeys(GOOD, Fails("auth"))), TASK._replace(query="What failed?"), journal=journal)
    (known,) = past_successes(journal)
    assert known.origin == "success" and "thinker" in known.text
    models = Models()
    done = solved(models, journal=journal)
    assert done.designed is not None and known.name in [name for name, _ in done.designed.examples]
    asked = next(one for one in models.tiers["smart"].requests if role_of(one) == "generator")
    assert "It answered: What is six times seven?" in asked.messages[1].content


def test_what_somebody_called_good_is_worth_more_and_what_was_bad_is_no_example() -> None:
    journal = MemoryJournal()
    done = solved(Models(), journal=journal)
    for good, worths in ((True, [1.25]), (False, []), (True, [1.25])):
        asyncio.run(rate(journal, done.session, good=good))
        assert [one.worth for one in past_successes(journal)] == worths
        assert {one["outcome"]["good"] for one in training_lines(*journal.read(done.session))} == {good}
    assert next(journal.list()).status == "ended"
    with pytest.raises(JournalError, match="not a session"):
        asyncio.run(rate(journal, f"{done.session}.1", good=True))


# ---------------------------------------------------------------- seams


class Rule:
    """Gives the thinker another word."""

    def __init__(self, made: Callable[[str], str | None]) -> None:
        self.name = "test"
        self._made = made

    def apply(self, template: str, task: Task, host: Host) -> str | None:
        return self._made(template)


def test_rules_are_applied_to_a_template_before_it_runs_and_only_sound_ones() -> None:
    better = Rule(lambda text: text.replace("Think about:", "Ponder:"))
    done = solved(Models(), seams=Seams(rules=(better, Rule(lambda text: "mas 1\n"), Rule(lambda text: None))))
    assert done.designed is not None and "Ponder:" in done.designed.system.text
    assert [note.partition(" ")[0] for note in done.notes] == ["the", "the"] and "left out" in done.notes[1]


def test_a_choice_may_prefer_self_consistency_and_says_why() -> None:
    def choose(task: Task, designed: System, simple: System, left: Limits) -> str:
        assert designed.calls == 2 and simple.name == "self-consistency of 5"
        return "its record is no better"

    done = solved(Models(decider="13"), seams=Seams(choose=choose))
    assert done.value == "13" and any("its record is no better" in note for note in done.notes)


def test_known_systems_from_outside_are_shown_and_the_end_is_told() -> None:
    told: list[Solved] = []
    known = Known("library.sixes", PROGRAM, "Multiplies by six.", "six times seven multiply", "library")
    models = Models()
    done = solved(models, seams=Seams(known=(known,), ended=lambda task, end: told.append(end)))
    assert told == [done]
    assert done.designed is not None and done.designed.examples[0][0] == "library.sixes"


# ---------------------------------------------------------------- in Python


def test_the_package_designs_and_solves(tmp_path: Path) -> None:
    models = Models()
    made = masdsl.design(TASK.query, models=models.tiers, budget=TASK.budget)
    assert made.designed is not None and made.designed.binding == BINDING and made.value is None
    place = str(tmp_path / "runs.db")
    done = masdsl.solve(TASK.query, models=models.tiers, journal=place, session="mine", effort="low")
    assert (done.value, done.session) == ("42", "mine")
    with SqliteJournal(place) as journal:
        assert {one.id: one.status for one in journal.list()} == {"mine": "ended", "mine.1": "ended"}
    with pytest.raises(BadTask, match="empty"):
        masdsl.solve(" ", models=models.tiers)


def test_tools_of_the_caller_are_offered_as_they_are_declared() -> None:
    program = PROGRAM.replace("mas 1\n", 'mas 1\n\ntool double(n: int) -> int from "double"\n', 1)
    program = program.replace("return solver(query, thought)", "twice = double(21)\n  return text(twice)")
    models = Models(generator=f"```mas\n{program}```")
    declared = ['tool double(n: int) -> int from "double"']
    done = masdsl.solve("x", models=models.tiers, tools={"double": lambda n: 2 * n}, declarations=declared)
    assert done.value == "42"
    other = masdsl.solve("x", models=models.tiers, tools={"double": lambda n: 2 * n}, declarations=[])
    assert other.value == "a reply", "what is granted but not offered is not used"
