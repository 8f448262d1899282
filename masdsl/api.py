"""What a Python program does with `.mas` programs: check, format, build, load, run. Re-exported by `masdsl`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from masdsl.config import DEFAULT, HOST, Config, Grant, load_config
from masdsl.diagnostics.base import Finding, Findings
from masdsl.loaded import JournalPlace, LoadedProgram, ProgramError
from masdsl.source import Source

if TYPE_CHECKING:
    from masdsl.batch.evaluation import Evaluation
    from masdsl.check.program import Program
    from masdsl.emit import PyModule
    from masdsl.meta.outcome import Seams, Solved
    from masdsl.meta.task import Effort
    from masdsl.meta.team import Team
    from masdsl.patch.merge import Merged
    from masdsl.runtime import Limits, Result
    from masdsl.runtime.program import Models
    from masdsl.runtime.tool import ToolFunction
    from masdsl.syntax.ast import Patch
    from masdsl.syntax.ast import Program as SyntaxTree

Location: TypeAlias = "str | os.PathLike[str] | Source"
"""Where a program is: the path of a file, or a `Source` that holds its text. A string is always a path."""


def check(program: Location, *, config: Config | None = None) -> tuple[Finding, ...]:
    """Return everything that is wrong or suspicious about a program; nothing is run.

    Without `config`, the nearest `mas.toml` (or `[tool.masdsl]`) upwards from the program counts; for a `Source` that
    is no file, the defaults. A file that cannot be read is a finding too.
    """
    findings = Findings()
    _check(program, config, findings)
    return findings.sorted()


def format(text: str) -> str:
    """Return a program in its canonical layout.

    Raises:
        ProgramError: the text has syntax errors.
    """
    from masdsl.reading import decode
    from masdsl.syntax.format import format_source

    findings = Findings()
    source = decode("<input>", text.encode("utf-8", "surrogatepass"), findings)
    formatted = format_source(source, findings) if findings.ok else None
    if formatted is None:
        raise ProgramError(findings.sorted())
    return formatted


def build(program: Location, *, config: Config | None = None) -> str:
    """Return the Python text that a program compiles to. It needs `masdsl.runtime` alone.

    Raises:
        ProgramError: the program has errors.
    """
    return compile_program(program, config).text


def compile_program(program: Location, config: Config | None = None) -> PyModule:
    """Return a program as a verified Python module. Raises ProgramError."""
    from masdsl.pipeline import build as build_checked

    findings = Findings()
    checked, _ = _check(program, config, findings)
    if checked is None or not findings.ok:
        raise ProgramError(findings.sorted())
    return build_checked(checked)


def _check(
    program: Location, config: Config | None, findings: Findings, *, priced: bool = True
) -> tuple[Program | None, Config]:
    from masdsl.pipeline import check_file, check_source

    if isinstance(program, Source):
        if config is None:
            config = _config_of(program, findings)
        return check_source(program, config, findings, priced=priced), config
    checked = check_file(os.fspath(program), findings, config, priced=priced)
    return checked.program, checked.config


def _config_of(program: Source, findings: Findings) -> Config:
    """Return the configuration of the folder of a text; the defaults for one that is no file."""
    is_file = not program.name.startswith("<")
    return load_config(os.path.dirname(program.name), findings) if is_file else DEFAULT


# ---------------------------------------------------------------- changing


def diff(before: Location, after: Location) -> Source:
    """Return the smallest patch that makes one program of another, as text; layout and comments do not count.

    Where the two are equal the patch has no edits.

    Raises:
        ProgramError: one of them has syntax errors or cannot be read.
        ValueError: `after` declares a name twice.
    """
    from masdsl.patch.diff import diff as diff_trees

    findings = Findings()
    return _patch_text(diff_trees(_tree(before, findings), _tree(after, findings)))


def apply(patch: Location, program: Location, *, config: Config | None = None) -> Source:
    """Return a program after a patch, in canonical layout, with its comments. It has the name of `program`.

    The patched program is checked as a whole, under the configuration that `check` would use.

    Raises:
        ProgramError: the patch is refused, or one of the two has errors; then nothing was changed.
    """
    from masdsl.patch.patching import apply_patch
    from masdsl.pipeline import check_source

    findings = Findings()
    source, program_source = _text(patch, findings), _text(program, findings)
    used = config if config is not None else _config_of(program_source, findings)
    done = apply_patch(source, program_source, findings, lambda text, found: check_source(text, used, found))
    if done is None or not findings.ok:
        raise ProgramError(findings.sorted())
    return done.source


def invert(patch: Location, program: Location) -> Source:
    """Return the patch that undoes another one: it makes `program` again of what `patch` makes of it.

    Raises:
        ProgramError: the patch does not fit the program, or one of the two has errors.
    """
    from masdsl.patch.diff import diff as diff_trees
    from masdsl.patch.patching import apply_patch

    findings = Findings()
    program_source = _text(program, findings)
    done = apply_patch(_text(patch, findings), program_source, findings)
    if done is None:
        raise ProgramError(findings.sorted())
    return _patch_text(diff_trees(done.program, _tree(program_source, findings)))


def compose(first: Location, second: Location) -> Source:
    """Return the patch that does what `first` and then `second` does.

    Raises:
        ProgramError: one of the two has syntax errors or cannot be read.
    """
    from masdsl.patch.conflicts import compose as compose_trees
    from masdsl.patch.patching import read_patch
    from masdsl.syntax import ast

    findings = Findings()
    parsed = [read_patch(_text(patch, findings), findings) for patch in (first, second)]
    trees = [one.document for one in parsed if one is not None and isinstance(one.document, ast.Patch)]
    if len(trees) < 2 or not findings.ok:
        raise ProgramError(findings.sorted())
    return _patch_text(compose_trees(*trees))


def merge(base: Location, left: Location, right: Location) -> Merged:
    """Join two changes of a program.

    The result has the text of the program and its `conflicts`: with any, both versions of each stand in the text,
    between marks, and `program` is None. Whether a merged program is well typed is not looked at.

    Raises:
        ProgramError: one of the three has syntax errors or cannot be read.
    """
    from masdsl.patch.merge import merge as merge_trees
    from masdsl.patch.patching import notes_of
    from masdsl.syntax import ast
    from masdsl.syntax.parse import parse_program

    findings = Findings()
    parsed = [parse_program(_text(program, findings), findings) for program in (base, left, right)]
    trees = [one.document for one in parsed if one.ok and isinstance(one.document, ast.Program)]
    if len(trees) < 3:
        raise ProgramError(findings.sorted())
    return merge_trees(trees[0], trees[1], trees[2], notes_of(parsed))


def bind(binding: Location, template: Location, *, config: Config | None = None) -> Source:
    """Return the program that a template and a binding are; it is checked as a whole.

    Raises:
        ProgramError: the binding does not fit the template, or one of the two has errors.
    """
    from masdsl.patch.binding import bind as bind_sources
    from masdsl.pipeline import check_source

    findings = Findings()
    source, template_source = _text(binding, findings), _text(template, findings)
    used = config if config is not None else _config_of(template_source, findings)
    done = bind_sources(source, template_source, findings, lambda text, found: check_source(text, used, found))
    if done is None or not findings.ok:
        raise ProgramError(findings.sorted())
    return done.source


def _patch_text(patch: Patch) -> Source:
    from masdsl.syntax.print import print_document

    return Source("<patch>", print_document(patch))


def _tree(program: Location, findings: Findings) -> SyntaxTree:
    from masdsl.syntax import ast
    from masdsl.syntax.parse import parse_program

    parsed = parse_program(_text(program, findings), findings)
    if not parsed.ok or not isinstance(parsed.document, ast.Program):
        raise ProgramError(findings.sorted())
    return parsed.document


def _text(location: Location, findings: Findings) -> Source:
    """Return the text at a location. Raises ProgramError where it cannot be read."""
    from masdsl.reading import read_source

    if isinstance(location, Source):
        return location
    source = read_source(os.fspath(location), findings)
    if source is None or not findings.ok:
        raise ProgramError(findings.sorted())
    return source


# ---------------------------------------------------------------- running


def load(
    program: Location,
    *,
    config: Config | None = None,
    models: Models | None = None,
    tools: Mapping[str, ToolFunction] | None = None,
) -> LoadedProgram:
    """Compile a program in memory and return it, ready to run.

    `models` is where models come from (a resolver, models by tier, or one model for all agents) and `tools` are the
    host's functions by the names that it grants, which grants them; the configuration says both where they are left
    out. Only models of the configuration need prices. Python functions of the configuration are imported, to compare
    them with the declarations. No file is written.

    Raises:
        ProgramError: the program has errors.
    """
    findings = Findings()
    if tools is not None:
        config = _with_tools(_config_for(program, config, findings), tools)
    checked, used = _check(program, config, findings, priced=models is None)
    if checked is not None and checked.tools:
        from masdsl.check.grants import compare_with_host

        compare_with_host(checked, used, tools, findings)
    if checked is None or not findings.ok:
        raise ProgramError(findings.sorted())
    return LoadedProgram(checked, used, models, tools)


def _config_for(program: Location, config: Config | None, findings: Findings) -> Config:
    if config is not None:
        return config
    if isinstance(program, Source):
        return _config_of(program, findings)
    return load_config(os.path.dirname(os.fspath(program)), findings)


def _with_tools(config: Config, tools: Mapping[str, ToolFunction]) -> Config:
    """Return a configuration that grants what the caller passes; what it says of effects still holds."""
    given = {name: config.tools.get(name, Grant(HOST)) for name in tools}
    granted = {name: Grant(HOST, effect=grant.effect) for name, grant in given.items()}
    return config._replace(tools={**config.tools, **granted})


def run(program: Location, inputs: Mapping[str, Any] | None = None, *, flow: str = "main", **options: Any) -> Result:
    """Load a program, run one of its flows and return its value together with what it took.

    `inputs` are by name; `options` are those of `load`. For code that is not asynchronous; otherwise use `load`.

    Raises:
        ProgramError: the program has errors.
        masdsl.runtime.InputError: there is no such flow, or the inputs do not fit it.
        masdsl.runtime.RunFailed: the run gave no value (BudgetExceeded: for lack of budget).
    """
    loaded = load(program, **options)
    if flow not in loaded.flows:
        from masdsl.runtime import InputError

        raise InputError(f"the program has no flow `{flow}`; it has {', '.join(loaded.flows) or 'none'}")
    return loaded.flows[flow].run_sync(**(inputs or {}))


def evaluate(
    programs: Sequence[str | os.PathLike[str]],
    data: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str],
    **options: Any,
) -> Evaluation:
    """Run programs on a data set, grade what they return, and keep all of it in the folder `out`.

    Called again with the same arguments it goes on with what is missing there; nothing is paid twice.

    Args:
        programs: paths of `.mas` files, which are compared.
        data: a path (JSON lines, CSV, Parquet), or `hf:NAME`.
        out: the folder.
        options: those of `masdsl.batch.evaluation.evaluate`, such as `grader`, `models`, `repetitions`, `workers` and
            `budget`.

    Raises:
        masdsl.batch.evaluation.EvaluationFault: it cannot be made as it was asked for.
        ProgramError: a program has errors, or rows of the data set.
        masdsl.batch.base.EngineFault: the engine cannot go on. What was made is kept.
    """
    from masdsl.batch.evaluation import evaluate as evaluate_programs

    return evaluate_programs(programs, data, out=out, **options)


# ---------------------------------------------------------------- designing


def design(query: str, **options: Any) -> Solved:
    """Design a system for a query, and run nothing: `designed` of the result has the program and the reasons for it.

    Options and errors are those of `solve`.
    """
    return _session(query, design_only=True, **options)


def solve(query: str, **options: Any) -> Solved:
    """Answer a query by a system that is designed for it, run, and repaired while it runs.

    The result has the `value` (None, and `failed` says why, where no system gave one), what was `designed`, and what
    each part `spent`. For code that is not asynchronous; otherwise use `masdsl.meta.queries`.

    Args:
        query: what is to be done.
        options: `signature` of the flow to design; `budget` (`masdsl.runtime.Limits`) for design and run together;
            `tools`, functions by the names that they are granted under, and `declarations`, how programs may declare
            them; further `inputs`; `effort` (low, medium, high); `seed`; `config` and `models` as for `load`; the
            `team` of meta-agents (`masdsl.meta.team`); a `journal` (a path, a URL, True for the user's own), which
            keeps every decision, and the name of the `session` there; `seams` (`masdsl.meta.outcome`), by default
            what the user's library has (`masdsl.meta.learned`).

    Raises:
        masdsl.meta.host.BadTask: no system can fit the task: an empty or far too long query, a wrong signature.
        masdsl.journal.JournalError: the journal cannot be used.
    """
    return _session(query, **options)


def _session(
    query: str,
    *,
    signature: str | None = None,
    budget: Limits | None = None,
    tools: Mapping[str, ToolFunction] | None = None,
    declarations: Sequence[str] | None = None,
    inputs: Mapping[str, Any] | None = None,
    effort: Effort = "medium",
    seed: int = 0,
    config: Config | None = None,
    models: Models | None = None,
    team: Team | None = None,
    journal: JournalPlace = None,
    session: str | None = None,
    seams: Seams | None = None,
    design_only: bool = False,
) -> Solved:
    from masdsl.loaded import opened_journal
    from masdsl.meta import queries
    from masdsl.meta.host import Host, offered_tools
    from masdsl.meta.learned import seams_of
    from masdsl.meta.task import SIGNATURE
    from masdsl.meta.team import team_for

    used = config if config is not None else load_config(os.getcwd(), Findings())
    host = Host(used if tools is None else _with_tools(used, tools), models, tools)
    declared = offered_tools(host.config) if declarations is None else tuple(declarations)
    task = queries.task_for(
        query, host, signature=signature or SIGNATURE, budget=budget or queries.BUDGET, tools=declared, effort=effort
    )
    kept = opened_journal(journal)
    try:
        return queries.wait(
            lambda: queries.solve(
                task,
                host,
                team or team_for(host),
                kept,
                seed=seed,
                session=session,
                inputs=inputs,
                seams=seams_of(host) if seams is None else seams,
                design_only=design_only,
            )
        )
    finally:
        if kept is not journal:
            kept.close()
