"""Every fault that providers and tools are known for, at every call of a handful of programs."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.harness.fault_runs import Position, by_chance, expected, from_then_on, once, play, positions, wrong
from tests.harness.fault_scenes import BY_NAME, SCENES, Scene
from tests.harness.faults import MODEL_KINDS, Kind
from tests.harness.tool_faults import TOOL_KINDS

NAMES = [scene.name for scene in SCENES]


def judged(scene: Scene, position: Position, kind: Kind, *, always: bool) -> list[str]:
    """Return what a fault does and should not."""
    outcome = play(scene, (from_then_on if always else once)(position, kind))
    found = list(wrong(scene, outcome))
    due = expected(scene, position, kind, always=always)
    if not scene.tight and due != outcome.given:
        found.append(f"it gives {outcome.given!r}, not {due!r}: {outcome.reason}")
    where = f"{kind.name} at {position.step}, call {position.number}{', and then always' if always else ''}"
    return [f"{where}: {fault}" for fault in found]


def test_the_table_has_what_is_known() -> None:
    kinds = (*MODEL_KINDS, *TOOL_KINDS)
    assert len({kind.name for kind in kinds}) == len(kinds) >= 36
    assert all((kind.answer is None) == (kind.call is not None) for kind in kinds)
    done = {kind.name for name in NAMES for position in positions(name) for kind in position.kinds}
    assert done == {kind.name for kind in kinds}, "some kind can be done nowhere"


@pytest.mark.parametrize("always", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("name", NAMES)
def test_every_fault_at_every_call(name: str, always: bool) -> None:
    found = [
        fault
        for position in positions(name)
        for kind in position.kinds
        if not kind.blocks
        for fault in judged(BY_NAME[name], position, kind, always=always)
    ]
    assert not found, "\n".join(found[:20])


@pytest.mark.parametrize("name", ["tool agent", "effects"])
def test_a_tool_that_keeps_its_thread(name: str) -> None:
    kinds = [kind for kind in TOOL_KINDS if kind.blocks]
    position = next(position for position in positions(name) if position.is_tool)
    for kind in kinds:
        assert not judged(BY_NAME[name], position, kind, always=False)


def test_faults_by_chance() -> None:
    ends: Counter[bool] = Counter()
    for seed in range(40 * len(NAMES)):
        scene = SCENES[seed % len(SCENES)]
        outcome = play(scene, by_chance(seed, 0.1 + seed % 4 / 4))
        found = list(wrong(scene, outcome))
        assert not found, f"seed {seed}: {found}"
        ends[bool(outcome.reason)] += 1
    assert min(ends[True], ends[False]) > 40, "chance gives values as well as failures"


def test_the_same_chance_is_the_same_run() -> None:
    for name in NAMES:
        one, other = (play(BY_NAME[name], by_chance(7, 0.5)) for _ in range(2))
        assert one.given == other.given
        assert one.result.events == other.result.events
