"""`mas report`: one page about a kept run, or about a batch, that needs no network."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from masdsl.cli import FINE
from masdsl.cli.boundary import UsageError
from masdsl.cli.keeping import add_journal_option, folder_of_run, intervention_text, opened, stored_program, told
from masdsl.cli.patching import put
from masdsl.cli.terminal import say
from masdsl.config import Config, load_config, shown_path
from masdsl.diagnostics.base import Findings

if TYPE_CHECKING:
    from masdsl.graph.model import Graph
    from masdsl.journal import Row, RunHeader
    from masdsl.loaded import LoadedProgram
    from masdsl.report.collect import Address, Asked, Step
    from masdsl.report.run_page import Change, Measure
    from masdsl.runtime import Agent, Tool


def run(arguments: Sequence[str]) -> int:
    """Write the page. Raises UsageError where there is no such run or batch."""
    options = _parser().parse_args(arguments)
    if os.path.isdir(options.what):
        text = _of_batch(options.what)
    else:
        journal = opened(options.journal)
        try:
            with told():
                header, rows = journal.read(options.what)
        finally:
            journal.close()
        text = of_run(header, rows)
    put(text, options.output or f"{os.path.basename(os.path.abspath(options.what))}.html")
    return FINE


def of_run(header: RunHeader, rows: Sequence[Row]) -> str:
    """Return the page about a run, whatever state it is in. Raises UsageError for a session."""
    from masdsl.journal.base import SESSION
    from masdsl.rectify.texts import texts_of
    from masdsl.report.collect import steps_of
    from masdsl.report.run_page import RunReport, render

    if header.program == SESSION:
        raise UsageError(
            f"{header.id} is a session, not the run of a program", f"its runs have reports: mas report {header.id}.1"
        )
    missing: list[str] = []
    config, loaded = _loaded(header, missing)
    asked = {} if loaded is None else _asked(header, rows, loaded, missing)
    drawn = None if loaded is None else _drawn(header, rows, config, missing)
    last = rows[-1] if rows else None
    ended = last is not None and last.kind == "end"
    body: Mapping[str, Any] = last.body if last is not None and ended else {}
    sources = {text.name: text.text for text in texts_of(header, rows)[-1:]}
    sources |= {name: text for name, text in header.sources.items() if name not in (*sources, header.program)}
    return render(
        RunReport(
            run=header.id,
            title=f"{header.flow} of {shown_path(header.program)}",
            status=header.status,
            facts=_facts(header, rows),
            inputs=header.inputs,
            measures=_measures(rows, drawn),
            has_value="value" in body,
            value=body.get("value"),
            ending=_ending(header, body),
            steps=steps_of(rows, asked),
            changes=tuple(_changes(rows, loaded)),
            picture=_picture(drawn, missing),
            sources=sources,
            missing=tuple(missing),
            now=max((float(row.body["t"]) for row in rows if isinstance(row.body.get("t"), int | float)), default=0.0),
        )
    )


def kept_steps(header: RunHeader, rows: Sequence[Row]) -> Sequence[Step]:
    """Return the steps of a kept run, with what each was asked where that can be known."""
    from masdsl.report.collect import steps_of

    missing: list[str] = []
    _, loaded = _loaded(header, missing)
    return steps_of(rows, {} if loaded is None else _asked(header, rows, loaded, missing))


# ---------------------------------------------------------------- parts


def _loaded(header: RunHeader, missing: list[str]) -> tuple[Config, LoadedProgram | None]:
    """Return the configuration that holds for a run now, and the run's program where that has no errors under it."""
    from masdsl.runtime.recording import silent_models

    findings = Findings()
    config = load_config(folder_of_run(header), findings)
    loaded = stored_program(header, config, findings, silent_models(header.tiers))
    if loaded is None:
        reasons = "; ".join(one.diagnostic.title() for one in findings.sorted()[:3])
        missing.append(f"The program has errors under the configuration of now, so prompts cannot be shown: {reasons}")
    return config, loaded


def _asked(header: RunHeader, rows: Sequence[Row], loaded: LoadedProgram, missing: list[str]) -> dict[Address, Asked]:
    """Return what steps were given, by running the program once more from the journal alone."""
    from masdsl.rectify.replay import replay
    from masdsl.rectify.stored import StoredFaulty
    from masdsl.report.collect import Asked
    from masdsl.runtime import RunFailed
    from masdsl.runtime.agent import Agent
    from masdsl.runtime.failures import NotInJournal
    from masdsl.runtime.program import run_coroutine
    from masdsl.runtime.prompt import PromptFailed
    from masdsl.runtime.shapes import plain
    from masdsl.runtime.turns import messages_of

    found: dict[Address, Asked] = {}

    def witness(path: str, indices: tuple[int, ...], callee: Agent[Any] | Tool[Any], values: Mapping[str, Any]) -> None:
        inputs = {name: plain(value) for name, value in values.items()}
        messages: tuple[tuple[str, str], ...] = ()
        if isinstance(callee, Agent):
            try:
                prompt = callee.prompt.render(inputs)
            except PromptFailed as error:
                prompt = f"[{error}]"
            messages = tuple((one.role, one.content) for one in messages_of(callee, prompt))
        found[path, indices] = Asked("agent" if isinstance(callee, Agent) else "tool", callee.name, messages, inputs)

    try:
        with told():
            run_coroutine(lambda: replay(header, rows, loaded.ground_of(header), witness=witness))
    except (RunFailed, NotInJournal):
        pass  # it failed, or was broken off, as it is told: what came before was seen
    except StoredFaulty as faulty:
        missing.append(f"The patched program has errors under the configuration of now: {faulty}")
    return found


def _drawn(header: RunHeader, rows: Sequence[Row], config: Config, missing: list[str]) -> Graph | None:
    from masdsl.cli.graph import picture_of_run, run_line, ways_of_run
    from masdsl.graph.overlay import overlay

    findings = Findings()
    try:
        drawn = picture_of_run(header, rows, config, header.flow, None, findings)
    except UsageError as error:
        missing.append(f"There is no picture: {error}")
        return None
    if drawn is None:
        missing.append("There is no picture: the program has errors under the configuration of now")
        return None
    return overlay(drawn, rows, [run_line(header, rows)], header.tiers, ways_of_run(header, rows, config))


def _picture(drawn: Graph | None, missing: list[str]) -> str:
    if drawn is None:
        return ""
    from masdsl.graph import svg
    from masdsl.graph.layers import NoLayout
    from masdsl.report.run_page import LINK

    try:
        return svg.render(drawn, LINK, prefix="picture")
    except NoLayout:
        missing.append("The picture needs a library for layouts: pip install 'masdsl[graph]'")
        return ""


def _facts(header: RunHeader, rows: Sequence[Row]) -> tuple[tuple[str, str], ...]:
    import time

    from masdsl.rectify.stored import PATCH

    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(header.created))
    facts = [("run", header.id), ("began", began), ("masdsl", header.masdsl), ("seed", str(header.seed))]
    facts += [(f"tier {tier}", model) for tier, model in sorted(header.tiers.items())]
    if header.parent is not None:
        facts.append(("forked from", f"{header.parent} at row {header.parent_seq}"))
    earlier, is_over = 0, False
    for row in rows:  # a step after its end is one of a run that somebody has resumed, unless a patch came between
        earlier += is_over and bool(row.path)
        is_over = row.kind == "end" or (is_over and row.kind != PATCH and not row.path)
    if earlier:
        facts.append(("went on after ending", f"{earlier} time{'' if earlier == 1 else 's'}"))
    return tuple(facts)


def _measures(rows: Sequence[Row], drawn: Graph | None) -> tuple[Measure, ...]:
    from masdsl.money import PICODOLLARS, show_usd
    from masdsl.rectify.watch import spent_of
    from masdsl.report.run_page import Measure
    from masdsl.sizes import MICROSECONDS

    spent = spent_of(rows)
    cost = None if drawn is None else drawn.cost
    bounds = (
        {}
        if cost is None
        else {"calls": cost.calls, "tokens": cost.tokens, "usd": cost.picodollars, "seconds": cost.microseconds}
    )
    units = {"usd": PICODOLLARS, "seconds": MICROSECONDS}

    def said(measure: str, amount: float | None) -> str:
        if amount is None:
            return ""
        if measure == "usd":
            return show_usd(int(amount)) if amount else "0"
        if measure == "seconds":
            return f"{amount / MICROSECONDS:,.{0 if amount >= 100 * MICROSECONDS else 3}f} s"
        return f"{amount:,.0f}"

    found = []
    for measure, amount in spent.items():
        allowed = None if drawn is None else drawn.budget.get(measure)
        budget = None if allowed is None else float(allowed) * units.get(measure, 1)
        bound = bounds.get(measure)
        found.append(
            Measure(measure, amount, said(measure, amount), bound, said(measure, bound), budget, said(measure, budget))
        )
    return tuple(found)


def _ending(header: RunHeader, body: Mapping[str, Any]) -> str:
    if body.get("step") or body.get("reason"):
        return f"It failed at {body.get('step') or 'its beginning'}: {body.get('reason', '')}"
    if body.get("stopped"):
        return f"It was stopped: {body['stopped']}. Go on with: mas run --resume {header.id}"
    return f"It has not ended, or was broken off. Go on with: mas run --resume {header.id}"


def _changes(rows: Sequence[Row], loaded: LoadedProgram | None) -> list[Change]:
    from masdsl.rectify.stored import intervention_of
    from masdsl.report.run_page import Change

    found = []
    for row in rows:
        asked = intervention_of(row)
        if asked is None:
            continue
        first, *lines = intervention_text(asked, None).split("\n")
        found.append(Change(first, asked.accepted, tuple(line.removeprefix("  ") for line in lines)))
    return found


def _of_batch(folder: str) -> str:
    from masdsl.batch.base import EngineFault
    from masdsl.batch.report import PLOT, write_report
    from masdsl.batch.store import is_begun
    from masdsl.report.batch_page import render

    if not is_begun(folder):
        raise UsageError(f"`{folder}` is no folder of a batch", "name a run, or what `mas eval --out` has written")
    try:
        done = write_report(folder)
    except EngineFault as fault:
        raise UsageError(str(fault), "mend that, and ask again") from None
    plot: bytes | None = None
    if f"{PLOT}.svg" in done.files:
        with open(os.path.join(folder, f"{PLOT}.svg"), "rb") as file:
            plot = file.read()
    for missing in done.missing:
        say(f"missing on the page: {missing}")
    sys.stdout.flush()
    return render(f"batch {done.batch.id}", done.text(), plot)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="mas report",
        description="Write one page about a kept run, or a batch, that needs no network: timeline, prompts and replies,"
        " costs beside the bound, faults, patches, the picture and the value.",
    )
    parser.add_argument("what", metavar="RUN|FOLDER", help="a run (`mas runs` lists them), or the folder of a batch")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write it (default: RUN.html; - for stdout)")
    add_journal_option(parser)
    return parser
