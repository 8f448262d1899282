"""Findings in the formats of other tools: SARIF 2.1.0, annotations of GitHub's workflows, JUnit.

`data/sarif-2.1.0.json` is the schema that the OASIS SARIF committee published for version 2.1.0 (rtm.5), unchanged as
the npm package `@microsoft/jest-sarif` 1.0.0-beta.0 (MIT) distributes it. The committee lets implementers ship it
(issue 583 of oasis-tcs/sarif-spec).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from masdsl.cli import main
from masdsl.cli.terminal import FAIL_ON, FORMATS, exit_code, render_findings
from masdsl.config import load_config
from masdsl.diagnostics import report as reports
from masdsl.diagnostics.base import Diagnostic, Finding, Findings, Fix, Label, Suppressed
from masdsl.diagnostics.catalogue import all_codes, page
from masdsl.diagnostics.github import render_github
from masdsl.diagnostics.junit import render_junit
from masdsl.diagnostics.report import About
from masdsl.diagnostics.sarif import FINGERPRINT, region, render_sarif, sarif_document
from masdsl.fixes import apply_fixes
from masdsl.node import Span
from masdsl.pipeline import check_file, check_source
from masdsl.source import Source

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = json.loads((ROOT / "tests" / "data" / "sarif-2.1.0.json").read_text(encoding="utf-8"))
VALIDATOR = Draft4Validator(SCHEMA)

BAD = """mas 1
agent writer(topic) -> text "Write 😀 about {{ topik }}."
flow main(topic) -> text { return writer(topic) }
"""
WARNED = """mas 1
agent writer(topic) -> text "Write about {{ topic }}."
flow main(topic, style) -> text {  # mas: allow MAS705 callers pass a style already
  return writer(topic)
}
"""


class Strange(Diagnostic):
    """A finding whose parts are whatever a test wants.

    Why: a format must stand every text that a program may hold.
    """

    code = "MAS000"
    words: str
    change: str = "x"

    def title(self) -> str:
        return self.words

    def label(self) -> str:
        return self.words

    def help(self) -> str:
        return self.words

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, self.words),)

    def fix(self) -> Fix:
        return Fix(self.words, ((self.span, self.change),))


def findings_of(text: str, name: str = "a.mas", folder: str = "") -> Findings:
    findings = Findings()
    check_source(Source(name, text), load_config(folder, findings), findings)
    return findings


def valid(text: str) -> Any:
    """The run of a SARIF log, which must obey the schema and the rules that a schema cannot say."""
    log = json.loads(text)
    faults = [f"{'/'.join(map(str, fault.path))}: {fault.message}" for fault in VALIDATOR.iter_errors(log)]
    assert not faults, "\n".join(faults)
    run = log["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        for place in _places(result):
            location = dict(place["artifactLocation"])
            index = location.pop("index")
            assert run["artifacts"][index]["location"] == location
            if "region" in place:
                start, end = _ends(place["region"])
                assert start <= end
    return run


def _places(result: Any) -> Iterator[Any]:
    for location in (*result["locations"], *result.get("relatedLocations", ())):
        yield location["physicalLocation"]


def _ends(where: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    return (where["startLine"], where["startColumn"]), (where["endLine"], where["endColumn"])


# ---------------------------------------------------------------- all formats


def test_the_schema_is_the_published_one_and_refuses_what_is_wrong() -> None:
    assert SCHEMA["title"] == "Static Analysis Results Format (SARIF) Version 2.1.0-rtm.5 JSON Schema"
    log = sarif_document(findings_of(BAD).sorted(), About())
    assert VALIDATOR.is_valid(log)
    del log["runs"][0]["results"][0]["message"]
    assert not VALIDATOR.is_valid(log)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_of_the_table_can_be_made(form: str) -> None:
    text = render_findings(findings_of(BAD).sorted(), form)
    assert "MAS602" in text and text.endswith("\n")
    assert bool(render_findings((), form)) is FORMATS[form].document


@pytest.mark.parametrize("code", [code for code, kind in all_codes().items() if page(kind).bad is not None])
def test_what_every_page_shows_fits_every_format(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    example = page(all_codes()[code]).bad
    assert example is not None
    for name, text in (*example.files, ("program.mas", example.program)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    findings = Findings()
    check_file("program.mas", findings)
    shown = findings.sorted()
    about = About(files=["program.mas"], suppressed=findings.suppressed)
    run = valid(render_sarif(shown, about))
    assert [result["ruleId"] for result in run["results"] if not result["suppressions"]] == [
        one.diagnostic.code for one in sorted(shown, key=lambda one: (one.source.name != "program.mas", one[1].span))
    ]
    assert len(render_github(shown).splitlines()) == len(shown)
    report = ElementTree.fromstring(render_junit(shown, about))
    assert int(report.get("failures", "")) == len({finding.source.name for finding in shown})


TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from("\x00\x1b\ufffe\uffff\u202e]](:,%{}<&>'\"\n\r\t😀"))


@settings(max_examples=150)
@given(words=TEXTS, text=TEXTS, name=TEXTS, start=st.integers(0, 30), end=st.integers(0, 30))
def test_no_text_breaks_a_format(words: str, text: str, name: str, start: int, end: int) -> None:
    span = Span(min(start, end), max(start, end))
    finding = Finding(Source(name, text), Strange(words, span=span))
    about = About(files=[name], suppressed=[Suppressed(finding, words, False)])
    valid(render_sarif([finding], about))
    command = render_github([finding])
    assert re.fullmatch(
        r"::error file=[^,:\n]*(,(line|endLine|col|endColumn)=\d+)*,title=[^,:\n]*::[^\n\r]*\n", command
    )
    test = reports.TestRun(finding.source, 1, words, 0.5, (finding.diagnostic,))
    root = ElementTree.fromstring(render_junit([finding], About(tests=[test])))
    assert [case.tag for case in root.iter("failure")] == ["failure"]


# ---------------------------------------------------------------- SARIF


def test_a_result_says_all_that_the_finding_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = valid(render_sarif(findings_of(BAD).sorted(), About("check", ["a.mas"], 1, ["a.mas", "b c.mas"])))
    assert run["columnKind"] == "utf16CodeUnits"
    assert [artifact["location"]["uri"] for artifact in run["artifacts"]] == ["a.mas", "b%20c.mas"]
    assert run["invocations"] == [{"arguments": ["check", "a.mas"], "exitCode": 1, "executionSuccessful": True}]
    (rule,) = run["tool"]["driver"]["rules"]
    assert (rule["id"], rule["name"], rule["defaultConfiguration"]["level"]) == ("MAS602", "UndefinedInPrompt", "error")
    assert rule["shortDescription"]["text"] == page(all_codes()["MAS602"]).summary and "Bad:" in rule["help"]["text"]
    (result,) = run["results"]
    place = {"startLine": 2, "startColumn": 48, "endLine": 2, "endColumn": 53}  # one more than code points: the emoji
    location = {"uri": "a.mas", "uriBaseId": "%SRCROOT%", "index": 0}
    assert result["message"]["text"] == "`topik` is not a parameter of this agent; did you mean `topic`?"
    assert result["locations"] == [{"physicalLocation": {"artifactLocation": location, "region": place}}]
    assert result["fixes"] == [
        {
            "description": {"text": "write `topic`"},
            "artifactChanges": [
                {
                    "artifactLocation": location,
                    "replacements": [{"deletedRegion": place, "insertedContent": {"text": "topic"}}],
                }
            ],
            "properties": {"applicability": "suggested"},
        }
    ]


@settings(max_examples=200)
@given(text=st.text(st.sampled_from("ab😀é\n\t𝄞")), start=st.integers(0, 20), end=st.integers(0, 20))
def test_regions_count_utf16_code_units(text: str, start: int, end: int) -> None:
    start, end = sorted((min(start, len(text)), min(end, len(text))))
    where = region(Source("x", text), Span(start, end))
    lines = [line.encode("utf-16-le") for line in text.split("\n")]

    def offset(line: int, column: int) -> int:
        return sum(len(one) // 2 + 1 for one in lines[: line - 1]) + column - 1

    units = text.encode("utf-16-le")
    (first, last) = (offset(*place) for place in _ends(where))
    assert units[2 * first : 2 * last].decode("utf-16-le") == text[start:end]


def test_braces_are_doubled_and_nothing_becomes_a_link() -> None:
    finding = Finding(Source("a.mas", "x"), Strange("{0} in `[a](b)`, \\ and [c]", span=Span(0, 1)))
    (result,) = valid(render_sarif([finding], About()))["results"]
    assert result["message"]["text"].startswith("{{0}} in `\\[a](b)`, \\ and [c]; ")


def fingerprints(text: str) -> list[str]:
    findings = findings_of(text)
    assert findings.count
    return [
        result["partialFingerprints"][FINGERPRINT]
        for result in valid(render_sarif(findings.sorted(), About()))["results"]
    ]


TWICE = """mas 1
flow main(topic) -> text {
  a = missing
  a = missing
  return other
}
"""


def test_fingerprints_stay_when_lines_move_and_differ_otherwise() -> None:
    once = fingerprints(TWICE)
    assert len(set(once)) == len(once) >= 3
    moved = TWICE.replace("mas 1\n", "# a comment\n\nmas 1\n\n").replace("  a =", "\n      a  =")
    assert fingerprints(moved) == once
    assert fingerprints(TWICE.replace("other", "another"))[-1] != once[-1]
    assert fingerprints(TWICE.replace("  a = missing\n", "", 1))[0] == once[0], "the first of its kind stays the first"


def test_allowed_findings_are_there_as_suppressed() -> None:
    findings = findings_of(WARNED)
    assert not findings.count
    (result,) = valid(render_sarif((), About(suppressed=findings.suppressed)))["results"]
    assert result["suppressions"] == [
        {"kind": "inSource", "status": "accepted", "justification": "callers pass a style already"}
    ]
    assert result["ruleId"] == "MAS705" and result["level"] == "warning"


def test_what_lies_outside_of_the_folder_has_an_absolute_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    names = ["../b c.mas", str(tmp_path / "inner" / "ü.mas"), "./deep/a.mas", "<stdin>"]
    run = valid(render_sarif((), About(files=names)))
    places = [artifact["location"] for artifact in run["artifacts"]]
    assert places[0] == {"uri": f"{tmp_path.as_uri()}/b%20c.mas"}
    assert [place["uri"] for place in places[1:]] == ["%C3%BC.mas", "deep/a.mas", "%3Cstdin%3E"]
    assert all(place["uriBaseId"] == "%SRCROOT%" for place in places[1:])
    assert str(tmp_path) not in json.dumps(run["originalUriBaseIds"])


def test_the_fix_of_a_result_mends_the_text() -> None:
    source = Source("a.mas", BAD)
    (finding,) = findings_of(BAD).sorted()
    fix = finding.diagnostic.fix()
    assert fix is not None
    assert not findings_of(apply_fixes(source.text, [fix])).count


def test_a_file_that_cannot_be_read_is_told_and_the_run_was_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["check", "--format", "sarif", "missing.mas"]) == 2
    run = valid(capsys.readouterr().out)
    assert run["invocations"][0]["exitCode"] == 2 and run["invocations"][0]["executionSuccessful"] is False
    assert "region" not in run["results"][0]["locations"][0]["physicalLocation"]


# ---------------------------------------------------------------- GitHub


def test_annotations_are_quoted() -> None:
    finding = Finding(Source("a,b:c.mas", "x y"), Strange("50% of a,b: c\nd", span=Span(0, 1)))
    assert render_github([finding]) == (
        "::error file=a%2Cb%3Ac.mas,line=1,endLine=1,col=1,endColumn=2,title=MAS000 50%25 of a%2Cb%3A c d::"
        "50%25 of a,b: c%0Ad%0A50%25 of a,b: c%0Ad%0Amas explain MAS000\n"
    )


def test_a_program_cannot_command_the_workflow() -> None:
    text = BAD.replace("topik", "topik\n::stop-commands::x\n::set-output name=a::b")
    shown = render_github(findings_of(text).sorted())
    assert shown and all(
        line.startswith(("::error file=a.mas,", "::warning file=a.mas,")) for line in shown.splitlines()
    )


def test_a_place_of_several_lines_has_no_columns_at_its_end() -> None:
    finding = Finding(Source("a.mas", "x\ny"), Strange("z", span=Span(0, 3)))
    assert "line=1,endLine=2,col=1,title=" in render_github([finding])


# ---------------------------------------------------------------- JUnit


def cases(text: str) -> list[tuple[str, str, list[str]]]:
    root = ElementTree.fromstring(text)
    found = [
        (case.get("classname", ""), case.get("name", ""), [failure.get("type", "") for failure in case])
        for case in root.iter("testcase")
    ]
    for part in (root, *root.iter("testsuite")):
        assert int(part.get("tests", "")) == len(found)
        assert int(part.get("failures", "")) == sum(bool(failures) for _, _, failures in found)
    return found


def test_every_file_is_a_case_and_its_findings_are_its_failure() -> None:
    findings = findings_of(BAD).sorted()
    text = render_junit(findings, About("check", files=["a.mas", "b.mas"]))
    assert cases(text) == [("a.mas", "mas check", ["MAS602"]), ("b.mas", "mas check", [])]
    failure = next(ElementTree.fromstring(text).iter("failure"))
    assert failure.text is not None and failure.text.startswith("error[MAS602]: `topik` is not a parameter")
    assert failure.get("message") == "MAS602 `topik` is not a parameter of this agent; did you mean `topic`?"


PROGRAM_WITH_TESTS = """mas 1
flow main(topic) -> text { return topic }
test "it <echoes> & \\"quotes\\"" {
  out = main("x")
  expect out == "x"
}
test "it shouts" {
  out = main("x")
  expect out == "X"
}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mas.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_test_is_a_case_of_its_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "a.mas").write_text(PROGRAM_WITH_TESTS)
    (here / "b.mas").write_text(BAD)
    assert main(["test", "--format", "junit"]) == 1
    assert cases(capsys.readouterr().out) == [
        ("b.mas", "mas test", ["MAS602"]),
        ("a.mas", 'it <echoes> & "quotes"', []),
        ("a.mas", "it shouts", ["MAS910"]),
    ]


def test_fmt_reports_layout_in_every_format(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "a.mas").write_text("mas 1\nflow main(topic) -> text {\n    return topic\n}\n")
    (here / "b.mas").write_bytes(b"mas 1\r\n\r\nflow main(topic) -> text {\r\n  return topic\r\n}\r\n")
    for form in ("short", "json", "github", "junit", "sarif"):
        assert main(["fmt", "--check", "--format", form]) == 1
        out = capsys.readouterr().out
        assert out.count("MAS023") >= 2, form
    run = valid(out)
    replacement = run["results"][0]["fixes"][0]["artifactChanges"][0]["replacements"][0]
    assert replacement["deletedRegion"] == {"startLine": 2, "startColumn": 1, "endLine": 4, "endColumn": 1}
    assert replacement["insertedContent"]["text"] == "\nflow main(topic) -> text {\n  return topic\n"
    assert "fixes" not in run["results"][1], "line ends cannot be told in a replacement of text"


# ---------------------------------------------------------------- --fail-on


@pytest.mark.parametrize(
    ("severities", "codes"),
    [
        ((), {"error": 0, "warning": 0, "never": 0}),
        (("MAS705",), {"error": 0, "warning": 1, "never": 0}),
        (("MAS602",), {"error": 1, "warning": 1, "never": 0}),
        (("MAS705", "MAS004"), {"error": 2, "warning": 2, "never": 2}),
    ],
)
def test_what_makes_the_exit_code(severities: tuple[str, ...], codes: dict[str, int]) -> None:
    made = {
        "MAS705": findings_of(WARNED.partition("  # mas")[0] + "\n  return writer(topic)\n}\n"),
        "MAS602": findings_of(BAD),
        "MAS004": Findings(),
    }
    check_file("/no/such/file.mas", made["MAS004"])
    shown = [finding for code in severities for finding in made[code].sorted()]
    assert {finding.diagnostic.code for finding in shown} == set(severities)
    assert {fail_on: exit_code(shown, fail_on) for fail_on in FAIL_ON} == codes


@pytest.mark.parametrize("command", ["check", "cost", "test"])
def test_commands_fail_on_what_they_are_told(command: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = WARNED.replace("# mas: allow MAS705 callers pass a style already", "")
    text += 'test "it writes" {\n  given writer = "x"\n  out = main("a", "b")\n  expect out == "x"\n}\n'
    (here / "a.mas").write_text(text)
    assert [main([command, *options]) for options in ([], ["--strict"], ["--fail-on", "warning"])] == [0, 1, 1]
    (here / "a.mas").write_text(text.replace('expect out == "x"', 'expect out == "y"').replace("topic }}", "topik }}"))
    assert [main([command, *options]) for options in ([], ["--fail-on", "never"])] == [1, 0]
    capsys.readouterr()


def test_fmt_can_only_tell(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "a.mas").write_text("mas 1\nflow main(topic) -> text { return topic }\n")
    assert [main(["fmt", "--check", *options]) for options in ([], ["--fail-on", "never"])] == [1, 0]
    assert [main(["fmt", "--check", "--format", "short", *options]) for options in ([], ["--fail-on", "never"])] == [
        1,
        0,
    ]
    capsys.readouterr()
