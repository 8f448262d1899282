"""The ladder: which tiers work on this machine, each proved by what it stops and not by what it promises.

At first use a tier has to run `probes.py`, a program that tries what no program may do. A tier in which any of that
succeeds is out, whatever the reason; where none is left, nothing is run. There is no switch that changes this.
"""

from __future__ import annotations

import os
import threading
from typing import Any, Final, NamedTuple

from masdsl.sandbox.execute import NotStarted, execute
from masdsl.sandbox.probes import PROBES
from masdsl.sandbox.result import Limits, SandboxRefused
from masdsl.sandbox.start import BWRAP, LOCKDOWN, MONTY, TIERS

TOLERATED: Final[dict[str, frozenset[str]]] = {
    BWRAP: frozenset(),
    LOCKDOWN: frozenset({"see a file"}),
    MONTY: frozenset(),
}
"""Probes that may succeed in a tier: Landlock keeps contents of files from a program, but not that they exist."""

ADVICE: Final = "install bubblewrap, or `pip install 'masdsl[code]'`; more: `mas sandbox`, `mas explain MAS940`"


class Rung(NamedTuple):
    """A tier and what its self-test on this machine says."""

    name: str
    works: bool
    reason: str
    """Why it does not work; empty if it does."""
    open: tuple[str, ...]
    """Probes that succeeded in it. Where it works, these are the ones that it tolerates."""
    seconds: float
    """How long the self-test took, with the start of the process."""


_known: dict[str, Rung] = {}
_testing = threading.Lock()


def rung(name: str) -> Rung:
    """Return one tier, tested when it is asked for first in this process."""
    with _testing:
        if name not in _known:
            _known[name] = self_test(name)
        return _known[name]


def ladder() -> tuple[Rung, ...]:
    """Return all tiers in their order, each tested."""
    return tuple(rung(name) for name in TIERS)


def tier() -> str | None:
    """Return the first tier that works; None if nothing can be run on this machine."""
    return next((name for name in TIERS if rung(name).works), None)


def chosen(wanted: str | None) -> str:
    """Return the tier to use: the wanted one, or the first that works.

    Raises:
        SandboxRefused: there is none, or the wanted one does not work.
        ValueError: there is no tier of that name.
    """
    if wanted is not None and wanted not in TIERS:
        raise ValueError(f"there is no tier `{wanted}`; there are {', '.join(TIERS)}")
    found = tier() if wanted is None else wanted if rung(wanted).works else None
    if found is not None:
        return found
    failed = ladder() if wanted is None else (rung(wanted),)
    why = "; ".join(f"{one.name}: {one.reason}" for one in failed)
    what = "no tier of the sandbox works here" if wanted is None else "that tier of the sandbox does not work here"
    raise SandboxRefused(f"{what}, so the Python was not run ({why}); {ADVICE}")


def self_test(name: str) -> Rung:
    """Run the probes in a tier and judge it by what they say."""
    import shutil
    import tempfile
    import time

    begun = time.monotonic()
    folder, reason = None, ""
    found: tuple[str, ...] = ()
    try:
        folder = tempfile.mkdtemp(prefix="masdsl-sandbox-")
        said = _tried(name, _prepared(folder))
        found = tuple(probe for probe, what in said.items() if not what.startswith("closed: "))
        holes = [probe for probe in found if probe not in TOLERATED[name]]
        reason = f"a program in it can: {', '.join(holes)}" if holes else ""
    except NotStarted as error:
        reason = str(error)
    except OSError as error:
        reason = f"its self-test cannot be prepared: {error.strerror or error}"
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
    return Rung(name, not reason, reason, found, time.monotonic() - begun)


def _tried(name: str, prepared: dict[str, object]) -> dict[str, str]:
    """Return what each probe says in a tier.

    Raises:
        NotStarted: the tier does not start, or not every probe has an answer.
    """
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "probes.py"), encoding="utf-8") as file:
        code = file.read()
    said: dict[str, str] = {}
    while missing := [probe for probe in PROBES if probe not in said]:
        request: dict[str, Any] = {"code": code, "entry_point": "probe", "arguments": [prepared, missing]}
        result = execute(name, request | {"inputs": {}, "tests": None, "stdin": ""}, Limits())
        if result.error is None and isinstance(result.value, dict) and result.value.keys() == set(missing):
            said |= {probe: str(what) for probe, what in result.value.items()}
            continue
        last = (result.stdout.splitlines() or [""])[-1]
        if name != MONTY or result.error is None or result.error.kind != "exception" or last not in missing:
            why = result.error.message if result.error is not None else "it answers something else"
            raise NotStarted(f"its self-test failed: {why}")
        # monty ends a program that asks for what only a host could do, and no `try` holds that up.
        # The others are asked again, for the answers of those before are lost.
        said[last] = "closed: it ends the program"
    return said


def _prepared(folder: str) -> dict[str, object]:
    """Make what the probes try to reach, and return what they have to know."""
    for name in ("secret", "spare"):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(os.urandom(16))
    os.mkdir(os.path.join(folder, "spot"))
    return {
        "folder": folder,
        "secret": os.path.join(folder, "secret"),
        "spare": os.path.join(folder, "spare"),
        "home": os.path.expanduser("~"),
        "host": os.getpid(),
        "memory": 2 * Limits().memory,
    }
