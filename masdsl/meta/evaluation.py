"""How well a system does: its flow is run on queries with answers, one by one, and what it takes is counted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from masdsl.batch.likeness import says
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.library import DamagedQuery
from masdsl.meta.ledger import spent_by
from masdsl.meta.task import Spent
from masdsl.node import Span
from masdsl.runtime.failures import InputError, RunFailed, StepFailed
from masdsl.runtime.shapes import plain
from masdsl.source import Source

if TYPE_CHECKING:
    from masdsl.check.program import Flow, Program
    from masdsl.meta.host import Host

MOST_QUERIES: Final = 10_000
"""Lines of data that are read at most."""


class Query(NamedTuple):
    """A line of data: what a flow gets, and what it has to answer."""

    inputs: Mapping[str, Any]
    answer: Any


class Evaluation(NamedTuple):
    """What a system gave on some queries: how many it was asked and answered rightly, how many runs `failed`, cost."""

    runs: int
    right: int
    failed: int = 0
    spent: Spent = Spent()

    @property
    def share(self) -> float:
        """The share of right answers; 0 where there was no query."""
        return self.right / self.runs if self.runs else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return self._asdict() | {"spent": self.spent.to_json()}


class Answered(NamedTuple):
    """What became of one query; `value` is None and `failed` says why, where there is no answer."""

    value: Any
    right: bool
    failed: str = ""


# ---------------------------------------------------------------- data


def read_queries(source: Source, flow: Flow, findings: Findings) -> tuple[Query, ...]:
    """Return the queries of a text of JSON lines for a flow; what is wrong with a line is a finding at it.

    A `query` is the flow's parameter of this name, or the only one that has to be passed.
    """
    needed = [one.name for one in flow.params if not one.optional and one.default is None]
    names = [one.name for one in flow.params]
    own = "query" if "query" in names else needed[0] if len(needed) == 1 else ""
    queries: list[Query] = []
    at = 0
    for line in source.text.split("\n"):
        span = Span(at, at + len(line))
        at += len(line) + 1
        if not line.strip():
            continue
        fault = ""
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            findings.add(source, DamagedQuery(f"it is no JSON ({error})".replace("\n", " "), span=span))
            continue
        if not isinstance(entry, dict) or "answer" not in entry:
            fault = "it is no object with an `answer`"
        elif not isinstance(entry.get("inputs", {}), dict):
            fault = "`inputs` is no object"
        elif "query" in entry and not own:
            fault = f"the flow takes {', '.join(needed) or 'nothing'}, so it needs `inputs`"
        elif "query" not in entry and "inputs" not in entry:
            fault = "it has neither `query` nor `inputs`"
        if fault:
            findings.add(source, DamagedQuery(fault, span=span))
            continue
        inputs = {**entry.get("inputs", {}), **({own: entry["query"]} if "query" in entry else {})}
        missing = [name for name in needed if name not in inputs]
        unknown = [name for name in inputs if name not in names]
        if missing or unknown:
            what = f"`{missing[0]}` is missing" if missing else f"the flow takes no `{unknown[0]}`"
            findings.add(source, DamagedQuery(what, span=span))
            continue
        if len(queries) == MOST_QUERIES:
            findings.add(source, DamagedQuery(f"there are more than {MOST_QUERIES:,} lines", span=span))
            break
        queries.append(Query(inputs, entry["answer"]))
    return tuple(queries)


# ---------------------------------------------------------------- running


async def evaluate(
    program: Program, key: str, queries: Sequence[Query], host: Host, *, seed: int = 0
) -> tuple[Evaluation, tuple[Answered, ...]]:
    """Run a flow of a checked program, by its key, on queries; return the counts, and what became of each.

    A run that fails is a wrong answer, and what it took counts.
    """
    loaded = host.loaded(program)
    name = list(loaded.compiled.flows)[[flow.key for flow in program.flows].index(key)]
    answered: list[Answered] = []
    whole = Spent()
    for number, query in enumerate(queries):
        try:
            result = await loaded.start(name, query.inputs, rectifier=False, seed=seed + number)
            value = plain(result.value)
            answered.append(Answered(value, says(value, query.answer)))
            whole = whole.plus(spent_by(result))
        except RunFailed as failure:
            answered.append(Answered(None, False, f"{failure.step}: {failure.reason}"))
            whole = whole.plus(spent_by(failure.result))
        except (InputError, StepFailed) as fault:
            answered.append(Answered(None, False, str(fault)))
    right, failed = sum(one.right for one in answered), sum(bool(one.failed) for one in answered)
    return Evaluation(len(answered), right, failed, whole), tuple(answered)
