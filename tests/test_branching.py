"""Runs that branch where they stand: what their journal shows a rectifier is what it would have been shown."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from masdsl.config import DEFAULT
from masdsl.diagnostics.base import Findings
from masdsl.journal import MemoryJournal
from masdsl.meta.host import Host
from masdsl.rectify import Proposal, State
from masdsl.rectify.branching import Grants, branch, is_standing, state_at, watch_for, watch_over
from masdsl.rectify.durable import checked_limits
from masdsl.runtime import RunFailed
from masdsl.runtime.meter import Limits
from masdsl.runtime.models.base import Price
from masdsl.runtime.models.scripted import Fails, ScriptedModel

PROGRAM = """mas 1
rectify tries 3{at}
agent planner(query) -> text(20)
  "Plan: {{{{ query }}}}"
agent solver(query, plans: text(20)[3]) -> text(20)
  "Answer {{{{ query }}}} by {{{{ plans }}}}"
flow main(query) -> text(20) {{
  plans = 3 of planner(query)
  again = planner(query)
  answer = solver(again, plans)
  return answer
}}
"""
REFUSES = {"solver": Fails("refused"), "*": "a plan"}
MODELS = {
    "default": ScriptedModel(REFUSES, name="mid", price=Price(1, 1)),
    "smart": ScriptedModel(REFUSES, name="big", price=Price(5, 5)),
    "fast": ScriptedModel({"*": "an answer"}, name="small", price=Price(0.1, 0.1)),
}
CONFIG = DEFAULT._replace(tiers={"fast": "small", "default": "mid", "smart": "big"})
LIMITS = Limits(calls=20)


class Watching:
    """A rectifier that says what it was told to, and keeps what it was shown."""

    name, trusted = "watching", False

    def __init__(self, *says: Proposal | str) -> None:
        self._says = list(says)
        self.shown: list[dict[str, Any]] = []

    async def propose(self, state: State) -> Proposal | str:
        self.shown.append(untimed(state))
        return self._says.pop(0)


def untimed(state: State) -> dict[str, Any]:
    data = state.to_json()
    del data["budget"]["seconds"]
    return data


SMART = Proposal("patch 1\nbind solver = smart\n", "another model")
ALONE = "it is well as it is"


def shown_live(at: str, *says: Proposal | str) -> list[dict[str, Any]]:
    host = Host(CONFIG, MODELS)
    program = host.check(PROGRAM.format(at=at), Findings())
    assert program is not None
    rectifier = Watching(*says)

    async def run() -> None:
        try:
            await host.loaded(program).start(
                "main", {"query": "q"}, journal=MemoryJournal(), rectifier=rectifier, budget=LIMITS, run_id="live"
            )
        except RunFailed:
            pass

    asyncio.run(run())
    return rectifier.shown


def shown_by_journals(
    at: str, *says: Proposal | str, who: str = "watching", then: Watching | None = None
) -> tuple[list[dict[str, Any]], list[int]]:
    """Return the states of a run and of its branches, and how many calls each of them has paid itself.

    `who` has said what there is to say. The last branch is repaired by `then`, if there is such.
    """
    host = Host(CONFIG, MODELS)
    program = host.check(PROGRAM.format(at=at), Findings())
    assert program is not None
    loaded = host.loaded(program)
    grants = Grants(tuple(one.tier for one in host.pool(program)), frozenset())
    shown: list[dict[str, Any]] = []
    paid: list[int] = []

    async def run() -> None:
        journal = MemoryJournal()
        inputs: dict[str, Any] = {"query": "q"}
        for number, said in enumerate((*says, "")):
            name = f"run{number}"
            more: dict[str, Any] = {"resume": name} if number else {"run_id": name}
            opened = journal.read(name) if number else None
            stop = None
            if opened is not None:
                stop = watch_over(*opened, loaded.ground_of(opened[0], LIMITS)).stop_reason
            elif at:
                stop = watch_for(program, (checked_limits(LIMITS),), ()).stop_reason
            try:
                await loaded.start(
                    "main",
                    {} if number else inputs,
                    journal=journal,
                    rectifier=then if then is not None and number == len(says) else False,
                    budget=LIMITS,
                    should_stop=stop,
                    **more,
                )
            except RunFailed:
                pass
            header, rows = journal.read(name)
            own = [row for row in rows if row.seq > (header.parent_seq or 0)]
            paid.append(sum(row.kind in ("reply", "fault") for row in own))
            if not is_standing(rows):
                return
            state = await state_at(header, rows, loaded.ground_of(header, LIMITS), grants, trusted=False)
            assert state is not None
            shown.append(untimed(state))
            if said:
                await branch(journal, name, f"run{number + 1}", state, said, who)
                await branch(journal, name, f"run{number + 1}", state, said, who)  # it is there already

    asyncio.run(run())
    return shown, paid


@pytest.mark.parametrize(
    ("at", "says", "states", "calls"),
    [
        ("", (SMART, "no idea"), 2, [5, 1]),
        (" at 15%", (ALONE, SMART, "no idea"), 3, [4, 1, 1]),  # three calls at once, and the one beside them
    ],
)
def test_a_journal_shows_what_the_rectifier_of_a_run_is_shown(
    at: str, says: tuple[Proposal | str, ...], states: int, calls: list[int]
) -> None:
    live = shown_live(at, *says)
    shown, paid = shown_by_journals(at, *says)
    assert len(live) == states
    assert shown[:states] == live
    assert paid[:states] == calls


@pytest.mark.parametrize(("who", "left"), [("user", 3), ("watching", 2)])
def test_a_patch_by_the_user_is_no_try_of_a_rectifier(who: str, left: int) -> None:
    """Neither for whom a kept run is shown, nor for the rectifier of the run when it goes on."""
    shown, _ = shown_by_journals("", SMART, who=who)
    assert [state["tries_left"] for state in shown] == [3, left]
    then = Watching("no idea")
    shown_by_journals("", SMART, who=who, then=then)
    assert [state["tries_left"] for state in then.shown] == [left]


def test_a_rectifier_may_not_be_called_like_the_user() -> None:
    forger = Watching(SMART)
    forger.name = "user"
    with pytest.raises(ValueError, match="the run's own user"):
        shown_by_journals("", SMART, then=forger)


def test_a_refused_patch_makes_no_branch_that_goes_on() -> None:
    with pytest.raises(ValueError, match="the patch is refused: MAS"):
        shown_by_journals("", Proposal("patch 1\nbind nobody = smart\n", "?"))
