"""MAS4xx: what a program costs at least and at worst, and whether its budgets can hold."""

from __future__ import annotations

from masdsl.diagnostics.base import WARNING, Diagnostic, Label
from masdsl.node import Span


def calls(count: int) -> str:
    """Return a number of calls in words."""
    return "1 call" if count == 1 else f"{count:,} calls"


class CannotFit(Diagnostic):
    """A program, a flow or a slice needs more calls than its budget allows, whatever way it takes.

    Why: the last calls would be refused in every run, after the others were paid for.

    Bad:
        mas 1
        budget calls 2
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text[3] {
          drafts = 3 of writer(topic)
          return drafts
        }

    Good:
        mas 1
        budget calls 3
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text[3] {
          drafts = 3 of writer(topic)
          return drafts
        }
    """

    code = "MAS401"
    what: str
    limit: int
    least: int
    parts: tuple[tuple[Span, int], ...]

    def title(self) -> str:
        return f"{self.what} needs at least {calls(self.least)}, and its budget is {calls(self.limit)}"

    def label(self) -> str:
        return f"{calls(self.least - self.limit)} too few"

    def help(self) -> str:
        return f"raise the budget to at least `calls {self.least}`, or make fewer calls"

    def labels(self) -> tuple[Label, ...]:
        return tuple(Label(span, f"at least {calls(least)}") for span, least in self.parts)


class MayNotFit(Diagnostic):
    """A program or a flow may need more calls than its budget allows.

    Why: the run is cut off when the budget is used up. A call that is refused follows its `else`; without one the run
    fails, after what it made was paid for. Under `--strict` this is an error.

    Bad:
        mas 1
        budget calls 4
        agent writer(topic) -> text retry 1 "Write about {{ topic }}."
        flow main(topic) -> text[3] {
          drafts = 3 of writer(topic)
          return drafts
        }

    Good:
        mas 1
        budget calls 6
        agent writer(topic) -> text retry 1 "Write about {{ topic }}."
        flow main(topic) -> text[3] {
          drafts = 3 of writer(topic)
          return drafts
        }
    """

    code = "MAS402"
    severity = WARNING
    what: str
    limit: int
    most: int
    parts: tuple[tuple[Span, int], ...]

    def title(self) -> str:
        return f"{self.what} may need {calls(self.most)}, and its budget is {calls(self.limit)}"

    def label(self) -> str:
        return f"{calls(self.most - self.limit)} short at worst"

    def help(self) -> str:
        return f"raise the budget to `calls {self.most}`, lower a count or a retry, or give late steps an `else`"

    def labels(self) -> tuple[Label, ...]:
        return tuple(Label(span, f"up to {calls(most)}") for span, most in self.parts)


class TooManyCalls(Diagnostic):
    """A flow could make more calls than any program may make without a budget.

    Why: counts multiply when loops, samples and lists are nested, so a small slip is an enormous bill. A `budget` says
    that so much is meant.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          loop 1000 {
            drafts = 900 of writer(topic)
            topic = first(drafts)
          }
          return topic
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          loop 10 {
            drafts = 9 of writer(topic)
            topic = first(drafts)
          }
          return topic
        }
    """

    code = "MAS403"
    what: str
    limit: int
    most: int
    parts: tuple[tuple[Span, int], ...]

    def title(self) -> str:
        shown = calls(self.most) if self.most < 10**15 else "more than 10^15 calls"
        return f"{self.what} may make {shown}, and the limit is {self.limit:,}"

    def label(self) -> str:
        return "too much at worst"

    def help(self) -> str:
        return "lower a count, cap a list, or put a `budget calls ..` under the limit above the flow"

    def labels(self) -> tuple[Label, ...]:
        return tuple(Label(span, f"up to {calls(most)}") for span, most in self.parts if most < 10**15)
