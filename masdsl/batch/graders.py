"""Graders: how well a value answers a sample, from 0 to 1. `docs/eval.md` has their rules with examples.

exact       it says the same as the answer
numeric     it states the same number, within a tolerance: numeric:rel=1e-3,abs=0.01
choice      it names the right option, by letter or by text
set_f1      F1 of the items of two lists
token_f1    F1 of the words of two texts, as SQuAD counts it
code        it is Python that passes the sample's tests in the sandbox: code:seconds=10
judge       a flow of a program says how good it is: judge:PROGRAM.mas,out_of=10
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from masdsl.batch.base import Sample
from masdsl.batch.likeness import option_in, options_of, right_option, says, set_f1, token_f1
from masdsl.batch.numbers import SMALLEST, number_of, same_number
from masdsl.diagnostics.suggest import nearest

if TYPE_CHECKING:
    from masdsl.config import Config
    from masdsl.journal import Journal
    from masdsl.runtime.program import Models


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


def grader_of(
    spec: str, folder: str = "", *, config: Config | None = None, models: Models | None = None
) -> Grader | None:
    """Return the grader that a text names (`NAME` or `NAME:ARGUMENTS`); None for an empty text.

    `folder` is where the path of a judge begins. `config` and `models` are what a judge runs on: by default the
    configuration of its folder, and the models of that.

    Raises:
        GraderFault: there is no such grader, or it cannot work here; nothing was run yet.
    """
    if not spec.strip():
        return None
    name, _, rest = spec.strip().partition(":")
    if name == "judge":
        from masdsl.batch.judging import judge_of

        return judge_of(rest, folder, config, models)
    if name == "code":
        from masdsl.batch.code_tests import code_grader_of

        return code_grader_of(rest)
    if name == "numeric":
        return _numeric_of(rest)
    if name not in _PLAIN:
        near = nearest(name, NAMES)
        advice = f"did you mean `{near}`?" if near else f"there are {', '.join(NAMES)}"
        raise GraderFault(f"there is no grader `{name}`; {advice}")
    if rest:
        raise GraderFault(f"the grader `{name}` takes no arguments, and `{rest}` was given")
    score, fault = _PLAIN[name]
    return _Plain(name, score, fault)


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


# ---------------------------------------------------------------- by the value alone


class _Plain(NamedTuple):
    """A grader that needs nothing but the value and the sample."""

    spec: str
    grade: Callable[[Any, Sample], float]
    fault: Callable[[Sample], str]

    def fault_of(self, sample: Sample) -> str:
        """See Grader."""
        return self.fault(sample)

    async def score(self, value: Any, sample: Sample, *, seed: int = 0, kept: Kept | None = None) -> Score:
        """See Grader."""
        return Score(self.grade(value, sample))


def _numeric_of(text: str) -> Grader:
    given = arguments_of("numeric", text, {"rel": "a share of the answer", "abs": "a distance"})
    relative = given.get("rel", Fraction(0))
    absolute = given.get("abs", SMALLEST if "rel" not in given else Fraction(0))

    def grade(value: Any, answer: Any) -> bool:
        """Whether the numbers are the same; a list, and a text that is one, is compared item by item with a list."""
        items = _list_in(value)
        if isinstance(answer, list):
            return items is not None and len(items) == len(answer) and all(map(grade, items, answer))
        if items is not None:
            return False
        found, wanted = number_of(value), number_of(answer)
        return (
            found is not None
            and wanted is not None
            and same_number(found, wanted, relative=relative, absolute=absolute)
        )

    def fault(sample: Sample) -> str:
        answers = sample.answer if isinstance(sample.answer, list) else [sample.answer]
        return "" if all(number_of(one) is not None for one in answers) else "its answer has no number"

    return _Plain(
        "numeric" + (f":{text}" if text else ""), lambda value, sample: float(grade(value, sample.answer)), fault
    )


def _list_in(value: Any) -> list[Any] | None:
    """Return the list that a value is: also of a text that is one as JSON, and of the field `answer` of a record."""
    if isinstance(value, dict):
        return _list_in(value.get("answer"))
    if isinstance(value, str) and value.strip().startswith("["):
        import json

        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, list) else None


def _choice(value: Any, sample: Sample) -> float:
    options = options_of(sample.extra)
    right = right_option(sample.answer, options)
    return float(right is not None and option_in(value, options) == right)


def _choice_fault(sample: Sample) -> str:
    options = options_of(sample.extra)
    if right_option(sample.answer, options) is not None:
        return ""
    return "its answer is no option: neither letter, number nor text of one" + (
        "" if options else ", and it has no `options`"
    )


def _answer_fault(sample: Sample) -> str:
    return "it has no answer" if sample.answer is None else ""


_PLAIN: Final[Mapping[str, tuple[Callable[[Any, Sample], float], Callable[[Sample], str]]]] = {
    "exact": (lambda value, sample: float(says(value, sample.answer)), _answer_fault),
    "choice": (_choice, _choice_fault),
    "set_f1": (lambda value, sample: set_f1(value, sample.answer), lambda sample: ""),
    "token_f1": (lambda value, sample: token_f1(value, sample.answer), lambda sample: ""),
}
NAMES: Final = ("exact", "numeric", "choice", "set_f1", "token_f1", "code", "judge")
"""The names of all graders."""


def path_in(folder: str, path: str) -> str:
    """Return an absolute path; a relative one begins at a folder."""
    return os.path.abspath(os.path.join(folder, path))
