"""What a reply of a generator is worth, by the compiler and the executor: rewards for GRPO, without a model of rewards.

parses    a program can be taken out of it that has no mistake of syntax
checks    and the checker finds no error
fits      and it has the signature, no more calls at worst than there are, and a model decides about its answer
right     and what it answers, run on the query, is graded: from 0 to 1

These are the stages of `training.rates`, so what is trained for is what is measured. Each is 0 where the one before is:
a program that gives a constant earns nothing by luck. TRL (`GRPOTrainer`) calls a reward with lists and takes the
weighted sum; nothing here needs TRL. Source of the idea: GRPO, arXiv:2402.03300; which rewards there are is ours. A
reply that was written before for a query is not judged again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from masdsl.batch.base import Sample
from masdsl.batch.graders import grader_of
from masdsl.batch.grading import GraderFault
from masdsl.config import DEFAULT_TIER
from masdsl.meta.host import Host, model_for
from masdsl.meta.trained import messages_of
from masdsl.runtime.models.base import ModelError
from training.rates.asking import Asked
from training.rates.measuring import Measured, follow
from training.stage.faults import TrainingFault

Reward: TypeAlias = Callable[..., list[float]]
STAGES: Final = {"parses": "parses", "checks": "checks", "fits": "fits", "right": "score"}
"""The rewards, and what of a measurement each of them is."""


class Judge:
    """Judges replies to queries, by their numbers, and remembers what it has seen; `at_once` runs are under way.

    Raises TrainingFault for queries that cannot be graded, and where no model can be asked.
    """

    def __init__(self, host: Host, asked: Sequence[Asked], *, at_once: int = 8) -> None:
        self._host, self._asked, self._at_once = host, tuple(asked), at_once
        self._known: dict[tuple[str, int], Measured] = {}
        for one in asked:
            fault = _fault_of(one)
            if fault:
                raise TrainingFault(f"the query `{one.id}` cannot be graded: {fault}")
        try:
            model_for(host, DEFAULT_TIER)
        except ModelError as error:
            place = host.config.path or "mas.toml"
            raise TrainingFault(f"systems cannot be run here: {error}; set up a model in {place}") from None

    def prompts(self) -> list[list[dict[str, str]]]:
        """Return what a trained generator is asked for each query, as messages."""
        return [
            [
                {"role": message.role, "content": message.content}
                for message in messages_of(one.query, one.signature, one.tools, one.calls)
            ]
            for one in self._asked
        ]

    async def judged(self, replies: Sequence[str], numbers: Sequence[int]) -> list[Measured]:
        """Return what becomes of replies, each to the query of its number."""
        pairs = list(zip(replies, numbers, strict=True))
        new = [one for one in dict.fromkeys(pairs) if one not in self._known]
        gate = asyncio.Semaphore(self._at_once)

        async def one_of(reply: str, number: int) -> Measured:
            async with gate:
                return await follow(reply, self._asked[number], self._host)

        found = await asyncio.gather(*(one_of(*one) for one in new))
        self._known.update(zip(new, found, strict=True))
        return [self._known[one] for one in pairs]


def _fault_of(asked: Asked) -> str:
    if asked.answer is None or not asked.grader:
        return "it has no answer, or no grader; give it both (see docs/eval.md)"
    try:
        grader = grader_of(asked.grader)
    except GraderFault as fault:
        return str(fault)
    return grader.fault_of(Sample(0, {"query": asked.query}, asked.answer, asked.extra)) if grader else ""


def said(completion: Any) -> str:
    """Return the text of a completion of TRL's: a text, or messages of which the last one counts."""
    if isinstance(completion, str):
        return completion
    return str(completion[-1]["content"]) if completion else ""


def rewards_of(judge: Judge) -> tuple[Reward, ...]:
    """Return the rewards as TRL calls them, in the order of `STAGES`: with completions and the column `sample`."""

    def reward_of(name: str, field: str) -> Reward:
        def reward(completions: Sequence[Any], sample: Sequence[int], **rest: Any) -> list[float]:
            found = asyncio.run(judge.judged([said(one) for one in completions], sample))
            return [float(getattr(one, field)) for one in found]

        reward.__name__ = name  # as which TRL logs it
        return reward

    return tuple(reward_of(name, field) for name, field in STAGES.items())
