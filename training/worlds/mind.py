"""What a simulated model believes about a request: its answer, and its judgements of other answers.

The rules are those in the docstring of `training.worlds.simulator`.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import cached_property
from typing import Final, NamedTuple

from training.worlds.chance import correlated, logistic, pick, uniform
from training.worlds.methods import by_method
from training.worlds.reading import Seen
from training.worlds.tasks import FAMILIES, Task


class Family(NamedTuple):
    """What is alike for all models in a family of tasks.

    `common` is the share of chance that all samples of a model on a task have in common: votes help where it is small.
    `steps` and `program` are what thinking in steps, and writing a program or an expression, add to the skill.
    `checking` is added to a model's skill of judging answers: large where checking is easier
    than finding.
    """

    common: float
    steps: float
    program: float
    checking: float


RULES: Final = {
    "sums": Family(common=0.35, steps=0.9, program=1.3, checking=0.2),
    "choice": Family(common=0.85, steps=0.0, program=-1.0, checking=-0.8),
    "facts": Family(common=0.9, steps=0.0, program=-1.0, checking=-0.8),
    "puzzles": Family(common=0.25, steps=0.5, program=0.0, checking=1.4),
}
EXPERT: Final = 0.3
"""What being told to be an expert of the task's family adds; an expert of another one is no help."""
LENGTH: Final = 0.2
"""What each 1000 tokens of a prompt take away."""
DISCERNMENT: Final = 1.5
"""How much a judgement weighs against one more occurrence of an answer (whose logarithm counts)."""
COMMON_JUDGEMENT: Final = 0.4
WRONG_SHARES: Final = (0.6, 0.3, 0.1)
"""How likely each of the wrong answers is taken, the likeliest first: so wrong answers agree with each other, too."""


class Skills(NamedTuple):
    """What tells a model from others: log odds at difficulty 0, by family, and rates from 0 to 1.

    `judge` is the skill of judging answers, `reads` how often evidence is used, `tools` how often a tool is used where
    there is one for the task. `method` and `misfit` are what words of method add and take away, in log odds
    (`training.worlds.methods`).
    """

    skill: dict[str, float]
    judge: float
    reads: float
    tools: float
    method: float = 0.0
    misfit: float = 0.0


class Mind:
    """One model at one request. `common` names the model in its world, `own` the request and its seed as well."""

    def __init__(self, skills: Skills, seen: Seen, common: tuple[object, ...], own: tuple[object, ...]) -> None:
        self.skills = skills
        self.seen = seen
        self.common = common
        self.own = own

    @cached_property
    def strength(self) -> float:
        """Its skill for the task as it is asked, less the task's difficulty: log odds of being right at once."""
        task = self._task
        rules = RULES[task.family]
        strength = self.skills.skill[task.family] - task.difficulty
        strength += rules.steps if self.seen.steps else 0.0
        strength += EXPERT if self.seen.expert == task.family else 0.0
        if self.skills.method or self.skills.misfit:
            strength += by_method(self.seen.plain, task.family, self.skills.method, self.skills.misfit)
        return strength - LENGTH * self.seen.tokens / 1000

    @cached_property
    def first_thought(self) -> str:
        """The answer that it comes to by itself."""
        return self._drawn(self.strength, "answer")

    @cached_property
    def formal(self) -> int:
        """Which program or expression it writes: 0 for a right one, n for the one of the n-th wrong answer."""
        task = self._task
        drawn = self._drawn(self.strength + RULES[task.family].program, "program")
        return (task.answer, *task.wrong).index(drawn)

    @cached_property
    def answer(self) -> str:
        """The answer that it gives: by evidence, else by what it thinks and what it is shown."""
        seen = self.seen
        if seen.evidence is not None and uniform("reads", *self.own) < self.skills.reads:
            return seen.evidence
        if not seen.candidates:
            return self.first_thought
        counts = Counter([*seen.candidates, self.first_thought])
        return max(
            counts, key=lambda one: math.log(counts[one]) + (DISCERNMENT if self.believes(one) else -DISCERNMENT)
        )

    def believes(self, answer: str) -> bool:
        """Whether it takes an answer for the right one."""
        task = self._task
        if self.seen.evidence is not None and uniform("reads", *self.own) < self.skills.reads:
            return answer == self.seen.evidence
        checking = self.skills.judge + RULES[task.family].checking - task.difficulty / 2
        draw = correlated(COMMON_JUDGEMENT, ("judge", *self.common, task.id, answer), ("judge", *self.own, answer))
        return (answer == task.answer) == (draw < logistic(checking))

    @property
    def judged(self) -> str:
        """The answer that is judged: the last one it is shown, else its own."""
        return self.seen.candidates[-1] if self.seen.candidates else self.first_thought

    @cached_property
    def approves(self) -> bool:
        """Whether it approves of what it is shown; without a task it does."""
        return self.seen.task is None or self.believes(self.judged)

    @cached_property
    def kind(self) -> str:
        """The family that it takes the task for: the right one in nine of ten cases."""
        if self.seen.task is None or uniform("kind", *self.own) >= 0.9:
            return pick(FAMILIES, "wrong kind", *self.own)
        return self.seen.task.family

    def uses_tool(self) -> bool:
        """Whether it uses a tool that fits the task."""
        return uniform("tool", *self.own) < self.skills.tools

    @property
    def _task(self) -> Task:
        assert self.seen.task is not None
        return self.seen.task

    def _drawn(self, strength: float, what: str) -> str:
        task = self._task
        share = RULES[task.family].common
        if correlated(share, (what, *self.common, task.id), (what, *self.own)) < logistic(strength):
            return task.answer
        left = correlated(share, ("wrong", *self.common, task.id), ("wrong", what, *self.own))
        shares = WRONG_SHARES[: len(task.wrong)]
        for answer, part in zip(task.wrong, shares, strict=False):
            left -= part / sum(shares)
            if left < 0:
                return answer
        return task.wrong[len(shares) - 1]
