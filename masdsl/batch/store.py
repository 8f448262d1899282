"""The folder of a batch: everything that is needed to go on with it, and all that came of it.

    batch.json        what is run (`Batch`); never changed once it is there
    samples.jsonl     the samples, a line of JSON each
    journal.db        the steps of all runs (where the engine keeps them here)
    outcomes.jsonl    an outcome a line: as they come, and in the order of their numbers once all are there
    timings.jsonl     figures of each chunk that differ by machine: seconds of runs, who made them
    begun.jsonl       chunks that were handed out: where a batch that was broken off may have spent something
    lock              who works on it

Outcomes are added whole lines at a time. A last line that was cut off by a crash is dropped, and its run taken from the
journal again.
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterator, Sequence
from typing import IO, Any, Final

from masdsl.batch.base import Batch, Chunk, ChunkDone, Outcome
from masdsl.batch.reading import BadLine, outcome_from, read_batch
from masdsl.journal.owner import try_lock

BATCH, SAMPLES, JOURNAL = "batch.json", "samples.jsonl", "journal.db"
OUTCOMES, TIMINGS, BEGUN, LOCK = "outcomes.jsonl", "timings.jsonl", "begun.jsonl", "lock"
_NEW: Final = ".new"
NEW_SAMPLES: Final = SAMPLES + _NEW
"""Where the samples are written before it is known whether the folder has that batch already."""
_NAMED: Final = ("systems", "lineups")
_UNIMPORTANT: Final = ("id", "samples_path")


class StoreFault(Exception):
    """A folder cannot be that of the batch; the text says why and what to do."""


def is_begun(folder: str) -> bool:
    """Whether there is a batch in a folder."""
    return os.path.exists(os.path.join(folder, BATCH))


class Store:
    """The folder of a batch, which this process alone works on. Raises StoreFault where another one does."""

    def __init__(self, folder: str) -> None:
        self.folder = os.path.abspath(folder)
        os.makedirs(self.folder, exist_ok=True)
        self._lock = os.open(self.path(LOCK), os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        if not try_lock(self._lock, alone=True):
            os.close(self._lock)
            raise StoreFault(f"another process works on the batch in {self.folder}; wait for its end, or stop it")
        self._outcomes: IO[bytes] | None = None
        self._has = bytearray()
        self.made = 0
        self.dropped = 0
        """Lines of outcomes that were none: their runs are taken from the journal again."""

    def path(self, name: str) -> str:
        """Return the path of a file of the folder."""
        return os.path.join(self.folder, name)

    def close(self) -> None:
        """Let others work on it."""
        if self._outcomes is not None:
            self._outcomes.close()
            self._outcomes = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    # ------------------------------------------------------------ the batch

    def begin(self, batch: Batch) -> Batch:
        """Begin a batch in an empty folder, or go on with it where it is there; return it as it is there.

        Its samples lie beside, in NEW_SAMPLES. Raises StoreFault where another batch is there.
        """
        if os.path.exists(self.path(BATCH)):
            kept = self.kept()
            differences = list(_differences(kept.to_json(), batch.to_json()))
            if differences:
                raise StoreFault(
                    f"the batch in {self.folder} is another one: {'; '.join(differences)}; go on with it by "
                    "`mas eval --resume`, or choose another folder"
                )
            os.unlink(batch.samples_path)
            return kept
        strangers = [name for name in (OUTCOMES, JOURNAL) if os.path.exists(self.path(name))]
        if strangers:
            raise StoreFault(
                f"{self.folder} has {strangers[0]} but no {BATCH}: it is no batch that can be gone on with; "
                "choose another folder"
            )
        samples = self.path(SAMPLES)
        os.replace(batch.samples_path, samples)
        return self._describe(batch._replace(samples_path=samples))

    def kept(self) -> Batch:
        """Return the batch of this folder, wherever that was before. Raises EngineFault where it is damaged."""
        batch = read_batch(self.path(BATCH))
        if batch.samples_path == self.path(SAMPLES):
            return batch
        return self._describe(batch._replace(samples_path=self.path(SAMPLES)))

    def _describe(self, batch: Batch) -> Batch:
        text = json.dumps(batch.to_json(), indent=1, sort_keys=True, ensure_ascii=False)
        _write_whole(self.path(BATCH), text.encode("utf-8", "surrogatepass") + b"\n")
        return batch

    # ------------------------------------------------------------ outcomes

    def open(self, batch: Batch) -> Iterator[Outcome]:
        """Yield the outcomes that are there, each once, and be ready for more."""
        self._has = bytearray(batch.runs)
        path = self.path(OUTCOMES)
        file = open(path, "ab+")  # noqa: SIM115  closed with the store
        file.seek(0)
        whole = 0
        for line in file:
            if not line.endswith(b"\n"):
                self.dropped += 1
                break
            whole += len(line)
            outcome = outcome_from(line)
            if isinstance(outcome, BadLine) or not 0 <= outcome.number < batch.runs:
                self.dropped += 1
            elif not self._has[outcome.number]:
                self._note(outcome)
                yield outcome
        file.truncate(whole)
        file.seek(whole)
        self._outcomes = file

    def add(self, done: ChunkDone) -> Sequence[Outcome]:
        """Keep what came of a chunk; return the outcomes that are new. Runs that were stopped softly have none."""
        assert self._outcomes is not None
        new = [one for one in done.outcomes if not self._has[one.number] and one.status != "stopped"]
        self._outcomes.write("".join(f"{one.line()}\n" for one in new).encode("utf-8", "surrogatepass"))
        self._outcomes.flush()
        for one in new:
            self._note(one)
        figures = done._asdict() | {"outcomes": len(done.outcomes), "doubts": len(done.doubts)}
        self._append(TIMINGS, figures)
        return new

    def _note(self, outcome: Outcome) -> None:
        self._has[outcome.number] = 1
        self.made += 1

    def missing(self) -> Iterator[int]:
        """Yield the runs without an outcome, by number; those that get one meanwhile are left out."""
        number = self._has.find(0)
        while number >= 0:
            yield number
            number = self._has.find(0, number + 1)

    def is_made(self, number: int) -> bool:
        """Whether a run has an outcome."""
        return bool(self._has[number])

    def note_begun(self, chunk: Chunk) -> None:
        """Remember that a chunk is handed out."""
        self._append(BEGUN, [chunk.first, chunk.last])

    def open_runs(self) -> Iterator[int]:
        """Yield the runs without an outcome that were handed out before, by number."""
        try:
            with open(self.path(BEGUN), "rb") as file:
                lines = file.readlines()
        except FileNotFoundError:
            return
        numbers: set[int] = set()
        for line in lines:
            try:
                first, last = json.loads(line)
            except (ValueError, TypeError):
                continue  # cut off by a crash: it was not handed out yet
            numbers.update(number for number in range(first, last) if not self.is_made(number))
        yield from sorted(numbers)

    def _append(self, name: str, data: Any) -> None:
        with open(self.path(name), "ab") as file:
            file.write(json.dumps(data, separators=(",", ":")).encode() + b"\n")

    def put_in_order(self) -> None:
        """Bring all outcomes into the order of their numbers, each once: the same file however they were made."""
        assert self._outcomes is not None
        self._outcomes.flush()
        places = array("q", [-1]) * len(self._has)
        self._outcomes.seek(0)
        at = 0
        is_ordered, last = True, -1
        for line in self._outcomes:
            outcome = outcome_from(line)
            if isinstance(outcome, BadLine) or places[outcome.number] >= 0:
                is_ordered = False
            else:
                places[outcome.number] = at
                is_ordered, last = is_ordered and outcome.number > last, outcome.number
            at += len(line)
        if is_ordered:
            return
        with open(self.path(OUTCOMES + _NEW), "wb") as file:
            for place in places:
                if place >= 0:
                    self._outcomes.seek(place)
                    file.write(self._outcomes.readline())
            file.flush()
            os.fsync(file.fileno())
        self._outcomes.close()
        os.replace(self.path(OUTCOMES + _NEW), self.path(OUTCOMES))
        self._outcomes = open(self.path(OUTCOMES), "ab+")  # noqa: SIM115  closed with the store


def outcomes_in(folder: str) -> Iterator[Outcome]:
    """Yield the outcomes in the folder of a batch, in the order of the file; damaged lines are left out."""
    with open(os.path.join(folder, OUTCOMES), "rb") as file:
        for line in file:
            outcome = outcome_from(line)
            if not isinstance(outcome, BadLine):
                yield outcome


def _write_whole(path: str, data: bytes) -> None:
    """Write a file so that it is there as a whole or not at all."""
    with open(path + _NEW, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + _NEW, path)


def _differences(kept: dict[str, Any], given: dict[str, Any]) -> Iterator[str]:
    """Yield how two descriptions differ, in words."""
    for key, before in kept.items():
        now = given.get(key)
        if key in _UNIMPORTANT or before == json.loads(json.dumps(now)):
            continue
        if key in _NAMED:
            names = [one["name"] for one in before], [one["name"] for one in now or ()]
            if names[0] != names[1]:
                yield f"its {key} are {', '.join(names[0])}, not {', '.join(names[1])}"
                continue
            changed = next(a["name"] for a, b in zip(before, now or (), strict=True) if a != json.loads(json.dumps(b)))
            yield f"its {key[:-1]} {changed} was another one then"
        elif key == "samples_hash":
            yield "its samples are others"
        else:
            yield f"its {key.replace('_', ' ')} is {_brief(before)}, not {_brief(now)}"


def _brief(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:80]
