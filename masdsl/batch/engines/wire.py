"""What came of a chunk, as JSON data between processes."""

from __future__ import annotations

from typing import Any

from masdsl.batch.base import Amount, Chunk, ChunkDone, Doubt, Outcome


def to_wire(done: ChunkDone) -> dict[str, Any]:
    """Return what came of a chunk as JSON data."""
    return {**done._asdict(), "outcomes": [one._asdict() for one in done.outcomes]}


def from_wire(data: dict[str, Any]) -> ChunkDone:
    """Return what `to_wire` gave."""
    return ChunkDone(
        Chunk(*data["chunk"]),
        tuple(Outcome(**one) for one in data["outcomes"]),
        tuple(data["seconds"]),
        data["resumed"],
        data["cached"],
        data["worker"],
        tuple(Doubt(number, Amount(*paid), Amount(*doubtful)) for number, paid, doubtful in data["doubts"]),
        Amount(*data["saved"]),
    )
