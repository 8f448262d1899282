"""What may go wrong while a program runs.

    Exception
    +-- StepFailed            a step gave no value: caught by a fallback (`a() else b()`), or the run fails
    |   +-- BudgetRefused     the budget has no room for the call, so it was not made
    |   +-- Stopped           another step failed for good, so this one was not started
    +-- RunFailed             the run ended without a value; carries what it did until then
    |   +-- BudgetExceeded    ... because the budget refused a call
    |   +-- RunStopped        ... because `should_stop` said so
    +-- NotInJournal          a run that is only replayed needs what its journal does not have
    +-- ShapeError            a value does not have the declared type (a ValueError)
    +-- InputError            an input of a run is missing, unknown or of another type (a ValueError)

`ModelError` (`masdsl.runtime.models.base`) never leaves a step: it becomes a retry, a default or a `StepFailed`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from masdsl.runtime.result import Result
    from masdsl.runtime.state import State


class StepFailed(Exception):
    """A step gave no value after its retries, and its declaration has no default.

    `step` is its address, such as `main.refine.code[1]`; `reason` is one sentence for a person, without a full stop.
    """

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step
        self.reason = reason
        self.beside: tuple[StepFailed, ...] = ()
        """Failures of other steps that went the same way, of which this one was the first."""

    def all(self) -> list[StepFailed]:
        """Return this failure and all beside it, whichever way they came."""
        found: dict[int, StepFailed] = {}
        pending: list[StepFailed] = [self]
        while pending:
            failure = pending.pop()
            if id(failure) not in found:
                found[id(failure)] = failure
                pending.extend(failure.beside)
        return list(found.values())


class BudgetRefused(StepFailed):
    """The call does not fit what is left of `limit` (calls, tokens, usd or seconds), so it was not made."""

    def __init__(self, step: str, reason: str, *, limit: str) -> None:
        super().__init__(step, reason)
        self.limit = limit


class Stopped(StepFailed):
    """The step was not started, because its flow is ending: another step has failed."""


class RunFailed(Exception):
    """The run gave no value.

    `step` is the address of the step that failed for good, `reason` says why. `result` is what the run did until then:
    its value is None, its counts and events are complete, with every call that was under way at that time. `state` is
    where the run stands, for whoever repairs it.
    """

    def __init__(self, step: str, reason: str, result: Result, state: State | None = None) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step
        self.reason = reason
        self.result = result
        self.state = state


class BudgetExceeded(RunFailed):
    """The run gave no value because a call that it needed did not fit the budget."""


class RunStopped(RunFailed):
    """The run was stopped softly: `should_stop` gave `reason`, and `step` is one that was not begun for that.

    What was under way has ended and was paid for, and is in the journal if the run has one.
    """


class NotInJournal(Exception):
    """A run that is only replayed needs something that its journal does not have; nothing was called.

    `step` is the address of the step, `reason` says what is missing. `result` is what the run did until then.
    """

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step
        self.reason = reason
        self.result: Result | None = None


class ShapeError(ValueError):
    """A value does not have the declared type.

    `where` is the path to the part that does not fit (`issues[2]`, empty for the whole), `expected` what should be
    there, `got` what is.
    """

    def __init__(self, where: str, expected: str, got: str) -> None:
        super().__init__(f"{f'at `{where}`: ' if where else ''}expected {expected}, got {got}")
        self.where = where
        self.expected = expected
        self.got = got


class InputError(ValueError):
    """The inputs of a run do not fit the flow's parameters."""
