"""How other processes of masdsl are started here."""

from __future__ import annotations

import os
import signal
import sys
from typing import Final

OUT_OF_TIME: Final = getattr(signal, "SIGPROF", 0)
"""The signal that ends a worker whose job has taken its processor time."""


def words(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of masdsl with this Python."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment() -> dict[str, str]:
    """Return the environment in which this very masdsl is found, and nothing is imported from the working folder."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    known = [one for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if one]
    return os.environ | {"PYTHONPATH": os.pathsep.join([package, *known]), "PYTHONSAFEPATH": "1"}
