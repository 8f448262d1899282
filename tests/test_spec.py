"""`grammar/spec.md` is true: every block checks as it says, formats, compiles, and its tests pass."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import masdsl
from masdsl import pipeline
from masdsl.bounds.flows import bound
from masdsl.check.program import Bind, Block, For, If, Loop, Match, Program, Within
from masdsl.check.relations import show
from masdsl.diagnostics.base import Finding, Findings
from masdsl.diagnostics.render import render_text
from masdsl.source import Source
from masdsl.syntax.parse import parse_binding, parse_patch
from masdsl.syntax.print import format_document
from tests.harness.programs import compiled, failing_tests, write
from tests.harness.specfile import Example, Promise, examples

PAGE = Path(__file__).resolve().parent.parent / "grammar" / "spec.md"
EXAMPLES = examples(PAGE)
PROGRAMS = [example for example in EXAMPLES if example.language in ("mas", "part")]
DOCUMENTS = [example for example in EXAMPLES if example.language in ("bind", "patch")]


def _name(example: Example) -> str:
    return example.name


def _promising(kind: str) -> list[Example]:
    return [example for example in PROGRAMS if any(promise.kind == kind for promise in example.promises)]


def _checked(example: Example, folder: Path) -> tuple[Source, Program | None, Findings]:
    findings = Findings()
    path = write(folder, example.text, example.files, example.config)
    checked = pipeline.check_file(str(path), findings)
    assert checked.source is not None
    return checked.source, checked.program, findings


def _is_lint(code: str) -> bool:
    return code.startswith("MAS7")


@pytest.mark.parametrize("example", PROGRAMS, ids=_name)
def test_diagnostics_are_those_that_the_page_shows(example: Example, tmp_path: Path) -> None:
    source, _, findings = _checked(example, tmp_path)
    found = sorted(
        Promise(
            source.position(finding.diagnostic.span.start).line, finding.diagnostic.severity, finding.diagnostic.code
        )
        for finding in findings.sorted()
    )
    promised = sorted(promise for promise in example.promises if promise.kind in ("error", "warning"))
    if example.language == "part":
        found = [one for one in found if one in promised or not _is_lint(one.what)]
    assert found == promised, f"{PAGE.name}:{example.line}\n{render_text(findings.sorted())}"


@pytest.mark.parametrize("example", _promising("type"), ids=_name)
def test_types_are_those_that_the_page_shows(example: Example, tmp_path: Path) -> None:
    source, program, findings = _checked(example, tmp_path)
    assert program is not None, render_text(findings.sorted())
    shown = {
        (source.position(bind.span.start).line, show(bind.type)) for flow in program.flows for bind in _binds(flow.body)
    }
    promised = {(promise.line, promise.what) for promise in example.promises if promise.kind == "type"}
    assert promised <= shown, shown


def _binds(block: Block) -> Iterator[Bind]:
    for statement in block:
        match statement:
            case Bind():
                yield statement
            case Loop() | For() | Within():
                yield from _binds(statement.body)
            case If():
                yield from (bind for branch in statement.branches for bind in _binds(branch.body))
                yield from _binds(statement.orelse)
            case Match():
                yield from (bind for arm in statement.arms for bind in _binds(arm.body))
                yield from _binds(statement.orelse or ())
            case _:
                pass


@pytest.mark.parametrize("example", _promising("bound"), ids=_name)
def test_bounds_are_those_that_the_page_shows(example: Example, tmp_path: Path) -> None:
    source, program, findings = _checked(example, tmp_path)
    assert program is not None, render_text(findings.sorted())
    bounds = bound(program, {})
    at_line = {source.position(flow.span.start).line: bounds.flows[flow.key].most for flow in program.flows}
    for promise in example.promises:
        if promise.kind == "bound":
            most = at_line[promise.line]
            shown = {"calls": most.calls, "input": most.tokens_in, "output": most.tokens_out}
            words = promise.what.split()
            promised = {name: int(number) for name, number in zip(words[::2], words[1::2], strict=True)}
            assert promised.items() <= shown.items()


@pytest.mark.parametrize("example", [one for one in PROGRAMS if one not in _promising("error")], ids=_name)
def test_examples_format_compile_and_pass_their_tests(example: Example, tmp_path: Path) -> None:
    source, program, _ = _checked(example, tmp_path)
    assert program is not None
    assert masdsl.format(source.text)
    assert compiled(program)
    assert failing_tests(source, program) == ""


@pytest.mark.parametrize("example", DOCUMENTS, ids=_name)
def test_bindings_and_patches_are_shown_as_they_are_printed(example: Example) -> None:
    findings = Findings()
    parse = parse_binding if example.language == "bind" else parse_patch
    parsed = parse(Source(example.name, example.text), findings)
    assert findings.ok, render_text(findings.sorted())
    assert format_document(parsed) == example.text


@pytest.mark.parametrize("example", DOCUMENTS, ids=_name)
def test_bindings_and_patches_do_to_the_program_beside_them_what_the_page_says(example: Example) -> None:
    source = Source(example.name, example.text)
    program = Source("<program.mas>", example.files["program.mas"])
    found: tuple[Finding, ...] = ()
    try:
        if example.language == "bind":
            masdsl.bind(source, program)
        else:
            masdsl.apply(source, program)
    except masdsl.ProgramError as error:
        found = error.findings
    assert all(finding.source == source for finding in found), render_text(found)
    shown = [(source.position(finding.diagnostic.span.start).line, finding.diagnostic.code) for finding in found]
    assert sorted(shown) == sorted((promise.line, promise.what) for promise in example.promises), render_text(found)
