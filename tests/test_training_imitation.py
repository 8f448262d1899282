"""Rows of fine-tuning out of trees: what led to success, once each, in the words that it was written in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from training.imitation.command import main
from training.imitation.rows import imitated
from training.trees.tree import Decision, Message, Option, Trajectory, Tree, line_of

CONTEXT = (Message("system", "s"), Message("user", "u"))
RIGHT, WRONG = Trajectory(success=True), Trajectory(success=False)


def patches(*options: Option) -> Decision:
    return Decision("rectifier", CONTEXT, options, "failure")


TREE = Tree(
    "t",
    "q",
    Decision(
        "implementer",
        CONTEXT,
        (
            Option("i0", "```bind\nbind 1\na = fast\n```", "one", then=WRONG),
            Option("i1", "```bind\nbind 1\na = smart\n```", "two", then=RIGHT),
            Option("i2", "the same, in other words", "two", then=RIGHT),
            Option("i3", "no binding", then=Trajectory(success=False, executed=False)),
            Option(
                "i4",
                "```bind\nbind 1\na = default\n```",
                "three",
                then=patches(
                    Option("i4.r0", "```patch\npatch 1\nbind a = smart\n```", "four", then=RIGHT),
                    Option("i4.r1", "```patch\npatch 1\nbind a = fast\n```", "five", then=WRONG),
                    Option("i4.r2", "```patch\npatch 1\n```", "three", then=RIGHT),
                    Option("i4.r3", "lost", "six", then=None),
                ),
            ),
        ),
    ),
)


def test_what_led_to_success_is_imitated_once_and_leaving_alone_is_not() -> None:
    rows = imitated([TREE], "implementer")
    assert [row["provenance"]["node"] for row in rows] == ["i1", "i4"], "i2 is i1 in other words"
    assert rows[0]["prompt"] == [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    assert rows[0]["completion"] == [{"role": "assistant", "content": "```bind\nbind 1\na = smart\n```"}]
    assert (rows[1]["provenance"]["successes"], rows[1]["provenance"]["trajectories"]) == (2, 3)
    assert [row["provenance"]["node"] for row in imitated([TREE], "rectifier")] == ["i4.r0"]
    assert imitated([TREE, TREE._replace(name="u")], "rectifier") == imitated([TREE], "rectifier")


def test_the_command_writes_rows_or_says_why_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trees, out = tmp_path / "trees.jsonl", tmp_path / "rows.jsonl"
    trees.write_text(line_of(TREE))
    assert main([str(trees), "--role", "implementer", "-o", str(out)]) == 0
    assert [json.loads(line)["provenance"]["tree"] for line in out.read_text().splitlines()] == ["t", "t"]
    assert main([str(trees), "--role", "generator", "-o", str(out)]) == 1
    assert "nothing that the generator wrote" in capsys.readouterr().err
    trees.write_text(line_of(TREE) + "{}\n")
    assert main([str(trees), "--role", "implementer", "-o", str(out)]) == 2
    assert f"{trees}:2: " in capsys.readouterr().err
    assert main([str(tmp_path / "none.jsonl"), "--role", "implementer", "-o", str(out)]) == 2
