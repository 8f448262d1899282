"""What the commands of `training` end with: their own faults, and those of what they call."""

from __future__ import annotations

from typing import Final

from masdsl import ProgramError
from masdsl.batch.base import EngineFault
from masdsl.batch.budget import BadBudget
from masdsl.batch.evaluation import EvaluationFault
from masdsl.batch.grading import GraderFault
from masdsl.batch.plots import NoPlots
from masdsl.batch.rows import DataFault
from masdsl.journal import JournalError
from masdsl.meta.host import BadTask
from masdsl.runtime.models.base import ModelError


class TrainingFault(ValueError):
    """What a command of `training` cannot use. The text says what, where, why, and what to do next."""


class NothingMade(TrainingFault):
    """All that was given could be used, and nothing came of it; the text says why, and what to do next."""


FAULTS: Final = (
    BadBudget,
    BadTask,
    DataFault,
    EngineFault,
    EvaluationFault,
    GraderFault,
    JournalError,
    ModelError,
    NoPlots,
    ProgramError,
    TrainingFault,
)
"""Faults whose text is for the user: none of them is told as a traceback."""
