"""Rewards by the compiler and the executor: each needs the one before it, and runs are graded."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from masdsl.batch.rows import DataFault
from masdsl.batch.systems import config_of
from masdsl.meta.host import Host
from training.cto.rewards import STAGES, Judge, rewards_of, said
from training.rates.asking import read_asked
from training.stage.faults import TrainingFault

CONFIG = """[tiers]
default = "script"

[models.script]
kind = "scripted"
path = "script.toml"
"""
SCRIPT = """[replies]
adder = "4"
other = "5"
mute = { refusal = "no" }
"""
HEAD = 'mas 1\n\nagent {name}(query) -> text "Add {{{{ query }}}}."\n\nflow main(query) -> text {{\n'
RIGHT = HEAD.format(name="adder") + "  found = adder(query)\n  return found\n}\n"
WRONG = RIGHT.replace("adder", "other")
DEAR = HEAD.format(name="adder") + "  a = adder(query)\n  b = adder(a)\n  c = adder(b)\n  d = adder(c)\n  return d\n}\n"
ELSE = RIGHT.replace("flow main(query) -> text", "flow main(query) -> int").replace("return found", "return 4")
LUCKY = RIGHT.replace("return found", 'return "4"')
ERRORS = RIGHT.replace("return found", "return nothing")
TOOL = (
    'mas 1\n\ntool run(code: text(1500)) -> (passed: bool, log: text(300)) from "run"\n\n'
    "flow main(query) -> text {\n  done = run(query)\n  return done.log\n}\n"
)
KNOWN = {
    # what is said: parses, checks, fits, right
    RIGHT: (1, 1, 1, 1),
    f"One agent is enough.\n\n```mas\n{RIGHT}```": (1, 1, 1, 1),
    WRONG: (1, 1, 1, 0),
    DEAR: (1, 1, 0, 0),
    ELSE: (1, 1, 0, 0),
    LUCKY: (1, 1, 0, 0),
    ERRORS: (1, 0, 0, 0),
    TOOL: (1, 0, 0, 0),
    "mas 1\nflow main(": (0, 0, 0, 0),
    "I cannot do that.": (0, 0, 0, 0),
    "": (0, 0, 0, 0),
}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    rows = [{"query": f"{n} + {4 - n}", "answer": answer} for n, answer in ((1, "4"), (2, "4"), (3, "wrong"))]
    files = {
        "mas.toml": CONFIG,
        "script.toml": SCRIPT,
        "queries.jsonl": "".join(json.dumps(row) + "\n" for row in rows),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def judge_of(here: Path, grader: str = "exact") -> Judge:
    asked = read_asked([str(here / "queries.jsonl")], calls=3, grader=grader)
    return Judge(Host(config_of(str(here / "x.mas"))), asked)


@pytest.mark.parametrize("reply", KNOWN, ids=lambda reply: reply[-30:])
def test_a_reply_is_worth_what_it_is(here: Path, reply: str) -> None:
    rewards = rewards_of(judge_of(here))
    message = [[{"role": "assistant", "content": reply}]]
    found = [reward(completions=message, prompts=[None], sample=[0])[0] for reward in rewards]
    assert tuple(found) == KNOWN[reply]


def test_rewards_are_named_and_each_needs_the_one_before() -> None:
    assert all(list(found) == sorted(found, reverse=True) for found in KNOWN.values())
    assert {found[:3].count(1) for found in KNOWN.values()} == {0, 1, 2, 3}


def test_names_are_those_that_trl_logs(here: Path) -> None:
    assert tuple(one.__name__ for one in rewards_of(judge_of(here))) == tuple(STAGES)


def test_what_is_right_depends_on_the_query(here: Path) -> None:
    *_, right = rewards_of(judge_of(here))
    assert right(completions=[RIGHT, RIGHT, WRONG], sample=[0, 2, 1]) == [1.0, 0.0, 0.0]


def test_a_reply_is_judged_once_for_a_query(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[Any] = []
    loaded = Host.loaded

    def counted(self: Host, program: Any) -> Any:
        runs.append(program)
        return loaded(self, program)

    monkeypatch.setattr(Host, "loaded", counted)
    rewards = rewards_of(judge_of(here))
    for reward in rewards:
        assert reward(completions=[RIGHT, RIGHT, RIGHT], sample=[0, 0, 1]) == [1.0, 1.0, 1.0]
    assert len(runs) == 2


def test_a_run_that_fails_is_worth_nothing_and_says_why(here: Path) -> None:
    found = asyncio.run(judge_of(here).judged([RIGHT.replace("adder", "silent")], [0]))[0]
    assert found.fits and not found.ran and found.score == 0.0 and "silent" in found.why


def test_a_grader_gives_shares(here: Path) -> None:
    (here / "queries.jsonl").write_text(json.dumps({"query": "q", "answer": "4 and 5"}) + "\n", encoding="utf-8")
    *_, right = rewards_of(judge_of(here, "token_f1"))
    assert 0.0 < right(completions=[RIGHT], sample=[0])[0] < 1.0


def test_a_generator_is_asked_as_it_was_trained_to_be(here: Path) -> None:
    prompts = judge_of(here).prompts()
    assert [one["role"] for one in prompts[0]] == ["system", "user"]
    assert all(text in prompts[0][1]["content"] for text in ("1 + 3", "flow main(query) -> text", "at most 3 calls"))


@pytest.mark.parametrize(
    ("queries", "grader", "told"),
    [
        ("", "exact", "there are no queries"),
        ('{"query": "q"}\n', "exact", "`query-0` cannot be graded: it has no answer"),
        ('{"query": "q", "answer": "a"}\n', "", "or no grader"),
        ('{"query": "q", "answer": "a"}\n', "numerik", "did you mean `numeric`"),
        ('{"query": "q", "answer": "no number"}\n', "numeric", "its answer has no number"),
        ("{\n", "exact", "no JSON"),
    ],
)
def test_queries_that_cannot_be_used_are_told(here: Path, queries: str, grader: str, told: str) -> None:
    (here / "queries.jsonl").write_text(queries, encoding="utf-8")
    with pytest.raises((TrainingFault, DataFault), match=told):
        judge_of(here, grader)


def test_without_a_model_nothing_can_be_run(here: Path) -> None:
    (here / "script.toml").unlink()
    with pytest.raises(TrainingFault, match="systems cannot be run here"):
        judge_of(here)


def test_what_trl_hands_over_is_read() -> None:
    assert said("text") == "text" and said([]) == ""
    assert said([{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}]) == "b"
