"""What the rows of a construction, and the prompts that a teacher proposed for them, do in the simulated world.

Both are measured by runs that nothing was decided by: of rows on held-out queries, without a model that has learned
them; of prompts on their own query, with other seeds than those that decided whether they were kept.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from masdsl.batch.systems import config_of
from masdsl.meta.host import Host
from training.data.export import Example
from training.data.pools import Query
from training.data.refinement import Refined, patched
from training.experiments.parts.running import Did, World, kept, mean
from training.worlds.methods import methods_in

Kind: TypeAlias = Literal["fits", "misleads", "neither"]
KINDS: Final[tuple[Kind, ...]] = ("fits", "neither", "misleads")


class Made(NamedTuple):
    """Rows of an arm, and what became of the units of its queries by the teacher."""

    rows: tuple[Example, ...]
    units: Mapping[tuple[str, ...], Refined]
    card: Mapping[str, Any]
    folder: str


# ---------------------------------------------------------------- rows


class Copied(NamedTuple):
    """Runs of rows' programs on a held-out query: the mean score, and the mean of tokens."""

    score: float
    tokens: float


def copied(
    draws: Sequence[Made],
    chosen: set[str],
    queries: Mapping[str, Query],
    asked: Sequence[Query],
    folder: str,
    out: str,
    copies: int,
) -> list[Copied]:
    """Return what the rows of an arm do for queries held out, as copied: each gets rows of its family in turn.

    That is what a generator would do that had learned the rows by heart, and nothing else. `draws` are constructions of
    one arm, which differ by chance; `copies` is how many rows of each a query is answered by.
    """
    world = World(folder, asked)
    found: dict[str, list[Did]] = {one.id: [] for one in asked}
    for draw, made in enumerate(draws):
        given: dict[str, list[tuple[str, Query]]] = {}
        met: Counter[str] = Counter()
        for query in asked:
            family = str(query.metadata["family"])
            rows = [one for one in made.rows if one.id in chosen and queries[one.id].metadata["family"] == family]
            for copy in range(copies if rows else 0):
                row = rows[met[family] % len(rows)]
                met[family] += 1
                own = query._replace(id=f"{query.id}/copy {draw} {copy}")
                given.setdefault(row.program, []).append((query.id, own))
        for program, several in given.items():
            runs = [own for _, own in several]
            did = kept(
                out, "copied", [program, [one.id for one in runs]], partial(world.runs, program, runs, seed=2_000)
            )
            for (name, _), one in zip(several, did, strict=True):
                found[name].append(one)
    return [Copied(mean([one.score for one in did]), mean([one.tokens for one in did])) for did in found.values()]


# ---------------------------------------------------------------- prompts


class Tried(NamedTuple):
    """A patch that was scored: its kind, what was decided, and the scores of runs without and with it."""

    arm: str
    kind: Kind
    accepted: bool
    before: tuple[float, ...]
    after: tuple[float, ...]

    def taken(self, runs: int) -> float:
        """Return how often it would be taken if so many runs decided."""
        parts = range(0, len(self.before) - runs + 1, runs)
        return fmean(sum(self.after[at : at + runs]) >= sum(self.before[at : at + runs]) for at in parts)

    @property
    def change(self) -> float:
        """What it really does to the share of right answers, as far as that many runs can tell."""
        return fmean(self.after) - fmean(self.before)


def kind_of(patch: str, family: str) -> Kind:
    """Return whether a patch brings in a method of the family, one of another, or none."""
    found = methods_in(patch)
    return "fits" if family in found else "misleads" if found else "neither"


def tried(arms: Mapping[str, Made], queries: Mapping[str, Query], folder: str, out: str, samples: int) -> list[Tried]:
    """Run every patch that was scored for one query, and its base, so many times."""
    world = World(folder, list(queries.values()))
    host = Host(config_of(os.path.join(folder, "systems", "pool.mas")))
    found = []
    for arm, made in arms.items():
        base_of = {one.id: one.provenance["system"] for one in made.rows}
        for (name,), unit in sorted(made.units.items()):
            if name not in base_of:
                continue
            query = queries[name]
            with open(os.path.join(made.folder, "systems", f"{base_of[name]}.mas"), encoding="utf-8") as file:
                base = file.read()
            before = _scores(base, query, world, out, samples)
            for one in unit.attempts:
                kind = kind_of(one.patch, str(query.metadata["family"]))
                after = _scores(patched(one.patch, base, host), query, world, out, samples)
                found.append(Tried(arm, kind, one.accepted, before, after))
    return found


def _scores(text: str, query: Query, world: World, out: str, samples: int) -> tuple[float, ...]:
    """Return the scores of so many runs of a system on one query, with seeds that nothing else has."""
    several = [query._replace(id=f"{query.id}/prompt {number}") for number in range(samples)]
    ran = kept(out, "prompt", [text, query.id, samples], lambda: world.runs(text, several, seed=1_000))
    return tuple(one.score for one in ran)
