"""What a construction is to do, as a file in TOML says it (`training/configs/data.toml` names every key)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from training.data.export import Form
from training.stage.settings import Count, Path, Positive, read_settings


class Queries(NamedTuple):
    """Data sets of queries; `limit` rows of each; `columns` are other names of columns."""

    paths: tuple[Path, ...]
    limit: Positive | None = None
    columns: Mapping[str, str] | None = None

    def contradiction(self) -> tuple[str, str] | None:
        """Return what cannot be: no path."""
        return None if self.paths else ("paths", "[queries] needs `paths`: name a data set")


class Systems(NamedTuple):
    """The pool of systems; `most_calls` bounds their proved worst case."""

    paths: tuple[Path, ...]
    most_calls: Positive | None = None
    tools: bool = False

    def contradiction(self) -> tuple[str, str] | None:
        """Return what cannot be: no path."""
        return None if self.paths else ("paths", "[systems] needs `paths`: name `.mas` files or a folder of them")


class Evaluation(NamedTuple):
    """How systems are run and graded: options of `masdsl.evaluate`; None is its default."""

    grader: str
    model: str | None = None
    engine: str | None = None
    cache: Path | None = None
    budget: str | None = None
    repetitions: Positive | None = None
    seed: Count | None = None
    workers: Count | None = None
    at_once: Positive | None = None

    def contradiction(self) -> tuple[str, str] | None:
        """Return what cannot be: no grader."""
        return None if self.grader else ("grader", "[evaluation] needs `grader`, such as exact or numeric")


class Groups(NamedTuple):
    """Which queries get one system, and which one; `count` None is sqrt(n / 2).

    By `query` each is a group of its own. The system is the best one (inter-consistency), or any: a choice at random,
    to compare with.
    """

    by: Literal["metadata", "meaning", "words", "query"] = "metadata"
    fields: tuple[str, ...] = ("source",)
    count: Positive | None = None  # type: ignore[assignment]  # hides tuple.count, which nobody needs
    seed: Count = 0
    system: Literal["best", "random"] = "best"


class Refinement(NamedTuple):
    """Who refines prompts (a tier; None: nobody), how often it may try, for what, and what it may take in all.

    `repetitions` is over how many runs on each query a prompt's score is the mean; None is that of the evaluation.
    """

    teacher: str | None = None
    tries: Count = 2
    unit: Literal["query", "group"] = "query"
    budget: str | None = None
    repetitions: Positive | None = None


class Export(NamedTuple):
    """What examples look like, and which are kept."""

    form: Form = "compact"
    keep: Literal["solved", "all"] = "solved"
    tokenizer: Path | None = None


class Plan(NamedTuple):
    """The tables of a configuration, with absolute paths."""

    queries: Queries
    systems: Systems
    evaluation: Evaluation
    groups: Groups = Groups()
    refinement: Refinement = Refinement()
    export: Export = Export()


def read_plan(path: str) -> Plan:
    """Return the plan in a file; paths are relative to it. Raises SettingsFault."""
    return read_settings(path, Plan)
