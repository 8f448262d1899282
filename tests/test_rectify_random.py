"""Patches by chance from somebody who is not trusted: what is accepted may do no more, costs no more than is left, and
is applied whole; what is refused changes nothing.

`MASDSL_RANDOM_PATCHES=10000 pytest tests/test_rectify_random.py` runs the full size (about four minutes).
"""

from __future__ import annotations

import os
import random

import pytest

import masdsl
from masdsl.bounds.flows import bound
from masdsl.check.program import Limits, Program, Within
from masdsl.check.uses import invokes, right_sides, statements_of
from masdsl.journal import MemoryJournal
from masdsl.rectify import Proposal, State
from masdsl.runtime import RunFailed
from masdsl.runtime.models.base import Price
from masdsl.runtime.models.scripted import Fails, ScriptedModel
from masdsl.source import Source
from tests.harness.rectifying import CONFIG, PROGRAM, random_patch, standing, verdict

COUNT = int(os.environ.get("MASDSL_RANDOM_PATCHES", "400"))
DONE: dict[str, object] = {"main.drafts[0]": "a", "main.drafts[1]": "b", "main.drafts[2]": "a"}
BATCHES = 4


def granted(program: Program) -> set[str]:
    return {tool.granted_as for tool in program.tools}


def acting(program: Program) -> set[tuple[str, str]]:
    """Return (flow or agent, tool) for all tools with an effect in the hands of somebody, found anew."""
    tools = {tool.key: tool for tool in program.tools}
    effects = {key for key, tool in tools.items() if tool.granted_as in ("mail.send", "disk.wipe")}
    found = {(agent.name, tools[key].granted_as) for agent in program.agents for key in agent.tools if key in effects}
    for flow in program.flows:
        for side in right_sides(statements_of(flow.body)):
            found |= {(flow.name, tools[one.callee].granted_as) for one in invokes(side) if one.callee in effects}
    return found


def slices(program: Program) -> dict[str, Limits]:
    nodes = [node for flow in program.flows for node in statements_of(flow.body)]
    return {node.path: node.limits for node in nodes if isinstance(node, Within)}


@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_accepted_patch_widens_anything(batch: int) -> None:
    draw = random.Random(batch)
    stands = standing(done=DONE)
    before = stands.now.program
    accepted = 0
    for _ in range(COUNT // BATCHES):
        patch = random_patch(draw)
        found = verdict(patch, stands)
        if not found.accepted:
            assert found.findings and found.version is None and found.source is None, patch
            continue
        accepted += 1
        assert found.version is not None and found.after is not None
        after = found.version.program
        assert granted(after) <= granted(before), patch
        assert acting(after) <= acting(before), patch
        assert {agent.model for agent in after.agents if agent.is_model_name} == set(), patch
        assert after.rectify == before.rectify, patch
        assert after.budget is not None and before.budget is not None
        assert (after.budget.calls or 99) <= (before.budget.calls or 0), patch
        assert (after.budget.tokens or 10**9) <= (before.budget.tokens or 0), patch
        for path, limits in slices(before).items():
            assert (slices(after)[path].calls or 99) <= (limits.calls or 0), patch
        assert found.after.calls <= (after.budget.calls or 0) - 3, patch
        whole = bound(after, {}).flows[found.version.entry].most
        assert whole.calls - len(DONE) <= found.after.calls <= whole.calls, patch
    assert stands == standing(done=DONE)
    assert accepted >= COUNT // BATCHES // 40, "hardly a patch was accepted, so nothing was tested"


class ByChance:
    """Proposes a patch by chance, as a model would that somebody has talked into mischief."""

    name = "chance"
    trusted = False

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        self.states: list[State] = []

    async def propose(self, state: State) -> Proposal:
        """Return any patch."""
        self.states.append(state)
        return Proposal(f"patch 1\n{random_patch(self._draw)}", "why not")


@pytest.mark.parametrize("seed", range(40))
def test_a_run_under_patches_by_chance_keeps_its_budget_and_sends_no_other_mail(seed: int) -> None:
    mails: list[str] = []

    def send(body: str) -> bool:
        mails.append(body)
        return True

    replies = {"coder": ["a", "a", "a", "code"], "critic": {"ok": False, "issues": []}, "sorter": "math"}
    failing = random.Random(seed).choice(
        ("main.slot.title", "main.end.better", "main.refine.note", "main.refine.code[1]")
    )
    models = {
        tier: ScriptedModel({failing: [Fails("refused"), *["fine"] * 9], "namer": "title", **replies}, name=tier,
                            price=Price(1.0, 1.0))
        for tier in ("fast", "smart", "cheap", "default")
    }  # fmt: skip
    tools = {"mail.send": send, "web.find": lambda q: "found", "web.seek": lambda q: "sought", "disk.wipe": None}
    journal, rectifier = MemoryJournal(), ByChance(seed)
    loaded = masdsl.load(Source("<input>", PROGRAM), config=CONFIG, models=models, tools=tools)  # type: ignore[arg-type]
    try:
        result = loaded.main.run_sync(spec="x", journal=journal, run_id="r", rectifier=rectifier)
    except RunFailed as failure:
        result = failure.result
    _, rows = journal.read("r")
    assert result.calls <= 14
    assert len(mails) <= 1 and set(mails) <= {"code", "fine"}
    applied = [row for row in rows if row.kind == "patch"]
    assert len(applied) == sum(one.accepted for one in result.interventions)
    assert sum(bool(one.patch) for one in result.interventions) <= 2
    for one in result.interventions:
        if one.accepted:
            assert not one.diagnostics and one.fits["calls"] == "proved"
            assert one.after["calls"] <= (one.left["calls"] or 0)
        else:
            assert one.diagnostics
