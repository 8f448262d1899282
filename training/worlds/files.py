"""Writing a world's folder: whole or not at all, and never over something else."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from typing import Any, Final

from training.stage.faults import TrainingFault

MARK: Final = "world.json"
"""The file that says how a world was made: what makes a folder one that may be written anew."""


class WorldFault(TrainingFault):
    """A world cannot be made as it is asked for; the text says why, and what to do."""


def lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write_world(out: str, files: Mapping[str, str], about: Mapping[str, Any]) -> None:
    """Write a world: the texts of its files by their paths, and `about` as `world.json`.

    A world that stands there is replaced, file by file; what else its folder has stays. Raises WorldFault for a folder
    with other things in it and for what cannot be written.
    """
    out = os.path.abspath(out)
    try:
        if os.path.isdir(out) and os.listdir(out) and not os.path.isfile(os.path.join(out, MARK)):
            raise WorldFault(f"{out} has other things in it and is no world; name a new folder with --out")
        os.makedirs(out, exist_ok=True)
        told = dict(files) | {MARK: json.dumps(about, indent=2, ensure_ascii=False) + "\n"}
        for name, text in told.items():
            path = os.path.join(out, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path + ".new", "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
            os.replace(path + ".new", path)
        # Compiled modules of a world that stood here before.
        shutil.rmtree(os.path.join(out, "__pycache__"), ignore_errors=True)
    except OSError as error:
        raise WorldFault(
            f"the world cannot be written to {out}: {error.strerror or error}; name another --out"
        ) from None
