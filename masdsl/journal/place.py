"""Where runs are kept where nobody says otherwise: in the user's folder for the state of programs."""

from __future__ import annotations

import os
import stat
import sys

from masdsl.journal.errors import JournalError


def default_path() -> str:
    """Return the path of the user's journal: `runs.db` in `$MASDSL_STATE`, else in `masdsl` in `$XDG_STATE_HOME`.

    Without those it is in the system's place for such files, `~/.local/state/masdsl`. Raises JournalError where there
    is no home folder, or where others than the user may write there.
    """
    folder = os.environ.get("MASDSL_STATE")
    if not folder:
        base = os.environ.get("XDG_STATE_HOME") or os.environ.get("LOCALAPPDATA")
        if not base:
            home = os.path.expanduser("~")
            if home == "~":
                raise JournalError("there is no home folder to keep runs in; set MASDSL_STATE to a folder")
            parts = ("Library", "Application Support") if sys.platform == "darwin" else (".local", "state")
            base = os.path.join(home, *parts)
        folder = os.path.join(base, "masdsl")
    try:
        status = os.stat(folder)
    except OSError:  # it is made, for the user alone, when the journal is opened
        return os.path.join(folder, "runs.db")
    if hasattr(os, "geteuid") and (
        status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & (stat.S_IWGRP | stat.S_IWOTH)
    ):
        raise JournalError(
            f"others may write to {folder}, so runs are not kept there; `chmod 700` it, or set MASDSL_STATE"
        )
    return os.path.join(folder, "runs.db")
