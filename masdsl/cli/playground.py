"""`mas serve` without --api: the playground."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from masdsl.cli import FINE
from masdsl.cli.boundary import UsageError
from masdsl.cli.inputs import tier_change
from masdsl.cli.keeping import resume_command, stored_program, told
from masdsl.cli.run import script_models
from masdsl.cli.terminal import write
from masdsl.cli.writing import replace_text
from masdsl.config import Config, load_config, shown_path
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.escape import escape

if TYPE_CHECKING:
    from masdsl.playground.house import House
    from masdsl.runtime.program import Models


def play(options: Namespace) -> int:
    """Serve the playground until a signal ends it. Raises UsageError for what cannot be opened."""
    if len(options.programs) > 1:
        raise UsageError("the playground opens one program", "name one, or the folder that they are in")
    if options.journal == ":memory:":
        raise UsageError("the playground looks at runs from several processes", "keep them in a file: --journal PATH")
    try:
        from masdsl.playground import server
        from masdsl.playground.desk import CannotOpen, Desk
        from masdsl.serve.listening import CannotServe

        for package in server.NEEDED:
            import_module(package)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "masdsl":
            raise
        raise UsageError(f"`{error.name}` is not installed", "write: pip install 'masdsl[playground]'") from error
    from masdsl.project import PROGRAM

    changed = dict(tier_change(options.model).tiers)
    if options.script is not None:
        script_models(options.script)  # so that a mistake in it is told now
    try:
        desk = Desk(options.programs[0] if options.programs else None, PROGRAM, replace_text)
        settings = server.Settings(
            options.port, options.open, options.journal, _shown(options.journal), changed, options.script is not None
        )
        with told():
            server.serve(desk, _house(options, desk.folder, changed), settings, server.Told(_address, _line))
    except (CannotOpen, CannotServe) as why:
        raise UsageError(str(why), why.advice) from why
    return FINE


def _house(options: Namespace, folder: str, changed: Mapping[str, str]) -> House:
    """Return what the playground needs of the rest."""
    from masdsl.playground.house import House

    def config(models: Mapping[str, str], findings: Findings) -> Config:
        found = load_config(folder, findings)
        return found._replace(tiers={**found.tiers, **changed, **models})

    def models() -> Models | None:
        return None if options.script is None else script_models(options.script)

    def resumed(run: str) -> str:
        return resume_command(run, options.journal, options.script, options.model)

    choices = _choices(options.journal)
    return House(config, models, stored_program, resumed, "masdsl.cli.playground_jobs", choices, replace_text)


def _choices(journal: str | None) -> str:
    """Return the file, beside the runs or the user's own ones, that remembers what was chosen for them."""
    from masdsl.journal.place import default_path

    is_file = journal is not None and "://" not in journal
    return f"{journal if is_file else default_path()}.playground.json"


def _shown(journal: str | None) -> str:
    """Return where runs are kept, without what is nobody's business: the password in an address."""
    from masdsl.journal.place import default_path

    if journal is None:
        with told():
            return shown_path(default_path())
    scheme, found, rest = journal.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}" if found else shown_path(journal)


def _address(url: str) -> None:
    """Tell where the page is: on standard output, since it is for nobody else to read."""
    write(f"{url}\n")
    sys.stdout.flush()
    _line("the playground is open at this address, which is yours alone; Ctrl-C ends it")


def _line(line: str) -> None:
    write(f"{escape(line)}\n", sys.stderr)
    sys.stderr.flush()
