"""Graders of batches: what counts as right, said by examples; code in the sandbox; judges and what they cost."""

from __future__ import annotations

import asyncio
import json
import os
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masdsl.batch import code_tests
from masdsl.batch.base import Sample
from masdsl.batch.graders import NAMES, grader_of
from masdsl.batch.grading import GraderFault, Kept, Score
from masdsl.batch.likeness import option_in, options_of, right_option, set_f1, squad_tokens, token_f1
from masdsl.batch.numbers import number_of
from masdsl.journal import JournalBusy, MemoryJournal
from masdsl.journal.memory import MemoryRun
from masdsl.runtime.models.scripted import Fails, ScriptedModel
from masdsl.sandbox import SandboxRefused, tier


def graded(spec: str, value: Any, answer: Any, **extra: Any) -> float | None:
    grader = grader_of(spec)
    assert grader is not None
    return asyncio.run(grader.score(value, Sample(0, {"query": "?"}, answer, extra))).score


EXACT = [
    ("42", "42", True),
    ("The answer is 42.", "42", True),
    ({"why": "x", "answer": "YES."}, "yes", True),
    (7, "7", True),
    (True, "true", True),
    ("7.0", 7, True),
    (["a", "B"], ["A", "b"], True),
    ({"a": 1}, {"a": 1}, True),
    ("41", "42", False),
    ("112", "12", False),
    ("42 and 43", "42", False),
    ("", "42", False),
    ("no answer", "", False),
    ("", "", True),
    (7, 8, False),
    (["a"], ["a", "b"], False),
    ({"a": 1}, {"b": 1}, False),
    (None, "x", False),
    ('["a", "b"]', ["a", "b"], False),
]


@pytest.mark.parametrize(("value", "answer", "same"), EXACT)
def test_exact(value: object, answer: object, same: bool) -> None:
    assert graded("exact", value, answer) == float(same)


NUMBERS = [
    ("72", "72"),
    ("She earns $10.00 in all.", "10"),
    ("First 3 apples, then 4: 7 apples.", "7"),
    ("#### 1,234", "1234"),
    ("The answer is 42 because 6 * 7 has 2 factors.", "42"),
    ("The answer is 6 * 7 = 42", "42"),
    ("Answer: 42. That took 3 steps.", "42"),
    ("The answer is 41. Wait, the answer is 42.", "42"),
    ("so 3 + 4\n\nAnswer: **7**", "7"),
    ("\\boxed{\\frac{3}{4}}", "0.75"),
    ("\\boxed{1{,}000}", "1000"),
    ("3/4", "0.75"),
    ("1 1/2 cups", "1.5"),
    ("1\u00bd cups", "1.5"),
    ("\u00be", "0.75"),
    ("-5", "\u22125"),
    ("x=-5", "-5"),
    ("\u20135", "-5"),
    ("-$5", "-5"),
    ("$-5", "-5"),
    ("from 10-12", "12"),
    ("-0", "0"),
    (-0.0, 0),
    ("-0.0", 0.0),
    ("80%", "80"),
    ("80%", "0.8"),
    ("0.8", "80%"),
    ("80 \\%", "80%"),
    ("1e3", "1000"),
    ("1E-2", "0.01"),
    ("3 \u00d7 10^8 m/s", "300000000"),
    ("3 \\times 10^{-2}", "0.03"),
    ("1e400", "1e400"),
    ("seventy-two", "72"),
    ("on 12/25/2024", "2024"),
    ("12 345 678".replace(" ", "\u202f"), "12345678"),
    ("12km", "12"),
    ("\uff14\uff12", "42"),
    (72, "72.0"),
    (0.1 + 0.2, "0.3"),
    ({"answer": "it is 72", "steps": 3}, "72"),
    ("1,2,3", "3"),
    ("<think>maybe 8</think>7", "7"),
    ([1, "2"], [1, 2]),
    ("[1, 2.0]", [1, 2]),
    ("9" * 400, int("9" * 400)),
]
NOT_NUMBERS = [
    ("112", "12"),
    ("12", "112"),
    ("1.2", "12"),
    ("5", "-5"),
    ("no answer", "0"),
    ("", "0"),
    ("   ", "0"),
    (None, "0"),
    (True, "1"),
    (float("nan"), "0"),
    (float("inf"), "1e400"),
    ("1e400", "1e399"),
    ("1e999999999", "0"),
    ("1e999999999", "1"),
    ("1/0", "0"),
    ("0.5", "0.50001"),
    ("50%", "0.05"),
    ("80%", "0.8%"),
    ("GPT4", "4"),
    ("[1, 2, 3]", "3"),
    ([3], "3"),
    ("3", [3]),
    ([1, 2], [1, 2, 3]),
    ("12345678", "12345679"),
    ("9" * 401, "9"),
    ({"total": 72}, "72"),
]


@pytest.mark.parametrize(("value", "answer"), NUMBERS)
def test_the_same_number(value: object, answer: object) -> None:
    assert graded("numeric", value, answer) == 1.0


@pytest.mark.parametrize(("value", "answer"), NOT_NUMBERS)
def test_another_number_or_none(value: object, answer: object) -> None:
    assert graded("numeric", value, answer) == 0.0


TOLERANCES = [
    ("numeric:rel=1e-3", "1000.9", "1000", 1.0),
    ("numeric:rel=1e-3", "1001.1", "1000", 0.0),
    ("numeric:rel=1e-3", "-999.1", "-1000", 1.0),
    ("numeric:rel=0.01", "0.0001", "0", 0.0),
    ("numeric:abs=0.01", "3.14", "3.14159", 1.0),
    ("numeric:abs=0.001", "3.14", "3.14159", 0.0),
    ("numeric:abs=0", "0.1", 0.1, 1.0),
    ("numeric:rel=1/100,abs=0.5", "10.4", "10", 1.0),
]


@pytest.mark.parametrize(("spec", "value", "answer", "score"), TOLERANCES)
def test_tolerances(spec: str, value: str, answer: str, score: float) -> None:
    assert graded(spec, value, answer) == score


@given(st.fractions(-(10**9), 10**9, max_denominator=10**6), st.text(max_size=20))
@settings(deadline=None)
def test_a_number_in_words_around_it_is_read_exactly(number: Fraction, words: str) -> None:
    for text in (str(number), f"Answer: {number}", f"{words}\n#### {number}"):
        found = number_of(text)
        assert found is not None and found.value == number


@given(st.text(max_size=200), st.text(max_size=50))
@settings(max_examples=60, deadline=None)
def test_no_text_is_too_strange_for_a_grader(value: str, answer: str) -> None:
    for spec in ("exact", "numeric", "choice", "set_f1", "token_f1"):
        score = graded(spec, value, answer, options=[answer, "x", "y"])
        assert score is not None and 0 <= score <= 1


CHOICES = [
    ("B", "B"),
    ("b", "B"),
    ("(B)", "B"),
    ("(b)", "B"),
    ("B.", "B"),
    ("**B**", "B"),
    ("B) 12 miles", "B"),
    ("\\boxed{B}", "B"),
    ("\\boxed{\\text{B}}", "B"),
    ("$\\boxed{\\text{(B)}}$", "B"),
    ("The answer is B.", "B"),
    ("The answer is (B).", "B"),
    ("the correct answer is option B", "B"),
    ("Answer: B", "B"),
    ("**Answer:** B", "B"),
    ("Answer: B) 12", "B"),
    ("#### B", "B"),
    ("Option B is right.", "B"),
    ("I choose B because A is too small.", "B"),
    ("I'd go with (b).", "B"),
    ("B is correct, since A and C are too large.", "B"),
    ("A is wrong and C is too.\nSo **B**", "B"),
    ("Let us see. A) is too small.\nB) 12", "B"),
    ("The answer is A. Wait, no: the answer is B.", "B"),
    ("A train leaves ... so it must be B", "B"),
    ("A man has a dog", None),
    ("The answer is not B", None),
    ("It isn't B, nor is it C.", None),
    ("I do not know.", None),
    ("", None),
    ("Z", None),
    ("F", None),
    (None, None),
    (7, None),
]


@pytest.mark.parametrize(("reply", "letter"), CHOICES)
def test_the_letter_that_a_reply_chooses(reply: object, letter: str | None) -> None:
    assert option_in(reply, ()) == letter


OPTIONS = ("10 miles", "12 miles", "112 miles", "none of these")
BY_TEXT = [
    ("12 miles", "B"),
    ("12 Miles.", "B"),
    ("It is 112 miles.", "C"),
    ("The answer is 12 miles", "B"),
    ("Answer: none of these", "D"),
    ("E", None),
    ("10 miles or 12 miles", None),
    ({"answer": "12 miles"}, "B"),
]


@pytest.mark.parametrize(("reply", "letter"), BY_TEXT)
def test_an_option_is_chosen_by_its_text_as_well(reply: object, letter: str | None) -> None:
    assert option_in(reply, OPTIONS) == letter


RIGHT = [
    ("B", OPTIONS, "B"),
    ("(b)", OPTIONS, "B"),
    ("12 miles", OPTIONS, "B"),
    (1, OPTIONS, "B"),
    ("2", OPTIONS, "B"),
    (0, OPTIONS, "A"),
    (4, OPTIONS, None),
    ("E", OPTIONS, None),
    ("E", (), "E"),
    ("nothing", (), None),
    (None, (), None),
    (2, ("1", "2", "3"), "B"),
]


@pytest.mark.parametrize(("answer", "options", "letter"), RIGHT)
def test_the_right_option_of_a_sample(answer: object, options: tuple[str, ...], letter: str | None) -> None:
    assert right_option(answer, options) == letter


LISTED = [
    ({"options": ["A)21", "B)22"]}, ("21", "22")),
    ({"options": ["A) x", "y"]}, ("A) x", "y")),
    ({"choices": {"text": ["x", "y"], "label": ["A", "B"]}}, ("x", "y")),
    ({"options": {"B": "y", "A": "x"}}, ("x", "y")),
    ({"options": [1, 2.5]}, ("1", "2.5")),
    ({"options": "x"}, ()),
    ({}, ()),
]


@pytest.mark.parametrize(("extra", "options"), LISTED)
def test_the_options_of_a_sample(extra: dict[str, Any], options: tuple[str, ...]) -> None:
    assert options_of(extra) == options
    assert graded("choice", "A", 0, **extra) == 1.0 or not options


SETS = [
    (["a", "b"], ["b", "a"], 1.0),
    (["A.", "the b"], ["a", "b"], 1.0),
    ('["a", "b"]', ["a", "b"], 1.0),
    ("a, b", ["a", "b"], 1.0),
    ("- a\n- b", ["a", "b"], 1.0),
    ("They are:\n1. a\n2. b", ["a", "b"], 1.0),
    ("Answer: a; b and c", ["a", "b and c"], 1.0),
    ("1,000, 2", ["1000", 2], 1.0),
    (["a"], ["a", "b"], 2 / 3),
    (["a", "a", "a"], ["a"], 1.0),
    (["a", "c"], ["a", "b"], 0.5),
    ("12", ["112"], 0.0),
    ([], [], 1.0),
    ("", [], 1.0),
    ([], ["a"], 0.0),
    (None, ["a"], 0.0),
    ({"answer": ["a"]}, ["a"], 1.0),
]


@pytest.mark.parametrize(("value", "answer", "score"), SETS)
def test_set_f1(value: object, answer: object, score: float) -> None:
    assert set_f1(value, answer) == pytest.approx(score)


WORDS = [
    ("The cat sat.", "cat sat", 1.0),
    ("the cat", "a dog", 0.0),
    ("cat on mat", "the cat", 0.5),
    ("in Paris, France", ["London", "Paris"], 0.5),
    ("Paris", {"text": ["Paris", "Paris, France"], "answer_start": [0, 0]}, 1.0),
    ("", {"text": [], "answer_start": []}, 1.0),
    ("no answer", "", 0.0),
    ("", None, 1.0),
    (None, "x", 0.0),
    ("the", "a", 1.0),
    ("x x y", "x y y", 2 / 3),
    (12, "12", 1.0),
    ("112", "12", 0.0),
]


@pytest.mark.parametrize(("value", "answer", "score"), WORDS)
def test_token_f1(value: object, answer: object, score: float) -> None:
    assert token_f1(value, answer) == pytest.approx(score)


def test_words_are_those_of_the_official_script() -> None:
    assert squad_tokens("The U.S.'s  An answer\u2014a one") == ["uss", "answer\u2014", "one"]


@given(st.lists(st.text(max_size=4), max_size=6), st.lists(st.text(max_size=4), max_size=6))
def test_f1_is_symmetric_and_one_for_itself(left: list[str], right: list[str]) -> None:
    assert set_f1(left, right) == set_f1(right, left)
    assert set_f1(left, left) == 1.0
    assert token_f1(" ".join(left), " ".join(right)) == pytest.approx(token_f1(" ".join(right), " ".join(left)))


DOCUMENTED = re.findall(
    r"^\| `([a-z_0-9:.=-]+)` \| `(.+)` \| `(.+)` \| ([0-9.]+) \|$",
    (Path(__file__).parents[1] / "docs" / "eval.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


@pytest.mark.parametrize(("spec", "value", "answer", "score"), DOCUMENTED)
def test_what_the_page_says_of_graders(spec: str, value: str, answer: str, score: str) -> None:
    assert graded(spec, json.loads(value), json.loads(answer)) == pytest.approx(float(score))


def test_the_page_has_examples_of_the_graders_that_need_no_program() -> None:
    assert len(DOCUMENTED) > 20
    assert {spec.partition(":")[0] for spec, *_ in DOCUMENTED} == {*NAMES} - {"code", "judge"}


FAULTS = [
    ("exakt", "did you mean `exact`?"),
    ("token-f1", "did you mean `token_f1`?"),
    ("bleu", "there are exact, numeric"),
    ("exact:1", "takes no arguments"),
    ("numeric:rell=1", "did you mean `rel`?"),
    ("numeric:rel=x", "a number from 0 on"),
    ("numeric:rel=-1", "a number from 0 on"),
    ("numeric:abs=1/0", "a number from 0 on"),
    ("judge", "needs a program"),
    ("judge:nowhere.mas", "cannot be used"),
    ("judge:x.mas,out_of=0", "out_of above 0"),
]


@pytest.mark.parametrize(("spec", "told"), FAULTS)
def test_a_grader_that_cannot_be_used_is_told_before_anything_is_run(spec: str, told: str) -> None:
    with pytest.raises(GraderFault, match=told.replace("?", "\\?")):
        grader_of(spec)


def test_no_grader() -> None:
    assert grader_of("") is None


UNFIT = [
    ("exact", None, {}, "no answer"),
    ("numeric", "many", {}, "no number"),
    ("numeric", [1, "x"], {}, "no number"),
    ("choice", "Q", {}, "no `options`"),
    ("choice", "Q", {"options": ["a", "b"]}, "no option"),
]


@pytest.mark.parametrize(("spec", "answer", "extra", "told"), UNFIT)
def test_a_sample_that_nothing_can_be_graded_on(spec: str, answer: object, extra: dict[str, Any], told: str) -> None:
    grader = grader_of(spec)
    assert grader is not None
    assert told in grader.fault_of(Sample(0, {}, answer, extra))
    assert grader.fault_of(Sample(0, {}, "A 1", {"options": ["A 1", "b"]})) == ""


# ---------------------------------------------------------------- code

PROMPT = "from typing import List\n\n\ndef twice(xs: List[int]) -> List[int]:\n    '''Doubles.'''\n"
CHECK = "def check(candidate):\n    assert candidate([1]) == [2]\n    assert candidate([]) == []\n"
RIGHT_CODE = "def twice(xs):\n    return [2 * x for x in xs]\n"
MBPP = ["assert twice([1]) == [2]", "assert twice([2, 3]) == [4, 6]"]
HUMAN = {"tests": CHECK, "entry_point": "twice"}
GO_ON = {"test": CHECK, "entry_point": "twice", "prompt": PROMPT}
TYPED = "def twice(xs: List[int]):\n    return [2 * x for x in xs]\n"
WITH_SETUP = {"test_list": ["assert twice([N]) == [2]"], "test_imports": ["N = 1"]}
CODE: list[tuple[str, Any, dict[str, Any], float]] = [
    ("the function", RIGHT_CODE, HUMAN, 1.0),
    ("in a fence", f"Here:\n```python\n{RIGHT_CODE}```\nDone.", HUMAN, 1.0),
    ("as a record", {"code": RIGHT_CODE}, HUMAN, 1.0),
    ("what follows the prompt", "    return [2 * x for x in xs]", GO_ON, 1.0),
    ("without its indentation", "return [2 * x for x in xs]", GO_ON, 1.0),
    ("with what the prompt imports", TYPED, GO_ON, 1.0),
    ("statements", RIGHT_CODE, {"test_list": MBPP}, 1.0),
    ("statements with a setup", RIGHT_CODE, WITH_SETUP, 1.0),
    ("wrong", "def twice(xs):\n    return xs\n", HUMAN, 0.0),
    ("half right", "def twice(xs):\n    return xs + xs\n", {"test_list": ["assert twice([]) == []", MBPP[0]]}, 0.0),
    ("another name", "def double(xs):\n    return [2 * x for x in xs]\n", HUMAN, 0.0),
    ("it leaves", "import sys\nsys.exit(0)\n", {"test_list": MBPP}, 0.0),
    ("no Python", "I cannot.", {"test_list": MBPP}, 0.0),
    ("tests without assertions", RIGHT_CODE, {"test_list": ["twice([1])"]}, 0.0),
    ("no text", 7, {"test_list": MBPP}, 0.0),
]  # fmt: skip


@pytest.mark.skipif(tier() is None, reason="no tier of the sandbox works here")
@pytest.mark.parametrize(("value", "extra", "score"), [one[1:] for one in CODE], ids=[one[0] for one in CODE])
def test_code_by_its_tests(value: object, extra: dict[str, Any], score: float) -> None:
    assert graded("code", value, None, **extra) == score


@pytest.mark.skipif(tier() is None, reason="no tier of the sandbox works here")
def test_the_answer_may_be_the_tests_and_the_query_the_prompt() -> None:
    grader = grader_of("code:seconds=5")
    assert grader is not None
    sample = Sample(0, {"query": PROMPT}, CHECK, {"entry_point": "twice"})
    assert asyncio.run(grader.score("    return [2 * x for x in xs]", sample)) == Score(1.0)
    assert "candidate([1]) == [2]" in asyncio.run(grader.score("    return xs", sample)).why
    assert grader.fault_of(sample) == ""
    assert "entry_point" in grader.fault_of(Sample(0, {"query": PROMPT}, CHECK))
    assert "tests" in grader.fault_of(Sample(0, {"query": PROMPT}))


def test_without_a_sandbox_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(wanted: str | None) -> str:
        raise SandboxRefused("no tier works; install bubblewrap")

    monkeypatch.setattr(code_tests, "chosen", refuse)
    with pytest.raises(GraderFault, match=r"sandbox alone: no tier works; install bubblewrap"):
        grader_of("code")


@pytest.mark.skipif(tier() is None, reason="no tier of the sandbox works here")
def test_a_sandbox_that_does_not_start_any_more_leaves_the_value_ungraded(monkeypatch: pytest.MonkeyPatch) -> None:
    grader = grader_of("code")
    assert grader is not None

    async def refuse(code: str, **options: Any) -> None:
        raise SandboxRefused("it did not start")

    monkeypatch.setattr(code_tests, "run_python", refuse)
    found = asyncio.run(grader.score(RIGHT_CODE, Sample(0, {}, None, HUMAN)))
    assert found == Score(None, "it did not start")


# ---------------------------------------------------------------- judges

JUDGE = """mas 1

agent critic(question, answer, reference) -> @
  "{{ question }} {{ answer }} {{ reference }}"

flow main(question, answer, reference) -> @ {
  return critic(question, answer, reference)
}
"""
VERDICTS: list[tuple[str, Any, str, float | None]] = [
    ("(score: float, why: text(20))", {"score": 0.25, "why": "vague"}, "", 0.25),
    ("bool", True, "", 1.0),
    ("bool", False, "", 0.0),
    ("float", 0.5, "", 0.5),
    ("int", 7, ",out_of=10", 0.7),
    ("int", 11, ",out_of=10", None),
    ("float", -0.5, "", None),
]


def judge(folder: Path, returns: str, reply: Any, arguments: str = "") -> Any:
    (folder / "judge.mas").write_text(JUDGE.replace("@", returns), encoding="utf-8")
    return grader_of(f"judge:judge.mas{arguments}", str(folder), models=ScriptedModel({"critic": reply}))


@pytest.mark.parametrize(("returns", "reply", "arguments", "score"), VERDICTS)
def test_what_a_judge_says_is_the_score(
    tmp_path: Path, returns: str, reply: object, arguments: str, score: float | None
) -> None:
    grader = judge(tmp_path, returns, reply, arguments)
    found = asyncio.run(grader.score("blue", Sample(0, {"query": "Which colour?"}, "red")))
    assert found.score == (score if score is None else pytest.approx(score))
    assert (found.calls, found.tokens > 0, bool(found.why)) == (1, True, score is None)
    assert str(tmp_path) in grader.spec and grader_of(grader.spec, "/elsewhere") is not None


def test_a_judge_is_told_question_answer_and_reference(tmp_path: Path) -> None:
    seen: list[str] = []

    def reply(request: Any) -> bool:
        seen.append(request.messages[-1].content)
        return True

    grader = judge(tmp_path, "bool", reply)
    for inputs, value in (({"query": "Why?"}, {"x": 1}), ({"text": "t"}, 3), ({"a": 1, "b": 2}, "v")):
        asyncio.run(grader.score(value, Sample(0, inputs, "because")))
    assert [text.split("\n")[0] for text in seen] == [
        'Why? {"x": 1} because',
        "t 3 because",
        '{"a": 1, "b": 2} v because',
    ]


def test_a_judge_that_fails_leaves_the_value_ungraded_and_costs(tmp_path: Path) -> None:
    found = asyncio.run(judge(tmp_path, "bool", Fails("unavailable")).score("x", Sample(0, {"q": "?"}, "y")))
    assert found.score is None and "the judge failed at" in found.why and found.calls >= 1


def test_the_run_of_a_judge_is_kept_and_paid_once(tmp_path: Path) -> None:
    made: list[int] = []

    def reply(request: Any) -> bool:
        made.append(1)
        return True

    grader = judge(tmp_path, "bool", reply)
    journal = MemoryJournal()
    kept = Kept(journal, "batch-7-judge")
    scores = [asyncio.run(grader.score("x", Sample(0, {"q": "?"}, "y"), kept=kept)) for _ in range(3)]
    assert len(made) == 1 and scores[0] == scores[1] == scores[2] and scores[0].calls == 1


def test_the_run_of_a_judge_is_taken_over_when_its_owner_is_gone(tmp_path: Path) -> None:
    grader = judge(tmp_path, "bool", True)
    made: list[int] = []

    class Owned(MemoryJournal):
        def resume(self, run: str) -> MemoryRun:
            made.append(1)
            if len(made) < 3:
                raise JournalBusy(run, "is somebody else's")
            return super().resume(run)

    kept = Kept(Owned(), "b-1-judge")
    first, again = (asyncio.run(grader.score("x", Sample(0, {"q": "?"}, "y"), kept=kept)) for _ in range(2))
    assert first == again and first.score == 1.0 and len(made) == 3


UNFIT_JUDGES = [
    ("flow main(question, answer, reference) -> text {\n  return answer\n}\n", "gives no score"),
    ("flow main(question, answer, reference, more) -> bool {\n  return answer == more\n}\n", "takes texts named"),
    ("flow main(question) -> bool {\n  return question == question\n}\n", "takes texts named"),
    ("flow judge(question, answer, reference) -> bool {\n  return answer == reference\n}\n", "has no flow `main`"),
    ("flow main(", "cannot be used"),
]


@pytest.mark.parametrize(("text", "told"), UNFIT_JUDGES)
def test_a_program_that_cannot_be_a_judge(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "judge.mas").write_text(f"mas 1\n\n{text}", encoding="utf-8")
    with pytest.raises(GraderFault, match=told):
        grader_of("judge:judge.mas", str(tmp_path))


def test_graded_data_of_the_pools() -> None:
    """Every right answer is right by the grader of its kind: as it stands, and in a sentence."""
    pools = {"gsm8k_train": "numeric", "gsmhard_train": "numeric", "aqua_dev": "choice"}
    pool_data = Path(os.environ.get("MASDSL_POOLS", "pools"))
    if not all((pool_data / f"{name}.jsonl").is_file() for name in pools):
        pytest.skip(f"{', '.join(pools)} are not here: set MASDSL_POOLS to the folder that has them")
    for name, spec in pools.items():
        for line in (pool_data / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            answer = json.loads(line)["answer"]
            for value in (answer, f"We add 3 and 4.\nThe answer is {answer}."):
                assert graded(spec, value, answer) == 1.0, (name, line)
