"""The user's library: what a program has to show to get in, what programs and the generator get out of it, damage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import masdsl
from masdsl.batch.data import read_samples, wanted_by
from masdsl.cli import main as mas
from masdsl.config import DEFAULT
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.render import render_short
from masdsl.meta import library
from masdsl.meta.evaluation import Evaluation
from masdsl.meta.host import Host
from masdsl.meta.library import Record, Taken, entries, known_systems
from masdsl.meta.promotion import candidate, is_name, only
from masdsl.meta.storage import LibraryError
from masdsl.meta.task import Spent
from masdsl.rectify.sources import reader_of, sources_of
from masdsl.runtime.models.scripted import ScriptedModel
from masdsl.source import Source

CHECKED = """mas 1

agent solver(query) -> text(60)
  "Answer: {{ query }}"

agent checker(query, draft: text(60)) -> (ok: bool, answer: text(60))
  "Check."

## Answers, and has the answer checked once. For short questions.
flow main(query) -> text(60) {
  draft = solver(query)
  seen = checker(query, draft)
  return seen.answer
}

test "one check" {
  given solver = "41"
  given checker = (ok: false, answer: "42")
  out = main("6*7?")
  expect out == "42"
}
"""
PARTS = """mas 1

budget calls 9

type Mood = good | bad

## Tells the mood of a text.
agent judge(words) -> Mood
  "{{ words }}"

agent other(query) -> text(60)
  "Other: {{ query }}"

# The name says it.
## Asks twice, and believes the second. When one answer is not enough.
flow twice(query) -> Mood {
  a = judge(query)
  b = judge(text(a))
  return b
}

flow main(query) -> text(60) {
  return other(query)
}

test "twice" {
  given judge = Mood.good
  out = twice("x")
  expect out == Mood.good
}

test "main" {
  given other = "o"
  out = main("x")
  expect out == "o"
}
"""
QUERIES = '{"query": "6*7?", "answer": "42"}\n\n{"inputs": {"query": "2*21?"}, "answer": 42}\n'
REPLIES = {"solver": "41", "checker": {"ok": True, "answer": "The answer is 42."}, "*": "43"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with programs, data and a script, whose configuration names a library in it."""
    files = {
        "checked.mas": CHECKED,
        "parts.mas": PARTS,
        "data.jsonl": QUERIES,
        "script.json": json.dumps({"replies": REPLIES}),
        "mas.toml": '[library]\npath = "shelf"\n',
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(folder: Path) -> list[str]:
    findings = Findings()
    found = [entry.name for entry in entries(str(folder / "shelf"), findings)]
    assert not findings.count, render_short(findings.sorted())
    return found


# ---------------------------------------------------------------- adding


def test_a_program_that_proves_itself_is_taken_with_its_record(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mas(["library", "add", "checked.mas", "--on", "data.jsonl", "--script", "script.json"]) == 0
    assert "use library.checked: main as checked" in capsys.readouterr().out
    assert mas(["library", "show", "checked", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)["record"]
    assert record["origin"] == str(here / "checked.mas") and record["data"] == str(here / "data.jsonl")
    assert (record["entry"], record["tests"], record["simple_name"]) == ("main", 1, "one call")
    assert (record["evaluation"]["runs"], record["evaluation"]["right"]) == (2, 2)
    assert record["evaluation"]["spent"]["calls"] == 4 and record["simple"]["spent"]["calls"] == 2
    assert record["simple"]["right"] == 0
    assert mas(["library"]) == 0
    assert "2 of 2 right" in capsys.readouterr().out


def test_a_part_comes_with_all_that_it_uses_and_its_own_tests(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mas(["library", "add", "parts.mas", "--only", "twice"]) == 0
    text = (here / "shelf" / "twice.mas").read_text()
    assert "agent judge" in text and "type Mood" in text and "## Asks twice" in text and 'test "twice"' in text
    assert "other" not in text and "flow main" not in text and "budget" not in text
    assert mas(["library", "add", "parts.mas", "--only", "judge", "--as", "mood"]) == 1
    assert "MAS961" in capsys.readouterr().err, "no test of its own is left for the agent alone"
    assert names(here) == ["twice"]


CHANGES = {
    "not documented": (("## Answers, and has the answer checked once. For short questions.\n", ""), "MAS960"),
    "not tested": ((CHECKED[CHECKED.index("test") :], ""), "MAS961"),
    "a test fails": (('expect out == "42"', 'expect out == "41"'), "MAS910"),
    "imports a file beside it": (("mas 1\n", "mas 1\nuse helpers: helped\n"), "MAS962"),
    "has an error": (("checker(query, draft)", "checker(query)"), "MAS2"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_does_not_prove_itself_is_refused_and_told(
    here: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (old, new), code = CHANGES[what]
    (here / "helpers.mas").write_text('mas 1\n\nagent helped(query) -> text\n  "{{ query }}"\n')
    text = CHECKED.replace(old, new)
    if "helped" in text:
        text = text.replace("draft = solver(query)", "draft = solver(query)\n  more = helped(query)")
        text = text.replace("checker(query, draft)", "checker(more, draft)").replace(
            'given solver = "41"', 'given solver = "41"\n  given helped = "h"'
        )
    (here / "checked.mas").write_text(text)
    assert mas(["library", "add", "checked.mas"]) == 1
    assert code in capsys.readouterr().err
    assert names(here) == []


def test_too_few_right_answers_keep_a_program_out(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "data.jsonl").write_text(QUERIES + '{"query": "?", "answer": "no"}\n')
    arguments = ["library", "add", "checked.mas", "--on", "data.jsonl", "--script", "script.json", "--json"]
    assert mas([*arguments, "--share", "0.9"]) == 1
    shown = capsys.readouterr()
    assert "MAS965" in shown.err and "2 of 3" in shown.err
    assert [one["right"] for one in json.loads(shown.out)["answered"]] == [True, True, False]
    assert names(here) == []
    assert mas([*arguments, "--share", "0.6", "--no-compare"]) == 0
    assert json.loads(capsys.readouterr().out)["added"]["record"]["simple"] is None


def test_the_same_program_in_another_dress_is_not_taken_twice(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mas(["library", "add", "checked.mas"]) == 0
    dressed = CHECKED.replace("draft = solver", "begun = solver").replace("query, draft)\n", "query, begun)\n")
    dressed = dressed.replace("one check", "another title").replace("## Answers", "## Says")
    (here / "other.mas").write_text(dressed)
    assert mas(["library", "add", "other.mas"]) == 1
    assert "MAS963" in capsys.readouterr().err
    (here / "other.mas").write_text(CHECKED.replace('"Check."', '"Check it."'))
    assert mas(["library", "add", "other.mas", "--as", "checked"]) == 1
    assert "MAS964" in capsys.readouterr().err
    assert mas(["library", "add", "other.mas"]) == 0
    assert names(here) == ["checked", "other"]
    assert mas(["library", "remove", "checked"]) == 0
    assert names(here) == ["other"] and not (here / "shelf" / "checked.json").exists()


WRONG_USE = {
    "no such program": (["add", "nope.mas"], "nope.mas"),
    "no main": (["add", "parts.mas", "--only", "nothing"], "no flow or agent `nothing`"),
    "a name that is none": (["add", "checked.mas", "--as", "if"], "cannot be the name"),
    "a name that is a path": (["add", "checked.mas", "--as", "../x"], "cannot be the name"),
    "a share beyond 1": (["add", "checked.mas", "--on", "data.jsonl", "--share", "2"], "from 0 to 1"),
    "no data": (["add", "checked.mas", "--on", "nope.jsonl"], "nope.jsonl"),
    "empty data": (["add", "checked.mas", "--on", "empty.jsonl"], "no queries"),
    "an unknown module": (["remove", "chekced"], "no module `chekced`"),
    "nothing to show": (["show", "x"], "no module `x`"),
}


@pytest.mark.parametrize("what", WRONG_USE)
def test_wrong_use_says_what_and_leaves_nothing(here: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, said = WRONG_USE[what]
    (here / "empty.jsonl").write_text("\n")
    assert mas(["library", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert names(here) == []


# ---------------------------------------------------------------- importing

USING = """mas 1
use library.twice: twice, Mood

flow main(query) -> Mood {
  mood = twice(query)
  return mood
}
"""


def test_programs_import_modules_of_the_library(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "using.mas").write_text(USING)
    assert mas(["check", "using.mas"]) == 1
    assert "MAS110" in capsys.readouterr().out
    assert mas(["library", "add", "parts.mas", "--only", "twice"]) == 0
    assert mas(["check", "using.mas"]) == 0, "what was kept of an earlier check does not count: the library has changed"
    capsys.readouterr()
    program = masdsl.load("using.mas", models=ScriptedModel({"judge": "good"}))
    assert program.main.sync("fine") == "good"
    kept = sources_of(program.checked)
    assert "<library.twice>" in kept
    mas(["library", "remove", "twice"])
    again = reader_of(kept)(Source("using.mas", USING), ("library", "twice"), Findings())
    assert isinstance(again, Source) and again.text == kept["<library.twice>"], "a kept run goes on without the library"
    assert mas(["check", "using.mas"]) == 1


def test_a_file_beside_the_program_comes_first(here: Path) -> None:
    (here / "using.mas").write_text(USING)
    (here / "library").mkdir()
    (here / "library" / "twice.mas").write_text(PARTS)
    assert mas(["check", "using.mas"]) == 0 and names(here) == []


def test_a_module_of_the_library_imports_nothing_beside_itself(here: Path) -> None:
    (here / "shelf").mkdir()
    (here / "shelf" / "twice.mas").write_text(PARTS.replace("mas 1\n", "mas 1\nuse more: more\n"))
    (here / "shelf" / "more.mas").write_text('mas 1\n\nagent more(query) -> text\n  "{{ query }}"\n')
    (here / "using.mas").write_text(USING)
    findings = masdsl.check("using.mas")
    assert any("can import only from std and library" in one.diagnostic.title() for one in findings)


# ---------------------------------------------------------------- for the generator


def test_modules_are_examples_for_the_generator(here: Path) -> None:
    assert mas(["library", "add", "parts.mas", "--only", "twice"]) == 0
    assert mas(["library", "add", "checked.mas"]) == 0
    findings = Findings()
    whole, part = known_systems(entries(str(here / "shelf"), findings))
    assert not findings.count
    assert (whole.name, whole.origin, whole.text) == ("library.checked", "library", CHECKED)
    assert part.title == "Asks twice, and believes the second." and "use library.twice: twice, Mood" in part.text
    host = Host(DEFAULT._replace(library=str(here / "shelf")))
    assert host.check(part.text, findings) is not None, render_short(findings.sorted())


# ---------------------------------------------------------------- damage

DAMAGE = {
    "cut off": ("checked.json", '{"masdsl_record": 1, "hash": "ab'),
    "not a record": ("checked.json", "[]"),
    "of a later masdsl": ("checked.json", '{"masdsl_record": 2}'),
    "wrong types": (
        "checked.json",
        json.dumps(Record("h", "main", "", "", 1).to_json() | {"hash": 1}),
    ),
    "nested": ("checked.json", "[" * 100_000),
    "no record": ("checked.json", None),
    "no program": ("checked.mas", "mas 1\nflow {"),
    "no text": ("checked.mas", b"mas 1\n\xff\xfe"),
    "large": ("checked.mas", "#" * (library.MODULE_BYTES + 1)),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damaged_files_are_told_and_left_out(here: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert mas(["library", "add", "checked.mas"]) == 0
    assert mas(["library", "add", "parts.mas", "--only", "twice"]) == 0
    name, content = DAMAGE[what]
    path = here / "shelf" / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    capsys.readouterr()
    assert mas(["library", "list"]) == 0
    shown = capsys.readouterr()
    assert "MAS966" in shown.err and "twice" in shown.out
    assert ("checked" in shown.out) == name.endswith(".json")
    assert mas(["library", "remove", "checked"]) == 0
    assert names(here) == ["twice"]


def test_a_module_that_was_edited_is_told_apart(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mas(["library", "add", "checked.mas"]) == 0
    path = here / "shelf" / "checked.mas"
    path.write_text("# a remark\n" + path.read_text())
    assert mas(["library"]) == 0 and "changed since" not in capsys.readouterr().out
    path.write_text(path.read_text().replace('"Check."', '"Nod."'))
    assert mas(["library"]) == 0 and "changed since" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "shelf").write_text("a file")
    assert mas(["library", "add", "checked.mas"]) == 2
    assert "cannot be written" in capsys.readouterr().err
    with pytest.raises(LibraryError, match="cannot be written"):
        library.add(str(here / "shelf"), "x", CHECKED, RECORD)


BAD_LINES = {
    "no JSON": "{",
    "no object": "[1]",
    "no answer": '{"query": "?"}',
    "no query": '{"answer": "?"}',
    "inputs that are none": '{"inputs": 3, "answer": "?"}',
    "an unknown input": '{"inputs": {"query": "?", "colour": 1}, "answer": "?"}',
    "an input too few": '{"inputs": {}, "answer": "?"}',
    "nested": "[" * 50_000,
}


@pytest.mark.parametrize("what", BAD_LINES)
def test_a_damaged_line_of_data_is_told_at_its_line(here: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "data.jsonl").write_text(QUERIES + BAD_LINES[what] + "\n")
    assert mas(["library", "add", "checked.mas", "--on", "data.jsonl", "--script", "script.json"]) == 1
    shown = capsys.readouterr().err
    assert "MAS967" in shown and "data.jsonl:4:1" in shown
    assert names(here) == []


# ---------------------------------------------------------------- several processes

RECORD = Record("h", "main", "here", "2026-01-01T00:00:00+00:00", 1)
ADDING = """
import sys
from masdsl.meta.library import Record, Taken, add, hash_of
from masdsl.meta.systems import parsed
folder, who = sys.argv[1:]
taken = []
for number in range(12):
    text = 'mas 1\\n\\nagent a(query) -> text\\n  "%d {{ query }}"\\n' % number
    tree = parsed(text)
    try:
        add(folder, f"m{number}_{who}", text, Record(hash_of(tree), "a", who, "now", 0))
        taken.append(number)
    except Taken:
        pass
print(len(taken))
"""


def test_processes_that_add_at_once_take_each_program_once(tmp_path: Path) -> None:
    folder = tmp_path / "shelf"
    environment = os.environ | {"PYTHONPATH": str(Path(masdsl.__file__).parent.parent)}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", ADDING, str(folder), who], stdout=subprocess.PIPE, text=True, env=environment
        )
        for who in ("one", "two", "three")
    ]
    counts = [int(worker.communicate(timeout=120)[0]) for worker in workers]
    assert sum(counts) == 12 and all(worker.returncode == 0 for worker in workers)
    findings = Findings()
    found = entries(str(folder), findings)
    assert len(found) == 12 and len({entry.record.hash for entry in found if entry.record}) == 12
    assert not findings.count and not [name for name in os.listdir(folder) if name.endswith(".new")]


# ---------------------------------------------------------------- laws

AMOUNTS = st.integers(0, 10**12)
EVALUATIONS = st.none() | st.builds(
    Evaluation, AMOUNTS, AMOUNTS, AMOUNTS, st.builds(Spent, AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS)
)
RECORDS = st.builds(Record, *([st.text()] * 4), AMOUNTS, st.text(), EVALUATIONS, EVALUATIONS, st.text())


@given(RECORDS)
@settings(max_examples=60, deadline=None)
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    assert library._record_of(json.loads(json.dumps(record.to_json()))) == record


@given(st.dictionaries(st.sampled_from(["masdsl_record", "hash", "entry", "tests"]), st.integers() | st.text()))
@settings(max_examples=60, deadline=None)
def test_no_record_of_other_data_raises_but_what_is_told(data: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError, LookupError, AttributeError)):
        library._record_of(data)


@pytest.mark.parametrize(("name", "fine"), [("debate", True), ("a1_b", True), ("Debate", False), ("flow", False)])
def test_names_of_modules(name: str, fine: bool) -> None:
    assert is_name(name) is fine


def test_a_part_is_a_program_of_its_own_whatever_part_it_is() -> None:
    for name in ("judge", "other", "twice", "main"):
        smaller = only(Source("parts.mas", PARTS), name)
        assert smaller is not None
        findings = Findings()
        assert candidate(smaller, Host(DEFAULT), findings, name, name) is not None, render_short(findings.sorted())
    assert only(Source("parts.mas", PARTS), "Mood") is None


def test_queries_for_a_flow_with_several_inputs(tmp_path: Path) -> None:
    text = "mas 1\n\nflow main(a, b: int) -> text {\n  return a\n}\n"
    program = Host(DEFAULT).check(text, Findings())
    assert program is not None
    findings = Findings()
    data = tmp_path / "d.jsonl"
    data.write_text('{"inputs": {"a": "x", "b": 1}, "answer": "x"}\n{"query": "x", "answer": "x"}\n')
    samples = read_samples(str(data), wanted_by(program.flows[0]), findings, answered=True)
    assert [one.inputs for one in samples] == [{"a": "x", "b": 1}]
    assert "MAS967" in render_short(findings.sorted())


def test_taken_says_by_what(tmp_path: Path) -> None:
    from masdsl.meta.systems import parsed

    tree = parsed(CHECKED)
    assert tree is not None
    record = RECORD._replace(hash=library.hash_of(tree))
    library.add(str(tmp_path), "one", CHECKED, record)
    with pytest.raises(Taken) as taken:
        library.add(str(tmp_path), "two", CHECKED, record)
    assert (taken.value.name, taken.value.same) == ("one", True)


def test_the_designer_is_shown_the_library(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("masdsl.meta.embedding.is_installed", lambda: False)  # by words, whatever is installed
    assert mas(["library", "add", "checked.mas"]) == 0
    capsys.readouterr()
    query = "Give me a short answer, and have the answer checked once"
    assert mas(["design", query, "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["examples"][0]["name"] == "library.checked"
    designed = masdsl.design(query, models=ScriptedModel({"*": "no program"})).designed
    assert designed is not None and designed.examples[0][0] == "library.checked"
