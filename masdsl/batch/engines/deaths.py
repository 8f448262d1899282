"""Which chunks have ended their workers, and what to do about it: make them again, apart, or not any more."""

from __future__ import annotations

from typing import Final

from masdsl.batch.base import Chunk

DEATHS: Final = 3
"""How many workers a chunk, and then each of its runs, may end."""


class Deaths:
    """Counts the workers that chunks have ended."""

    def __init__(self) -> None:
        self._counts: dict[Chunk, int] = {}

    def __contains__(self, chunk: Chunk) -> bool:
        """Whether a chunk is suspect: it should be made alone."""
        return chunk in self._counts

    def suspect(self, chunk: Chunk) -> None:
        """Have a chunk made alone from now on, without counting anything."""
        self._counts.setdefault(chunk, 0)

    def done(self, chunk: Chunk) -> None:
        """Forget a chunk."""
        self._counts.pop(chunk, None)

    def died(self, chunk: Chunk) -> tuple[Chunk, ...]:
        """Count a worker that a chunk has ended; return what to make in its place, nothing where it is to be failed."""
        count = self._counts.pop(chunk, 0) + 1
        if count < DEATHS:
            self._counts[chunk] = count
            return (chunk,)
        if chunk.runs == 1:
            return ()
        parts = tuple(Chunk(number, number + 1, chunk.doubts) for number in range(chunk.first, chunk.last))
        self._counts.update(dict.fromkeys(parts, 0))
        return parts
