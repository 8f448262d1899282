"""`mas test` and what stands behind it: given answers, expectations, and how failures are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from masdsl.cli import main
from masdsl.diagnostics.base import Diagnostic, Finding, Findings
from masdsl.diagnostics.render import render_short
from masdsl.diagnostics.run import ExpectationFailed
from masdsl.pipeline import check_file
from masdsl.source import Source
from masdsl.testing import Outcome, run_tests

PROGRAM = """mas 1
type Kind = math | code
type Review { ok: bool, note: text(60) }
budget calls 20
agent writer(topic) -> text retry 1 "Write about the topic."
agent sorter(topic) -> Kind else Kind.code "Sort."
agent reviewer(draft) -> Review "Review."
tool size(words: text) -> int from "text.size"
flow attempt(topic) -> text {
  draft = writer(topic)
  again: loop 2 {
    r = reviewer(draft)
    until r.ok
    draft = writer(r.note)
  }
  return draft
}
flow main(topic) -> text {
  kind = sorter(topic)
  draft = attempt(topic)
  n = size(draft) else 0
  return join([text(kind), draft, text(n)], " ")
}
"""
GIVEN = """
  given writer = "one"
  given writer = "two"
  given reviewer = Review(ok: false, note: "no")
  given sorter = Kind.math
  given size = 7
  out = main("sea")
"""


def outcomes(folder: Path, *tests: str) -> tuple[Source, list[Outcome]]:
    path = folder / "program.mas"
    path.write_text(PROGRAM + "".join(f'test "test {number}" {{{body}}}\n' for number, body in enumerate(tests, 1)))
    (folder / "mas.toml").write_text('[tools]\n"text.size" = "nothing:here"\n')
    findings = Findings()
    source, program, _ = check_file(str(path), findings)
    assert source is not None and program is not None, render_short(findings.sorted())
    return source, list(run_tests(program))


def said(source: Source, failures: tuple[Diagnostic, ...]) -> list[str]:
    shown = render_short([Finding(source, failure) for failure in failures])
    return [line.split("program.mas:", 1)[1] for line in shown.splitlines()]


@pytest.mark.parametrize(
    "expected",
    [
        'out == "math two 7"',
        "calls == 6",
        "calls <= 10 and tokens > 0 and usd == 0.0 and seconds < 60.0",
        "ran(main.kind) == 1",
        "ran(main.draft) == 1",
        "ran(main.draft.again.draft) == 2",
        "ran(attempt.again.draft) == 2",
        "ran(attempt.draft) == 1",
        "not (ran(main.n) == 0)",
        'contains(out, "two") and starts_with(out, "math") or false',
        'len(split(out, " ")) == 3',
        'split(out, " ")[1] == "two"',
        'first(split(out, " ")) == "math"',
    ],
)
def test_what_holds(tmp_path: Path, expected: str) -> None:
    source, [outcome] = outcomes(tmp_path, f"{GIVEN} expect {expected}")
    assert outcome.passed, said(source, outcome.failures)


@pytest.mark.parametrize(
    ("expected", "values"),
    [
        ('out == "x"', ['is "math two 7"']),
        ("calls < 3", ["is 8"]),
        ("ran(main.kind) == 2", ["is 1"]),
        ('contains(out, "x")', ['is "math two 7"']),
        ('len(out) == 3 and out != ""', ["is 10", 'is "math two 7"']),
        ("not (calls == 8)", ["is 8"]),
        ("k == Kind.code", ["is Kind.math"]),
        ("r.ok", ["is false"]),
        ('r == Review(ok: true, note: "")', ['is Review(ok: false, note: "no")']),
        ("1 == 2", []),
    ],
)
def test_what_does_not_hold_is_shown_with_its_values(tmp_path: Path, expected: str, values: list[str]) -> None:
    source, [outcome] = outcomes(tmp_path, f'{GIVEN} k = sorter("x") r = reviewer("x") expect {expected}')
    [failure] = outcome.failures
    assert (failure.code, failure.title()) == ("MAS910", f"test `test 1`: `{expected}` does not hold")
    assert [label.text for label in failure.labels()] == values
    assert source.slice(failure.span) == expected


def test_every_expectation_that_fails_is_told(tmp_path: Path) -> None:
    source, [outcome] = outcomes(tmp_path, f"{GIVEN} expect calls == 1 expect calls == 6 expect calls == 2")
    failed = [one.condition if isinstance(one, ExpectationFailed) else one for one in outcome.failures]
    assert failed == ["calls == 1", "calls == 2"]
    assert said(source, outcome.failures)[0].endswith(
        "MAS910 test `test 1`: `calls == 1` does not hold; change the program, or what the test expects of it"
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            'given writer = "x" out = attempt("sea") expect out == "x"',
            "MAS912 test `test 1`: nothing is given for `reviewer`; say what it answers: `given reviewer = ...`",
        ),
        (
            'given writer = "x" given reviewer fails out = attempt("sea") expect out == "x"',
            "MAS911 test `test 1`: the program failed at `attempt.again.r[0]`; give the step a fallback",
        ),
        (
            'given writer = "x" given reviewer replies "no idea" out = attempt("sea") expect out == "x"',
            "MAS911 test `test 1`: the program failed at `attempt.again.r[0]`; give the step a fallback",
        ),
        (
            'given reviewer fails r = reviewer("x") expect r.ok',
            "MAS911 test `test 1`: the program failed at `test.r`; give the step a fallback",
        ),
    ],
)
def test_what_cannot_be_finished_says_where(tmp_path: Path, body: str, expected: str) -> None:
    source, [outcome] = outcomes(tmp_path, body)
    assert len(outcome.failures) == 1
    assert expected in said(source, outcome.failures)[0]


@pytest.mark.parametrize(
    "body",
    [
        'given sorter replies "It is **Math**, I think." k = sorter("x") expect k == Kind.math',
        'given sorter fails k = sorter("x") expect k == Kind.code and calls == 1',
        'given writer replies "raw { text" w = writer("x") expect w == "raw { text"',
        'given reviewer replies "{ok: True, note: \'fine\',}" r = reviewer("x") expect r.ok and r.note == "fine"',
        'given size fails n = size("x") else 3 expect n == 3',
        'given size replies "about 12" n = size("x") expect n == 12',
        'given size = 1 given size = 2 a = size("x") b = size(text(a)) c = size(text(b)) expect [a, b, c] == [1, 2, 2]',
        """given writer fails given writer = "later"
           w = writer("x") else "no" v = writer(w) expect w == "no" and v == "later" """,
        """given writer = "1" given writer = "2" given writer = "3"
           a = writer("x") b = writer(a) c = writer("y") expect b == "2" and c == "3" """,
        """given writer = "1" given writer = "2" given size = 7
           n = size("x") a = writer(text(n)) b = writer("y") expect a == "1" and b == "2" """,
        """given writer = "1" given writer = "2" given writer = "3"
           a = 2 of writer("x") b = writer("y") expect a == ["1", "2"] and b == "3" """,
        "expect calls == 0",
        "k = Kind.math x = 2.0 expect k == Kind.math and x / 4 == 0.5 and - x < 0.0 and min([3, 1]) == 1",
        'xs = ["a", "b"] expect len(xs + ["c"]) == 3 and first(xs) == "a" and last(xs) != none',
    ],
)
def test_ways_of_giving_answers(tmp_path: Path, body: str) -> None:
    source, [outcome] = outcomes(tmp_path, body)
    assert outcome.passed, said(source, outcome.failures)


def test_the_budget_of_the_program_holds_in_tests(tmp_path: Path) -> None:
    _, [outcome] = outcomes(
        tmp_path, 'given writer = "x" a = writer("1") within calls 1 { b = writer("2") c = writer(b) } expect a == "x"'
    )
    assert "refused by" in outcome.failures[0].label()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes(tmp_path, GIVEN + "expect calls == 6", GIVEN + "expect calls == 7")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.mas").write_text("mas 1\nflow main(x) -> text { return x }\n")
    assert main(["test"]) == 1
    out = capsys.readouterr().out
    assert out.startswith(
        "program.mas\n  passed  test 1\n  FAILED  test 2\n\nerror[MAS910]: test `test 2`: `calls == 7`"
    )
    assert out.endswith("\n1 error\n2 tests, 1 failed\n") and "is 6" in out
    assert main(["test", "-k", "TEST 1"]) == 0
    assert capsys.readouterr().out == "program.mas\n  passed  test 1\n1 test passed\n"
    assert main(["test", "--format", "short"]) == 1
    assert capsys.readouterr().out.count("\n") == 1
    assert main(["test", "--format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert [(test["title"], test["passed"], test["calls"]) for test in document["tests"]] == [
        ("test 1", True, 6),
        ("test 2", False, 6),
    ]
    assert [finding["code"] for finding in document["findings"]] == ["MAS910"]
    assert main(["test", "-k", "none like this"]) == 5
    assert main(["test", "other.mas"]) == 5
    assert main(["test", "nowhere.mas"]) == 2
    (tmp_path / "other.mas").write_text("mas 1\nflow main(x) -> text { return y }\n")
    assert main(["test", "other.mas"]) == 1
