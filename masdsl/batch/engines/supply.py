"""The chunks that an engine has still to hand out: new ones, and those that have to be made again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from masdsl.batch.base import Chunk, EngineFault

FAILURES: Final = 8
"""How often a chunk may end with an error, such as a lost connection, before the batch does."""


class Supply:
    """New chunks come from the batch's coordinator, one by one; those to be made again come first."""

    def __init__(self, chunks: Iterator[Chunk | None]) -> None:
        self._chunks = chunks
        self._again: deque[Chunk] = deque()
        self._failures: dict[Chunk, int] = {}
        self._is_out = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left, and nothing will come unless something is put back."""
        return self._is_out and not self._again

    def next(self, *, again: bool = True) -> Chunk | None:
        """Return a chunk to be made, None where there is none now; without `again` a new one only."""
        if self._again and again:
            return self._again.popleft()
        if self._is_out:
            return None
        try:
            return next(self._chunks)
        except StopIteration:
            self._is_out = True
            return None

    def put_back(self, *chunks: Chunk) -> None:
        """Have chunks made again."""
        self._again.extend(chunks)

    def failed(self, chunk: Chunk, error: str) -> None:
        """Have a chunk made again that ended with an error. Raises EngineFault for one that does so ever again."""
        count = self._failures[chunk] = self._failures.get(chunk, 0) + 1
        if count >= FAILURES:
            raise EngineFault(f"runs {chunk.first} to {chunk.last - 1} ended {count} times with: {error}")
        self._again.append(chunk)
