"""Checkpoints of TRL's trainers: which is the last, and whether it is whole; nothing goes on from one that is not."""

from __future__ import annotations

import json
import os
import re
import zipfile
from typing import Final

from training.settings import TrainingFault

_NAME: Final = re.compile(r"checkpoint-(\d+)")
_ARCHIVES: Final = ("optimizer.pt", "scheduler.pt", "rng_state.pth")
_ADAPTER: Final = "adapter_model.safetensors"
_STATE: Final = "trainer_state.json"


def last_checkpoint(folder: str) -> str | None:
    """Return the latest checkpoint in a folder, None where there is none. Raises TrainingFault for a damaged one."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    steps = {int(found[1]): name for name in names if (found := _NAME.fullmatch(name))}
    if not steps:
        return None
    path = os.path.join(folder, steps[max(steps)])
    fault = fault_of(path)
    if fault:
        earlier = sorted(steps)[:-1]
        where = f"from step {earlier[-1]}" if earlier else "from the beginning"
        raise TrainingFault(
            f"the checkpoint {path} is damaged: {fault}. Remove that folder; the same command goes on {where} then"
        )
    return path


def fault_of(path: str) -> str:
    """Return why a checkpoint cannot be gone on from; empty where it can."""
    for name in (_STATE, _ADAPTER, *_ARCHIVES):
        place = os.path.join(path, name)
        if not os.path.isfile(place):
            return f"{name} is missing"
        try:
            fault = _fault_of_file(place)
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            fault = str(error) or type(error).__name__
        if fault:
            return f"{name} ({fault})"
    return ""


def _fault_of_file(place: str) -> str:
    if place.endswith(".json"):
        with open(place, encoding="utf-8") as file:
            json.load(file)["global_step"]
        return ""
    if place.endswith(".safetensors"):
        return _fault_of_tensors(place)
    with zipfile.ZipFile(place) as archive:
        broken = archive.testzip()
    return f"{broken} is cut off" if broken else ""


def _fault_of_tensors(place: str) -> str:
    """Compare the length of a safetensors file with what its header says: eight bytes, the header, the tensors."""
    with open(place, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > os.path.getsize(place):
            return "it is cut off"
        header = json.loads(file.read(size))
    ends = [one["data_offsets"][1] for name, one in header.items() if name != "__metadata__"]
    wanted = 8 + size + max(ends, default=0)
    return "" if os.path.getsize(place) == wanted else f"{os.path.getsize(place)} bytes of {wanted}"
