"""Faults that people and models make are mended by the changes that diagnostics offer."""

from __future__ import annotations

from collections import Counter

import pytest

from masdsl.config import DEFAULT, load_config
from masdsl.diagnostics.base import ERROR, Findings
from masdsl.fixes import State, mend
from masdsl.pipeline import check_source
from masdsl.source import Source
from tests.bench.recovery import POOL, by_machine, cases
from tests.harness.planted import FAULTS, faults_of

LEAST = {"syntax": 0.9, "name": 0.8, "type": 0.55, "budget": 0.4}
"""Shares that were reached by far when this was written."""


def test_planted_faults_are_mended_by_machine() -> None:
    config = load_config(str(POOL), Findings())
    found = cases(200, config)
    count: Counter[str] = Counter()
    sound: Counter[str] = Counter()
    for case in found:
        assert faults_of(Source(case.source.name, case.planted.text), config)
        one = by_machine(case, config)
        count[one.kind] += 1
        sound[one.kind] += one.sound
        assert one.sound or not one.as_before
    assert set(count) == set(FAULTS)
    assert all(sound[kind] >= share * count[kind] for kind, share in LEAST.items()), (count, sound)


HEAD = """mas 1
type Review { ok: bool }
agent judge(work, strictness: int) -> Review
  "Judge {{ work }} with {{ strictness }}"
agent writer(task: text(400), tone: Review) -> text(90)
  "Write {{ task }} {{ tone }}"
flow main(query, level: int) -> bool {
"""
END = "  return r.ok\n}\n"


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("r = judge(level, query)", "r = judge(query, level)"),
        ("r = judge(strictness: query, work: level)", "r = judge(strictness: level, work: query)"),
        ("r = judge(query)", "r = judge(query, strictness: level)"),
        ("r = judge()", "r = judge(work: query, strictness: level)"),
        ("r = judge(level, level)", "r = judge(text(level), level)"),
    ],
)
def test_calls_are_mended(wrong: str, right: str) -> None:
    assert _mended(f"{HEAD}  {wrong}\n{END}") == f"{HEAD}  {right}\n{END}"


@pytest.mark.parametrize(
    "wrong",
    [
        "r = judge(query, level)\n  other = judge(query, level)\n  s = writer(query)",  # two reviews fit
        "other = 3\n  r = judge(query)",  # two numbers fit
    ],
)
def test_guesses_are_not_made(wrong: str) -> None:
    body = _mended(f"{HEAD}  {wrong}\n{END}").partition("flow main")[2]
    assert "tone:" not in body and "strictness:" not in body


def test_a_colon_before_a_block_is_mended() -> None:
    text = f"{HEAD}  r = judge(query, level)\n  if r.ok {{\n    return true\n  }}\n{END}"
    assert _mended(text.replace(" {\n    return", ":\n    return")) == text


def _mended(text: str) -> str:
    def check(source: Source) -> State:
        findings = Findings()
        check_source(source, DEFAULT, findings)
        return State([one for one in findings.sorted() if one.diagnostic.severity == ERROR])

    return mend(Source("x.mas", text), check, suggested=True).source.text
