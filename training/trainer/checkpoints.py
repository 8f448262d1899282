"""Checkpoints that can be trusted: each is sealed when it is whole, and only sealed ones are gone on from.

The seal lists every file with its size and SHA-256 (for files above `DIGESTED` bytes the size alone, so that sharded
states of large models do not take minutes). It is written last: what a killed process left half-written has none.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from typing import Any, Final

from transformers import TrainerCallback

SEAL: Final = "seal.json"
DIGESTED: Final = 4 * 1024**3
_NAME: Final = re.compile(r"checkpoint-(\d+)")


class Sealing(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """Seals every checkpoint as soon as all processes have written their part of it."""

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Seal the checkpoint that was just written."""
        from accelerate import PartialState

        everyone = PartialState()
        everyone.wait_for_everyone()
        if everyone.is_main_process:
            seal(os.path.join(args.output_dir, f"checkpoint-{state.global_step}"))
        everyone.wait_for_everyone()


def seal(folder: str) -> None:
    """Write down what a checkpoint consists of. Raises OSError."""
    files = {name: _measure(os.path.join(folder, name)) for name in _files(folder)}
    with open(os.path.join(folder, SEAL + ".new"), "w", encoding="utf-8") as file:
        json.dump(files, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(os.path.join(folder, SEAL + ".new"), os.path.join(folder, SEAL))


def fault_of(folder: str) -> str:
    """Return why a checkpoint cannot be gone on from; empty where it can."""
    try:
        with open(os.path.join(folder, SEAL), encoding="utf-8") as file:
            files = json.load(file)
        for name, measure in files.items():
            if _measure(os.path.join(folder, name)) != measure:
                return f"{name} is not as it was written"
    except FileNotFoundError as error:
        name = os.path.basename(str(error.filename))
        return "it was not finished" if name == SEAL else f"{name} is missing"
    except (OSError, ValueError, AttributeError) as error:
        return f"it cannot be read ({error})"
    return ""


def last_good(folder: str, tell: Callable[[str], None]) -> str | None:
    """Return the latest checkpoint in a folder that is whole; later ones that are not are told, and removed.

    None where there is none: the training begins at its beginning. Raises OSError.
    """
    found = [(int(match[1]), name) for name in _listed(folder) if (match := _NAME.fullmatch(name))]
    for _, name in sorted(found, reverse=True):
        path = os.path.join(folder, name)
        fault = fault_of(path)
        if not fault:
            return path
        tell(f"{path} cannot be gone on from and is removed: {fault}")
        shutil.rmtree(path)
    return None


def _listed(folder: str) -> list[str]:
    return os.listdir(folder) if os.path.isdir(folder) else []


def _files(folder: str) -> list[str]:
    """Return the files of a folder and the folders below, the seal excepted, as paths in it."""
    found = []
    for parent, _, names in os.walk(folder):
        found += [os.path.relpath(os.path.join(parent, name), folder) for name in names]
    return sorted(name for name in found if name not in (SEAL, SEAL + ".new"))


def _measure(path: str) -> dict[str, Any]:
    size = os.path.getsize(path)
    if size > DIGESTED:
        return {"size": size}
    with open(path, "rb") as file:
        return {"size": size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
