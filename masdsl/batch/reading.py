"""What is read back from files: a batch's description, its samples and its outcomes, with errors that say where."""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple, TypeVar

from masdsl.batch.base import FORMAT, Batch, EngineFault, Lineup, Outcome, Sample, System
from masdsl.runtime.meter import Limits

T = TypeVar("T")

_KINDS: Final[Mapping[type, Mapping[str, tuple[type, ...]]]] = {
    Batch: {
        "id": (str,),
        "samples_path": (str,),
        "samples_hash": (str,),
        "samples": (int,),
        "repetitions": (int,),
        "grader": (str,),
        "seed": (int,),
        "cache": (str,),
        "sampled_calls": (str,),
    },
    System: {
        **dict.fromkeys(("name", "path", "flow", "program"), (str,)),
        **dict.fromkeys(("calls", "tokens", "picodollars"), (int, type(None))),
    },
    Lineup: {"name": (str,), "tiers": (dict,)},
}
_LIMITS: Final = ("calls", "tokens", "usd", "seconds")


def batch_from(data: Any) -> Batch:
    """Return the batch that JSON data describe. Raises ValueError, which says what is wrong where."""
    if not isinstance(data, dict):
        raise ValueError("it is no JSON object")
    version = data.get("format")
    if version != FORMAT:
        raise ValueError(f"its format is {version!r}, and this masdsl knows {FORMAT}")
    fields = {key: value for key, value in data.items() if key not in ("format", "systems", "lineups", "limits")}
    systems = tuple(System(**_fields(System, one, f"systems[{at}]")) for at, one in enumerate(_list(data, "systems")))
    lineups = tuple(Lineup(**_fields(Lineup, one, f"lineups[{at}]")) for at, one in enumerate(_list(data, "lineups")))
    limits = data.get("limits", {})
    if not isinstance(limits, dict) or set(limits) - set(_LIMITS):
        raise ValueError(f"`limits` is no object of {', '.join(_LIMITS)}")
    try:
        batch = Batch(**_fields(Batch, fields, ""), systems=systems, lineups=lineups, limits=Limits(**limits))
    except (TypeError, ValueError) as fault:
        raise ValueError(str(fault)) from None
    if batch.samples < 1 or batch.repetitions < 1:
        raise ValueError("it has no runs: `samples` and `repetitions` are at least 1")
    if batch.sampled_calls not in ("seeded", "fresh"):
        raise ValueError(f"`sampled_calls` is {batch.sampled_calls!r}: it is seeded or fresh")
    return batch


def _list(data: Mapping[str, Any], name: str) -> list[Any]:
    value = data.get(name)
    if not isinstance(value, list) or not value:
        raise ValueError(f"`{name}` is no list of at least one")
    return value


def _fields(kind: type, data: Any, where: str) -> dict[str, Any]:
    """Return the fields of one of our tuples, each of a right type, and no others."""
    if not isinstance(data, dict):
        raise ValueError(f"`{where}` is no object")
    kinds = _KINDS[kind]
    prefix = f"{where}." if where else ""
    for name, value in data.items():
        if name not in kinds:
            raise ValueError(f"`{prefix}{name}` is unknown")
        if not isinstance(value, kinds[name]) or isinstance(value, bool):
            raise ValueError(f"`{prefix}{name}` is {str(value)[:40]!r}, which is no {kinds[name][0].__name__}")
    needed = [name for name in kinds if name not in data and name not in kind._field_defaults]  # type: ignore[attr-defined]
    if needed:
        raise ValueError(f"`{prefix}{needed[0]}` is missing")
    return data


def read_batch(path: str) -> Batch:
    """Return the batch that a file describes. Raises EngineFault where it cannot be read or is damaged."""
    try:
        with open(path, "rb") as file:
            return batch_from(json.loads(file.read()))
    except OSError as error:
        raise EngineFault(f"the batch cannot be read: {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as fault:
        raise EngineFault(
            f"{path} describes no batch: {fault}; it is damaged, so begin the batch anew in another folder"
        ) from None


# ---------------------------------------------------------------- samples


class Samples:
    """The samples of a batch: read from the file one by one, so that a large data set takes no room."""

    def __init__(self, path: str, expected: str, count: int) -> None:
        """Open a file of JSON lines. Raises EngineFault where it is not the one that the batch was made with."""
        self.path = path
        self._starts = array("Q", [0])
        digest = sha256()
        try:
            self._file = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
            with open(self._file, "rb", closefd=False) as lines:
                for line in lines:
                    digest.update(line)
                    self._starts.append(self._starts[-1] + len(line))
        except OSError as error:
            raise EngineFault(f"the samples of the batch cannot be read: {path}: {error.strerror or error}") from None
        if digest.hexdigest() != expected or len(self._starts) - 1 != count:
            raise EngineFault(
                f"{path} is not what the batch began with: its SHA-256 differs; put the file back as it was, "
                "or begin a batch of its own in another folder"
            )

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, number: int) -> Sample:
        start, end = self._starts[number], self._starts[number + 1]
        return sample_from(os.pread(self._file, end - start, start), f"{self.path}:{number + 1}")

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def sample_from(line: bytes, where: str) -> Sample:
    """Return the sample of a line. Raises EngineFault."""
    try:
        data = json.loads(line)
        sample = Sample(**data)
    except (ValueError, TypeError, RecursionError) as fault:
        raise EngineFault(f"{where}: this is no sample: {fault}") from None
    if [type(one) for one in (sample.number, sample.inputs, sample.extra)] != [int, dict, dict]:
        raise EngineFault(f"{where}: this is no sample: `number`, `inputs` and `extra` are a number and two objects")
    return sample


# ---------------------------------------------------------------- outcomes


class BadLine(NamedTuple):
    """A line of a file of outcomes that is none; `what` says why."""

    what: str


def outcome_from(line: bytes | str) -> Outcome | BadLine:
    """Return the outcome of a line."""
    try:
        outcome = Outcome(**json.loads(line))
    except (ValueError, TypeError, RecursionError) as fault:
        return BadLine(str(fault))
    if type(outcome.number) is not int or outcome.status not in ("ended", "failed", "stopped"):
        return BadLine("it has no number or no status")
    return outcome
