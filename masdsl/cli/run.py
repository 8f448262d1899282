"""`mas run`: run a flow of a program."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from masdsl.api import LoadedProgram
from masdsl.cli import FAILED, FINE, OVER_BUDGET
from masdsl.cli.boundary import UsageError, guarded
from masdsl.cli.inputs import describe, read_inputs, tier_change
from masdsl.cli.terminal import exit_code, print_findings, write
from masdsl.config import Config, load_config
from masdsl.diagnostics.base import ERROR, Finding, Findings
from masdsl.diagnostics.escape import escape

if TYPE_CHECKING:
    from masdsl.check.program import Flow, Program
    from masdsl.runtime import Event, Result, RunFailed
    from masdsl.runtime.program import Models


def run(arguments: Sequence[str]) -> int:
    """Run a flow and print its value.

    Returns 3 if the budget ran out, 4 if the run failed, 1 if the program has errors; UsageError for wrong inputs.
    """
    options = _parser().parse_intermixed_args(arguments)
    findings = Findings()
    config = tier_change(options.model)(load_config(os.path.dirname(options.program), findings))
    loaded = guarded(options.program, findings, _load, options, config, findings)
    if loaded is None or not findings.ok:
        print_findings([one for one in findings.sorted() if one.diagnostic.severity == ERROR], stream=sys.stderr)
        return exit_code(findings.sorted())
    flow = _chosen(loaded.checked, options.flow)
    inputs = read_inputs(options.inputs, flow)
    return _run(loaded, flow, inputs, options)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="mas run", description="Run a program.")
    parser.add_argument("program", metavar="PROGRAM", help="the program, such as hello.mas")
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
    parser.add_argument("--events", action="store_true", help="print every event as a line of JSON on standard error")
    parser.add_argument("--json", action="store_true", help="print the value and what it took as JSON")
    return parser


def _load(options: Namespace, config: Config, findings: Findings) -> LoadedProgram | None:
    from masdsl.pipeline import check_file

    checked = check_file(options.program, findings, config).program
    if checked is None or not findings.ok:
        return None
    return LoadedProgram(checked, config, _script(options.script) if options.script else None, None)


def _script(path: str) -> Models:
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


def _run(loaded: LoadedProgram, flow: Flow, inputs: dict[str, Any], options: Namespace) -> int:
    from masdsl.runtime import BudgetExceeded, InputError, RunFailed, StepFailed
    from masdsl.runtime.program import run_coroutine

    observers = [_print_event] if options.events else [_Progress()] if sys.stderr.isatty() else []
    key, observer = _key(loaded, flow), observers[0] if observers else None
    try:
        result = run_coroutine(lambda: loaded.start(key, inputs, seed=options.seed, on_event=observer))
    except StepFailed as failure:
        raise UsageError(str(failure), "mend the module that [tools] of the configuration names") from failure
    except InputError as error:
        raise UsageError(str(error), f"it is {describe(flow)}") from error
    except RunFailed as failure:
        over = isinstance(failure, BudgetExceeded)
        print_findings([_finding(loaded.checked, flow, failure, over)], stream=sys.stderr)
        _tell_cost(loaded, flow, failure.result, options)
        if options.json:
            _print_json(failure.result, failed=failure)
        return OVER_BUDGET if over else FAILED
    if options.json:
        _print_json(result)
    else:
        _print_value(result)
    _tell_cost(loaded, flow, result, options)
    return FINE


def _key(loaded: LoadedProgram, flow: Flow) -> str:
    """Return the name under which the compiled program has a flow."""
    return list(loaded.compiled.flows)[[one.key for one in loaded.checked.flows].index(flow.key)]


def _finding(program: Program, flow: Flow, failure: RunFailed, over: bool) -> Finding:
    """Return the failure as a finding at the step where it happened, or at the call that led to an imported module."""
    from masdsl.check.addresses import places
    from masdsl.diagnostics.run import BudgetExceeded, RunFailed

    rest = failure.step.partition(".")[2]
    own = [place.span for place in places(program, flow.body, f"{flow.name}.{rest}") if not place.module]
    span = own[-1] if own else flow.span
    source = program.modules[0].source
    if over:
        return Finding(source, BudgetExceeded(failure.step, failure.reason, span=span))
    reached = any(event.kind == "called" and event.address == failure.step for event in failure.result.events)
    return Finding(source, RunFailed(failure.step, failure.reason, reached, span=span))


# ---------------------------------------------------------------- output


def _print_value(result: Result) -> None:
    from json import dumps

    from masdsl.runtime.shapes import plain

    value = plain(result.value)
    text = value if isinstance(value, str) else dumps(value, ensure_ascii=False, indent=2)
    write((escape(text, keep="\n\t") if sys.stdout.isatty() else text) + "\n")


def _print_json(result: Result, failed: RunFailed | None = None) -> None:
    from json import dumps

    document = result.to_json()
    if failed is not None:
        document["failed"] = {"step": failed.step, "reason": failed.reason}
    write(dumps(document, indent=2) + "\n")


def _print_event(event: Event) -> None:
    from json import dumps

    write(dumps(event.to_json()) + "\n", sys.stderr)
    sys.stderr.flush()


class _Progress:
    """A line on the terminal for each step that ends, and for what delays one."""

    def __call__(self, event: Event) -> None:
        if event.kind == "retried":
            detail = f"asks again: {event.detail}"
        elif event.kind in ("failed", "refused"):
            detail = f"{event.kind}: {event.detail}"
        elif event.kind == "finished" and event.what != "flow":
            detail = f"{event.seconds:.1f} s{' (default)' if event.detail == 'default' else ''}"
        else:
            return
        write(f"{escape(event.address)}  {escape(event.name)}  {escape(detail)}\n", sys.stderr)
        sys.stderr.flush()


def _tell_cost(loaded: LoadedProgram, flow: Flow, result: Result, options: Namespace) -> None:
    """Say on standard error what a run took, and what it could have taken at most."""
    if options.events or options.json:
        return
    from masdsl.bounds.table import cell
    from masdsl.pipeline import Checked, cost_report

    config = loaded.config
    if options.script:  # whatever answers is none of the configured models
        config = config._replace(models={key: one._replace(tokenizer=None) for key, one in config.models.items()})
    report = cost_report(Checked(None, loaded.checked, config))
    most = next(one["most"] for one in report["flows"] if one["flow"] == flow.key) if report else {}
    taken = {
        "calls": result.calls,
        "tokens": result.tokens,
        "picodollars": result.picodollars,
        "seconds": round(result.seconds, 1),
    }
    units = {"calls": "calls", "tokens": "tokens", "picodollars": "USD", "seconds": "s"}
    shown = (f"{cell(key, taken[key])} of at most {cell(key, most[key])} {unit}" for key, unit in units.items())
    sys.stdout.flush()
    write(f"{', '.join(shown)}\n", sys.stderr)
