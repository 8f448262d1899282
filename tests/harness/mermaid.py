"""Mermaid's own parser, under Node: its bundle and the little of a browser that it needs, both pinned, from npm.

    linkedom     what Mermaid asks of a document, by the lock file of `tests/data/graph/mermaid`
    mermaid      its bundle alone, out of its package, which is 26 MB and held to a hash

They are kept in a folder for later sessions (6 + 6 MB).
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

MERMAID: Final = "12.3.0"
SHA512: Final = (
    "e35d774dd5de2c0b0caee27bf4ea452f93bcf8b4c55e142a676eb4ac5ded8149"
    "a2340b519b852e99ed3823eeb93d137ac99ebd2787fcad56165bccd193ae5463"
)
BUNDLE: Final = "package/dist/mermaid.min.js"
SOURCES: Final = Path(__file__).parent.parent / "data" / "graph" / "mermaid"
OFFLINE: Final = re.compile(r"ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|ENETUNREACH|ERR_SOCKET|network")
QUIETLY: Final = ("--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=0", "--loglevel=error")


class NotHere(Exception):
    """The parser cannot be had; the text says why."""


def install(folder: Path) -> None:
    """Have the parser in a folder, unless it is there. Raises NotHere without Node, npm or its registry."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise NotHere("node and npm are not here")
    if (folder / BUNDLE).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(SOURCES / name, folder / name)
    _run([npm, "ci", *QUIETLY], folder)
    _run([npm, "pack", f"mermaid@{MERMAID}", *QUIETLY], folder)
    packed = folder / f"mermaid-{MERMAID}.tgz"
    assert hashlib.sha512(packed.read_bytes()).hexdigest() == SHA512, "this is not the mermaid that is pinned"
    with tarfile.open(packed) as archive:
        text = archive.extractfile(BUNDLE)
        assert text is not None
        (folder / BUNDLE).parent.mkdir(parents=True, exist_ok=True)
        (folder / BUNDLE).write_bytes(text.read())
    packed.unlink()


def parsed(folder: Path, files: Sequence[Path]) -> list[dict[str, Any]]:
    """Return what the parser in a folder makes of files: how many `vertices`, `edges`, `groups`; or its `error`."""
    command = ["node", str(SOURCES / "parse.mjs"), str(folder), str(folder / BUNDLE), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2_000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def _run(command: Sequence[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=90)
    except subprocess.TimeoutExpired:
        raise NotHere("npm's registry does not answer within 90 s") from None
    if done.returncode != 0 and OFFLINE.search(done.stderr):
        raise NotHere("npm's registry cannot be reached from here")
    assert done.returncode == 0, done.stderr
