"""`mas worker`: make runs of batches whose queue is in a Postgres database."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from masdsl.cli import FINE
from masdsl.cli.boundary import UsageError


def run(arguments: Sequence[str]) -> int:
    """Make runs until told to leave. Returns 0, or 2 where the database or what it needs is not there."""
    from masdsl.batch.engines import DATABASE

    parser = argparse.ArgumentParser(
        prog="mas worker",
        description="Make runs of the batches that `mas eval --engine dbos` puts into the queue of a Postgres database,"
        " until it is stopped (Ctrl-C, SIGTERM). The programs of a batch, and its folder, have to be at the same paths"
        " here. Runs that are broken off go on with another worker.",
        epilog=f"A URL with a password is better given as the environment variable {DATABASE}: arguments of a process"
        " are for everybody on the machine to see.",
    )
    parser.add_argument(
        "--journal", metavar="URL", help=f"the database: postgresql://user@host/name (default: ${DATABASE})"
    )
    options = parser.parse_args(arguments)
    url = options.journal or os.environ.get(DATABASE, "")
    if not url.startswith(("postgres://", "postgresql://")):
        raise UsageError(
            "there is no database to work for", f"give --journal postgresql://user@host/name, or set {DATABASE} to it"
        )
    try:
        from masdsl.batch.engines.dbos_worker import serve
    except ModuleNotFoundError as error:
        raise UsageError(str(error), "pip install 'masdsl[scale]'") from None
    from masdsl.batch.base import EngineFault

    try:
        serve(url)
    except EngineFault as fault:
        raise UsageError(str(fault)) from None
    return FINE
