"""`mas design`, `mas solve`: a query in, a system or an answer out; everything about it on standard error."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from masdsl.cli import main
from masdsl.runtime.models import registry
from masdsl.runtime.models.base import ModelError

PROGRAM = """mas 1

agent solver(query) -> text
  "Answer: {{ query }}"

flow main(query) -> text {
  return solver(query)
}
"""


@pytest.fixture(autouse=True)
def near_by_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which systems are near does not depend on whether `masdsl[meta]` is installed."""
    monkeypatch.setattr("masdsl.meta.embedding.is_installed", lambda: False)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a script of replies: the first request of a session is the generator's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MASDSL_STATE", str(tmp_path / "state"))
    replies = {"solver": "42", "decider": "43", "*": f"One call will do.\n```mas\n{PROGRAM}```"}
    (tmp_path / "replies.json").write_text(json.dumps({"replies": replies}), encoding="utf-8")
    return tmp_path


def mas(*words: str) -> int:
    return main([*words])


def test_solving_prints_the_answer_alone_and_the_rest_beside_it(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mas("solve", "six times seven?", "--script", "replies.json") == 0
    out, err = capsys.readouterr()
    assert out == "42\n"
    assert "design 1 calls" in err and "run 1 calls" in err and "session 2" in err


def test_a_solved_session_can_be_explained_shown_again_and_learned_from(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mas("solve", "six times seven?", "--script", "replies.json", "--json", "--explain") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["value"] == "42" and told["designed"]["reasoning"] == "One call will do."
    session = told["session"]
    (place / "replies.json").write_text('{"replies": {}}', encoding="utf-8")
    assert mas("solve", "--replay", session, "--explain") == 0
    out, err = capsys.readouterr()
    assert out == "42\n" and "One call will do." in err and "agent solver(query)" in err
    assert mas("solve", "--resume", session) == 0
    assert capsys.readouterr().out == "42\n"
    assert mas("solve", "--decisions", session) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["role"] for one in lines] == ["generator", "implementer"]
    assert mas("solve", "--good", session) == 0 and mas("solve", "--bad", "nobody") == 2


def test_designing_writes_a_program_that_runs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mas("design", "six times seven?", "--script", "replies.json", "-o", "made.mas") == 0
    assert "design 1 calls" in capsys.readouterr().err
    assert mas("check", "made.mas") == 0
    assert mas("run", "made.mas", "query=x", "--script", "replies.json", "--no-journal") == 0
    assert capsys.readouterr().out.endswith("42\n")
    assert mas("design", "six times seven?", "--script", "replies.json", "--template") == 0
    assert " on " not in capsys.readouterr().out


@pytest.mark.parametrize("command", ["solve", "design"])
def test_a_dry_run_asks_no_model_and_keeps_nothing(
    command: str, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mas(command, "Solve this math problem", "--dry-run", "--calls", "9", "--usd", "0.5") == 0
    out = capsys.readouterr().out
    assert "9 calls" in out and "0.5 USD" in out and "mas2_math" in out and "model smollm2" in out
    assert mas(command, "Solve this math problem", "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["team"]["generator"] == "trained model smollm2+designer"
    assert not (place / "state" / "runs.db").exists() or mas("runs") == 0


def test_without_a_model_that_can_be_used_it_says_so_and_fails(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str = "smollm2", **options: str) -> None:
        raise ModelError("unavailable", "no weights here; run: mas models pull smollm2")

    monkeypatch.setattr(registry, "embedded", missing)
    assert mas("solve", "six times seven?") == 4
    out, err = capsys.readouterr()
    assert out == "" and "mas models pull" in err and "no system gave an answer" in err and "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["solve"], "no query is given"),
        (["solve", ""], "the query is empty"),
        (["design", "   "], "the query is empty"),
        (["solve", "@missing.txt"], "missing.txt"),
        (["solve", "x", "--signature", "flow main(query -> text"], "never closed"),
        (["solve", "x", "--tool", 'tool f(a) -> text from "no.such"'], "not granted"),
        (["solve", "x", "--calls", "-1"], "the limit of calls"),
        (["solve", "x", "--script", "nothing.json"], "nothing.json"),
        (["solve", "x", "--resume", "y"], "has its query already"),
        (["solve", "--resume", "nobody"], "nobody"),
        (["solve", "--replay", "nobody"], "nobody"),
        (["solve", "--replay", "nobody", "--no-journal"], "--no-journal"),
        (["solve", "x", "--model", "fast"], "names no tier"),
        (["solve", "word " * 70_000], "at most 32,000"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(
    words: list[str], said: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mas(*words) == 2
    out, err = capsys.readouterr()
    assert out == "" and said in err and "Traceback" not in err and err.count("\n") == 1


def test_a_query_may_come_from_a_file_or_from_standard_input(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "query.txt").write_bytes(b"six \xff times seven?")
    assert mas("solve", "@query.txt", "--script", "replies.json", "--json", "--no-journal") == 0
    assert json.loads(capsys.readouterr().out)["value"] == "42"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"six times seven?")))
    assert mas("solve", "-", "--script", "replies.json", "--no-journal") == 0
    assert capsys.readouterr().out == "42\n"


def test_a_session_is_listed_and_shown_and_is_no_run_of_a_program(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mas("solve", "six times seven?", "--script", "replies.json", "--json") == 0
    session = json.loads(capsys.readouterr().out)["session"]
    assert mas("runs") == 0
    assert session in capsys.readouterr().out
    assert mas("runs", "show", session) == 0
    out = capsys.readouterr().out
    assert "generator" in out and "mas solve --replay" in out
    for words in (["replay", session], ["run", "--resume", session]):
        assert mas(*words) == 2
        assert "is a session" in capsys.readouterr().err


TEMPLATE = """mas 1

agent judge(q) -> bool
  "Is it hard? {{ q }}"

agent solver(q, hard: bool) -> text
  "Solve {{ q }}"

flow main(q) -> text {
  hard = judge(q)
  return solver(q, hard)
}
"""
POOL = """
[tiers]
fast = "small"
smart = "large"
default = "small"

[models.small]
kind = "scripted"
path = "script.json"
input_price = 0.1
output_price = 0.2
about = "quick"

[models.large]
kind = "scripted"
path = "script.json"
input_price = 1
output_price = 2
about = "the best at reasoning"
"""


def test_a_template_is_bound_by_a_model_or_by_rules(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "t.mas").write_text(TEMPLATE, encoding="utf-8")
    (place / "mas.toml").write_text(POOL, encoding="utf-8")
    said = "The judge is easy.\n```bind\nbind 1\njudge = fast\nsolver = default\n```"
    (place / "script.json").write_text(json.dumps({"replies": {"*": said}}), encoding="utf-8")
    assert mas("bind", "--auto", "t.mas", "--explain", "--query", "hard sums") == 0
    out, err = capsys.readouterr()
    assert "-> bool on fast" in out and "-> text on default" in out and "The judge is easy." in err
    assert mas("bind", "--auto", "t.mas", "--implementer", "rules") == 0
    assert "-> bool on fast" in (out := capsys.readouterr().out) and "-> text on smart" in out
    assert mas("bind", "--auto", "t.mas", "--dry-run") == 0
    assert capsys.readouterr().out == "bind 1\njudge = fast\nsolver = smart\n"
    (place / "script.json").write_text(json.dumps({"replies": {"*": "garbage"}}), encoding="utf-8")
    assert mas("bind", "--auto", "t.mas", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["by"] == "cheapest adequate tier" and "gave no binding that fits" in told["notes"][0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mas 1\n\nflow other(q) -> text {\n  return q\n}\n", "no flow `main`"),
        ("mas 1\n\nflow main(q) -> text {\n  return z\n}\n", "`z`"),
        ("mas 1\n\nflow main(q) -> text {\n  return q\n}\n", "no role to assign"),
    ],
)
def test_what_cannot_be_bound_says_why(text: str, said: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "t.mas").write_text(text, encoding="utf-8")
    assert mas("bind", "--auto", "t.mas") == 2
    assert said in capsys.readouterr().err
