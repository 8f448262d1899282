"""Queries with all that a generator is told of them: a JSON object a line.

    {"query": "What is 7 + 5?", "answer": "12", "grader": "numeric", "family": "sum", "signature":
     "flow main(query) -> int", "tools": [], "calls": 6}

Only `query` is needed. Without an `answer` a query counts for every rate but that of right answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from masdsl.batch.rows import DataFault, rows_of
from masdsl.meta.task import SIGNATURE

_KEYS: Final = ("id", "query", "answer", "grader", "family", "signature", "tools", "calls")


class Asked(NamedTuple):
    """A query, the head of the flow that is wanted, the tools that are granted, and the calls that a run may make.

    `tools` are declarations as a program writes them. `grader` is one of `masdsl.batch.graders`, empty for none;
    `extra` are the other columns of its row, which some graders read.
    """

    id: str
    query: str
    answer: Any = None
    grader: str = ""
    family: str = ""
    signature: str = SIGNATURE
    tools: tuple[str, ...] = ()
    calls: int = 20
    extra: Mapping[str, Any] = {}

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {**self._asdict(), "tools": list(self.tools), "extra": dict(self.extra)}


def read_asked(
    places: Sequence[str], *, limit: int = 0, calls: int = 20, grader: str = "", signature: str = SIGNATURE
) -> tuple[Asked, ...]:
    """Return the queries of data sets, at most `limit` of each (0: all); the others are what a row leaves out.

    Raises DataFault, which names the row.
    """
    found: dict[str, Asked] = {}
    for place in places:
        for taken, row in enumerate(rows_of(place)):
            if limit and taken >= limit:
                break
            where = f"{place}:{row.number}"
            if row.fault:
                raise DataFault(f"{where}: {row.fault}; mend or remove the row")
            one = _asked(where, len(found), dict(row.columns), Asked("", "", None, grader, "", signature, (), calls))
            if one.id in found:
                raise DataFault(f"{where}: the id `{one.id}` is there twice; give each query its own")
            found[one.id] = one
    if not found:
        raise DataFault(f"there are no queries in {', '.join(places) or 'no data set'}; name a data set with rows")
    return tuple(found.values())


def _asked(where: str, number: int, values: dict[str, Any], usual: Asked) -> Asked:
    texts = {name: values.get(name, getattr(usual, name)) for name in ("query", "grader", "family", "signature")}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise DataFault(f"{where}: `{name}` is {value!r:.60}, and has to be a text")
    if not texts["query"].strip():
        raise DataFault(f'{where}: it has no query; write {{"query": "..."}}')
    tools, calls = values.get("tools", []), values.get("calls", usual.calls)
    if not isinstance(tools, list) or not all(isinstance(one, str) for one in tools):
        raise DataFault(f"{where}: `tools` is {tools!r:.60}, and has to be a list of declarations")
    if type(calls) is not int or calls < 1:
        raise DataFault(f"{where}: `calls` is {calls!r:.60}, and has to be a whole number from 1")
    own, answer = values.get("id", f"query-{number}"), values.get("answer")
    extra = {name: value for name, value in values.items() if name not in _KEYS}
    return Asked(str(own), answer=answer, tools=tuple(tools), calls=calls, extra=extra, **texts)
