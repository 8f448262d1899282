"""`mas graph`: draw a program, a run of it, or what a patch does to it."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from masdsl.cli.boundary import UsageError, guarded
from masdsl.cli.patching import STDOUT, put, read_program, read_text, refused
from masdsl.cli.terminal import exit_code, print_findings
from masdsl.config import Config, load_config
from masdsl.diagnostics.base import Findings
from masdsl.graph.links import DEFAULT, is_template
from masdsl.pipeline import Checked, check_file, check_source, graph
from masdsl.source import Source

if TYPE_CHECKING:
    from masdsl.graph.model import Graph
    from masdsl.graph.taken import Ways
    from masdsl.journal import Row, RunHeader

FORMATS: Final = ("mermaid", "dot", "svg", "json")
ENDINGS: Final = {".mmd": "mermaid", ".mermaid": "mermaid", ".dot": "dot", ".gv": "dot", ".svg": "svg", ".json": "json"}
SHOWN: Final = 8
"""Lines about a patch that stand above a picture."""


def run(arguments: Sequence[str]) -> int:
    """Draw what the arguments name; return 1, with the reasons, where a program has errors or a patch is refused."""
    options = _parser().parse_args(arguments)
    form = _form(options)
    if options.run is not None and options.patch is not None:
        raise UsageError("a run and a patch are two pictures", "name one of --run and --patch")
    if options.link is not None and not is_template(options.link):
        raise UsageError(
            f"`{options.link}` is no template of addresses", "write one such as 'https://host/{file}#L{line}'"
        )
    if options.depth is not None and options.depth < 0:
        raise UsageError(f"{options.depth} is no depth", "give a number from 0 on")
    findings = Findings()
    drawn: Graph | None
    if options.run is not None:
        drawn = _of_run(options, findings)
    elif options.program is None:
        raise UsageError("there is nothing to draw", "name a program, or a run: mas graph --run ID")
    elif options.patch is not None:
        drawn = _of_patch(options, findings)
    else:
        drawn = _of_program(options.program, options, findings)
    if drawn is None or not findings.ok:
        return refused(findings)
    print_findings(findings.sorted(), stream=sys.stderr)
    link = DEFAULT if options.link is None else options.link
    put(rendered(drawn, form, link), options.output or STDOUT)
    return exit_code(findings.sorted())


def rendered(drawn: Graph, form: str, link: str) -> str:
    """Return a picture in one of the formats. Raises UsageError where that needs what is not installed."""
    if form == "json":
        from json import dumps

        from masdsl.graph.data import as_data

        return dumps(as_data(drawn), ensure_ascii=True, indent=1) + "\n"
    if form == "mermaid":
        from masdsl.graph import mermaid

        return mermaid.render(drawn, link)
    if form == "dot":
        from masdsl.graph import dot

        return dot.render(drawn, link)
    from masdsl.graph import svg
    from masdsl.graph.layers import NoLayout

    try:
        return svg.render(drawn, link)
    except NoLayout as missing:
        raise UsageError("there is no library for layouts here", str(missing)) from None


def pictured(checked: Checked, flow: str | None, depth: int | None) -> Graph | None:
    """Return the picture of a checked program; None where it has errors. Raises UsageError."""
    from masdsl.graph.make import NoFlow
    from masdsl.graph.sketch import LARGEST, TooLarge

    try:
        return graph(checked, flow, depth)
    except NoFlow as missing:
        name = "" if checked.source is None else f"`{checked.source.name}` "
        if not missing.known:
            raise UsageError(f"{name}has no flow that could be drawn", "a picture shows the steps of a flow") from None
        raise UsageError(
            f"{name}has no flow `{flow}`", f"there are {', '.join(f'`{one}`' for one in missing.known)}"
        ) from None
    except TooLarge:
        raise UsageError(
            f"the picture would have more than {LARGEST:,} parts", "fold the flows that are called: --depth 0"
        ) from None


# ---------------------------------------------------------------- what is drawn


def _of_program(path: str, options: Namespace, findings: Findings) -> Graph | None:
    if path == STDOUT:
        from masdsl.cli.files import read_stdin

        config = load_config(os.getcwd(), findings)
        source = read_stdin(findings)
        checked = Checked(source, check_source(source, config, findings), config)
    else:
        done = guarded(path, findings, check_file, path, findings)
        if done is None:
            return None
        checked = done
    return pictured(checked, options.flow, options.depth)


def _of_patch(options: Namespace, findings: Findings) -> Graph | None:
    from masdsl.patch.patching import apply_patch, read_patch

    patch = read_text(options.patch, findings)
    program = read_program(options.program, findings)
    if patch is None or program is None:
        return None
    config = load_config(os.path.dirname(options.program), findings)
    source, _ = program
    done = apply_patch(patch, source, findings, lambda text, found: check_source(text, config, found))
    parsed = None if done is None or not findings.ok else read_patch(patch, findings)
    if done is None or parsed is None:
        return None
    return changed(source, done.source, patch, config, options.flow, options.depth, findings)


def changed(
    before: Source,
    after: Source,
    patch: Source,
    config: Config,
    flow: str | None,
    depth: int | None,
    findings: Findings,
) -> Graph | None:
    """Return what a patch that was applied makes of a picture; None, with findings, where a program has errors.

    Flows are unfolded in both alike, as deep as in the program before. Raises UsageError.
    """
    from masdsl.graph.difference import difference
    from masdsl.patch.sites import moved
    from masdsl.patch.view import as_text, bounds_change, summary, view
    from masdsl.pipeline import cost_report
    from masdsl.syntax import ast
    from masdsl.syntax.parse import parse_patch, parse_program

    old = Checked(before, check_source(before, config, findings), config)
    new = Checked(after, check_source(after, config, Findings()), config)
    depth = _deepest(depth, old, new, flow)
    pictures = pictured(old, flow, depth), pictured(new, flow, depth)
    edits, tree = parse_patch(patch, Findings()).document, parse_program(before, Findings()).document
    if pictures[0] is None or pictures[1] is None:
        return None
    assert isinstance(edits, ast.Patch) and isinstance(tree, ast.Program)
    shown = view(edits, tree)
    lines = as_text(shown).splitlines()
    more = [f".. and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    bound = bounds_change(cost_report(old), cost_report(new))
    headline = [summary(shown), *([bound] if bound else []), *lines[:SHOWN], *more]
    renames = {was: now for now, was in moved(edits, tree).items()}
    return difference(pictures[0], pictures[1], renames, headline)


def _deepest(depth: int | None, old: Checked, new: Checked, flow: str | None) -> int:
    """Return how deep flows are unfolded in two pictures that are compared: as deep as both are worth looking at."""
    from masdsl.graph.make import DEEPEST, ENOUGH

    if depth is not None:
        return depth
    for level in range(1, DEEPEST + 1):
        both = [pictured(one, flow, level) for one in (old, new)]
        if any(one is not None and len(one.vertices) > ENOUGH for one in both):
            return level - 1
        if all(one is None or not one.folded for one in both):
            return level
    return DEEPEST


def _of_run(options: Namespace, findings: Findings) -> Graph | None:
    from masdsl.cli.keeping import folder_of_run, opened, told

    journal = opened(options.journal)
    try:
        with told():
            header, rows = journal.read(options.run)
    finally:
        journal.close()
    config = load_config(folder_of_run(header), findings)
    flow = options.flow or header.flow
    if options.program is not None:
        done = guarded(options.program, findings, check_file, options.program, findings)
        drawn = None if done is None else pictured(done, flow, options.depth)
    else:
        drawn = picture_of_run(header, rows, config, flow, options.depth, findings)
    if drawn is None:
        return None
    from masdsl.graph.overlay import overlay
    from masdsl.graph.taken import NOBODY_SAYS

    ways = NOBODY_SAYS if options.program is not None else ways_of_run(header, rows, config)
    return overlay(drawn, rows, [run_line(header, rows)], header.tiers, ways)


def ways_of_run(header: RunHeader, rows: Sequence[Row], config: Config) -> Ways:
    """Return which way a run went where it could go several; nothing where that cannot be seen any more."""
    from masdsl.cli.keeping import stored_program, told
    from masdsl.graph.taken import NOBODY_SAYS, Ways
    from masdsl.rectify.stored import StoredFaulty
    from masdsl.rectify.ways import ways_of
    from masdsl.runtime.program import run_coroutine
    from masdsl.runtime.recording import silent_models

    loaded = stored_program(header, config, Findings(), silent_models(header.tiers))
    if loaded is None:
        return NOBODY_SAYS
    ground = loaded.ground_of(header)
    found: Any = None
    try:
        with told():
            found = run_coroutine(lambda: ways_of(header, rows, ground))  # type: ignore[arg-type, return-value]
    except StoredFaulty:
        return NOBODY_SAYS
    return Ways(found.decided, found.asked, found.whole, found.flows)


def picture_of_run(
    header: RunHeader, rows: Sequence[Row], config: Config, flow: str, depth: int | None, findings: Findings
) -> Graph | None:
    """Return the picture of the program that a run goes by, with what its patches have changed; None, with findings,
    where that has errors by now. Raises UsageError.
    """
    from masdsl.journal.base import SESSION
    from masdsl.patch.diff import diff
    from masdsl.patch.sites import moved
    from masdsl.rectify.sources import reader_of, source_of
    from masdsl.rectify.texts import texts_of
    from masdsl.syntax import ast
    from masdsl.syntax.parse import parse_program

    if header.program == SESSION:
        raise UsageError(
            f"{header.id} is a session, not the run of a program",
            f"its runs have pictures: mas graph --run {header.id}.1",
        )
    reader = reader_of(header.sources)

    def checked(source: Source, found: Findings) -> Checked:
        program = check_source(source, config, Findings(), reader)
        if program is None:  # models that the configuration of now has no price for are no reason to draw nothing
            program = check_source(source, config, found, reader, priced=False)
        return Checked(source, program, config)

    texts = texts_of(header, rows)
    begun = checked(source_of(header.program, header.sources), findings)
    now = begun if len(texts) == 1 else checked(texts[-1], findings)
    if begun.program is None or now.program is None:
        return None
    if len(texts) == 1:
        return pictured(begun, flow, depth)
    from masdsl.graph.difference import difference

    depth = _deepest(depth, begun, now, flow)
    pictures = pictured(begun, flow, depth), pictured(now, flow, depth)
    if pictures[0] is None or pictures[1] is None:
        return None
    trees = [parse_program(one, Findings()).document for one in (texts[0], texts[-1])]
    renames: Mapping[str, str] = {}
    if isinstance(trees[0], ast.Program) and isinstance(trees[1], ast.Program):
        renames = {was: is_now for is_now, was in moved(diff(trees[0], trees[1]), trees[0]).items()}
    patches = len(texts) - 1
    said = f"patched {patches} time{'' if patches == 1 else 's'} while it ran"
    return difference(pictures[0], pictures[1], renames, [said])


def run_line(header: RunHeader, rows: Sequence[Row]) -> str:
    """Return a run in one line: how it stands, and what it took."""
    from masdsl.money import show_usd
    from masdsl.rectify.watch import spent_of

    spent = spent_of(rows)
    said = f"run {header.id}: {header.status}, {spent['calls']:,} calls, {spent['tokens']:,} tokens"
    return f"{said}, {show_usd(spent['usd'])}" if spent["usd"] else said


# ---------------------------------------------------------------- options


def _form(options: Namespace) -> str:
    if options.form is not None:
        return str(options.form)
    ending = os.path.splitext(options.output or "")[1]
    return ENDINGS.get(ending, "mermaid")


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="mas graph",
        description="Draw a program: its steps, what they read, loops, branches, tools, trust and worst cases.",
    )
    parser.add_argument("program", nargs="?", metavar="PROGRAM", help="a program; of a --run, it may be left out")
    parser.add_argument(
        "--as", dest="form", choices=FORMATS, help="the format (default: that of the file's ending, else mermaid)"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write it to a file (.mmd, .dot, .svg, .json)")
    parser.add_argument("--flow", metavar="NAME", help="this flow (default: main, or those that no other calls)")
    parser.add_argument(
        "--depth",
        type=int,
        metavar="N",
        help="unfold flows that are called N levels deep (default: as deep as gives a picture to be looked at)",
    )
    parser.add_argument("--run", metavar="ID", help="show what happened in a kept run (`mas runs` lists them)")
    parser.add_argument("--journal", metavar="PATH|URL", help="where runs are kept")
    parser.add_argument("--patch", metavar="FILE", help="show what a patch adds, changes and drops")
    parser.add_argument(
        "--link",
        metavar="TEMPLATE",
        help=f"what parts link to (default: {DEFAULT}; also {{column}}; empty for no links)",
    )
    return parser
