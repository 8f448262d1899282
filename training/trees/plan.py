"""What a growth of trees is to do, as a file in TOML says it (`training/configs/trees.toml` names every key)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Final, Literal, NamedTuple

from masdsl.meta.design import CANDIDATES, EXAMPLES
from masdsl.runtime.meter import Limits
from training.stage.settings import Count, Path, Positive, Range, read_settings

RULES: Final = "rules"
NOBODY: Final = "nobody"
Share = Annotated[float, Range(above=0, most=1)]
Cause = Literal["timeout", "overloaded", "refused", "malformed", "too_long", "unavailable", "tool", "budget", "other"]


class Queries(NamedTuple):
    """The data sets of queries with their right answers, as `masdsl.batch` reads them."""

    paths: tuple[Path, ...]
    limit: Positive | None = None
    columns: Mapping[str, str] = {}


class World(NamedTuple):
    """The folder at or above which the `mas.toml` is; by default that of the first data set."""

    folder: Path | None = None


class Branches(NamedTuple):
    """How many options each decision has; K = 4 and N = 2 are the paper's, the rest is ours (`trees.tree.Shape`).

    `alone` makes leaving a run alone one more option beside `repairs` patches; `rounds` bounds repairs on a path.
    """

    templates: Positive = 4
    bindings: Positive = 2
    repairs: Positive = 2
    rounds: Annotated[int, Range(least=0, most=8)] = 3
    alone: bool = True


class Player(NamedTuple):
    """Who plays a role: a tier or model of the `mas.toml`, `rules`, or `nobody`; and how a model is asked.

    A model has one try for each option: what it writes is what it is judged by. `temperature` None leaves it to the
    model; the paper names none. `constrained` lets models write under the decoder that take grammars. `asked` says
    whether it is told all about the language, or, as one that was trained for the role, only what it decides about.
    """

    by: str = "smart"
    temperature: Annotated[float, Range(least=0)] | None = 1.0
    reply_tokens: Positive = 900
    reasoning_tokens: Count = 200
    constrained: bool = True
    asked: Literal["guided", "trained"] = "guided"


class Generator(NamedTuple):
    """pi_gen: as `Player`; what it is shown, and where templates come from for `rules` and `nobody`.

    `asked` says whether it is shown the guide and examples, or, as a model is asked that `training.sft` has trained,
    the query, the head of the flow, tools and calls alone. Pairs have these words as their prompt.
    """

    by: str = "smart"
    temperature: Annotated[float, Range(least=0)] | None = 1.0
    reply_tokens: Positive = 900
    reasoning_tokens: Count = 200
    constrained: bool = True
    asked: Literal["guided", "trained"] = "guided"
    examples: Count = EXAMPLES
    candidates: Positive = CANDIDATES
    systems: tuple[Path, ...] = ()


class Runs(NamedTuple):
    """What a run of a system may take, theta_C as a share of it, and the tools that a system may use.

    `outages` are the causes of a failure that are nobody's fault: what follows from such a run, nobody knows.
    """

    calls: Positive | None = 40
    tokens: Positive | None = None
    usd: Annotated[float, Range(above=0)] | None = None
    seconds: Annotated[float, Range(above=0)] | None = None
    theta: Share | None = None
    tools: tuple[str, ...] | None = None
    outages: tuple[Cause, ...] = ("overloaded", "unavailable")

    @property
    def limits(self) -> Limits:
        """What one run may take."""
        return Limits(calls=self.calls, tokens=self.tokens, usd=self.usd, seconds=self.seconds)

    def contradiction(self) -> tuple[str, str] | None:
        """Return the key that contradicts others, and why."""
        if self.theta is not None and self.limits == Limits():
            return "theta", "it is a share of a limit, and there is none; add calls, tokens, usd or seconds"
        return None


class Success(NamedTuple):
    """R_p: a grader of `masdsl.batch`, and the score from which an answer is right."""

    grader: str
    threshold: Share = 1.0


class Work(NamedTuple):
    """How the trees are grown. A worker is a process; with none they are grown in this one."""

    engine: Literal["local", "ray"] = "local"
    workers: Count = 1
    at_once: Positive = 8
    seed: Count = 0


class Plan(NamedTuple):
    """A whole configuration."""

    queries: Queries
    success: Success
    world: World = World()
    branches: Branches = Branches()
    generator: Generator = Generator()
    implementer: Player = Player()
    rectifier: Player = Player()
    runs: Runs = Runs()
    work: Work = Work()

    @property
    def folder(self) -> str:
        """Where the `mas.toml` is looked for."""
        return self.world.folder or os.path.dirname(os.path.abspath(self.queries.paths[0]))

    def contradiction(self) -> tuple[str, str] | None:
        """Return the table that contradicts others, and why."""
        if not self.queries.paths:
            return "queries", 'it has no paths; write paths = ["train.jsonl"]'
        if {self.generator.by, self.implementer.by, self.rectifier.by} == {NOBODY}:
            return "generator", "nobody plays any role, so there is nothing to decide; name who plays one of them"
        return None


def read_plan(path: str) -> Plan:
    """Return the plan in a file; paths are relative to it. Raises training.stage.settings.SettingsFault."""
    return read_settings(path, Plan)
