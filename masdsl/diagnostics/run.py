"""MAS9xx: what goes wrong while a program or one of its tests runs, at the place in the program where it happened."""

from __future__ import annotations

from masdsl.diagnostics.base import WARNING, Diagnostic, Label

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


class PatchAsksForMore(Diagnostic):
    """A patch for a running program would let it do more than it may.

    Why: whoever started the run has agreed to the program as it was. So a patch that is made while it runs may only
    narrow what it does: no further tool, no tool that changes the world in other hands, no module of other code, and
    only models that the configuration's tiers stand for.

    To go on: start the run anew with a program that says so itself (`mas patch` applies the patch to a file).
    """

    code = "MAS920"
    more: tuple[str, ...]

    def title(self) -> str:
        return "the patched program may do more than the program that runs"

    def label(self) -> str:
        return f"adds {', '.join(self.more[:3])}{', ...' if len(self.more) > 3 else ''}"

    def help(self) -> str:
        return "propose a patch with what the program has, or apply this one to the file with `mas patch`"


class PatchRaisesBudget(Diagnostic):
    """A patch for a running program would raise a budget, or take one away.

    Why: a budget is a promise to whoever pays. A patch that is made while the program runs may lower one (`budget calls
    10`, `set main.within.calls = 2`); it may neither raise nor remove one, nor change when and how often the run is
    rectified.
    """

    code = "MAS921"
    raised: tuple[str, ...]

    def title(self) -> str:
        return "the patched program would have another budget"

    def label(self) -> str:
        return "; ".join(self.raised[:3])

    def help(self) -> str:
        return "leave budgets, slices and `rectify` as they are, or lower them"


class PatchReachesEffect(Diagnostic):
    """Something that a patch brings into a running program could reach a tool that changes the world.

    Why: a patch that a model proposes may come from whatever the model has read. Texts, numbers and statements in it
    are therefore not trusted: nothing that they influence may be an argument of a tool declared with `effect`, decide
    whether it is used, or instruct an agent that may use it.
    """

    code = "MAS922"
    steps: tuple[str, ...]

    def title(self) -> str:
        return f"the patch could change what `{self.steps[0]}` does to the world"

    def label(self) -> str:
        more = len(self.steps) - 1
        return f"reaches {self.steps[0]}" + (f" and {more} more" if more else "")

    def help(self) -> str:
        return "change only what no `effect` tool depends on: the model of an agent, or steps that end in the result"


class PatchDoesNotFit(Diagnostic):
    """What would be left of a running program after a patch may cost more than what is left of its budget.

    Why: a patch that cannot be paid for ends the run a second time. The worst case of the patched program, without the
    steps that are finished, has to fit. (Where the program as it was did not fit either, a rectifier that is part of
    masdsl may also propose one that costs no more than that; the budget still refuses every call that goes beyond it.)
    """

    code = "MAS923"
    over: tuple[tuple[str, str, str], ...]
    """Measures with what is needed at worst and what is left, in words."""

    def title(self) -> str:
        return "the rest of the patched program does not fit what is left of the budget"

    def label(self) -> str:
        return "; ".join(f"up to {needed}, with {left} left" for _, needed, left in self.over)

    def help(self) -> str:
        return "make fewer or smaller calls: lower the count of a loop or of samples, an agent's `max`, or its `retry`"


class PatchChangesEntry(Diagnostic):
    """A patch for a running program would change the inputs or the type of value of the flow that runs.

    Why: the run has begun with inputs of the declared types, and its caller waits for a value of the declared type.
    """

    code = "MAS924"
    flow: str

    def title(self) -> str:
        return f"the patched program has no flow `{self.flow}` with the same inputs and type of value"

    def label(self) -> str:
        return "not the flow that runs"

    def help(self) -> str:
        return f"leave the name, the parameters and the type of flow `{self.flow}` as they are"


class StoredDiffers(Diagnostic):
    """The file of a program is no longer what a run began with.

    Why: a run is resumed with the program that the journal keeps, so that finished steps stay what they were. What the
    file says by now does not count for this run.

    To go on: let the run go on as it began, or start a new one, which uses the file.
    """

    code = "MAS930"
    severity = WARNING
    run: str
    module: str
    gone: bool

    def title(self) -> str:
        what = "is gone" if self.gone else "is not what it was"
        return f"{self.module} {what} since run {self.run} began; the run goes on with the text that was stored"

    def label(self) -> str:
        return "changed since the run began"

    def help(self) -> str:
        return "to use the file as it is, start a new run"


class ModelDiffers(Diagnostic):
    """A tier stands for another model than when a run began.

    Why: finished steps keep the values that the first model gave, and the steps that are left are asked of the other
    one, at its price. That may be what you want, as when the first one is down.

    To go on: let it go on so, or name the first model for this run with `--model tier=model`, or `--script`.
    """

    code = "MAS931"
    severity = WARNING
    run: str
    tier: str
    was: str
    now: str

    def title(self) -> str:
        return f"`{self.tier}` was {self.was} when run {self.run} began and is {self.now} now"

    def label(self) -> str:
        return "its agents are asked of another model from here on"

    def help(self) -> str:
        return f"to go on with the first one, resume with --model {self.tier}=... or with the --script that it had"
