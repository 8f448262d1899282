"""MAS9xx: what goes wrong while a program or one of its tests runs, at the place in the program where it happened."""

from __future__ import annotations

from masdsl.diagnostics.base import Diagnostic, Label

SHORT = 60
"""Characters of a reason that still stand well beside an excerpt."""


class RunFailed(Diagnostic):
    """A run ended without a value, because a step failed that has no fallback.

    Why: a step fails when its model cannot be reached, or gives no reply of the declared type after all retries, or
    when a tool raises or takes too long. What the program says then (`else`) decides; where it says nothing, the run
    ends.

    To go on: give the step a fallback (`a(x) else b(x)`), its agent or tool a default (`-> int else 0`), or the agent
    more tries (`retry 2`). Calls that were made before the failure have been paid for; `mas run --events` shows them.
    """

    code = "MAS901"
    step: str
    reason: str
    reached: bool
    """Whether the step's model or tool was called at all; if not, what has to be mended is outside of the program."""

    def title(self) -> str:
        return f"the run failed at `{self.step}`"

    def label(self) -> str:
        return self.reason if len(self.reason) <= SHORT else "failed here"

    def help(self) -> str:
        advice = "give the step a fallback with `else`, or its agent a default or more tries with `retry`"
        if len(self.reason) <= SHORT and self.reached:
            return advice
        return f"{self.reason}; {advice}" if self.reached else self.reason


class BudgetExceeded(Diagnostic):
    """A run ended without a value, because the budget had no room for a call.

    Why: a call that does not fit is refused before anything is spent on it. So a run never costs more than its budget,
    and may end early.

    To go on: raise the budget, or spend less (fewer samples, shorter loops, smaller texts). `mas check --verbose` shows
    where calls are made. A fallback (`else`) with something cheaper lets a program end in order when money runs out.
    """

    code = "MAS902"
    step: str
    reason: str

    def title(self) -> str:
        return f"the budget ran out at `{self.step}`"

    def label(self) -> str:
        return self.reason

    def help(self) -> str:
        return (
            "raise the budget, or make fewer or smaller calls before; `mas check --verbose` shows where calls are made"
        )


class ExpectationFailed(Diagnostic):
    """A test expects something that does not hold.

    Why: the program did something else than the test says. Either may be wrong.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about the topic."
        flow main(topic) -> text {
          draft = writer(topic)
          return upper(draft)
        }
        test "a draft stays as it is" {
          given writer = "The sea."
          out = main("sea")
          expect out == "The sea."
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about the topic."
        flow main(topic) -> text {
          draft = writer(topic)
          return upper(draft)
        }
        test "a draft is written in capitals" {
          given writer = "The sea."
          out = main("sea")
          expect out == "THE SEA."
        }
    """

    code = "MAS910"
    test: str
    condition: str
    values: tuple[Label, ...]

    def title(self) -> str:
        return f"test `{self.test}`: `{self.condition}` does not hold"

    def label(self) -> str:
        return "does not hold"

    def help(self) -> str:
        return "change the program, or what the test expects of it"

    def labels(self) -> tuple[Label, ...]:
        return self.values


class FailedInTest(Diagnostic):
    """A test could not be finished, because the program failed in it.

    Why: a step failed that has no fallback. In a test, a step fails when its `given` says `fails` or `replies` with
    something that is not of the declared type, or when the budget refuses the call.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about the topic."
        flow main(topic) -> text {
          draft = writer(topic)
          return draft
        }
        test "it copes with a failure" {
          given writer fails
          out = main("sea")
          expect out == ""
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about the topic."
        flow main(topic) -> text {
          draft = writer(topic) else ""
          return draft
        }
        test "it copes with a failure" {
          given writer fails
          out = main("sea")
          expect out == ""
        }
    """

    code = "MAS911"
    test: str
    step: str
    reason: str
    where: tuple[Label, ...]

    def title(self) -> str:
        return f"test `{self.test}`: the program failed at `{self.step}`"

    def label(self) -> str:
        return self.reason

    def help(self) -> str:
        return "give the step a fallback with `else`, or give the test other replies"

    def labels(self) -> tuple[Label, ...]:
        return self.where


class NotGiven(Diagnostic):
    """A test comes to a step whose agent or tool has no `given`.

    Why: tests run offline and the same way every time, so they say what every agent and tool answers.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about the topic."
        agent critic(draft) -> bool "Is this draft good?"
        flow main(topic) -> bool {
          draft = writer(topic)
          good = critic(draft)
          return good
        }
        test "a good draft" {
          given writer = "The sea."
          out = main("sea")
          expect out
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about the topic."
        agent critic(draft) -> bool "Is this draft good?"
        flow main(topic) -> bool {
          draft = writer(topic)
          good = critic(draft)
          return good
        }
        test "a good draft" {
          given writer = "The sea."
          given critic = true
          out = main("sea")
          expect out
        }
    """

    code = "MAS912"
    test: str
    step: str
    callee: str

    def title(self) -> str:
        return f"test `{self.test}`: nothing is given for `{self.callee}`"

    def label(self) -> str:
        return f"the test comes to `{self.step}`, which calls `{self.callee}`"

    def help(self) -> str:
        return f"say what it answers: `given {self.callee} = ...`"
