"""How well a system does: its flow is run on queries with answers, one by one, and what it takes is counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from masdsl.batch.likeness import says
from masdsl.meta.ledger import spent_by
from masdsl.meta.task import Spent
from masdsl.runtime.failures import InputError, RunFailed, StepFailed
from masdsl.runtime.shapes import plain

if TYPE_CHECKING:
    from masdsl.batch.base import Sample
    from masdsl.check.program import Program
    from masdsl.meta.host import Host


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


# ---------------------------------------------------------------- running


async def evaluate(
    program: Program, key: str, samples: Sequence[Sample], host: Host, *, seed: int = 0
) -> tuple[Evaluation, tuple[Answered, ...]]:
    """Run a flow of a checked program, by its key, on samples; return the counts, and what became of each.

    A run that fails is a wrong answer, and what it took counts.
    """
    loaded = host.loaded(program)
    name = list(loaded.compiled.flows)[[flow.key for flow in program.flows].index(key)]
    answered: list[Answered] = []
    whole = Spent()
    for number, sample in enumerate(samples):
        try:
            result = await loaded.start(name, sample.inputs, rectifier=False, seed=seed + number)
            value = plain(result.value)
            answered.append(Answered(value, says(value, sample.answer)))
            whole = whole.plus(spent_by(result))
        except RunFailed as failure:
            answered.append(Answered(None, False, f"{failure.step}: {failure.reason}"))
            whole = whole.plus(spent_by(failure.result))
        except (InputError, StepFailed) as fault:
            answered.append(Answered(None, False, str(fault)))
    right, failed = sum(one.right for one in answered), sum(bool(one.failed) for one in answered)
    return Evaluation(len(answered), right, failed, whole), tuple(answered)
