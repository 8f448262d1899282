"""What the commands about kept runs share: journals, the program of a run, interruption, what a rectifier did."""

from __future__ import annotations

import os
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from masdsl.cli.boundary import UsageError
from masdsl.cli.terminal import write
from masdsl.config import Config
from masdsl.diagnostics.base import Finding, Findings
from masdsl.diagnostics.escape import escape
from masdsl.loaded import LoadedProgram

if TYPE_CHECKING:
    from masdsl.check.program import Program
    from masdsl.journal import Journal, RunHeader
    from masdsl.rectify import Intervention
    from masdsl.runtime.program import Models


def add_journal_option(parser: ArgumentParser) -> None:
    """Let a command name another journal than the user's own."""
    parser.add_argument(
        "--journal", metavar="PATH|URL", help="where runs are kept (default: runs.db in the user's folder for state)"
    )


@contextmanager
def told() -> Iterator[None]:
    """Tell errors of a journal as mistakes in the use of a command: what is wrong, and the next action."""
    from masdsl.journal import JournalError

    try:
        yield
    except JournalError as error:
        raise UsageError(str(error)) from error
    except ModuleNotFoundError as error:
        if "masdsl[" not in str(error):
            raise
        raise UsageError(str(error)) from error


def opened(where: str | None) -> Journal:
    """Return a journal. Raises UsageError where it cannot be opened."""
    from masdsl.journal import open_journal

    with told():
        return open_journal(where)


def stored_program(
    header: RunHeader, config: Config, findings: Findings, models: Models | None
) -> LoadedProgram | None:
    """Return the program that a run began with; None, with findings, where it has errors by now.

    Says on standard error which files say something else than what is stored: the stored program is used.
    """
    from masdsl.journal.base import SESSION
    from masdsl.pipeline import check_source
    from masdsl.rectify.sources import reader_of, source_of

    if header.program == SESSION:
        raise UsageError(
            f"{header.id} is a session, not the run of a program", f"write: mas solve --resume {header.id}, or --replay"
        )
    source = source_of(header.program, header.sources)
    checked = check_source(source, config, findings, reader_of(header.sources), priced=models is None)
    if checked is None or not findings.ok:
        return None
    return LoadedProgram(checked, config, models, None)


def changes_of(header: RunHeader) -> list[Finding]:
    """Return, for each file that is not what is stored of it, a warning that the stored text is used."""
    from masdsl.config import shown_path
    from masdsl.diagnostics.run import StoredDiffers
    from masdsl.node import NOWHERE
    from masdsl.rectify.sources import changed_files
    from masdsl.source import Source

    found = []
    for name, text in changed_files(header.sources):
        shown = shown_path(name)
        found.append(Finding(Source(shown, ""), StoredDiffers(header.id, shown, text is None, span=NOWHERE)))
    return found


def models_that_differ(header: RunHeader, loaded: LoadedProgram) -> list[Finding]:
    """Return, for each tier that a run's agents are on and that stood for another model when it began, a warning."""
    from masdsl.config import DEFAULT_TIER
    from masdsl.diagnostics.run import ModelDiffers
    from masdsl.node import NOWHERE

    used = {agent.model or DEFAULT_TIER for agent in loaded.checked.agents if not (agent.model and agent.is_model_name)}
    source = loaded.checked.modules[0].source
    return [
        Finding(source, ModelDiffers(header.id, tier, header.tiers[tier], model, span=NOWHERE))
        for tier, model in loaded.tiers().items()
        if tier in used and header.tiers.get(tier, model) != model
    ]


def folder_of_run(header: RunHeader) -> str:
    """Return the folder whose configuration holds for a run: that of its program, or the working folder."""
    return os.getcwd() if header.program.startswith("<") else os.path.dirname(header.program)


def resume_command(run: str, journal: str | None, script: str | None = None, models: Sequence[str] = ()) -> str:
    """Return the command that goes on with a run; `script` and `models` are what the run was started with."""
    options = [("--journal", journal), ("--script", script), *(("--model", model) for model in models)]
    words = [f"mas run --resume {run}", *(f"{name} {_quoted(value)}" for name, value in options if value is not None)]
    return " ".join(words)


def _quoted(text: str) -> str:
    from shlex import quote

    return quote(text)


# ---------------------------------------------------------------- interruption


def _tell(line: bytes) -> None:
    """Write a line to standard error past Python's own buffer: a signal may come while that is being written to."""
    with suppress(OSError, ValueError):
        os.write(sys.stderr.fileno(), line)


class Interruption:
    """Ctrl-C: the first time the run stops softly, so that nothing paid is lost; the second time at once."""

    def __init__(
        self, told: bytes = b"interrupted: the calls under way end first; Ctrl-C again stops at once\n"
    ) -> None:
        self.asked = False
        self._told = told

    def reason(self, state: object) -> str:
        """Return why the run should stop; nothing until somebody has asked for it."""
        return "it was interrupted" if self.asked else ""

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch for Ctrl-C inside."""

        def ask(number: int, frame: Any) -> None:
            if self.asked:
                signal.signal(signal.SIGINT, signal.default_int_handler)
                raise KeyboardInterrupt
            self.asked = True
            _tell(self._told)

        try:
            before = signal.signal(signal.SIGINT, ask)
        except ValueError:  # not in the main thread: whoever runs it there has a handler of its own
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


# ---------------------------------------------------------------- interventions


def show_intervention(asked: Intervention, program: Program) -> None:
    """Tell on standard error what a rectifier was asked for, and what came of it."""
    write(f"{escape(intervention_text(asked, program), keep=chr(10))}\n", sys.stderr)
    sys.stderr.flush()


def intervention_text(asked: Intervention, program: Program | None) -> str:
    """Return an intervention as lines: the trigger, the patch, the bounds; `program` is the one before the patch."""
    from masdsl.diagnostics.bounds import amount

    trigger = asked.trigger
    why = trigger.reason if trigger.kind == "threshold" else f"{trigger.step} failed: {trigger.reason}"
    outcome = "patched" if asked.accepted else "refused a patch" if asked.patch else "no patch"
    lines = [f"rectify: {outcome} ({asked.who}): {asked.reason}", f"  because {why}"]
    lines += [f"  {line}" for line in _view(asked.patch, program)]
    lines += [f"  {line}" for line in asked.diagnostics]
    if asked.accepted:
        for measure, was in asked.before.items():
            now, left = asked.after.get(measure, was), asked.left.get(measure)
            if left is None and was == now:
                continue
            room = "no limit" if left is None else f"{amount(measure, left)} left, {asked.fits.get(measure, '')}"
            lines.append(f"  the rest, at worst: {amount(measure, was)} -> {amount(measure, now)} ({room})")
    return "\n".join(lines)


def _view(patch: str, program: Program | None) -> list[str]:
    """Return what a patch does, as `+ ~ -` lines; its own text where that cannot be shown."""
    if not patch:
        return []
    from masdsl.patch.apply import PatchRefused
    from masdsl.patch.view import as_text, view
    from masdsl.source import Source
    from masdsl.syntax import ast
    from masdsl.syntax.parse import parse_patch, parse_program

    own = [line for line in patch.splitlines() if line.strip()]
    parsed = parse_patch(Source("<patch>", patch), Findings())
    if program is None or not parsed.ok or not isinstance(parsed.document, ast.Patch):
        return own
    before = parse_program(program.modules[0].source, Findings()).document
    try:
        return as_text(view(parsed.document, before)).splitlines() if isinstance(before, ast.Program) else own
    except PatchRefused:
        return own


def tell_how_to_resume(run: str, options: Namespace, *, failed: bool = False) -> None:
    """Say on standard error how a run goes on that `mas run` was started with these options."""
    say_more = "what is paid is kept; " if failed else ""
    sys.stdout.flush()
    command = resume_command(run, options.journal, options.script, options.model)
    write(f"{say_more}go on with: {command}\n", sys.stderr)
