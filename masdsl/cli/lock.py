"""`mas lock`: pin the prices of the models that programs use in `mas.lock`, or tell whether they are pinned."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from masdsl.cli import FINE, FOUND
from masdsl.cli.boundary import UsageError, guarded
from masdsl.cli.files import find_programs
from masdsl.cli.terminal import exit_code, print_findings, say
from masdsl.config import Config, load_config, shown_path
from masdsl.diagnostics.base import ERROR, Finding, Findings
from masdsl.money import TokenPrice, usd_per_million
from masdsl.pricing import NoPrice, folder_of
from masdsl.pricing.lock import Lock, LockFault, lock_path, read_lock, render_lock
from masdsl.pricing.table import Table, installed_table, litellm_version


class _Plan(NamedTuple):
    """What a lock should be, and what it is: `before` is None where there is none, `fault` why it cannot be used."""

    path: str
    wanted: Lock
    before: Lock | None
    fault: str


def run(arguments: Sequence[str]) -> int:
    """Write the locks of the programs that the arguments name, or check them; return 1 if one does not fit."""
    parser = ArgumentParser(
        prog="mas lock",
        description="Pin the prices of the models that programs use, from the table of the installed litellm,"
        " in mas.lock beside the configuration (beside the program without one).",
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="programs, or folders of them (default: this folder)")
    parser.add_argument(
        "--check", action="store_true", help="change nothing; fail if a lock is missing or does not fit"
    )
    options = parser.parse_args(arguments)
    used, faults = _used_models(find_programs(options.paths))
    if faults:
        print_findings(faults)
        return exit_code(faults)
    folders = [os.path.realpath(path) for path in options.paths or (os.curdir,) if os.path.isdir(path)]
    plans = [plan for path in sorted(used) if (plan := _plan(path, used[path], folders)) is not None]
    if not plans:
        say("nothing to pin: no program is on a model with a price in litellm's table")
        return FINE
    if options.check:
        return FOUND if sum(_checked(plan) for plan in plans) else FINE
    for plan in plans:
        _written(plan)
    return FINE


# ---------------------------------------------------------------- what programs use


def _used_models(paths: Sequence[str]) -> tuple[dict[str, set[str]], tuple[Finding, ...]]:
    """Return the models whose price litellm's table gives, by the lock they belong into, and errors of programs."""
    configs: dict[str, Config] = {}
    used: dict[str, set[str]] = {}
    faults: dict[tuple[str, str, object], Finding] = {}
    for path in paths:
        findings = Findings()
        guarded(path, findings, _add_models, path, findings, configs, used)
        for finding in findings.sorted():
            if finding.diagnostic.severity == ERROR:
                faults.setdefault((finding.source.name, finding.diagnostic.code, finding.diagnostic.span), finding)
    return used, tuple(faults.values())


def _add_models(path: str, findings: Findings, configs: dict[str, Config], used: dict[str, set[str]]) -> None:
    from masdsl.bounds.rates import listed_models
    from masdsl.pipeline import check_file

    folder = os.path.dirname(path)
    if folder not in configs:
        configs[folder] = load_config(folder, findings)
    config = configs[folder]
    program = check_file(path, findings, config, priced=False).program
    place = lock_path(config, folder_of(path))
    if program is not None and place is not None:
        used.setdefault(place, set()).update(listed_models(program, config, findings))


def _plan(path: str, names: set[str], folders: Sequence[str]) -> _Plan | None:
    """Return what the lock at `path` should be; None where there need be none, and is none.

    Models of programs that the command was not about stay in it, unless it was about everything beside the lock.
    """
    before, fault = None, ""
    try:
        before = read_lock(path)
    except LockFault as error:
        fault = str(error)
    place = os.path.realpath(os.path.dirname(path) or os.curdir)
    covered = any(os.path.commonpath((folder, place)) == folder for folder in folders)
    if not names and (not covered or (before is None and not fault)):
        return None
    table = _table()
    others = set() if before is None or covered else set(before.prices) - names
    prices = dict(sorted((*_prices(table, others), *_prices(table, names))))
    return _Plan(path, Lock(litellm_version(), table.digest, prices), before, fault)


def _table() -> Table:
    try:
        return installed_table()
    except NoPrice as fault:
        raise UsageError(f"no prices can be pinned: {fault}", "install litellm") from None


def _prices(table: Table, names: set[str]) -> Iterator[tuple[str, TokenPrice]]:
    for name in sorted(names):
        try:
            yield name, table.price(name)
        except NoPrice:  # a model of a program that the command was not about
            continue


# ---------------------------------------------------------------- writing and checking


def _written(plan: _Plan) -> None:
    from masdsl.cli.writing import replace_text

    shown = shown_path(plan.path)
    if plan.wanted == plan.before:
        say(f"{shown} is up to date: {_models(plan.wanted)}")
        return
    replace_text(plan.path, render_lock(plan.wanted))
    say(f"{shown} written: {_models(plan.wanted)}, prices of litellm {plan.wanted.version}")
    for line in _differences(plan):
        say(f"  {line}")


def _checked(plan: _Plan) -> bool:
    """Say whether a lock fits; return whether it does not."""
    shown = shown_path(plan.path)
    differences = list(_differences(plan))
    if plan.fault:
        say(f"{shown} cannot be used: {plan.fault}")
    elif plan.before is None:
        say(f"{shown} is missing: {_models(plan.wanted)} to be pinned")
    elif differences:
        say(f"{shown} does not fit the programs and litellm {plan.wanted.version}")
    else:
        also = "" if plan.before == plan.wanted else f" (written from litellm {plan.before.version}, with equal prices)"
        say(f"{shown} fits: {_models(plan.wanted)}{also}")
        return False
    for line in differences:
        say(f"  {line}")
    say("write it with: mas lock")
    return True


def _models(lock: Lock) -> str:
    count = len(lock.prices)
    return f"{count} model{'' if count == 1 else 's'}"


def _differences(plan: _Plan) -> Iterator[str]:
    """Yield what is to change in a lock, a line for each model, in the order of their names."""
    before = {} if plan.before is None else plan.before.prices
    after = plan.wanted.prices
    for name in sorted({*before, *after}):
        if name not in before:
            yield f"{name}: not pinned yet -> {_shown(after[name])}"
        elif name not in after:
            yield f"{name}: {_shown(before[name])} -> not used any more"
        elif before[name] != after[name]:
            yield f"{name}: {_shown(before[name])} -> {_shown(after[name])}"


def _shown(price: TokenPrice) -> str:
    return f"{usd_per_million(price.input)} in, {usd_per_million(price.output)} out (USD per million tokens)"
