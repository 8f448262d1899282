"""`mas merge`: join two changes of one program. Git can use it as a merge driver."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import NamedTuple

from masdsl.cli import FINE, FOUND
from masdsl.cli.patching import STDOUT, checker, put, refused
from masdsl.cli.terminal import print_error, print_findings
from masdsl.diagnostics.base import ERROR, Findings
from masdsl.diagnostics.patches import MergeConflict
from masdsl.node import Span
from masdsl.source import Source
from masdsl.syntax.parse import Parsed, parse_program


class _Sides(NamedTuple):
    base: Source
    left: Source
    right: Source


def run(arguments: Sequence[str]) -> int:
    """Merge three versions of a program; return 1 for conflicts, which the result shows, or if the result is wrong."""
    options = _parser().parse_args(arguments)
    findings = Findings()
    sources = _read((options.base, options.left, options.right), findings)
    if sources is None:
        return refused(findings)
    target = options.left if options.in_place else options.output or STDOUT
    name = options.path or options.left
    parsed = [parse_program(source, findings) for source in sources]
    if not all(one.ok for one in parsed):
        text = _as_a_whole(sources)
        if text is None:
            return refused(findings)
        put(text, target, _said(target))
        print_findings(findings.sorted(), stream=sys.stderr)
        return FOUND
    text, clean = _merged(parsed, findings)
    put(text, target, _said(target))
    if clean and not options.no_check:
        checker(name, findings)(Source(name, text), findings)
    faults = [found for found in findings.sorted() if found.diagnostic.severity == ERROR]
    print_findings(faults, stream=sys.stderr)
    if faults and clean:
        print_error("the merged program is written, but it is wrong: mend it before it is used")
    return FOUND if faults else FINE


def _read(paths: Sequence[str], findings: Findings) -> _Sides | None:
    from masdsl.reading import read_source

    sources = [read_source(path, findings) for path in paths]
    if any(source is None for source in sources) or not findings.ok:
        return None
    return _Sides(*[source for source in sources if source is not None])


def _merged(parsed: Sequence[Parsed], findings: Findings) -> tuple[str, bool]:
    """Return the text of the merge, and whether it is without conflicts; these are findings about the left side."""
    from masdsl.patch.merge import merge
    from masdsl.patch.patching import notes_of
    from masdsl.syntax import ast

    programs = [one.document for one in parsed if isinstance(one.document, ast.Program)]
    merged = merge(programs[0], programs[1], programs[2], notes_of(parsed))
    left = parsed[1].source
    for conflict in merged.conflicts:
        findings.add(left, MergeConflict(*conflict, span=_place(conflict.address, programs[1])))
    return merged.text, not merged.conflicts


def _place(address: str, program: object) -> Span:
    """Return where an address is on the left side: the longest part of it that is there."""
    from masdsl.patch.places import NoPlace, find
    from masdsl.syntax import ast

    parts = address.split(".")
    assert isinstance(program, ast.Program)
    while parts:
        try:
            return find(program, tuple([ast.Name(part) for part in parts])).node.span
        except NoPlace:
            parts.pop()
    return Span(0, 0)


def _as_a_whole(sides: _Sides) -> str | None:
    """Return the merge of texts of which one is no program: with both as a whole in it where both were changed.

    None where all three are the same.
    """
    base, left, right = (source.text for source in sides)
    if left == right or base == right:
        return None if base == left else left
    if base == left:
        return right
    return f"<<<<<<< left\n{_ended(left)}=======\n{_ended(right)}>>>>>>> right\n"


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def _said(target: str) -> str:
    return f"merged into {target}"


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="mas merge",
        description="Join two changes of one program, by the names of things instead of by lines.",
        epilog="As a merge driver of git: mas merge --in-place --path %%P %%O %%A %%B",
    )
    parser.add_argument("base", metavar="BASE", help="the program that both changes began with")
    parser.add_argument("left", metavar="LEFT", help="one changed version")
    parser.add_argument("right", metavar="RIGHT", help="the other one")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("-o", "--output", metavar="FILE", help="write the result to a file; - is standard output")
    where.add_argument("--in-place", action="store_true", help="write the result over LEFT")
    parser.add_argument("--path", metavar="FILE", help="where the program belongs: its imports are looked for there")
    parser.add_argument("--no-check", action="store_true", help="do not check the merged program")
    return parser
