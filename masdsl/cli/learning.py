"""`mas library rules`, `learn` and `forget`: the rules that repairs have taught."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from masdsl.cli import FINE
from masdsl.cli.boundary import UsageError
from masdsl.cli.designing import host_of
from masdsl.cli.keeping import opened, stored_program, told
from masdsl.cli.terminal import print_findings, say, write
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.escape import escape

if TYPE_CHECKING:
    from masdsl.meta.immunity import Rule


def list_rules(options: Namespace, folder: str) -> int:
    """Print the rules of a library, and how they have done."""
    from masdsl.meta.rulebook import read_book

    findings = Findings()
    book = read_book(folder, findings)
    if options.json:
        from json import dumps

        rules = [{"name": rule.name, **rule.to_json()} for rule in book.rules]
        told_: dict[str, Any] = {"folder": folder, "rules": rules, "without": {"runs": book.runs, "good": book.good}}
        write(dumps(told_, indent=2) + "\n")
    elif not book.rules:
        say(f"the library in {folder} has no rules; a repair after which a run finishes teaches one")
    else:
        write("".join(f"{escape(line)}\n" for rule in book.rules for line in _lines(rule)))
        if book.runs:
            say(f"without a rule, {book.good} of {book.runs} runs were good")
    if findings.count:
        sys.stdout.flush()
        print_findings(findings.sorted(), stream=sys.stderr)
    return FINE


def _lines(rule: Rule) -> Iterator[str]:
    state = f"retired: {rule.retired}" if rule.retired else f"good in {rule.successes} of {rule.uses} uses"
    yield f"{rule.name}  {rule.cause}, seen {rule.seen} time{'s' if rule.seen != 1 else ''}; {state}"
    about = [f"{name} {value}" for name, value in rule.guard.items()]
    if rule.over:
        about.append(f"at worst above its budget of {rule.over}")
    yield f"  where  {', '.join(about)}"
    yield from (f"  do     {edit}" for edit in rule.edits)
    if rule.tool:
        yield f"         with the tool granted as {rule.tool}"
    yield f"  from   {rule.origin}"


def forget(options: Namespace, folder: str) -> int:
    """Remove rules. Raises UsageError for one that is not there."""
    from masdsl.meta.rulebook import change, read_book

    known = {rule.name for rule in read_book(folder, Findings()).rules}
    missing = [name for name in options.rules if name not in known]
    if missing:
        raise UsageError(f"the library in {folder} has no rule `{missing[0]}`", "`mas library rules` lists them")
    wanted = set(options.rules)
    change(folder, lambda book: book._replace(rules=tuple(rule for rule in book.rules if rule.name not in wanted)))
    say(f"forgot {', '.join(options.rules)}")
    return FINE


def learn_from(options: Namespace, folder: str) -> int:
    """Distil the repairs of a kept run that has finished into rules. Raises UsageError for one that cannot teach."""
    from masdsl.meta.host import Host
    from masdsl.meta.immunity import Rule, distil
    from masdsl.meta.learned import now, repairs
    from masdsl.meta.queries import wait
    from masdsl.meta.rulebook import change, learned
    from masdsl.rectify.replay import replay
    from masdsl.runtime.recording import silent_models

    journal = opened(options.journal)
    try:
        with told():
            header, rows = journal.read(options.run)
    finally:
        journal.close()
    if header.status != "ended":
        raise UsageError(
            f"{header.id} has not finished, so nothing shows that its repairs helped", "`mas runs` lists all"
        )
    config = host_of(Namespace(model=[], script=None)).config
    models = silent_models(header.tiers)
    findings = Findings()
    loaded = stored_program(header, config, findings, models)
    if loaded is None:
        print_findings(findings.sorted(), stream=sys.stderr)
        raise UsageError(f"the program of {header.id} has errors under the present configuration", "mend it there")
    if header.flow != "main":
        raise UsageError(f"{header.id} is a run of the flow `{header.flow}`", "rules are learned from runs of `main`")
    with told():
        result = wait(lambda: replay(header, rows, loaded.ground_of(header)))
    said = []
    for before, asked in repairs(header.sources[header.program], result.interventions):
        rule = distil(before, asked, Host(config, models), origin=f"{header.id}, {asked.who}", made=now())
        if isinstance(rule, Rule):
            change(folder, partial(learned, rule=rule))
            said += list(_lines(rule))
        else:
            said.append(f"the repair of {asked.trigger.step} teaches nothing: {rule}")
    write("".join(f"{escape(line)}\n" for line in said or [f"{header.id} was not repaired"]))
    return FINE
