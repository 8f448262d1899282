"""Generated programs, cut off after every row and resumed: the same value, nothing asked twice, nothing lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masdsl import pipeline
from masdsl.journal.base import Row
from masdsl.journal.memory import MemoryJournal
from masdsl.runtime import Program, Result, RunFailed
from masdsl.runtime.loader import load_module
from masdsl.runtime.shapes import plain
from tests.harness.generate import program as generated
from tests.harness.journaled import CrashError, Crashing, HashedModel, as_version_1, cut, header, open_intents
from tests.harness.virtual_time import run
from tests.test_differential import checked

FAILED = "the run failed"
FIRST = header(inputs={"q": "what is it?"})


class Host:
    """A model and tools, with a count of the effects."""

    def __init__(self, seed: int, **faults: int) -> None:
        self.model = HashedModel(seed, **faults)
        self.sent: Counter[str] = Counter()

    def tools(self) -> dict[str, Any]:
        async def look(**inputs: Any) -> str:
            return f"seen {inputs['q'][:5]}"

        async def send(q: str, idempotency_key: str) -> int:
            self.sent[idempotency_key] += 1
            return len(q)

        return {"look": look, "send": send}


def play(program: Program, host: Host, journaled: Any, **options: Any) -> tuple[Any, Result]:
    try:
        result = run(program.run(models=host.model, tools=host.tools(), run=journaled, **options))
    except RunFailed as failure:
        return FAILED, failure.result
    return plain(result.value), result


def compiled(random: Random, size: int) -> Program:
    program: Program = load_module(pipeline.build(checked(generated(random, size))).text, {}).PROGRAM
    return program


def ended_early(result: Result) -> bool:
    """Whether a flow failed: how much of what ran beside the failure was begun is a matter of time then."""
    return any(event.what == "flow" and event.kind in ("failed", "refused") for event in result.events)


def check_cut(program: Program, seed: int, faults: dict[str, int], rows: list[Row], upto: int, whole: Any) -> None:
    """Resume a run of which `rows[:upto]` are left; `whole` is the value and the result of the uninterrupted run."""
    value, before = whole
    host = Host(seed, **faults)
    journaled = cut(rows, FIRST, upto)
    again, result = play(program, host, journaled)
    assert again == value
    now = list(journaled.rows())
    asked_before = {(row.path, row.indices, row.part) for row in rows[:upto] if row.kind in ("reply", "fault")}
    asked_now = Counter((row.path, row.indices, row.part) for row in now[upto:] if row.kind == "intent")
    replies = Counter((row.path, row.indices, row.part) for row in now if row.kind in ("reply", "fault"))
    assert not asked_before & set(asked_now), "a call that was journaled was made again"
    assert set(replies.values()) <= {1}
    assert len(host.model.requests) == sum("tokens_in" in row.body for row in now[upto:] if row.kind == "intent")
    doubtful = [row for row in open_intents(rows[:upto]) if "tokens_in" in row.body]
    if not ended_early(before) and not ended_early(result):
        assert result.calls == before.calls + len(doubtful)
        reserved = [sum(row.body[name] for row in doubtful) for name in ("tokens_in", "tokens_out", "picodollars")]
        spent = [result.tokens_in, result.tokens_out, result.picodollars]
        assert spent == [
            one + more
            for one, more in zip((before.tokens_in, before.tokens_out, before.picodollars), reserved, strict=True)
        ]
        assert result.repeated == len(doubtful)


def check_all_cuts(
    random: Random,
    seed: int,
    size: int,
    faults: dict[str, int],
    step: int,
    written: Callable[[Sequence[Row]], list[Row]] = list,
) -> None:
    program = compiled(random, size)
    journaled = MemoryJournal().create(FIRST)
    whole = play(program, Host(seed, **faults), journaled)
    rows = written(journaled.rows())
    assert rows[-1].kind == "end"
    whole_rows = len(rows) - (whole[0] == FAILED)  # with the last row, a failed run tries again what failed
    for upto in range(random.randrange(step) if step > 1 else 0, whole_rows + 1, step):
        if not any(row.body.get("effect") for row in open_intents(rows[:upto])):  # then it fails: see test_resume
            check_cut(program, seed, faults, rows, upto, whole)


FAULTS: list[dict[str, int]] = [{}, {"pace": 9}, {"pace": 9, "faults": 9, "slips": 7}]


@pytest.mark.parametrize("faults", FAULTS, ids=["even", "paced", "faulty"])
@pytest.mark.parametrize("seed", range(12))
def test_seeded_programs_go_on_from_every_row(seed: int, faults: dict[str, int]) -> None:
    check_all_cuts(Random(seed), seed, 6, faults, 5 if seed > 3 else 1)


@pytest.mark.parametrize("seed", range(6))
def test_runs_that_version_1_wrote_go_on_from_any_row(seed: int) -> None:
    check_all_cuts(Random(seed), seed, 6, FAULTS[seed % 3], 3, as_version_1)


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from(FAULTS))
def test_generated_programs_go_on_from_any_row(random: Random, faults: dict[str, int]) -> None:
    check_all_cuts(random, random.randrange(1000), 4, faults, 7)


@pytest.mark.parametrize("seed", range(6))
def test_runs_that_crash_again_and_again_get_there(seed: int) -> None:
    """Every part of the run writes a few rows more, and then the process is gone while calls are under way."""
    faults = {"pace": 9, "slips": 9}
    program = compiled(Random(seed), 6)
    value, _ = play(program, Host(seed, **faults), None, seed=FIRST.seed, inputs=FIRST.inputs)
    host = Host(seed, **faults)
    journal = MemoryJournal()
    journaled = journal.create(FIRST)
    for part in range(200):
        try:
            again, result = play(program, host, Crashing(journaled, 9 + 4 * part))
            break
        except CrashError:
            continue
    assert again == value or any("may have happened" in event.detail for event in result.events)
    rows = journaled.rows()
    assert (
        max(Counter((row.path, row.indices, row.part) for row in rows if row.kind == "reply").values(), default=1) == 1
    )
    assert set(host.sent.values()) <= {1}
    assert result.calls == sum(row.kind in ("reply", "fault") for row in rows) + sum(
        "tokens_in" in row.body for row in open_intents(rows)
    )


@pytest.mark.parametrize("seed", range(12))
def test_a_replay_gives_the_same_and_calls_nothing(seed: int) -> None:
    faults = FAULTS[2]
    program = compiled(Random(seed), 6)
    journaled = MemoryJournal().create(FIRST)
    host = Host(seed, **faults)
    whole = play(program, host, journaled)
    rows, asked, sent = list(journaled.rows()), len(host.model.requests), host.sent.copy()
    again, result = play(program, host, journaled, replay_only=True)
    assert again == whole[0]
    assert (result.calls, result.tokens, result.picodollars) == (whole[1].calls, whole[1].tokens, whole[1].picodollars)
    assert (len(host.model.requests), host.sent) == (asked, sent)
    assert list(journaled.rows()) == rows
