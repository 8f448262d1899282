"""`mas run`: run a flow of a program."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from masdsl.cli import FAILED, FINE, INTERRUPTED, OVER_BUDGET
from masdsl.cli.boundary import UsageError, guarded
from masdsl.cli.inputs import describe, read_inputs, tier_change
from masdsl.cli.keeping import (
    Interruption,
    add_journal_option,
    changes_of,
    folder_of_run,
    models_that_differ,
    opened,
    show_intervention,
    stored_program,
    tell_how_to_resume,
    told,
)
from masdsl.cli.progress import add_progress_option, watched
from masdsl.cli.terminal import exit_code, print_findings, write
from masdsl.config import Config, load_config
from masdsl.diagnostics.base import ERROR, Finding, Findings
from masdsl.diagnostics.escape import escape
from masdsl.loaded import LoadedProgram, ProgramError

if TYPE_CHECKING:
    from masdsl.check.program import Flow, Program
    from masdsl.journal import Journal
    from masdsl.runtime import Result, RunFailed
    from masdsl.runtime.program import Models


def run(arguments: Sequence[str]) -> int:
    """Run a flow and print its value.

    Returns 3 if the budget ran out, 4 if the run failed, 1 if the program has errors, 130 if it was interrupted;
    UsageError for wrong inputs, and for what is wrong with the journal.
    """
    options = _parser().parse_intermixed_args(arguments)
    if options.resume is not None:
        return _resume(options)
    if options.program is None:
        raise UsageError("no program is given", "name one, as in `mas run hello.mas`, or a run: `mas run --resume ID`")
    findings = Findings()
    config = tier_change(options.model)(load_config(os.path.dirname(options.program), findings))
    loaded = guarded(options.program, findings, load_for_run, options.program, options.script, config, findings)
    if loaded is None or not findings.ok:
        return _errors(findings)
    flow = _chosen(loaded.checked, options.flow)
    inputs = read_inputs(options.inputs, flow)
    journal = None
    if not options.no_journal:
        journal = _journal(options)
    try:
        return _run(loaded, flow, inputs, options, journal)
    finally:
        if journal is not None:
            journal.close()


def _resume(options: Namespace) -> int:
    """Go on with a run, whose program, flow, inputs and seed are in the journal."""
    given = [name for name in ("program", "flow") if getattr(options, name)] + ["inputs"] * bool(options.inputs)
    if given:
        raise UsageError(
            f"a run that is resumed has its {given[0]} already", f"write: mas run --resume {options.resume}"
        )
    if options.no_journal:
        raise UsageError("--resume needs a journal, and --no-journal says that there is none", "leave one of them out")
    journal = opened(options.journal)
    try:
        with told():
            header, _ = journal.read(options.resume)
        findings = Findings()
        config = tier_change(options.model)(load_config(folder_of_run(header), findings))
        models = script_models(options.script) if options.script else None
        loaded = guarded(header.program, findings, stored_program, header, config, findings, models)
        if loaded is None or not findings.ok:
            return _errors(findings)
        changed = changes_of(header) + ([] if header.status == "ended" else models_that_differ(header, loaded))
        print_findings(changed, stream=sys.stderr)
        if header.status == "ended" and not options.json:
            write(f"run {header.id} has ended: this is its value, and nothing is paid again\n", sys.stderr)
        return _run(loaded, _chosen(loaded.checked, header.flow), {}, options, journal)
    finally:
        journal.close()


def _errors(findings: Findings) -> int:
    print_findings([one for one in findings.sorted() if one.diagnostic.severity == ERROR], stream=sys.stderr)
    return exit_code(findings.sorted())


def _journal(options: Namespace) -> Journal | None:
    """Return the journal of a new run. The user's own is no must: where it cannot be opened, the run is not kept."""
    try:
        return opened(options.journal)
    except UsageError as error:
        if options.journal is not None:
            raise
        write(f"this run is not kept: {error}\n", sys.stderr)
        return None


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="mas run", description="Run a program.")
    parser.add_argument("program", metavar="PROGRAM", nargs="?", help="the program, such as hello.mas")
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="name=value, name=@file, or a JSON object of inputs: @file, or - for standard input",
    )
    parser.add_argument("--flow", metavar="NAME", help="the flow to run (default: main, or the only one)")
    parser.add_argument(
        "--model", metavar="TIER=MODEL", action="append", default=[], help="put another model behind a tier"
    )
    parser.add_argument(
        "--script", metavar="FILE", help="take all replies from a file instead of models (TOML or JSON)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="another seed gives other samples (default: 0)"
    )
    add_journal_option(parser)
    parser.add_argument("--no-journal", action="store_true", help="keep nothing: a run that is broken off is lost")
    parser.add_argument("--resume", metavar="ID", help="go on with a run that was broken off (`mas runs` lists them)")
    parser.add_argument(
        "--rectify",
        action=BooleanOptionalAction,
        help="let the built-in rules patch a run that goes wrong (default: if the program says `rectify`)",
    )
    parser.add_argument(
        "--policy",
        choices=("frozen", "strict"),
        default="frozen",
        help="whether a patch lets finished steps be (frozen) or those of changed agents are done again (strict)",
    )
    add_progress_option(parser)
    parser.add_argument("--json", action="store_true", help="print the value and what it took as JSON")
    return parser


def load_for_run(path: str, script: str | None, config: Config, findings: Findings) -> LoadedProgram | None:
    """Return a program that is ready to run, with the models of a script where there is one; None, with findings,
    where it has errors. Raises UsageError for the script.
    """
    from masdsl.pipeline import check_file

    checked = check_file(path, findings, config).program
    if checked is not None and checked.tools:
        from masdsl.check.grants import compare_with_host

        compare_with_host(checked, config, None, findings)
    if checked is None or not findings.ok:
        return None
    return LoadedProgram(checked, config, script_models(script) if script else None, None)


def script_models(path: str) -> Models:
    """Return the replies of a script in the place of models. Raises UsageError."""
    from masdsl.runtime.models.scripted import ScriptError, load_script

    try:
        return load_script(path)
    except ScriptError as error:
        raise UsageError(str(error)) from error


def _chosen(program: Program, name: str | None) -> Flow:
    """Return the flow that is asked for, or that a run starts with."""
    from masdsl.bounds.flows import entry_flows

    own = {flow.name: flow for flow in program.flows if not flow.module and not flow.statics}
    if name in own:
        return own[name]
    listed = "; ".join(describe(flow) for flow in own.values())
    if name is not None:
        from masdsl.diagnostics.suggest import did_you_mean

        otherwise = f"it has: {listed}" if own else "it has none that can be run"
        raise UsageError(f"the program has no flow `{name}`", did_you_mean(name, own, otherwise))
    entries = [program.flow(key) for key in entry_flows(program)]
    if len(entries) == 1:
        return entries[0]
    if entries:
        raise UsageError("the program has several flows and none is called `main`", f"choose one with --flow: {listed}")
    raise UsageError("the program has no flow that can be run", "add one: flow main(...) -> text { ... }")


def _run(loaded: LoadedProgram, flow: Flow, inputs: dict[str, Any], options: Namespace, journal: Journal | None) -> int:
    from masdsl.journal import new_id
    from masdsl.runtime import BudgetExceeded, InputError, RunFailed, StepFailed
    from masdsl.runtime.failures import RunStopped
    from masdsl.runtime.program import run_coroutine

    key = _key(loaded, flow)
    run = options.resume or new_id()
    interruption = Interruption()
    try:
        progress = watched(events=options.events, progress=options.progress, most=lambda: _most(loaded, flow, options))
        with told(), interruption.watched(), progress as observer:
            result = run_coroutine(
                lambda: loaded.start(
                    key,
                    inputs,
                    journal=journal,
                    resume=options.resume,
                    run_id=None if options.resume else run,
                    rectifier=options.rectify,
                    policy=options.policy,
                    seed=options.seed,
                    on_event=observer,
                    on_intervention=None if options.json else show_intervention,
                    should_stop=interruption.reason,
                )
            )
    except ProgramError as error:
        print_findings([one for one in error.findings if one.diagnostic.severity == ERROR], stream=sys.stderr)
        return exit_code(error.findings)
    except StepFailed as failure:
        raise UsageError(str(failure), "mend the module that [tools] of the configuration names") from failure
    except InputError as error:
        raise UsageError(str(error), f"it is {describe(flow)}") from error
    except KeyboardInterrupt:
        if journal is not None:
            tell_how_to_resume(run, options)
        raise
    except RunFailed as failure:
        stopped = isinstance(failure, RunStopped)
        over = isinstance(failure, BudgetExceeded)
        if not stopped:
            print_findings([_finding(loaded, flow, failure, over)], stream=sys.stderr)
        _tell_cost(loaded, flow, failure.result, options)
        if journal is not None and not options.json:
            tell_how_to_resume(run, options, failed=not stopped)
        if options.json:
            print_json(failure.result, run if journal is not None else None, failed=failure)
        return INTERRUPTED if stopped else OVER_BUDGET if over else FAILED
    if options.json:
        print_json(result, run if journal is not None else None)
    else:
        print_value(result)
    _tell_cost(loaded, flow, result, options)
    return FINE


def _key(loaded: LoadedProgram, flow: Flow) -> str:
    """Return the name under which the compiled program has a flow."""
    return list(loaded.compiled.flows)[[one.key for one in loaded.checked.flows].index(flow.key)]


def _finding(loaded: LoadedProgram, flow: Flow, failure: RunFailed, over: bool) -> Finding:
    """Return the failure as a finding at the step where it happened, or at the call that led to an imported module.

    A tool that could not be used, before anything was called, is one at its declaration.
    """
    program = loaded.checked
    from masdsl.check.addresses import places
    from masdsl.diagnostics.run import BudgetExceeded, RunFailed

    tool = next((one for one in program.tools if failure.step == f"tool {one.name}"), None)
    if tool is not None:
        from masdsl.check.grants import unusable

        return unusable(program, loaded.config, tool, failure.reason)
    rest = failure.step.partition(".")[2]
    own = [place.span for place in places(program, flow.body, f"{flow.name}.{rest}") if not place.module]
    span = own[-1] if own else flow.span
    source = program.modules[0].source
    if over:
        return Finding(source, BudgetExceeded(failure.step, failure.reason, span=span))
    reached = any(event.kind == "called" and event.address == failure.step for event in failure.result.events)
    return Finding(source, RunFailed(failure.step, failure.reason, reached, span=span))


# ---------------------------------------------------------------- output


def print_value(result: Result) -> None:
    """Print the value of a run: a text as it is, anything else as JSON."""
    from json import dumps

    from masdsl.runtime.shapes import plain

    value = plain(result.value)
    text = value if isinstance(value, str) else dumps(value, ensure_ascii=False, indent=2)
    write((escape(text, keep="\n\t") if sys.stdout.isatty() else text) + "\n")


def print_json(result: Result, run: str | None, failed: RunFailed | None = None) -> None:
    """Print the value of a run and what it took as JSON, with its id where it is kept."""
    from json import dumps

    document = result.to_json()
    if run is not None:
        document["run"] = run
    if failed is not None:
        document["failed"] = {"step": failed.step, "reason": failed.reason}
    write(dumps(document, indent=2) + "\n")


def _most(loaded: LoadedProgram, flow: Flow, options: Namespace) -> dict[str, Any]:
    """Return what a run of a flow takes at worst."""
    from masdsl.pipeline import Checked, cost_report

    config = loaded.config
    if options.script:  # whatever answers is none of the configured models
        config = config._replace(models={key: one._replace(tokenizer=None) for key, one in config.models.items()})
    report = cost_report(Checked(None, loaded.checked, config))
    return next(one["most"] for one in report["flows"] if one["flow"] == flow.key) if report else {}


def _tell_cost(loaded: LoadedProgram, flow: Flow, result: Result, options: Namespace) -> None:
    """Say on standard error what a run took, and what it could have taken at most."""
    if options.events or options.json:
        return
    from masdsl.bounds.table import cell

    most = _most(loaded, flow, options)
    taken = {
        "calls": result.calls,
        "tokens": result.tokens,
        "picodollars": result.picodollars,
        "seconds": round(result.seconds, 1),
    }
    units = {"calls": "calls", "tokens": "tokens", "picodollars": "USD", "seconds": "s"}
    again = options.resume is not None or result.interventions  # what was done twice is in no bound
    shown = (
        f"{cell(key, taken[key])} {unit}"
        if again
        else f"{cell(key, taken[key])} of at most {cell(key, most[key])} {unit}"
        for key, unit in units.items()
    )
    sys.stdout.flush()
    write(f"{', '.join(shown)}\n", sys.stderr)
