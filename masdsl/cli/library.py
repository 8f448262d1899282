"""`mas library`: the user's own modules, each of which has proved itself, and the rules that repairs have taught."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from masdsl.cli import FINE, FOUND
from masdsl.cli.boundary import UsageError
from masdsl.cli.designing import host_of
from masdsl.cli.keeping import add_journal_option
from masdsl.cli.learning import forget, learn_from, list_rules
from masdsl.cli.terminal import exit_code, print_findings, say, write
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.escape import escape

if TYPE_CHECKING:
    from masdsl.meta.evaluation import Evaluation
    from masdsl.meta.library import Entry
    from masdsl.meta.promotion import Candidate, Proof
    from masdsl.source import Source


def run(arguments: Sequence[str]) -> int:
    """List the library, add a module to it, remove one, show one, or list its rules."""
    from masdsl.meta.library import folder_of
    from masdsl.meta.storage import LibraryError

    options = _parser().parse_args(arguments)
    actions = {"list": _list, "add": _add, "remove": _remove, "show": _show}
    actions |= {"rules": list_rules, "learn": learn_from, "forget": forget}
    try:
        return actions[options.action or "list"](options, folder_of(host_of(_with_models(options)).config))
    except LibraryError as error:
        raise UsageError(str(error)) from error


def _with_models(options: Namespace) -> Namespace:
    given = {"model": getattr(options, "model", []), "script": getattr(options, "script", None)}
    return Namespace(**given)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="mas library",
        description="Your own modules: checked, tested, documented. `mas library` alone lists them.",
    )
    parser.add_argument("--json", action="store_true", help="print them as JSON")
    actions = parser.add_subparsers(dest="action", metavar="")
    listing = actions.add_parser("list", help="list the modules")
    listing.add_argument("--json", action="store_true", help="print them as JSON")
    add = actions.add_parser("add", help="make a program, or a part of it, a module of the library")
    add.add_argument("program", metavar="PROGRAM", help="the program that it is in")
    add.add_argument("--only", metavar="NAME", help="only this flow or agent, with all that it uses and its tests")
    add.add_argument("--as", dest="name", metavar="NAME", help="what programs import it as (default: its own name)")
    add.add_argument(
        "--on",
        metavar="DATA",
        help="run it on queries with answers (JSON lines, CSV, Parquet or hf:NAME:SPLIT; see docs/eval.md)",
    )
    add.add_argument("--share", type=float, metavar="S", help="how many answers have to be right (default: 0.5)")
    add.add_argument(
        "--no-compare", action="store_true", help="do not run the simplest system on the same queries as well"
    )
    add.add_argument(
        "--model", metavar="TIER=MODEL", action="append", default=[], help="put another model behind a tier"
    )
    add.add_argument("--script", metavar="FILE", help="take all replies from a file instead of models (TOML or JSON)")
    add.add_argument("--seed", type=int, default=0, metavar="N", help="the seed of the first query's run (default: 0)")
    add.add_argument("--json", action="store_true", help="print the record, and what became of each query, as JSON")
    remove = actions.add_parser("remove", help="take modules out of the library")
    remove.add_argument("names", metavar="NAME", nargs="+")
    show = actions.add_parser("show", help="show a module and how it proved itself")
    show.add_argument("name", metavar="NAME")
    show.add_argument("--json", action="store_true", help="print it as JSON")
    rules = actions.add_parser("rules", help="list the rules that repairs have taught, and how they do")
    rules.add_argument("--json", action="store_true", help="print them as JSON")
    learn = actions.add_parser("learn", help="make rules of the repairs of a kept run that has finished")
    learn.add_argument("run", metavar="RUN", help="its id, as `mas runs` shows it")
    add_journal_option(learn)
    forgotten = actions.add_parser("forget", help="remove rules")
    forgotten.add_argument("rules", metavar="RULE", nargs="+")
    return parser


# ---------------------------------------------------------------- list, show, remove


def _list(options: Namespace, folder: str) -> int:
    from masdsl.meta.library import entries

    findings = Findings()
    found = entries(folder, findings)
    if options.json:
        from json import dumps

        modules = [_as_json(entry) for entry in found]
        write(dumps({"folder": folder, "modules": modules}, indent=2) + "\n")
    elif not found:
        say(f"the library in {folder} has no modules; `mas library add PROGRAM` makes one")
    else:
        write("".join(f"{escape(line)}\n" for line in _rows(found)))
    _tell(findings)
    return FINE


def _rows(found: Sequence[Entry]) -> Iterator[str]:
    width = max(len(entry.name) for entry in found)
    for entry in found:
        yield f"{entry.name.ljust(width)}  {_state(entry)}"


def _state(entry: Entry) -> str:
    record = entry.record
    if record is None:
        return "without a record"
    told = [f"{record.entry}, {record.tests} test{'s' if record.tests != 1 else ''}"]
    if record.evaluation is not None:
        told.append(_evaluation_text(record.evaluation))
    if record.simple is not None:
        told.append(f"{record.simple_name}: {_evaluation_text(record.simple)}")
    if entry.is_changed():
        told.append("changed since")
    return "; ".join(told)


def _evaluation_text(found: Evaluation) -> str:
    from masdsl.money import show_usd

    spent = found.spent
    cost = f"{spent.calls} calls, {spent.tokens:,} tokens, {show_usd(spent.picodollars)}"
    failed = f", {found.failed} failed" if found.failed else ""
    return f"{found.right} of {found.runs} right{failed} ({cost})"


def _import(module: str, entry: str) -> str:
    """Return the line by which a program imports a module's entry; its own `main` keeps its name."""
    return f"use library.{module}" + ("" if entry == module else f": {entry}" + f" as {module}" * (entry == "main"))


def _as_json(entry: Entry) -> dict[str, Any]:
    record = None if entry.record is None else entry.record.to_json()
    return {"name": entry.name, "record": record, "changed": entry.is_changed()}


def _entry(folder: str, name: str, findings: Findings) -> Entry:
    from masdsl.diagnostics.suggest import nearest
    from masdsl.meta.library import entries

    found = {entry.name: entry for entry in entries(folder, findings)}
    if name in found:
        return found[name]
    near = nearest(name, found)
    advice = f"did you mean `{near}`?" if near else "`mas library list` shows what it has"
    raise UsageError(f"the library in {folder} has no module `{name}`", advice)


def _show(options: Namespace, folder: str) -> int:
    findings = Findings()
    entry = _entry(folder, options.name, findings)
    if options.json:
        from json import dumps

        write(dumps({**_as_json(entry), "text": entry.text}, indent=2) + "\n")
        return FINE
    write(escape(entry.text, keep="\n"))
    sys.stdout.flush()
    record = entry.record
    lines = [_import(entry.name, entry.entry), _state(entry)]
    if record is not None:
        lines.append(f"from {record.origin}, added {record.added}" + (f", on {record.data}" if record.data else ""))
    write("".join(f"{escape(line)}\n" for line in lines), sys.stderr)
    _tell(findings)
    return FINE


def _remove(options: Namespace, folder: str) -> int:
    from masdsl.meta.library import remove

    for name in options.names:
        if not remove(folder, name):
            _entry(folder, name, Findings())
        say(f"removed {name} from the library in {folder}")
    return FINE


def _tell(findings: Findings) -> None:
    if findings.count:
        sys.stdout.flush()
        print_findings(findings.sorted(), stream=sys.stderr)


# ---------------------------------------------------------------- add


def _add(options: Namespace, folder: str) -> int:
    from masdsl.meta.library import Taken, add
    from masdsl.meta.promotion import examine, record_of, report_taken
    from masdsl.reading import read_source

    findings = Findings()
    source = read_source(options.program, findings)
    found = None if source is None else _candidate(options, source, findings)
    proof: Proof | None = None
    if found is not None:
        taken = _taken(folder, found)
        if taken is not None:
            report_taken(found, taken, findings)
        tests = examine(found, findings) if taken is None else 0
        if findings.ok and options.on is not None:
            proof = _proved(options, found, findings)
        if findings.ok:
            data = "" if options.on is None else os.path.abspath(options.on)
            record = record_of(found, os.path.abspath(options.program), tests, data, proof)
            try:
                path = add(folder, found.name, found.source.text, record)
            except Taken as error:  # another process was faster
                report_taken(found, error, findings)
            else:
                _added(options, path, found, record.to_json(), proof)
    if not findings.ok and options.json and proof is not None:
        _print_proof(None, proof)
    print_findings(findings.sorted(), stream=sys.stderr)
    return FINE if findings.ok else exit_code(findings.sorted()) or FOUND


def _candidate(options: Namespace, source: Source, findings: Findings) -> Candidate | None:
    from masdsl.meta.promotion import candidate, is_name, only
    from masdsl.syntax.parse import parse_program

    host = host_of(_with_models(options))
    if not parse_program(source, findings).ok:
        return None
    entry = options.only or "main"
    smaller = source if options.only is None else only(source, options.only)
    stem = os.path.splitext(os.path.basename(options.program))[0]
    name = options.name or (options.only if options.only not in (None, "main") else stem)
    if not is_name(name):
        raise UsageError(f"`{name}` cannot be the name of a module", "give it one of small letters, digits and _: --as")
    found = None if smaller is None else candidate(smaller, host, findings, entry, name)
    if found is None and findings.ok:
        advice = "name one that it declares" if options.only else "name the flow or agent to take: --only NAME"
        raise UsageError(f"{options.program} has no flow{' or agent' if options.only else ''} `{entry}`", advice)
    return found


def _taken(folder: str, found: Candidate) -> Any:
    from masdsl.meta.library import hash_of, taken_by

    return taken_by(folder, found.name, hash_of(found.tree))


def _proved(options: Namespace, found: Candidate, findings: Findings) -> Proof | None:
    from masdsl.batch.data import read_samples, wanted_by
    from masdsl.batch.rows import DataFault
    from masdsl.check.program import Flow
    from masdsl.meta.promotion import MOST_SAMPLES, SHARE, prove
    from masdsl.meta.queries import wait

    share = SHARE if options.share is None else options.share
    if not 0 <= share <= 1:
        raise UsageError(f"--share is a share from 0 to 1, not {share:g}")
    if not isinstance(found.entry, Flow) or found.entry.statics:
        raise UsageError(
            f"`{found.entry.name}` cannot be run on queries by itself", "name a flow without static parameters: --only"
        )
    wanted = wanted_by(found.entry)
    try:
        samples = tuple(read_samples(options.on, wanted, findings, limit=MOST_SAMPLES + 1, answered=True))
    except DataFault as fault:
        raise UsageError(str(fault)) from None
    if not findings.ok:
        return None
    if len(samples) > MOST_SAMPLES:
        raise UsageError(f"{options.on} has more than {MOST_SAMPLES:,} queries", "give it a part of them")
    if not samples:
        raise UsageError(f"{options.on} has no queries", 'write a line each, as {"query": "6 * 7?", "answer": "42"}')
    host = host_of(_with_models(options))
    compare = not options.no_compare
    return wait(lambda: prove(found, samples, share, host, findings, compare=compare, seed=options.seed))


def _added(options: Namespace, path: str, found: Candidate, record: dict[str, Any], proof: Proof | None) -> None:
    if options.json:
        _print_proof({"name": found.name, "path": path, "record": record}, proof)
        return
    say(f"{path} is in the library; import it: {_import(found.name, found.entry.name)}")
    if proof is not None:
        say(_evaluation_text(proof.evaluation))
        if proof.simple is not None:
            say(f"{proof.simple_name}: {_evaluation_text(proof.simple)}")


def _print_proof(added: dict[str, Any] | None, proof: Proof | None) -> None:
    from json import dumps

    answered = [] if proof is None else [one._asdict() for one in proof.answered]
    evaluation = None if proof is None else proof.evaluation.to_json()
    write(dumps({"added": added, "evaluation": evaluation, "answered": answered}, indent=2) + "\n")
