"""`mas diff`, `mas patch`, `mas merge` and `mas bind`: what they print, write and return."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from masdsl.cli import main
from tests.test_patch_merge import BASE, changed

AFTER = changed(
    ("on smart", "on fast"),
    ("loop 3", "loop 2"),
    ("  return code", "  final = coder(code)\n  return final"),
)
PATCH = """\
bind coder = fast
set main.refine.times = 2
replace main.return {
  final = coder(code)
  return final
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in (("a.mas", BASE), ("b.mas", AFTER)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def output(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(arguments) == code
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_diff_prints_a_patch_that_patch_applies(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "diff", "a.mas", "b.mas")
    head, _, edits = text.partition("\n")
    assert head.startswith('patch 1 on "') and edits == PATCH
    (folder / "p.mas").write_text(text, encoding="utf-8")
    assert output(capsys, "patch", "--check", "p.mas", "a.mas") == "would change a.mas\n"
    undo = output(capsys, "patch", "--reverse", "p.mas", "a.mas")
    assert (folder / "a.mas").read_text(encoding="utf-8") == BASE
    assert output(capsys, "patch", "p.mas", "a.mas") == "changed a.mas\n"
    assert (folder / "a.mas").read_text(encoding="utf-8") == AFTER
    (folder / "undo.mas").write_text(undo, encoding="utf-8")
    assert output(capsys, "patch", "-o", "-", "undo.mas", "a.mas") == BASE


def test_a_stale_patch_is_refused_and_nothing_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output(capsys, "diff", "a.mas", "b.mas", "-o", "p.mas")
    said = output(capsys, "patch", "p.mas", "b.mas", code=1)
    assert "MAS801" in said and (folder / "b.mas").read_text(encoding="utf-8") == AFTER
    (folder / "p.mas").write_text("patch 1\nbind coder = fast\ndrop main.x\n", encoding="utf-8")
    said = output(capsys, "patch", "p.mas", "a.mas", code=1)
    assert "MAS802" in said and "p.mas:3:11" in said
    assert (folder / "a.mas").read_text(encoding="utf-8") == BASE


def test_the_view_shows_what_changes_and_the_bounds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = output(capsys, "diff", "--view", "a.mas", "b.mas").splitlines()
    assert lines[:5] == [
        "~ coder.on: smart -> fast",
        "~ main.refine.times: 3 -> 2",
        "~ main.return: code",
        "+ main.return: final = coder(code)",
        "+ main.return: return final",
    ]
    assert lines[5].startswith("2 to add, 3 to change, 0 to drop; calls <= 7 -> <= 6 (budget 30), tokens <= ")
    assert output(capsys, "diff", "--stat", "a.mas", "b.mas") == lines[5] + "\n"


def test_differences_as_data(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads(output(capsys, "diff", "--format", "json", "a.mas", "b.mas"))
    assert data["version"] == 1 and len(data["base"]) == 64 and data["base"] != data["result"]
    assert [edit["edit"] for edit in data["edits"]] == ["bind", "set", "replace"]
    assert data["counts"] == {"edits": 3, "add": 2, "change": 3, "drop": 0}
    assert data["edits"][1]["changes"][0] == {"mark": "~", "address": "main.refine.times", "before": "3", "after": "2"}


def test_the_exit_code_may_tell_whether_programs_differ(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "c.mas").write_text(BASE.replace("\n  ", "\n    "), encoding="utf-8")
    output(capsys, "diff", "--exit-code", "a.mas", "b.mas", code=1)
    assert output(capsys, "diff", "--exit-code", "a.mas", "c.mas").count("\n") == 1


def test_textconv_never_fails_on_a_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "c.mas").write_text(BASE.replace("\n  ", "\n    "), encoding="utf-8")
    assert output(capsys, "diff", "--textconv", "c.mas") == BASE
    (folder / "c.mas").write_text("mas 1 flow (", encoding="utf-8")
    assert output(capsys, "diff", "--textconv", "c.mas") == "mas 1 flow ("


def test_merge_prints_or_writes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "c.mas").write_text(changed(("temp 0.2", "temp 0.5")), encoding="utf-8")
    text = output(capsys, "merge", "a.mas", "b.mas", "c.mas")
    assert text == AFTER.replace("temp 0.2", "temp 0.5")
    assert output(capsys, "merge", "--in-place", "a.mas", "b.mas", "c.mas") == "merged into b.mas\n"
    assert (folder / "b.mas").read_text(encoding="utf-8") == text


def test_faults_of_use_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "two programs are compared" in output(capsys, "diff", "a.mas", code=2)
    assert "nothing.mas" in output(capsys, "diff", "a.mas", "nothing.mas", code=2)
    (folder / "c.mas").write_text("mas 1 flow (", encoding="utf-8")
    assert "MAS01" in output(capsys, "diff", "a.mas", "c.mas", code=1)
    (folder / "c.mas").write_text('mas 1 agent f(q) -> text "a" agent f(q) -> text "b"', encoding="utf-8")
    assert "`f` is declared twice" in output(capsys, "diff", "a.mas", "c.mas", code=2)


def test_bind_writes_the_program_of_a_template(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "t.mas").write_text(changed((" on smart", ""), (" on fast", "")), encoding="utf-8")
    binding = output(capsys, "bind", "--show", "a.mas")
    assert binding == "bind 1\ncoder = smart\nreviewer = fast\n"
    (folder / "bind.mas").write_text(binding, encoding="utf-8")
    assert output(capsys, "bind", "t.mas", "bind.mas") == BASE
    assert "MAS810" in output(capsys, "bind", "a.mas", "bind.mas", code=1)
    assert "there is no binding to show" in output(capsys, "bind", "--show", "t.mas", code=2)
