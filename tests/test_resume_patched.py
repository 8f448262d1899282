"""Runs that were broken off, patched, and resumed: what is done again is the least that the patch asks for.

The programs are pairs of `tests/data/resume/`: `base.mas`, and what a patch made of it. Eleven calls: a plan, three
branches of two steps, two rounds of a loop, an answer and its check.
"""

from __future__ import annotations

import asyncio
import json
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from masdsl import pipeline
from masdsl.check import program as checked_program
from masdsl.config import DEFAULT
from masdsl.diagnostics.base import Findings
from masdsl.journal.memory import MemoryJournal, MemoryRun
from masdsl.rectify.locate import Sites
from masdsl.runtime import Program, RunFailed, RunStopped, State
from masdsl.runtime.loader import load_module
from masdsl.runtime.models.base import ModelError, Price, Reply, Request
from masdsl.runtime.past import gives_value
from masdsl.source import Source
from tests.harness.journaled import cut, header
from tests.harness.virtual_time import run

FOLDER = Path(__file__).parent / "data" / "resume"
FIRST = header(inputs={"task": "t"})


class Model:
    """Answers with words that follow from what is asked, after some seconds; one agent or step may fail at once."""

    price = Price(1.0, 1.0)

    def __init__(self, name: str, failing: str = "") -> None:
        self.name = name
        self.failing = failing
        self.asked: list[str] = []

    async def complete(self, request: Request) -> Reply:
        self.asked.append(request.step)
        if self.failing and self.failing in (request.agent, request.step):
            raise ModelError("refused", "it cannot do that")
        texts = [self.name, request.agent, *(message.content for message in request.messages)]
        digest = sha256(json.dumps([*texts, request.seed]).encode()).hexdigest()
        await asyncio.sleep(1 + int(digest[:2], 16) % 4)
        parts = json.dumps([digest[:4], digest[4:8], digest[8:12]])
        return Reply(parts if request.agent == "planner" else digest[:12], model=self.name)

    async def close(self) -> None:
        """Do nothing."""


def checked(name: str) -> checked_program.Program:
    findings = Findings()
    text = (FOLDER / f"{name}.mas").read_text(encoding="utf-8")
    program = pipeline.check_source(Source(f"{name}.mas", text), DEFAULT, findings)
    assert program is not None and findings.ok, name
    return program


def compiled(program: checked_program.Program) -> Program:
    loaded: Program = load_module(pipeline.build(program).text, {}).PROGRAM
    return loaded


def tiers(failing: str = "") -> dict[str, Model]:
    return {"default": Model("one", failing), "smart": Model("two")}


def begun(failing: str, stop_after: int = 0) -> MemoryRun:
    """Run the base program until an agent or a step fails, or until so many steps have finished."""

    def should_stop(state: State) -> str | None:
        return "enough" if stop_after and len(state.finished) >= stop_after else None

    journaled = MemoryJournal().create(FIRST)
    with pytest.raises(RunStopped if stop_after else RunFailed):
        run(compiled(checked("base")).run(models=tiers(failing), run=journaled, should_stop=should_stop))
    return journaled


class Case(NamedTuple):
    """What stops the first part, how many steps it finished, and how many the patched run reuses, claims and runs."""

    program: str
    failing: str
    finished: int
    frozen: tuple[int, int, int]
    strict: tuple[int, int, int]
    stop_after: int = 0
    aliases: dict[str, str] = {}  # noqa: RUF012


CASES = {
    "a-writer-fails": Case("a", "writer", 9, (9, 0, 2), (9, 0, 2)),
    "b-a-solver-fails": Case("b", "main.parts.draft[1]", 3, (3, 0, 8), (1, 0, 10)),
    "c-step-before-the-writer": Case("c", "writer", 9, (9, 0, 3), (9, 0, 3)),
    "d-later-step-too": Case("d", "writer", 9, (9, 0, 2), (9, 0, 2)),
    "e-stopped-in-a-loop": Case("e", "", 8, (8, 0, 3), (7, 0, 4), stop_after=8),
    "f-independent-step-first": Case("f", "writer", 9, (9, 0, 3), (9, 0, 3)),
    "f2-all-inputs-change": Case("f2", "writer", 9, (0, 0, 12), (0, 0, 12)),
    "g-renamed-as-the-patch-says": Case("g", "writer", 9, (3, 6, 2), (3, 6, 2), aliases={"main.pieces": "main.parts"}),
    "g-renamed-in-silence": Case("g", "writer", 9, (3, 6, 2), (3, 6, 2)),
    "h-wrapped-as-the-patch-says": Case(
        "h", "checker", 10, (9, 1, 1), (9, 1, 1), aliases={"main.loop_2.answer": "main.answer"}
    ),
    "h-wrapped-in-silence": Case("h", "checker", 10, (9, 1, 1), (9, 1, 1)),
}


@pytest.mark.parametrize("policy", ["frozen", "strict"])
@pytest.mark.parametrize("name", CASES)
def test_the_least_is_done_again(name: str, policy: str) -> None:
    case = CASES[name]
    journaled = begun(case.failing, case.stop_after)
    rows = list(journaled.rows())
    assert sum(map(gives_value, rows)) == case.finished
    program = checked(case.program)
    options: dict[str, Any] = {"policy": policy, "aliases": case.aliases, "sites": Sites(program, program.flow("main"))}
    models = tiers()
    result = run(compiled(program).run(models=models, run=journaled, **options))
    counts = result.reused, result.claimed, result.steps_ran
    assert counts == (case.frozen if policy == "frozen" else case.strict)
    asked = models["default"].asked + models["smart"].asked
    assert len(asked) == counts[2]
    paid = sum(row.kind in ("reply", "fault") for row in journaled.rows())
    assert result.calls == paid
    # Whatever row the second part breaks off at, it gets to the same value, and asks nothing again.
    whole = list(journaled.rows())
    if not any(row.kind == "patch" for row in whole):
        whole.insert(len(rows), whole[-1]._replace(kind="patch", body={"redo": [], "aliases": case.aliases}))
    for upto in range(len(rows) + 1, len(whole)):
        again = cut(whole, FIRST, upto)
        models = tiers()
        options["aliases"] = {}
        second = run(compiled(program).run(models=models, run=again, **options))
        assert second.value == result.value
        kept = [row for row in whole[len(rows) : upto] if row.kind in ("reply", "fault")]
        assert len(models["default"].asked + models["smart"].asked) == len(asked) - len(kept)
        now = list(again.rows())
        replies = [(row.path, row.indices) for row in now if row.kind == "reply"]
        claims = [row.body["seq"] for row in now if row.kind == "claim"]
        assert len(set(claims)) == len(claims) == counts[1]
        assert len(replies) == sum(row.kind == "reply" for row in whole)


def test_a_patch_that_is_taken_back_finds_what_was_there() -> None:
    """What a patch made superfluous is kept: without it, nothing is asked again."""
    journaled = begun("writer")
    run(compiled(checked("f2")).run(models=tiers(), run=journaled))
    models = tiers()
    result = run(compiled(checked("base")).run(models=models, run=journaled))
    assert (result.reused, models["default"].asked) == (9, ["main.answer", "main.final"])


def test_redo_does_a_step_again_and_what_depends_on_it() -> None:
    journaled = MemoryJournal().create(FIRST)
    base = compiled(checked("base"))
    before = run(base.run(models=tiers(), run=journaled))
    models = tiers()
    after = run(base.run(models=models, run=journaled, redo=["main.parts.good"]))
    assert after.value != before.value  # the seeds of what is done again are others
    assert sorted(models["default"].asked) == sorted(
        [
            *(f"main.parts.good[{index}]" for index in range(3)),
            "main.loop.best[0]",
            "main.loop.best[1]",
            "main.answer",
            "main.final",
        ]
    )
    again = run(base.run(models=tiers("*"), run=journaled, redo=["main.parts.good"]))
    assert (again.value, again.steps_ran) == (after.value, 0)  # the journal says that it was done again
    reasons = {event.path: event.detail for event in after.events if event.kind == "rerun"}
    assert "to be done again" in reasons["main.parts.good"]
    assert "its inputs are others" in reasons["main.loop.best"]


def test_samples_never_collapse() -> None:
    """Two steps that ask the same have an answer each; an orphan is claimed once."""
    journaled = begun("writer")
    drafts = [row.body["value"] for row in journaled.rows() if gives_value(row) and row.path == "main.parts.draft"]
    program = checked("g")
    result = run(compiled(program).run(models=tiers(), run=journaled, sites=Sites(program, program.flow("main"))))
    claimed = [event.value for event in result.events if event.kind == "claimed" and event.path == "main.pieces.draft"]
    assert sorted(claimed) == sorted(drafts) and len(set(drafts)) == 3
