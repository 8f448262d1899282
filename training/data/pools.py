"""The two pools that training data are made of: queries with answers, and systems that could answer them.

A pool of queries is any data set that `masdsl.batch.data` reads, with a `query` and an `answer` in each row; what else
there is (`id`, `source`, `kind`, `options`, `tests`) is kept as metadata. A pool of systems is a folder of `.mas`
files, of which those are taken that can be had under the signature of a query (`masdsl.meta.systems.adapted`): one
text in, a text or a record with an answer out, in one file. Nothing is taken or left out by its name.

Source: MAS-GPT (arXiv:2503.03686), section 3: "query pool" and "MAS pool".
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from masdsl.batch.rows import DataFault, rows_of
from masdsl.batch.systems import identity
from masdsl.meta.host import Host, fit_of, shape_of
from masdsl.meta.queries import task_for_longest
from masdsl.meta.retrieval import title
from masdsl.meta.systems import adapted, parsed
from masdsl.meta.task import Task
from masdsl.runtime import Limits

QUERY: Final = "query"
ANSWER: Final = "answer"
_SHOWN: Final = 12
"""Columns that a message names."""


class Query(NamedTuple):
    """A query with its right answer; `metadata` is what else its row has, such as `source` and `kind`."""

    id: str
    text: str
    answer: Any
    metadata: Mapping[str, Any]

    def row(self) -> dict[str, Any]:
        """Return it as a row that `masdsl.evaluate` reads."""
        return {**self.metadata, "id": self.id, QUERY: self.text, ANSWER: self.answer}


class PoolSystem(NamedTuple):
    """A system of the pool as a template under the signature of a query, in canonical text.

    `hash` is what makes it the same as another one (`masdsl.batch.systems.identity`); `about` is its file's own
    sentence about it, `path` the file that it comes from.
    """

    name: str
    text: str
    hash: str
    about: str
    path: str


class LeftOut(NamedTuple):
    """A file of the pool that is no system for these queries, and why."""

    path: str
    why: str


# ---------------------------------------------------------------- queries


def read_queries(
    places: Sequence[str], *, limit: int | None = None, columns: Mapping[str, str] | None = None
) -> tuple[Query, ...]:
    """Return the queries of data sets, in the order of their ids, whatever the order of files and rows.

    Args:
        places: paths, or `hf:NAME:SPLIT`.
        limit: how many rows of each data set are taken at most, from its beginning.
        columns: other names of columns: `{"query": "question"}` takes the column `question` as the query.

    Raises DataFault for a data set that cannot be read, a row without a query or an answer, and an id that is there
    twice; the text names the row.
    """
    found: dict[str, Query] = {}
    for place in places:
        for taken, row in enumerate(rows_of(place)):
            if limit is not None and taken >= limit:
                break
            where = f"{place}:{row.number}"
            if row.fault:
                raise DataFault(f"{where}: {row.fault}; mend or remove the row")
            query = _query(where, place, row.number, dict(row.columns), columns or {})
            if query.id in found:
                raise DataFault(f"{where}: the id `{query.id}` is there twice; give each query its own")
            found[query.id] = query
    if not found:
        raise DataFault(f"there are no queries in {', '.join(places) or 'no data set'}; name a data set with rows")
    return tuple(found[name] for name in sorted(found))


def _query(where: str, place: str, number: int, values: dict[str, Any], columns: Mapping[str, str]) -> Query:
    for name, column in columns.items():
        if column not in values:
            raise DataFault(f"{where}: it has no column `{column}`, which is to be its {name}")
        values[name] = values.pop(column)
    if "inputs" in values:
        raise DataFault(f"{where}: it has `inputs`; here a query is one text, in the column `query`")
    text, answer = values.pop(QUERY, None), values.pop(ANSWER, None)
    there = ", ".join(list(values)[:_SHOWN]) or "none"
    if not isinstance(text, str) or not text.strip():
        raise DataFault(f"{where}: it has no query; name its column under [queries.columns] (others: {there})")
    if answer is None or (isinstance(answer, str) and not answer.strip()):
        raise DataFault(f"{where}: the query has no answer, so nothing can be scored; remove it (others: {there})")
    own = values.pop("id", None)
    return Query(str(own) if own is not None else f"{os.path.basename(place)}:{number}", text, answer, values)


def write_samples(queries: Iterable[Query], path: str) -> None:
    """Write queries as the data set of an evaluation: sample `n` is the query `n`. Written whole or not at all."""
    lines = [json.dumps(one.row(), sort_keys=True, ensure_ascii=False) + "\n" for one in queries]
    write_text(path, "".join(lines))


def write_text(path: str, text: str) -> None:
    """Write a file so that it is there as a whole or not at all; folders are made. Raises OSError."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    os.replace(path + ".new", path)


# ---------------------------------------------------------------- systems


def task_of(queries: Sequence[Query], host: Host) -> Task:
    """Return the task that all systems are made for: its signature takes the longest of the queries.

    Raises masdsl.meta.host.BadTask for a query that is longer than any text may be.
    """
    return task_for_longest((one.text for one in queries), host)


def read_systems(
    places: Sequence[str], queries: Sequence[Query], host: Host, *, most_calls: int | None = None, tools: bool = False
) -> tuple[tuple[PoolSystem, ...], tuple[LeftOut, ...]]:
    """Return the systems that can be had under the signature of the queries, by name, and the files that are none.

    Args:
        places: `.mas` files, and folders of them (not what is in folders below).
        queries: all queries of the pool: the signature takes the longest of them.
        host: the configuration and models with which they will run.
        most_calls: systems whose proved worst case has more calls are left out.
        tools: whether systems that use tools are taken; what the host grants, a query alone does not say.

    Raises DataFault for a place that cannot be read and where no system is left, masdsl.meta.host.BadTask for a query
    that is longer than any text may be.
    """
    task = task_of(queries, host)
    shape = shape_of(task, host)
    found: dict[str, PoolSystem] = {}
    left_out: list[LeftOut] = []
    for path in _files(places):
        name = os.path.basename(path).removesuffix(".mas")
        text = _text(path)
        fitted = adapted(text, task, shape, host)
        if fitted is None:
            left_out.append(LeftOut(path, _why_none(text)))
            continue
        fit = fit_of(fitted, shape, host, Limits(calls=most_calls))
        if fit.program is None:
            left_out.append(LeftOut(path, fit.diagnostics[0] if fit.diagnostics else "it cannot be run here"))
        elif fit.program.tools and not tools:
            left_out.append(LeftOut(path, "it uses tools"))
        elif name in found:
            raise DataFault(f"{path} and {found[name].path} have one name; rename one of the files")
        else:
            found[name] = PoolSystem(name, fitted, identity(fit.program), title(text), path)
    by_hash: dict[str, str] = {}
    for name in sorted(found):
        first = by_hash.setdefault(found[name].hash, name)
        if first != name:
            left_out.append(LeftOut(found.pop(name).path, f"it is the same program as {first}"))
    if not found:
        why = f": {left_out[0].path}: {left_out[0].why}" if left_out else "; name `.mas` files or a folder of them"
        raise DataFault(f"no system of the pool can take these queries{why}")
    return tuple(found[name] for name in sorted(found)), tuple(left_out)


def _files(places: Sequence[str]) -> list[str]:
    files: list[str] = []
    for place in places:
        try:
            inside = sorted(os.listdir(place)) if os.path.isdir(place) else None
        except OSError as error:
            raise DataFault(f"the pool {place} cannot be read: {error.strerror or error}") from None
        files += [place] if inside is None else [os.path.join(place, one) for one in inside if one.endswith(".mas")]
    return files


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise DataFault(f"the system {path} cannot be read: {error}") from None


def _why_none(text: str) -> str:
    if parsed(text) is None:
        return "it has syntax errors; `mas check` shows them"
    return (
        "its `main` is not from one text, long enough for the queries, to an answer; or it needs other files, or tools "
        "that are not granted here"
    )
