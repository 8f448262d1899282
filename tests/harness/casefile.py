"""Case files: one program, and what every stage makes of it (`tests/cases/<stage>/*.md`).

A case is a Markdown file of sections, each under a heading in capitals:

    META        a sentence: what this case shows
    SOURCE      the program; further blocks (`mas helpers.mas`, `toml`) are files beside it
    EXPECTED    the diagnostics, by hand, one a line: `5:10 MAS101`; or `nothing`
    PROBLEMS    what a person sees
    SHORT       what a model sees that is to repair the program
    AST         the syntax tree
    FORMATTED   the canonical text
    BOUNDS      the worst case of every flow
    PYTHON      the generated module
    RUN         how the tests of the program end, and why one fails

A section that a case does not have is not compared, so a case is as short as what it is about. `pytest --update`
rewrites every section that is there but META, SOURCE and EXPECTED.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import masdsl
from masdsl import pipeline
from masdsl.bounds.flows import bound
from masdsl.check.program import Program
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.render import render_short, render_text
from masdsl.node import Node
from masdsl.sizes import MICROSECONDS
from masdsl.source import Source
from masdsl.syntax.parse import parse_program
from tests.harness.markdown import Block, blocks
from tests.harness.programs import compiled, run_report, write

BY_HAND = ("META", "SOURCE", "EXPECTED")
_HEADING = re.compile(r"^# ([A-Z]+)$")
_EXPECTED = re.compile(r"^(\d+):(\d+) (MAS\d{3})$")


class Case:
    """A case file, read; `outcome` compiles and runs it in a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sections = _sections(path.read_text(encoding="utf-8"))
        unknown = set(self.sections) - {*BY_HAND, *GENERATED}
        assert not unknown, f"{path}: unknown sections {unknown}"
        assert all(name in self.sections for name in BY_HAND), f"{path}: every case has {', '.join(BY_HAND)}"
        found = blocks(self.sections["SOURCE"])
        self.text = next(block.text for block in found if _is_program(block))
        self.files = {block.label: block.text for block in found if block.label}
        self.config = next((block.text for block in found if block.language == "toml"), None)

    @property
    def expected(self) -> list[str]:
        """The diagnostics that EXPECTED lists, as `line:column code`."""
        lines = [line.strip() for line in self.sections["EXPECTED"].split("\n") if line.strip()]
        if lines == ["nothing"]:
            return []
        assert lines and all(map(_EXPECTED.match, lines)), (
            f"{self.path}: EXPECTED is a list such as `5:10 MAS101`, or `nothing`"
        )
        return lines

    def updated(self, outcome: Outcome) -> str:
        """Return the text of the file with every generated section as the outcome has it."""
        parts = []
        for name, body in self.sections.items():
            content = GENERATED[name](outcome) if name in GENERATED else body.strip("\n")
            parts.append(f"# {name}\n\n{content}\n")
        return "\n".join(parts)


def _is_program(block: Block) -> bool:
    return block.language == "mas" and not block.label


def _sections(text: str) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    current: list[str] = []
    fence = ""
    for line in text.split("\n"):
        if fence:
            fence = "" if line == fence else fence
        elif line.startswith("```"):
            fence = line[: len(line) - len(line.lstrip("`"))]
        heading = None if fence else _HEADING.match(line)
        if heading:
            current = found[heading[1]] = []
        else:
            current.append(line)
    return {name: "\n".join(lines) for name, lines in found.items()}


class Outcome:
    """What the compiler makes of a case."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.folder = folder
        self.path = write(folder, case.text, case.files, case.config)
        self.findings = Findings()
        self.checked = pipeline.check_file(str(self.path), self.findings)

    @property
    def source(self) -> Source:
        """The program's text as read."""
        assert self.checked.source is not None
        return self.checked.source

    @property
    def program(self) -> Program:
        """The checked program; fails the test where there are errors."""
        assert self.checked.program is not None, render_text(self.findings.sorted())
        return self.checked.program

    @property
    def diagnostics(self) -> list[str]:
        """What was found, in order, as EXPECTED writes it; findings in other files have their name behind."""
        lines = []
        for source, diagnostic in self.findings.sorted():
            at = source.position(diagnostic.span.start)
            elsewhere = "" if source.name == str(self.path) else f" {Path(source.name).name}"
            lines.append(f"{at.line}:{at.column} {diagnostic.code}{elsewhere}")
        return lines

    @cached_property
    def python(self) -> str:
        """The generated module."""
        return compiled(self.program)

    def local(self, text: str) -> str:
        """Return text without this machine's paths."""
        return text.replace(f"{self.folder}/", "")


def _block(language: str, text: str) -> str:
    fence = "````" if "```" in text else "```"
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _problems(outcome: Outcome) -> str:
    return _block("text", outcome.local(render_text(outcome.findings.sorted())))


def _short(outcome: Outcome) -> str:
    return _block("text", outcome.local(render_short(outcome.findings.sorted())))


def _ast(outcome: Outcome) -> str:
    return _block("text", "\n".join(dump(parse_program(outcome.source, Findings()).document)))


def _formatted(outcome: Outcome) -> str:
    return _block("mas", masdsl.format(outcome.source.text))


def _bounds(outcome: Outcome) -> str:
    flows = bound(outcome.program, {}).flows
    return "\n".join(
        f"- {key}: {one.least.calls} to {one.most.calls} calls, at most {one.most.tokens_in:,} tokens in,"
        f" {one.most.tokens_out:,} out, {one.seconds / MICROSECONDS:g} s"
        for key, one in flows.items()
    )


def _python(outcome: Outcome) -> str:
    return _block("python", outcome.local(outcome.python))


def _run(outcome: Outcome) -> str:
    return _block("text", outcome.local(run_report(outcome.source, outcome.program)))


GENERATED: dict[str, Callable[[Outcome], str]] = {
    "PROBLEMS": _problems,
    "SHORT": _short,
    "AST": _ast,
    "FORMATTED": _formatted,
    "BOUNDS": _bounds,
    "PYTHON": _python,
    "RUN": _run,
}


def dump(node: object, label: str = "", depth: int = 0) -> list[str]:
    """Return a tree as indented lines: a node's class, then its fields that hold something."""
    head = "  " * depth + (f"{label}: " if label else "")
    if isinstance(node, Node):
        lines = [f"{head}{type(node).__name__}"]
        for field in node._fields:
            value = getattr(node, field)
            if isinstance(value, Node | tuple):
                if value:
                    lines += dump(value, field, depth + 1)
            elif value is not None:
                lines[0] += f" {field}={value!r}"
        return lines
    if isinstance(node, tuple):
        lines = [f"{head.rstrip()}"]
        for item in node:
            lines += dump(item, "", depth + 1)
        return lines
    return [f"{head}{node!r}"]
