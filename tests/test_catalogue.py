"""Every code has a page, and the programs of the page show what it says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import masdsl
from masdsl.diagnostics.base import ERROR, WARNING, Diagnostic, Finding, Findings
from masdsl.diagnostics.catalogue import (
    RANGES,
    Example,
    UnknownCode,
    all_codes,
    explain,
    find_code,
    lint_names,
    overview,
    page,
)
from masdsl.diagnostics.render import render_short
from masdsl.pipeline import check_file

CODES = all_codes()
CHANGE = "change"
DIAGNOSTICS = Path(__file__).resolve().parent.parent / "masdsl" / "diagnostics"
NO_EXAMPLE = {
    "MAS000": "no program is known that makes masdsl fail",
    "MAS001": "a page is UTF-8 itself",
    "MAS004": "about a file that cannot be read",
    "MAS007": "about a process that dies",
    "MAS008": "about the machine",
    "MAS124": "about the machine",
    "MAS023": "about the layout, at which a check does not look",
    "MAS405": "about two states of a program",
    "MAS811": "about two changes of a program",
    "MAS320": "such a program is too long to be read",
}
"""Codes whose page cannot show a program that has the fault, and why. Codes of run time (MAS9xx) have tests of their
own.
"""


def is_static(code: str) -> bool:
    return code not in NO_EXAMPLE and not code.startswith("MAS9")


def codes_with(part: str) -> list[str]:
    return [code for code, kind in CODES.items() if getattr(page(kind), part) is not None]


def check(example: Example, folder: Path) -> tuple[list[str], str]:
    """The codes that a page's program gives, and the findings as text."""
    for name, text in example.files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    change = re.match(r"(patch|bind) \d", example.program)
    (folder / (f"{CHANGE}.mas" if change else "program.mas")).write_text(example.program, encoding="utf-8")
    shown = findings_of(folder / "program.mas")
    return [finding.diagnostic.code for finding in shown], render_short(shown)


def findings_of(path: Path) -> tuple[Finding, ...]:
    """What checking a program finds and, where it has tests, running these; or what changing it does."""
    findings = Findings()
    change = path.with_name(f"{CHANGE}.mas")
    if change.exists():
        return findings_of_change(change, path)
    source, program, _ = check_file(str(path), findings)
    if source is not None and program is not None and program.tests:
        from masdsl.testing import run_tests

        for outcome in run_tests(program):
            for failure in outcome.failures:
                findings.add(source, failure)
    return findings.sorted()


def findings_of_change(change: Path, path: Path) -> tuple[Finding, ...]:
    """What is found when the patch or binding at `change` is applied to a program."""
    try:
        if change.read_text(encoding="utf-8").startswith("bind"):
            masdsl.bind(change, path)
        else:
            masdsl.apply(change, path)
    except masdsl.ProgramError as error:
        return error.findings
    return ()


@pytest.mark.parametrize("code", codes_with("bad"))
def test_the_bad_program_has_this_fault_and_no_other(code: str, tmp_path: Path) -> None:
    example = page(CODES[code]).bad
    assert example is not None
    found, shown = check(example, tmp_path)
    counted = [one for one in found if CODES[one].severity == ERROR or CODES[code].severity == WARNING]
    assert set(counted) == {code}, shown


@pytest.mark.parametrize("code", codes_with("good"))
def test_the_good_program_is_without_fault(code: str, tmp_path: Path) -> None:
    example = page(CODES[code]).good
    assert example is not None
    found, shown = check(example, tmp_path)
    assert code not in found and all(CODES[one].severity == WARNING for one in found), shown


@pytest.mark.parametrize("code", CODES)
def test_every_page_says_what_and_why(code: str) -> None:
    kind = CODES[code]
    assert re.fullmatch(r"MAS\d\d\d", code) and code[3] in RANGES
    parts = page(kind)
    assert parts.summary.endswith(".") and parts.summary.count(". ") == 0, "the first line is one sentence"
    assert parts.why, "there is no `Why:`"
    assert kind.severity in (ERROR, WARNING)
    if is_static(code):
        assert parts.bad is not None and parts.good is not None, "there is no program for `Bad:` or `Good:`"


@pytest.mark.parametrize("code", codes_with("bad"))
def test_what_is_said_about_the_bad_program_follows_the_house_style(code: str, tmp_path: Path) -> None:
    example = page(CODES[code]).bad
    assert example is not None
    check(example, tmp_path)
    for source, diagnostic in findings_of(tmp_path / "program.mas"):
        title, help_text = diagnostic.title(), diagnostic.help()
        assert title and not title.endswith(".") and "\n" not in title, title
        assert not re.search(r"\binvalid\b", title + help_text, re.IGNORECASE), (
            "say what is wrong, not that it is invalid"
        )
        assert help_text and not help_text.endswith("."), f"help: {help_text!r}"
        assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(source.text) + 1
        assert all(label.span.end <= len(source.text) + 1 for label in diagnostic.labels())
        fix = diagnostic.fix()
        if fix is not None:
            assert fix.title and fix.replacements


def test_codes_are_unique_and_stand_in_the_file_of_their_range() -> None:
    seen: dict[str, str] = {}
    for path in sorted(DIAGNOSTICS.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.ClassDef(body=body, name=name):
                    for statement in body:
                        match statement:
                            case ast.Assign(targets=[ast.Name(id="code")], value=ast.Constant(value=str(code))):
                                assert code not in seen, f"{code} is {seen[code]} and {name}"
                                seen[code] = name
                                assert path.stem in RANGES[code[3]][1], f"{code} stands in {path.name}"
    assert set(seen) == set(CODES)


def test_diagnostics_are_defined_nowhere_else() -> None:
    package = DIAGNOSTICS.parent
    for path in package.rglob("*.py"):
        if path.parent == DIAGNOSTICS:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
                assert not bases & {"Diagnostic", "Lint"}, f"{path}: {node.name} belongs in masdsl/diagnostics"


def test_every_code_is_raised_somewhere() -> None:
    package = DIAGNOSTICS.parent
    used = {
        node.id
        for path in package.rglob("*.py")
        if path.parent != DIAGNOSTICS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name)
    }
    assert sorted(kind.__name__ for kind in CODES.values() if kind.__name__ not in used) == []


def test_explain_finds_a_code_however_it_is_written() -> None:
    assert explain("MAS101") == explain("mas101") == explain("101") == explain("UndefinedName")
    assert explain("101").startswith("MAS101 UndefinedName (error)\n\nA name is used that nothing has bound.\n\nWhy: ")
    with pytest.raises(UnknownCode, match="there is no code `MAS10l`; did you mean MAS101"):
        explain("MAS10l")
    with pytest.raises(UnknownCode, match="did you mean UndefinedName"):
        explain("UndefinedNam")
    with pytest.raises(UnknownCode, match="lists all codes"):
        explain("what is this")


def test_the_overview_lists_every_code_once() -> None:
    text = overview()
    assert [code for code in CODES if text.count(f"  {code}  ") != 1] == []


def test_every_lint_has_a_name_for_the_configuration() -> None:
    lints = [kind for code, kind in CODES.items() if code.startswith("MAS7")]
    assert len(set(lint_names())) == len(lints)


def test_find_code_returns_classes() -> None:
    assert issubclass(find_code("MAS501"), Diagnostic)
