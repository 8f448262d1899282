"""Faults at steps of systems, with and without a rectifier: the small size of `tests.bench.rectified_faults`."""

from __future__ import annotations

import pytest

from tests.bench.rectified_faults import WAYS, Row, rows_of, table
from tests.harness.rectified_faults import Lasts, System


def rows(name: str, lasts: Lasts, every: int, room: float = 1.5, tries: int = 2) -> list[Row]:
    system = System.of(name, room, tries)
    return list(rows_of(system, list(system.faults(lasts))[::every]))


@pytest.mark.parametrize("name", ["self_refine", "chain_of_verification"])
def test_where_one_model_is_at_fault_another_one_finishes_the_run_whole(name: str) -> None:
    found = rows(name, "model", 45)
    assert len({row.fault.position.step for row in found}) >= 2
    for row in found:
        nobody, rules, model = (row.played[way] for way in WAYS)
        assert not nobody.finished and row.cause is not None and nobody.patches == ()
        assert rules.is_whole and model.is_whole, (row.fault, rules, model)
        assert "bind " in rules.patches[0] and model.asked == 1
        assert rules.calls <= System.of(name, 1.5).undisturbed.calls + 1, "only what failed is asked again"


def test_what_was_finished_before_the_fault_is_reused() -> None:
    found = rows("chain_of_verification", "once", 28)
    last = [row for row in found if row.fault.position.step == "main.return"]
    assert last and all(row.played["rules"].reused >= 3 for row in last)
    first = [row for row in found if row.fault.position.step == "main.draft"]
    assert first and all(row.played["rules"].reused == 0 for row in first)


def test_where_no_model_helps_the_rules_go_on_without_the_step() -> None:
    for tries in (1, 2):
        ended = [row.played["rules"] for row in rows("chain_of_verification", "step", 60, tries=tries)]
        assert ended and not any(one.is_whole for one in ended)
        assert all(one.finished == (tries == 2) for one in ended), "another tier comes first"


def test_without_room_for_another_call_a_model_may_not_repair() -> None:
    found = rows("plan_and_solve", "model", 30, room=1.0)
    assert found and not any(row.played["model"].finished for row in found)
    said = table(found, "all")
    assert f"| all | {len(found)} | 0% |" in said
