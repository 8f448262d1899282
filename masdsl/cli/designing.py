"""What `mas design` and `mas solve` share: the query, the budget, the team, and what is told of a session."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from masdsl.cli.boundary import UsageError
from masdsl.cli.inputs import tier_change
from masdsl.cli.terminal import write
from masdsl.config import Config, load_config
from masdsl.diagnostics.base import ERROR, Findings
from masdsl.diagnostics.escape import escape

if TYPE_CHECKING:
    from masdsl.meta.host import Host
    from masdsl.meta.outcome import Designed, Solved
    from masdsl.meta.queries import Plan
    from masdsl.meta.task import Spent, Task
    from masdsl.meta.team import Player, Team
    from masdsl.runtime import Limits

PLAYERS: Final = ("model", "rules")
QUERY_BYTES: Final = 1024 * 1024
"""No longer file is read as a query: a text of the language has at most an eighth of it."""


def add_query(parser: ArgumentParser, *, needed: bool) -> None:
    """Let a command take a query."""
    text = "what is to be done; @file reads it from a file, - from standard input"
    parser.add_argument("query", metavar="QUERY", nargs=None if needed else "?", help=text)


def add_options(parser: ArgumentParser) -> None:
    """Add the options about the task, the budget and the team."""
    parser.add_argument("--signature", metavar="HEAD", help="the flow to design (default: flow main(query) -> text)")
    parser.add_argument(
        "--tool",
        action="append",
        metavar="DECLARATION",
        help="let the system use this granted tool, and no others than those given so, as in"
        " 'tool find(query) -> text from \"docs.search\"' (default: the built-in tools that are granted)",
    )
    parser.add_argument("--no-tools", action="store_true", help="let the system use no tool")
    parser.add_argument(
        "--calls", type=int, metavar="N", help="calls of models at most, of design and run (default: 100)"
    )
    parser.add_argument("--tokens", type=int, metavar="N", help="tokens at most (default: 500000)")
    parser.add_argument("--usd", type=float, metavar="N", help="US dollars at most (default: no limit of its own)")
    parser.add_argument("--seconds", type=float, metavar="N", help="seconds at most (default: 900)")
    parser.add_argument(
        "--effort", choices=("low", "medium", "high"), default="medium", help="how often the designer may try"
    )
    add_team(parser)
    parser.add_argument(
        "--model", metavar="TIER=MODEL", action="append", default=[], help="put another model behind a tier"
    )
    parser.add_argument(
        "--script", metavar="FILE", help="take all replies from a file instead of models (TOML or JSON)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="another seed gives another design (default: 0)"
    )
    parser.add_argument("--explain", action="store_true", help="tell how the system was designed, and what it took")
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")
    parser.add_argument("--dry-run", action="store_true", help="ask no model: show what would be done")


def add_team(parser: ArgumentParser) -> None:
    """Add the options that say who plays the roles."""
    parser.add_argument(
        "--designer", metavar="TIER", default="smart", help="the tier of the meta-agents (default: smart)"
    )
    parser.add_argument(
        "--generator",
        choices=("model", "trained", "rules"),
        help="who designs: a model that is told the language, one that was trained for it (the default offline), or"
        " the nearest known system",
    )
    parser.add_argument("--implementer", choices=PLAYERS, default="model", help="who assigns models to roles")


# ---------------------------------------------------------------- from options


def host_of(options: Namespace, folder: str | None = None) -> Host:
    """Return what systems stand on in a folder, by default the working folder.

    Raises UsageError for a configuration or a script with mistakes.
    """
    from masdsl.meta.host import Host

    findings = Findings()
    config: Config = tier_change(options.model)(load_config(os.getcwd() if folder is None else folder, findings))
    for source, diagnostic in findings.sorted():
        if diagnostic.severity == ERROR:
            line = source.position(diagnostic.span.start).line
            raise UsageError(f"{source.name}:{line}: {diagnostic.title()}", diagnostic.help())
    if options.script is None:
        return Host(config)
    from masdsl.runtime.models.scripted import ScriptError, load_script

    try:
        return Host(config, load_script(options.script))
    except ScriptError as error:
        raise UsageError(str(error)) from error


def task_of(options: Namespace, host: Host) -> Task:
    """Return the task that the options ask for. Raises UsageError."""
    from masdsl.meta.host import BadTask, offered_tools
    from masdsl.meta.queries import task_for
    from masdsl.meta.task import SIGNATURE

    tools = () if options.no_tools else tuple(options.tool or offered_tools(host.config))
    signature = options.signature or SIGNATURE
    try:
        return task_for(
            read_query(options.query),
            host,
            signature=signature,
            budget=budget_of(options),
            tools=tools,
            effort=options.effort,
        )
    except BadTask as fault:
        raise UsageError(str(fault)) from fault


def budget_of(options: Namespace) -> Limits:
    """Return the budget that the options give, with the usual limits where they give none. Raises UsageError."""
    from masdsl.meta.queries import BUDGET
    from masdsl.runtime import Limits

    given = {name: getattr(options, name) for name in ("calls", "tokens", "usd", "seconds")}
    try:
        return Limits(**{name: getattr(BUDGET, name) if value is None else value for name, value in given.items()})
    except ValueError as fault:
        raise UsageError(str(fault)) from fault


def team_of(options: Namespace, host: Host, rectifier: Player | None = "rules") -> Team:
    """Return the team that the options ask for."""
    from masdsl.meta.team import team_for

    return team_for(
        host,
        tier=options.designer,
        generator=options.generator,
        implementer=options.implementer,
        rectifier=rectifier,
    )


def read_query(word: str | None) -> str:
    """Return a query: the word itself, or what a file or standard input holds. Raises UsageError."""
    if word is None:
        raise UsageError("no query is given", 'write it in quotes, as in: mas solve "Which is larger, 2^10 or 10^3?"')
    if word == "-":
        data = sys.stdin.buffer.read(QUERY_BYTES + 1)
    elif word.startswith("@"):
        try:
            with open(word[1:], "rb") as file:
                data = file.read(QUERY_BYTES + 1)
        except OSError as error:
            raise UsageError(f"{word[1:]}: {error.strerror or error}", "name a file that can be read") from error
    else:
        return word
    if len(data) > QUERY_BYTES:
        raise UsageError(f"the query has more than {QUERY_BYTES:,} bytes", "ask about a part of it")
    return data.decode("utf-8", "replace").removeprefix("\ufeff")


# ---------------------------------------------------------------- told


def tell_plan(plan: Plan, *, as_json: bool) -> None:
    """Print what would be done."""
    if as_json:
        from json import dumps

        write(dumps(plan.to_json(), indent=2) + "\n")
        return
    from masdsl.meta.prompting import room_text

    told = plan.to_json()
    lines = [f"signature  {plan.task.signature}", f"budget     {room_text(plan.task.budget)}, design included"]
    lines += [f"tool       {line}" for line in plan.task.tools]
    lines += [f"{role:10} {name}" for role, name in told["team"].items()]
    terms = plan.terms
    bounds = [f"at most {terms.tries} tries"]
    bounds += [f"{amount:,} {what}" for amount, what in ((terms.calls, "calls"), (terms.tokens, "tokens")) if amount]
    lines.append(f"design     {', '.join(bounds)}")
    lines += [f"example    {name}: {said}" for name, _, said in plan.examples]
    lines.append(f"otherwise  {plan.near}; else {plan.simple}")
    write(escape("\n".join(lines), keep="\n") + "\n")


def tell_notes(notes: tuple[str, ...]) -> None:
    """Say on standard error what did not go as planned."""
    sys.stdout.flush()
    for note in notes:
        write(f"{escape(note)}\n", sys.stderr)


def tell_session(solved: Solved) -> None:
    """Say on standard error how a system was designed, what became of it, and what each part took."""
    sys.stdout.flush()
    lines = list(_session_lines(solved))
    write(escape("\n".join(lines), keep="\n") + "\n", sys.stderr)


def _session_lines(solved: Solved) -> Iterator[str]:
    designed = solved.designed
    if designed is not None:
        yield from _design_lines(designed)
    for attempt in solved.attempts:
        yield f"run      {attempt.run}: {attempt.system}, {attempt.failed or 'gave the answer'}"
        for one in attempt.interventions:
            told = one if isinstance(one, dict) else one.to_json()
            outcome = "patched" if told["accepted"] else "refused a patch" if told["patch"] else "no patch"
            yield f"rectify  {outcome} ({told['who']}): {told['reason']}"
            yield from (f"         {line}" for line in told["patch"].splitlines())
    for part, spent in solved.spent.items():
        yield f"spent    {part}: {_spent_text(spent)}"
    yield f"session  {solved.session}, {solved.seconds:.1f} s"


def _design_lines(designed: Designed) -> Iterator[str]:
    for name, score in designed.examples:
        yield f"example  {name} ({score:.2f})"
    for number, one in enumerate(designed.generated.tries, 1):
        told = "taken" if not one.diagnostics else one.diagnostics[0]
        yield f"try {number}    {one.tokens:,} tokens, {one.fixes} machine fixes: {told}"
    if designed.generated.reasoning:
        yield f"why      {' '.join(designed.generated.reasoning.split())}"
    yield f"system   {designed.system.name}"
    yield from (f"  {line}" for line in designed.system.text.splitlines())
    if designed.implemented.reasoning:
        yield f"models   {' '.join(designed.implemented.reasoning.split())}"
    most = designed.system
    if most.calls is not None and most.tokens is not None:
        over = f"; more than is left of {', '.join(most.over)}, where the ledger stops it" if most.over else ""
        yield f"worst    {most.calls} calls, {most.tokens:,} tokens{over}"


def _spent_text(spent: Spent) -> str:
    from masdsl.money import show_usd

    return f"{spent.calls} calls, {spent.tokens:,} tokens, {show_usd(spent.picodollars)}"


def total_line(solved: Solved) -> str:
    """Return what a session took, in a line: design and run apart."""
    run = solved.spent.get("run")
    design = [spent for part, spent in solved.spent.items() if part != "run"]
    calls, tokens = sum(one.calls for one in design), sum(one.tokens for one in design)
    told = f"design {calls} calls, {tokens:,} tokens"
    if run is not None:
        told += f"; run {_spent_text(run)}"
    return f"{told}; {solved.seconds:.1f} s; session {solved.session}"


def print_answer(value: Any) -> None:
    """Print an answer: a text as it is, anything else as JSON."""
    from json import dumps

    text = value if isinstance(value, str) else dumps(value, ensure_ascii=False, indent=2)
    write((escape(text, keep="\n\t") if sys.stdout.isatty() else text) + "\n")
