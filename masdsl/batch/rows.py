"""The rows of a data set, one after another: JSON lines, CSV, Parquet, data sets of Hugging Face's.

Which one a file is, its name says: `.csv` and `.tsv`, `.parquet`; everything else is a JSON object a line. Lines may be
compressed (`.gz`, or any file that begins as gzip does). `hf:OWNER/NAME/CONFIG:SPLIT` is a data set of the hub, and a
folder is one that `save_to_disk` wrote. Nothing is read before it is asked for, and at most one batch of rows is held.
"""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import json
import math
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, cast

if TYPE_CHECKING:
    from types import ModuleType

LONGEST_LINE: Final = 16 << 20
"""Bytes of one line, and of one row as JSON."""
AT_ONCE: Final = 1_000
"""Rows of a Parquet file that are read together."""
HUB: Final = "hf:"
_SHOWN: Final = 200


class DataFault(ValueError):
    """A data set that cannot be read at all; the text says which, why, and what to do."""


class Row(NamedTuple):
    """A row: its number from 1 (the line, where it is a line of text), its columns, or what is wrong with it.

    `shown` is how a message shows it. `is_text` says that the values are the texts of a CSV file.
    """

    number: int
    columns: Mapping[str, Any]
    fault: str = ""
    shown: str = ""
    is_text: bool = False


def rows_of(place: str) -> Iterator[Row]:
    """Yield the rows of a data set. Raises DataFault, at the latest when the row is asked for that cannot be read."""
    if place.startswith(HUB):
        return _plain_rows(_hub(place))
    if os.path.isdir(place.rpartition(":")[0] if not os.path.exists(place) else place):
        return _plain_rows(_saved(place))
    name = place.lower().removesuffix(".gz")
    if name.endswith(".parquet"):
        return _plain_rows(_parquet(place))
    if name.endswith((".csv", ".tsv")):
        return _csv(place, "\t" if name.endswith(".tsv") else ",")
    return _lines(place)


# ---------------------------------------------------------------- lines


@contextmanager
def _opened(place: str) -> Iterator[IO[bytes]]:
    """Open a file of lines, unpacked. Raises DataFault."""
    try:
        file = open(place, "rb")  # noqa: SIM115  it is closed below
    except OSError as error:
        _refuse(place, error)
    except ValueError:
        raise DataFault(f"{place!r} is no path of a file") from None
    with file:
        try:
            is_packed = file.peek(2)[:2] == b"\x1f\x8b"
        except OSError as error:
            _refuse(place, error)
        if is_packed:
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield cast("IO[bytes]", unpacked)  # all of it that is used here
        else:
            yield file


def _refuse(place: str, error: Exception) -> NoReturn:
    if isinstance(error, FileNotFoundError):
        raise DataFault(f"there is no data set {place}; check the path, or write hf:NAME:SPLIT for one of the hub")
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    raise DataFault(f"the data set {place} cannot be read: {why}")


def _lines(place: str) -> Iterator[Row]:
    """Yield the objects of JSON lines; blank lines are none."""
    number = 0
    with _opened(place) as file:
        while True:
            try:
                line = file.readline(LONGEST_LINE + 1)
            except (OSError, EOFError, zlib.error) as error:
                raise DataFault(f"{place}: the file is damaged after line {number}: {error}") from None
            if not line:
                return
            number += 1
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if len(line) > LONGEST_LINE:
                raise DataFault(
                    f"{place}:{number}: the line is longer than {LONGEST_LINE >> 20} MiB; is it JSON lines?"
                )
            if not line.isspace():
                yield _object(number, line)


def _object(number: int, line: bytes) -> Row:
    try:
        text = line.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        shown = line.decode(errors="replace").rstrip("\r\n")
        return Row(number, {}, f"it is no UTF-8 (byte {line[error.start]:#04x} at column {error.start + 1})", shown)
    try:
        data = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        return Row(number, {}, f"it is no JSON ({error})".replace("\n", " "), text)
    if not isinstance(data, dict):
        return Row(number, {}, "it is no object", text)
    return Row(number, data, "", text)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"{digits[:20]} is beyond the range of numbers")
    return value


# ---------------------------------------------------------------- CSV


def _csv(place: str, delimiter: str) -> Iterator[Row]:
    """Yield the rows of a CSV file as RFC 4180 has them, in UTF-8; the first one names the columns."""
    csv.field_size_limit(LONGEST_LINE)
    with _opened(place) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        names: list[str] = []
        while True:
            number = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise DataFault(f"{place}:{max(number, reader.line_num)}: this is no CSV: {error}") from None
            except UnicodeDecodeError as error:
                raise DataFault(f"{place}: after line {reader.line_num} it is no UTF-8 ({error.reason})") from None
            except (OSError, EOFError, zlib.error) as error:
                raise DataFault(f"{place}: the file is damaged after line {reader.line_num}: {error}") from None
            if cells is None:
                return
            if not cells:
                continue
            if not names:
                names = [cell.strip() for cell in cells]
                twice = next((name for name in names if not name or names.count(name) > 1), None)
                if twice is not None:
                    raise DataFault(f"{place}:{number}: the column `{twice}` has no name of its own; name each once")
                continue
            shown = delimiter.join(cells).replace("\n", " ")
            if len(cells) != len(names):
                yield Row(number, {}, f"it has {len(cells)} cells, and there are {len(names)} columns", shown)
            else:
                yield Row(number, dict(zip(names, cells, strict=True)), "", shown, True)


# ---------------------------------------------------------------- Parquet, Hugging Face


def _plain_rows(rows: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    """Yield rows of a typed source, their values as JSON data."""
    for number, row in enumerate(rows, 1):
        columns: dict[str, Any] = {}
        fault = ""
        for name, value in row.items():
            try:
                columns[name] = _as_json(value)
            except ValueError as error:
                fault = fault or f"its column `{name}` {error}"
        shown = json.dumps(columns, ensure_ascii=False)
        yield Row(number, columns, fault, shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..")


def _as_json(value: Any) -> Any:
    """Return a value as JSON data. Raises ValueError for what has no form there."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        raise ValueError(f"holds {value}, which is no number of JSON")
    if isinstance(value, Mapping):
        return {str(name): _as_json(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(one) for one in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    raise ValueError(f"holds {type(value).__name__}, which has no form in JSON")


def _parquet(place: str) -> Iterator[Mapping[str, Any]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise DataFault(f"Parquet files ({place}) need `pip install 'masdsl[eval]'`") from None
    try:
        with parquet.ParquetFile(place) as file:
            for batch in file.iter_batches(batch_size=AT_ONCE):
                yield from batch.to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        if isinstance(error, OSError) and not os.path.exists(place):
            _refuse(place, FileNotFoundError())
        raise DataFault(f"{place} is no Parquet file that can be read: {str(error).partition(chr(10))[0]}") from None


def _datasets(place: str) -> ModuleType:
    try:
        import datasets
    except ModuleNotFoundError:
        raise DataFault(f"data sets of Hugging Face's ({place}) need `pip install 'masdsl[datasets]'`") from None
    return cast("ModuleType", datasets)


def _hub(place: str) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of `hf:NAME:SPLIT`, `hf:OWNER/NAME:SPLIT` or `hf:OWNER/NAME/CONFIG:SPLIT`, as they come."""
    name, _, split = place.removeprefix(HUB).partition(":")
    parts = name.split("/")
    if not split or not 1 <= len(parts) <= 3 or not all(parts):
        raise DataFault(
            f"`{place}` names no data set and split: write hf:OWNER/NAME:SPLIT or hf:OWNER/NAME/CONFIG:SPLIT"
        )
    datasets = _datasets(place)
    try:
        rows = datasets.load_dataset("/".join(parts[:2]), *parts[2:], split=split, streaming=True)
        yield from rows
    except Exception as error:  # whatever the hub, its client and the network have to say
        raise DataFault(f"the data set {place} cannot be had: {str(error).partition(chr(10))[0]}") from None


def _saved(place: str) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a folder that `save_to_disk` wrote; of several splits `FOLDER:SPLIT` names the one."""
    folder, split = (place, "") if os.path.isdir(place) else (place.rpartition(":")[0], place.rpartition(":")[2])
    datasets = _datasets(place)
    try:
        rows = datasets.load_from_disk(folder)
    except Exception as error:  # of several libraries
        why = str(error).partition("\n")[0]
        raise DataFault(f"the folder {folder} is no data set that `save_to_disk` wrote: {why}") from None
    if isinstance(rows, dict):
        if split not in rows:
            told = ", ".join(f"{folder}:{name}" for name in rows)
            raise DataFault(f"{folder} has several splits; name one of them: {told}")
        rows = rows[split]
    elif split:
        raise DataFault(f"{folder} has no splits; leave out `:{split}`")
    yield from rows
