"""What a grader is, and what it says of a value; the graders themselves are in `graders.py`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from masdsl.batch.base import Sample
from masdsl.diagnostics.suggest import nearest

if TYPE_CHECKING:
    from masdsl.journal import Journal


class GraderFault(ValueError):
    """A grader that cannot be used: there is none of that name, its arguments are wrong, it lacks what it needs here.

    The text says what and what to do.
    """


class Score(NamedTuple):
    """What a grader says of a value. `score` is from 0 to 1; None, and `why`, where it could not be graded.

    `calls`, `tokens` and `picodollars` are what a model judge took for it.
    """

    score: float | None
    why: str = ""
    calls: int = 0
    tokens: int = 0
    picodollars: int = 0


class Kept(NamedTuple):
    """Where the run of a judge is kept, and as which run: one that is there already goes on and pays nothing twice."""

    journal: Journal
    run_id: str


class Grader(Protocol):
    """Says how well values answer samples. Two calls with the same arguments give the same, a model judge's aside."""

    @property
    def spec(self) -> str:
        """What it was made of, without what stands for nothing."""

    def fault_of(self, sample: Sample) -> str:
        """Return why no value can be graded on a sample; empty where all can."""

    async def score(self, value: Any, sample: Sample, *, seed: int = 0, kept: Kept | None = None) -> Score:
        """Grade a value (JSON data) on a sample. `seed` and `kept` are for the run of a model judge.

        Raises masdsl.journal.JournalError where a judge's run cannot be kept.
        """


def arguments_of(name: str, text: str, known: Mapping[str, str]) -> dict[str, Fraction]:
    """Return the numbers of a grader's arguments `KEY=NUMBER,KEY=NUMBER`; `known` says what each key is.

    Raises GraderFault for others, and for what is no positive number (0 is one).
    """
    found: dict[str, Fraction] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        key, _, said = (one.strip() for one in part.partition("="))
        if key not in known:
            near = nearest(key, known)
            told = ", ".join(f"{one}=.. ({what})" for one, what in known.items())
            advice = f"did you mean `{near}`?" if near else f"it takes {told}"
            raise GraderFault(f"the grader `{name}` takes no `{key}`; {advice}")
        try:
            found[key] = Fraction(said) if len(said) < 40 else Fraction(-1)
        except (ValueError, ZeroDivisionError):
            found[key] = Fraction(-1)
        if found[key] < 0:
            raise GraderFault(f"`{key}` of the grader `{name}` is a number from 0 on, as in {key}=0.01, not `{said}`")
    return found


def path_in(folder: str, path: str) -> str:
    """Return an absolute path; a relative one begins at a folder."""
    return os.path.abspath(os.path.join(folder, path))
