"""Rows for the shipped generator: what is trained on, what is held out, and the data card.

data.jsonl      rows for SFT (`training.data.export`)     card.json, card.md  lengths, programs, how systems were chosen
held-out.jsonl  queries for `python -m training.rates`    evaluation.jsonl    the first of them, for a trainer
answers.jsonl   those with a gold answer, all with `ANSWER_CALLS` calls, so that systems are compared with like means
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from masdsl.batch.rows import DataFault
from masdsl.batch.systems import config_of, identity
from masdsl.meta.host import Host, fit_of, shape_of
from masdsl.meta.task import Task
from masdsl.runtime import Limits
from training.data.export import Count, Example, Step, card_text, data_card, unique, write_examples
from training.data.grouping import Group
from training.data.pools import write_text
from training.data.scores import read_table
from training.data.selection import select
from training.generator.drawing import Drawn, Pool, draw
from training.generator.systems import BY_DESIGN, CANDIDATES, Designed, Wanted, designed

ANSWER_CALLS: Final = 6


class Selected(NamedTuple):
    """Which candidate the queries of a kind get: its name, its score over so many queries, what decided, the others."""

    kind: str
    system: str
    total: float
    queries: int
    decided: str
    scores: Mapping[str, tuple[float, float]]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {**self._asdict(), "scores": {name: list(one) for name, one in self.scores.items()}}


def selected(folders: Sequence[str]) -> tuple[Selected, ...]:
    """Return what evaluations of candidates (`masdsl.evaluate`) say for each kind, the column `family` of their rows.

    Inter-consistency (`training.data.selection`): the greatest sum of scores of a kind, of equals the cheapest. Raises
    DataFault for a folder without an evaluation, and for systems or kinds that are no candidates.
    """
    found = []
    for folder in folders:
        table = read_table(folder)
        names = [os.path.basename(one).removesuffix(".mas") for one in table.systems]
        kinds = _kinds_of(folder, table.queries)
        for kind in sorted(set(kinds)):
            unknown = set(names) - set(CANDIDATES.get(kind, ()))
            if unknown:
                raise DataFault(f"{folder}: no candidate of the kind `{kind}`: {', '.join(sorted(unknown))}")
            members = tuple(number for number, one in enumerate(kinds) if one == kind)
            (choice,) = select(table, [Group(kind, members)], names)
            scores = {}
            for name, cells in zip(names, table.cells, strict=True):
                known = [cell for one in members if (cell := cells[one]) is not None]
                scores[name] = (sum(cell.score for cell in known), sum(cell.cost for cell in known))
            system = BY_DESIGN[kind] if choice.system is None else names[choice.system]
            decided = "design: nothing solved a query" if choice.system is None else choice.decided
            found.append(Selected(kind, system, choice.total, len(members), decided, scores))
    return tuple(found)


def _kinds_of(folder: str, count: int) -> list[str]:
    with open(os.path.join(folder, "samples.jsonl"), encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    kinds = [row.get("extra", {}).get("family") for row in rows]
    if len(kinds) != count or not all(isinstance(one, str) for one in kinds):
        raise DataFault(f"{folder}: its queries do not say of which kind they are; give each row a `family`")
    return kinds


class Made(NamedTuple):
    """What was made: the rows, the queries that are held out, and the data card."""

    examples: tuple[Example, ...]
    held_out: tuple[dict[str, Any], ...]
    card: dict[str, Any]


def make(
    out: str,
    *,
    each: int,
    held_out: int,
    pools: Sequence[Pool] = (),
    evaluations: Sequence[str] = (),
    seed: int = 0,
    count: Count | None = None,
) -> Made:
    """Make rows and held-out queries in a folder, `each` and `held_out` of a kind.

    Raises DataFault for what cannot be read, and for a system that does not fit its query, which is a fault here.
    """
    host = Host(config_of(os.path.join(os.path.abspath(out), "program.mas")))
    choices = selected(evaluations)
    chosen = {one.kind: one.system for one in choices}
    drawn = draw(each, pools, seed, held_out=False)
    examples = unique([_example(number, one, chosen, host) for number, one in enumerate(drawn)])
    kept = tuple(_row(number, one) for number, one in enumerate(draw(held_out, pools, seed, held_out=True)))
    steps = (Step("queries drawn", len(drawn), len(drawn)), Step("examples", len(drawn), len(examples), "no two alike"))
    more = {
        "seed": seed,
        "kinds": dict(sorted(Counter(one.kind for one in drawn).items())),
        "held out": len(kept),
        "held out with a gold answer": sum("answer" in one for one in kept),
        "systems that were measured": [one.to_json() for one in choices],
        "systems by design": sorted({one.kind for one in drawn} - set(chosen)),
    }
    card = data_card(examples, steps, count, more)
    os.makedirs(out, exist_ok=True)
    write_examples(examples, os.path.join(out, "data.jsonl"), "compact")
    golden = tuple({**one, "calls": ANSWER_CALLS} for one in kept if "answer" in one)
    for name, rows in (("held-out.jsonl", kept), ("evaluation.jsonl", kept[:24]), ("answers.jsonl", golden)):
        write_text(os.path.join(out, name), "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows))
    write_text(os.path.join(out, "card.json"), json.dumps(card, indent=2, ensure_ascii=False) + "\n")
    write_text(os.path.join(out, "card.md"), card_text(card))
    return Made(examples, kept, card)


def _row(number: int, one: Drawn) -> dict[str, Any]:
    row: dict[str, Any] = {"id": f"{one.kind}-{number}", "family": one.kind, "query": one.query}
    row |= {"signature": one.signature, "tools": list(one.tools), "calls": one.calls}
    return row if one.answer is None else {**row, "answer": one.answer, "grader": one.grader}


def _example(number: int, one: Drawn, chosen: Mapping[str, str], host: Host) -> Example:
    made = designed(Wanted(one.kind, one.signature, one.tools, one.calls), chosen)
    program = _fitting(one, made, host)
    provenance = {"kind": one.kind, "chosen_by": "measured" if one.kind in chosen else "design"}
    name = f"{one.kind}-{number:04}"
    return Example(
        name, one.query, made.reasons, made.program, identity(program), provenance, one.signature, one.tools, one.calls
    )


def _fitting(one: Drawn, made: Designed, host: Host) -> Any:
    task = Task(one.query, one.signature, Limits(calls=one.calls), one.tools)
    fit = fit_of(made.program, shape_of(task, host), host, task.budget)
    if fit.program is None:
        raise DataFault(f"the system for `{one.query[:60]}` ({one.kind}) does not fit: {fit.diagnostics[0]}")
    return fit.program
