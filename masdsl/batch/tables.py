"""The figures of a batch as Parquet: `outcomes.parquet` and `timings.parquet`, written a group of rows at a time.

The columns are fixed and the same for every batch. A value is JSON text, for its type differs from flow to flow.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any, Final, cast

from masdsl.batch.base import Outcome

GROUP: Final = 10_000
"""Rows of one group."""
OUTCOME_COLUMNS: Final[Mapping[str, str]] = {
    "number": "int64",
    "system": "string",
    "lineup": "string",
    "sample": "int64",
    "repetition": "int64",
    "status": "string",
    "value": "string",
    "score": "float64",
    "why": "string",
    **dict.fromkeys(("calls", "tokens_in", "tokens_out", "picodollars"), "int64"),
    **dict.fromkeys(("judge_calls", "judge_tokens", "judge_picodollars"), "int64"),
}
TIMING_COLUMNS: Final[Mapping[str, str]] = {
    "first": "int64",
    "last": "int64",
    "worker": "string",
    "seconds": "list<float64>",
    "resumed": "int64",
    "cached": "int64",
}


class NoTables(Exception):
    """Parquet cannot be written here; the text says why and what to do."""


def write_outcomes(path: str, outcomes: Iterable[Outcome]) -> int:
    """Write outcomes as they come, and return how many they are. Raises NoTables without `masdsl[eval]`."""
    rows = (one._asdict() | {"value": None if one.value is None else json.dumps(one.value)} for one in outcomes)
    return _write(path, OUTCOME_COLUMNS, rows)


def write_timings(path: str, timings: Iterable[Mapping[str, Any]]) -> int:
    """Write the figures of chunks (lines of `timings.jsonl`), and return how many they are. Raises NoTables."""
    return _write(path, TIMING_COLUMNS, (_timing(one) for one in timings))


def _timing(one: Mapping[str, Any]) -> dict[str, Any]:
    first, last = one["chunk"]
    return {"first": first, "last": last} | {
        name: one.get(name) for name in TIMING_COLUMNS if name not in ("first", "last")
    }


def _write(path: str, columns: Mapping[str, str], rows: Iterator[dict[str, Any]]) -> int:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise NoTables("tables in Parquet need `pip install 'masdsl[eval]'`") from None
    kinds = {"list<float64>": pyarrow.list_(pyarrow.float64())}
    schema = pyarrow.schema([(name, kinds.get(kind) or getattr(pyarrow, kind)()) for name, kind in columns.items()])
    count = 0
    with whole_file(path) as written, parquet.ParquetWriter(written, schema, compression="zstd") as writer:
        while group := list(islice(rows, GROUP)):
            table = {
                name: [_sound(row[name]) for row in group] if kind == "string" else [row[name] for row in group]
                for name, kind in columns.items()
            }
            writer.write_table(pyarrow.table(table, schema=schema))
            count += len(group)
    return count


def _sound(text: str | None) -> str | None:
    """Return a text that UTF-8 can write: half a surrogate pair, of a model's broken reply, becomes a question mark."""
    return None if text is None else text.encode("utf-8", "replace").decode()


@contextmanager
def whole_file(path: str) -> Iterator[str]:
    """Give a name beside a path to write to; the file takes its place when it is whole, and is gone otherwise."""
    written = f"{path}.new"
    try:
        yield written
        os.replace(written, path)
    finally:
        with suppress(OSError):
            os.unlink(written)


def read_timings(path: str) -> Iterator[Mapping[str, Any]]:
    """Yield the lines of `timings.jsonl`, without those cut off by a crash; none where there is no such file."""
    try:
        file = open(path, "rb")  # noqa: SIM115  closed below
    except FileNotFoundError:
        return
    with file:
        for line in file:
            try:
                data = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(data, dict) and _is_chunk(data.get("chunk")) and isinstance(data.get("seconds"), list):
                yield cast("Mapping[str, Any]", data)


def _is_chunk(found: Any) -> bool:
    return isinstance(found, list) and len(found) == 2 and all(isinstance(one, int) for one in found)
