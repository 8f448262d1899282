"""`mas cost`: what programs cost at least and at worst, before they run."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from typing import Any

from masdsl.bounds.compare import BadBase, Rise, document, rises, worst_cases
from masdsl.bounds.table import cell, in_markdown, in_one_line, render_flows
from masdsl.cli.boundary import UsageError
from masdsl.cli.check import Reported
from masdsl.cli.checking import ProgramCheck
from masdsl.cli.files import find_programs
from masdsl.cli.inputs import tier_change
from masdsl.cli.terminal import add_report_options, exit_code, print_findings, write
from masdsl.cli.trees import add_jobs_option, over
from masdsl.diagnostics.base import Finding
from masdsl.diagnostics.bounds import BoundRose
from masdsl.diagnostics.escape import escape
from masdsl.node import Span
from masdsl.pipeline import cost_report
from masdsl.source import Source

MARKDOWN = "markdown"
TABLES = ("text", "short", MARKDOWN, "json")
"""Formats in which bounds are shown; the others show findings."""


def run(arguments: Sequence[str]) -> int:
    """Show the bounds of the programs that the arguments name.

    Returns 1 if a finding counts, such as a budget that cannot hold, or, under `--compare`, a bound that rose.
    """
    options = _parser().parse_args(arguments)
    paths = find_programs(options.paths)
    before = None if options.compare is None else worst_cases_of(options.compare)
    change = tier_change(options.model)
    work = ProgramCheck(
        cost_report,
        configure=change if change.tiers else None,
        options=[f"{tier}={model}" for tier, model in change.tiers],
        cached=not options.no_cache,
    )
    reported = Reported()
    reports: list[dict[str, Any]] = []
    rose: list[Rise] = []
    named = checked = 0
    for outcome in over(paths, work, jobs=options.jobs):
        reported.take(outcome)
        if outcome.value is None:
            continue
        checked += 1
        chosen = _chosen(outcome.value, options.flow)
        named += len(chosen["flows"])
        if before is not None:
            rose += rises(chosen, before)
        if options.format in ("json", MARKDOWN):
            reports.append(chosen)
        elif options.format in TABLES and chosen["flows"]:
            write(_shown(chosen, options.format, heading=len(paths) > 1))
    if options.flow is not None and checked and not named:
        raise UsageError(f"no program has a flow `{options.flow}`", "`mas cost` without --flow shows those there are")
    findings = [*reported.findings, *map(_risen, rose)]
    code = exit_code(findings, options.fail_on)
    if options.format == "json":
        _write_json(reports, findings)
    elif options.format == MARKDOWN:
        write(in_markdown(reports) + "".join(f"\n- {_words(one)}\n" for one in rose))
    if options.format not in ("json", MARKDOWN):
        from masdsl.diagnostics.report import About

        if findings and options.format in TABLES and reports:
            write("\n")
        about = About("cost", arguments, code, paths, suppressed=reported.suppressed)
        print_findings(findings, options.format, about=about)
    return code


def _chosen(report: dict[str, Any], name: str | None) -> dict[str, Any]:
    if name is None:
        return report
    return {**report, "flows": [flow for flow in report["flows"] if flow["flow"] == name]}


def _shown(report: Mapping[str, Any], form: str, heading: bool) -> str:
    flows = [flow for flow in report["flows"] if flow["entry"]] or report["flows"]
    if form == "short":
        lines = [f"{report['file']}:{flow['line']}: {flow['flow']}: {in_one_line(flow)}" for flow in flows]
        return "".join(f"{escape(line)}\n" for line in lines)
    text = escape(f"{report['file']}\n\n{render_flows(flows)}" if heading else render_flows(flows), keep="\n")
    return f"{text}\n" if heading else text


# ---------------------------------------------------------------- comparing


def worst_cases_of(path: str) -> dict[tuple[str, str], Mapping[str, float]]:
    """Return the worst cases that an earlier `mas cost --format json` wrote to a file. Raises UsageError."""
    from json import loads

    again = f"write it again: mas cost --format json > {path}"
    try:
        with open(path, "rb") as file:
            return worst_cases(loads(file.read()))
    except OSError as error:
        raise UsageError(f"`{path}` cannot be read: {error.strerror or error}", again) from None
    except BadBase as error:
        raise UsageError(f"`{path}` holds no bounds: {error}", again) from None
    except (ValueError, RecursionError):
        raise UsageError(f"`{path}` is no JSON", again) from None


def _risen(rise: Rise) -> Finding:
    source = _source(rise.file)
    start = source.offset(rise.line)
    end = source.text.find("\n", start)
    span = Span(start, len(source.text) if end < 0 else end)
    return Finding(source, BoundRose(rise.flow, _words(rise), span=span))


def _source(path: str) -> Source:
    from masdsl.diagnostics.base import Findings
    from masdsl.reading import read_source

    return read_source(path, Findings()) or Source(path, "")


def _words(rise: Rise) -> str:
    before, now = cell(rise.key, rise.before), cell(rise.key, rise.now)
    return f"{rise.measure} {before} -> {now}"


# ---------------------------------------------------------------- output


def _write_json(reports: Sequence[Mapping[str, Any]], findings: Sequence[Finding]) -> None:
    from json import dumps

    from masdsl.diagnostics.render import json_document

    write(dumps({**document(reports), **json_document(findings)}, indent=2) + "\n")


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="mas cost", description="Show what programs cost at least and at worst, unrun.")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="programs, or folders of them (default: this folder)")
    parser.add_argument("--flow", metavar="NAME", help="this flow only, also one that others call")
    parser.add_argument(
        "--model", metavar="TIER=MODEL", action="append", default=[], help="what it would cost with another model"
    )
    parser.add_argument(
        "--compare", metavar="FILE", help="fail where a bound rose since `mas cost --format json` wrote this file"
    )
    add_report_options(parser, more={MARKDOWN: "the summary of a CI job"})
    add_jobs_option(parser)
    parser.add_argument("--no-cache", action="store_true", help="work everything out again, and keep no results")
    return parser
