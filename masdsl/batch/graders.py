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

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from masdsl.batch.base import Sample
from masdsl.batch.grading import Grader, GraderFault, Kept, Score, arguments_of
from masdsl.batch.likeness import option_in, options_of, right_option, says, set_f1, token_f1
from masdsl.batch.numbers import SMALLEST, number_of, same_number
from masdsl.diagnostics.suggest import nearest

if TYPE_CHECKING:
    from masdsl.config import Config
    from masdsl.runtime.program import Models


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
