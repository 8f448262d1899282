"""Replies of models read as typed values: a table of cases in `data/replies.jsonl`, and that nothing whatever raises.

A line of the table has a type, a reply, and either the value (as JSON) or a part of the fault that the model is shown;
with `repairs`, exactly these are reported.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from masdsl.runtime import Enum, Items, Record, Tokens
from masdsl.runtime.replies import Fault, Parsed, loose_objects, parse_reply
from masdsl.runtime.shapes import Shape, fit, plain, shape_of


class Kind(Enum):
    math = "math"
    code = "code"
    needs_work = "needs_work"


class Answer(Enum):
    yes = "yes"
    no = "no"


class Letter(Enum):
    a = "a"
    b = "b"
    c = "c"


class Next(Enum):
    stop = "stop"
    go_on = "go_on"


class Review(Record):
    ok: bool
    issues: Annotated[list[Annotated[str, Tokens(60)]], Items(0, 8)]


class Note(Record):
    text: str


class Verdict(Record):
    kind: Kind


class Report(Record):
    final_score: int
    next_step: Next
    note: str | None


class Step(Record):
    n: int
    what: str


class Outer(Record):
    inner: Verdict
    scores: list[int]


TYPES: dict[str, Any] = {
    "text": str, "text?": str | None, "int": int, "int?": int | None, "float": float, "bool": bool,
    "Kind": Kind, "Kind?": Kind | None, "Answer": Answer, "Letter": Letter,
    "Review": Review, "Note": Note, "Verdict": Verdict, "Report": Report, "Outer": Outer,
    "text[]": Annotated[list[str], Items(0, 8)], "int[]": list[int], "int[1..3]": Annotated[list[int], Items(1, 3)],
    "Kind[]": list[Kind], "Step[]": list[Step],
}  # fmt: skip
SHAPES: dict[str, Shape] = {name: shape_of(annotation) for name, annotation in TYPES.items()}
CASES = [
    json.loads(line) for line in (Path(__file__).parent / "data" / "replies.jsonl").read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['type']}: {case['reply'][:40]!r}")
def test_a_reply_is_read(case: dict[str, Any]) -> None:
    outcome = parse_reply(case["reply"], SHAPES[case["type"]])
    if "fault" in case:
        assert isinstance(outcome, Fault), outcome
        assert case["fault"] in outcome.text
        return
    assert isinstance(outcome, Parsed), outcome
    assert plain(outcome.value) == case["value"]
    assert type(plain(outcome.value)) is type(case["value"])
    if "repairs" in case:
        assert list(outcome.repairs) == case["repairs"]


# ---------------------------------------------------------------- whatever the reply

_SIGNS = (
    "{ } [ ] , : \" ' \\ ``` // /* */ # true None ok issues kind math not 12 3,000 - . 1e9 ** <think> </think> = text"
)
_LONGER = [
    "```json\n",
    "answer is ",
    "- ",
    "1. ",
    "\\boxed{7}",
    '"ok": true',
    '{"ok": false, "issues": ["a"]}',
    "{'kind': 'Code'}",
]
_PIECES = st.sampled_from([*_SIGNS.split(), *"\n \ud800\u201c", *_LONGER])
_REPLIES = st.one_of(st.text(max_size=60), st.lists(_PIECES, max_size=25).map("".join))


@given(_REPLIES, st.sampled_from(sorted(SHAPES)))
@settings(max_examples=1500, deadline=None)
@example('{"final_score": ' + "9" * 5000 + "}", "Report")
@example("9" * 5000, "int")
@example("1e999", "float")
@example("\\", "Review")
@example("{:", "Review")
def test_every_reply_is_a_value_of_the_type_or_a_fault(reply: str, name: str) -> None:
    outcome = parse_reply(reply, SHAPES[name])
    if isinstance(outcome, Parsed):
        again = fit(outcome.value, SHAPES[name])
        assert again.value == outcome.value
        assert not again.clips
        json.dumps(plain(outcome.value), allow_nan=False).encode()
    else:
        assert outcome.text
        assert len(outcome.text) < 2000
    loose_objects(reply)


_SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "Kind": st.sampled_from([str(kind) for kind in Kind]),
}
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_VALUES: dict[str, st.SearchStrategy[Any]] = _SCALARS | {
    "int?": st.none() | _SCALARS["int"],
    "Review": st.fixed_dictionaries({"ok": st.booleans(), "issues": st.lists(_TEXTS, max_size=8)}),
    "Report": st.fixed_dictionaries(
        {"final_score": _SCALARS["int"], "next_step": st.sampled_from(["stop", "go_on"]), "note": st.none() | _TEXTS}
    ),
    "int[]": st.lists(_SCALARS["int"], max_size=20),
    "text[]": st.lists(_TEXTS, max_size=8),
    "Step[]": st.lists(st.fixed_dictionaries({"n": _SCALARS["int"], "what": _TEXTS}), max_size=5),
}


@given(st.data(), st.sampled_from(sorted(_VALUES)), st.booleans(), st.sampled_from(["{}", "```json\n{}\n```"]))
@settings(max_examples=600, deadline=None)
def test_json_by_the_book_is_read_exactly(data: st.DataObject, name: str, ascii_only: bool, around: str) -> None:
    value = data.draw(_VALUES[name])
    reply = around.replace("{}", json.dumps(value, ensure_ascii=ascii_only), 1)
    outcome = parse_reply(reply, SHAPES[name])
    assert isinstance(outcome, Parsed), outcome
    assert plain(outcome.value) == value


@given(st.data(), st.sampled_from(["Review", "Report", "Step[]"]))
@settings(max_examples=300, deadline=None)
def test_python_literals_are_read_as_json_is(data: st.DataObject, name: str) -> None:
    value = data.draw(_VALUES[name])
    outcome = parse_reply(repr(value), SHAPES[name])
    if any(sign in repr(value) for sign in "\\\"'") and isinstance(outcome, Fault):
        return  # quotes in quotes may be beyond repair
    assert isinstance(outcome, Parsed), outcome


MEGABYTE = 1024 * 1024
HOSTILE = {
    "open brackets": "[" * MEGABYTE,
    "open objects": '{"ok":' * (MEGABYTE // 6),
    "open strings": '["' * (MEGABYTE // 2),
    "strings without commas": '["a" ' * (MEGABYTE // 5),
    "unescaped quotes": '{"issues": "' + 'x"' * (MEGABYTE // 2),
    "open comments": "[/*," * (MEGABYTE // 4),
    "line breaks after a key": '{"ok"' + "\n" * MEGABYTE,
    "line breaks after a string": '["a"' + "\n" * MEGABYTE + "x",
    "a key of blanks": "{ok" + " " * MEGABYTE,
    "deep, then flat": "[" * 60 + '"a",' * (MEGABYTE // 4),
    "fences": "```\n" * (MEGABYTE // 4),
    "digits": "7" * MEGABYTE,
    "numbers": "1 " * (MEGABYTE // 2),
    "number words": "one " * (MEGABYTE // 4),
    "words of the enum": "not math " * (MEGABYTE // 9),
    "labels": "ok: yes\n" * (MEGABYTE // 8),
    "bullets": "- math\n" * (MEGABYTE // 7),
    "emphasis": "**" * (MEGABYTE // 2),
    "stars": "* " * (MEGABYTE // 2),
    "blanks": " " * MEGABYTE + "x",
    "backslashes": '{"text": "' + "\\" * MEGABYTE,
    "objects": '{"ok": true, "issues": []}' * (MEGABYTE // 26),
    "thinking": "<think>" * (MEGABYTE // 7),
    "answers": "answer is " * (MEGABYTE // 10),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_megabyte_of_anything_is_read_in_linear_time(name: str) -> None:
    """Something quadratic would take minutes here and end in the timeout of the test session."""
    for shape in ("Review", "int", "Kind", "text[]", "Step[]"):
        assert isinstance(parse_reply(HOSTILE[name], SHAPES[shape]), Parsed | Fault)


def test_more_than_a_megabyte_is_cut() -> None:
    outcome = parse_reply("7" + " " * MEGABYTE + "8", SHAPES["int"])
    assert isinstance(outcome, Parsed)
    assert outcome.value == 7
