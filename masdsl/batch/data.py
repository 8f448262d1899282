"""Data sets as samples: which column is which input of a flow, what the right answer is, and what else there is.

inputs      an object with a value for each parameter of the flow; or
query       the flow's parameter of this name, or the only one that has to be passed; or
NAME        the flow's parameter of this name
answer      the right answer
others      kept beside it: `options`, `tests`, `entry_point` and so on are for the graders
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from masdsl.batch.base import Sample
from masdsl.batch.rows import LONGEST_LINE, DataFault, Row, rows_of
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.library import DamagedQuery
from masdsl.diagnostics.suggest import nearest
from masdsl.limits import DIAGNOSTICS
from masdsl.node import Span
from masdsl.source import Source
from masdsl.types import Enum, Optional, Text, Type

if TYPE_CHECKING:
    from masdsl.check.program import Flow

MOST_SAMPLES: Final = 10_000_000
"""Rows of a data set that are read at most."""
SAME: Final = 3
"""Rows at the beginning with one and the same fault, after which no further one is looked at."""
INPUTS: Final = "inputs"
QUERY: Final = "query"
ANSWER: Final = "answer"
_SHOWN: Final = 2_000


class Wanted(NamedTuple):
    """What a flow takes: its parameters with their types, those that have to be passed, and what a `query` is."""

    types: Mapping[str, Type]
    needed: tuple[str, ...]
    query: str

    def is_text(self, name: str) -> bool:
        """Whether a parameter takes a text, or a word, as it stands."""
        kind = self.types[name]
        return isinstance(kind.inner if isinstance(kind, Optional) else kind, Text | Enum)


def wanted_by(flow: Flow) -> Wanted:
    """Return what a flow takes."""
    types = {one.name: one.type for one in flow.params}
    needed = tuple(one.name for one in flow.params if not one.optional and one.default is None)
    return Wanted(types, needed, QUERY if QUERY in types else needed[0] if len(needed) == 1 else "")


def read_samples(
    place: str,
    wanted: Wanted,
    findings: Findings,
    *,
    renamed: Mapping[str, str] | None = None,
    limit: int | None = None,
    answered: bool = False,
) -> Iterator[Sample]:
    """Yield the samples of a data set (`masdsl.batch.rows`) for a flow, one by one; what is wrong is a finding.

    A damaged row is no sample: see whether `findings` are fine in the end. After as many as are shown it stops, and
    after a few where the first rows all lack the same.

    Args:
        place: a path, or `hf:...`.
        wanted: what the flow takes (`wanted_by`).
        findings: where damaged rows are told, at their line.
        renamed: other names of columns: `{"question": "Problem"}` takes the column `Problem` as `question`.
        limit: how many samples at most; the rest of the data set is not looked at.
        answered: whether every sample needs an answer.

    Raises DataFault for a data set that cannot be read.
    """
    made, damaged = 0, 0
    reasons: set[str] = set()
    if limit is not None and limit <= 0:
        return
    for row in rows_of(place):
        if made == MOST_SAMPLES:
            raise DataFault(f"{place} has more than {MOST_SAMPLES:,} rows; split it, or read a part of it with --limit")
        sample = _sample(row, made, wanted, renamed or {}, answered)
        if isinstance(sample, Sample):
            yield sample
            made += 1
            if made == limit:
                return
        else:
            _report(place, row, sample, findings)
            damaged += 1
            reasons.add(sample.reason)
            if damaged == DIAGNOSTICS or (damaged == SAME and not made and len(reasons) == 1):
                return


def _report(place: str, row: Row, fault: _Fault, findings: Findings) -> None:
    shown = row.shown[:_SHOWN]
    at = row.number - 1
    source = Source(place, "\n" * at + shown)  # the lines before it are gone
    findings.add(source, DamagedQuery(fault.reason, fault.action, span=Span(at, at + len(shown))))


class _Fault(NamedTuple):
    reason: str
    action: str = ""


def _sample(row: Row, number: int, wanted: Wanted, renamed: Mapping[str, str], answered: bool) -> Sample | _Fault:
    if row.fault:
        return _Fault(row.fault)
    columns = dict(row.columns)
    moved: dict[str, Any] = {}
    for name, column in renamed.items():
        if column not in columns:
            return _missing(column, columns, f"it has no column `{column}`", "")
        moved[name] = columns[column]
    columns = {name: value for name, value in columns.items() if name not in renamed.values()} | moved
    found = columns.pop(INPUTS, None)
    if found is not None and row.is_text and isinstance(found, str):
        found = _parsed(found)
    if found is not None and not isinstance(found, dict):
        return _Fault("`inputs` is no object")
    if ANSWER not in columns and answered:
        return _missing(ANSWER, columns, "it has no `answer`", ANSWER)
    answer = columns.pop(ANSWER, None)
    inputs: dict[str, Any] = {}
    if found is None:
        own = [name for name in wanted.types if name in columns and name != ANSWER]
        inputs = {name: _typed(columns.pop(name), name, wanted) if row.is_text else columns.pop(name) for name in own}
        inputs = {name: value for name, value in inputs.items() if value is not None or name in wanted.needed}
    if QUERY in columns and wanted.query and wanted.query not in inputs:
        value = columns.pop(QUERY)
        inputs[wanted.query] = _typed(value, wanted.query, wanted) if row.is_text else value
    inputs |= found or {}
    fault = _unfit(inputs, columns, wanted)
    if fault is not None:
        return fault
    extra = {name: _cell(value) for name, value in columns.items()} if row.is_text else columns
    return Sample(number, inputs, _cell(answer) if row.is_text else answer, extra)


def _unfit(inputs: Mapping[str, Any], columns: Mapping[str, Any], wanted: Wanted) -> _Fault | None:
    unknown = next((name for name in inputs if name not in wanted.types), None)
    if unknown is not None:
        near = nearest(unknown, wanted.types)
        taken = ", ".join(wanted.types) or "nothing"
        return _Fault(f"the flow takes no `{unknown}`", f"did you mean `{near}`?" if near else f"it takes {taken}")
    missing = next((name for name in wanted.needed if name not in inputs), None)
    if missing is None:
        return None
    if QUERY in columns and not wanted.query:
        return _Fault(f"the flow takes {', '.join(wanted.needed)}, so a `query` alone does not do")
    return _missing(missing, columns, f"`{missing}` is missing, which the flow takes", missing)


def _missing(name: str, columns: Mapping[str, Any], reason: str, renamed: str) -> _Fault:
    """Return the fault of a row that lacks a column, with the one that was probably meant."""
    near = nearest(name, columns)
    if near is not None and renamed:
        return _Fault(reason, f"did you mean its column `{near}`? Then add --map {renamed}={near}")
    if near is not None:
        return _Fault(reason, f"did you mean `{near}`?")
    told = ", ".join(list(columns)[:20])
    advice = f"; --map {renamed}=COLUMN says which of them it is" if renamed else ""
    return _Fault(reason, f"its columns are {told}{advice}" if told else "")


# ---------------------------------------------------------------- cells of CSV


def _typed(text: str, name: str, wanted: Wanted) -> Any:
    """Return a cell as what a parameter takes: a text as it stands; an empty cell of another type is none."""
    if wanted.is_text(name):
        return text
    return _parsed(text) if text.strip() else None


def _cell(text: Any) -> Any:
    """Return a cell of another column: a text, but what is written as a JSON list or object is that."""
    if not isinstance(text, str) or not text.lstrip().startswith(("[", "{")):
        return text
    found = _parsed(text)
    return found if isinstance(found, list | dict) else text


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


# ---------------------------------------------------------------- what workers read


class Frozen(NamedTuple):
    """Samples in a file of their own: how many there are, and the SHA-256 of the file."""

    samples: int
    sha256: str


def line_of(sample: Sample) -> str:
    """Return a sample as a line of JSON, the same on every machine. Raises ValueError for a number that is none."""
    return json.dumps(sample._asdict(), sort_keys=True, separators=(",", ":"), allow_nan=False) + "\n"


def freeze(samples: Iterable[Sample], path: str) -> Frozen:
    """Write samples as JSON lines, numbered from 0, and return their count and hash. The file appears when it is whole.

    Raises DataFault where it cannot be written, and for a sample that is too large.
    """
    digest, count = sha256(), 0
    folder = os.path.dirname(os.path.abspath(path))
    written = ""
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.NamedTemporaryFile("wb", dir=folder, prefix=".samples-", delete=False) as file:
            written = file.name
            for sample in samples:
                line = line_of(sample._replace(number=count)).encode("ascii")
                if len(line) > LONGEST_LINE:
                    raise DataFault(f"sample {count} has {len(line):,} bytes, and {LONGEST_LINE:,} are allowed")
                file.write(line)
                digest.update(line)
                count += 1
            file.flush()
            os.fsync(file.fileno())
        os.chmod(written, 0o644)
        os.replace(written, path)
        written = ""
    except OSError as error:
        raise DataFault(f"the samples cannot be written to {path}: {error.strerror or error}") from None
    finally:
        if written:
            with suppress(OSError):
                os.unlink(written)
    return Frozen(count, digest.hexdigest())
