"""Batches whose model is behind a real server: identical calls are made once, and "too many" is waited for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from masdsl import evaluate
from masdsl.batch.evaluation import Evaluation
from masdsl.runtime import Limits
from tests.harness.faulty_server import FaultyServer, error, ok

PROGRAM = """mas 1
agent solver(question: text(60)) -> text(40) temp TEMPERATURE retry 0 "Solve {{ question }}."
flow main(question: text(60)) -> text {
  return solver(question)
}
"""


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        server.will(ok("The answer is 5", prompt_tokens=20, completion_tokens=5))
        yield server


def made(folder: Path, server: FaultyServer, out: str, *, temperature: float = 0.0, **options: Any) -> Evaluation:
    """Make a batch of twelve samples with four questions."""
    (folder / "p.mas").write_text(PROGRAM.replace("TEMPERATURE", str(temperature)))
    (folder / "mas.toml").write_text(
        '[tiers]\ndefault = "served"\n[models.served]\nkind = "openai"\nmodel = "m"\n'
        f'url = "{server.url}"\ninput_price = 1.0\noutput_price = 2.0\n'
    )
    lines = [{"question": f"2 + {number % 4}", "answer": 2 + number % 4} for number in range(12)]
    (folder / "q.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    options = {"workers": 0, "report": False, "grader": "numeric", **options}
    return evaluate([folder / "p.mas"], folder / "q.jsonl", out=folder / out, **options)


def outcomes(folder: Path, out: str) -> bytes:
    return (folder / out / "outcomes.jsonl").read_bytes()


def test_identical_calls_are_made_once_and_outcomes_are_the_same(tmp_path: Path, server: FaultyServer) -> None:
    made(tmp_path, server, "plain")
    assert len(server.requests) == 12
    server.requests.clear()
    first = made(tmp_path, server, "first", cache=str(tmp_path / "cache.db"))
    assert len(server.requests) == 4 and first.ended.cached == 8
    server.requests.clear()
    second = made(tmp_path, server, "second", cache=str(tmp_path / "cache.db"), budget=Limits(calls=12))
    assert len(server.requests) == 0 and second.ended.cached == 12
    assert outcomes(tmp_path, "plain") == outcomes(tmp_path, "first") == outcomes(tmp_path, "second")
    assert second.ended.spent.calls == 0 < first.ended.spent.picodollars


@pytest.mark.parametrize(("policy", "calls"), [("seeded", 12), ("fresh", 24)])
def test_what_samples_is_shared_with_the_same_batch_alone(
    tmp_path: Path, server: FaultyServer, policy: str, calls: int
) -> None:
    for out in ("one", "two"):
        made(tmp_path, server, out, temperature=1.0, cache=str(tmp_path / "cache.db"), sampled_calls=policy)
    assert len(server.requests) == calls


def test_too_many_is_waited_for(tmp_path: Path, server: FaultyServer) -> None:
    too_many = error(429, "slow down", headers=("Retry-After: 0.2",))
    server.will(*[too_many] * 5, ok("The answer is 5"))
    found = made(tmp_path, server, "out")
    statuses = [one.status for one in found.outcomes()]
    assert statuses == ["ended"] * 12, "no retry is allowed, and none is needed"
    assert len(server.requests) == 17 and found.ended.spent.calls == 12
