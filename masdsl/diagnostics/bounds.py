"""MAS4xx: what a program costs at least and at worst, and whether its budgets can hold."""

from __future__ import annotations

from masdsl.diagnostics.base import WARNING, Diagnostic, Fix, Label
from masdsl.money import PICODOLLARS, show_usd
from masdsl.node import Span
from masdsl.sizes import MICROSECONDS


def amount(measure: str, value: int) -> str:
    """Return an amount in words: `1 call`, `1,200 tokens`, `0.05 USD`, `120 s`.

    `measure` is `calls`, `tokens`, `usd` (in picodollars) or `seconds` (in microseconds).
    """
    if measure == "usd":
        return show_usd(value) if value < 10**15 * PICODOLLARS else "more than 10^15 USD"
    if measure == "seconds":
        return f"{value // MICROSECONDS:,} s" if value % MICROSECONDS == 0 else f"{value / MICROSECONDS:,.6g} s"
    if value >= 10**15:
        return f"more than 10^15 {measure}"
    return f"1 {measure[:-1]}" if value == 1 else f"{value:,} {measure}"


def in_budget(measure: str, value: int) -> str:
    """Return an amount as a `budget` writes it, rounded up: `calls 12`, `usd 0.05`."""
    if measure == "usd":
        return f"usd {_decimal(-(-value // 1_000_000), 6)}"
    if measure == "seconds":
        return f"seconds {_decimal(-(-value // 1_000), 3)}"
    return f"{measure} {value}"


CEILING = "the ceiling in mas.toml"
"""What messages call the host's limit."""


def _remedy(budget: str, at_least: str, written: str, otherwise: str) -> str:
    """Return the next action: a budget of the program can be raised there, the host's ceiling by the host alone."""
    if budget == CEILING:
        return f"{otherwise}, or have the host raise [budget] in mas.toml to {at_least}`{written}`"
    return f"raise the budget to {at_least}`{written}`, or {otherwise}"


def _decimal(value: int, places: int) -> str:
    whole, rest = divmod(value, 10**places)
    return f"{whole}.{rest:0{places}d}".rstrip("0").rstrip(".")


class CannotFit(Diagnostic):
    """A program, a flow or a slice needs more than its budget allows, whatever way it takes.

    Why: the last calls would be refused in every run, after the others were paid for. What is needed at least counts
    every call of the cheapest run that does not fail; of tokens, USD and seconds it is what the greatest single call
    must reserve, because a call is only sent when its longest reply is paid for as well.

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
    budget: str
    measure: str
    limit: int
    least: int
    parts: tuple[tuple[Span, int], ...]
    change: Fix | None = None

    def title(self) -> str:
        needed, limit = amount(self.measure, self.least), amount(self.measure, self.limit)
        return f"{self.what} needs at least {needed}, and {self.budget} is {limit}"

    def label(self) -> str:
        return f"{amount(self.measure, self.least - self.limit)} too few"

    def help(self) -> str:
        otherwise = self.change.title if self.change else _LESS[self.measure]
        return _remedy(self.budget, "at least ", in_budget(self.measure, self.least), otherwise)

    def labels(self) -> tuple[Label, ...]:
        return tuple(Label(span, f"at least {amount(self.measure, least)}") for span, least in self.parts)

    def fix(self) -> Fix | None:
        return self.change


class MayNotFit(Diagnostic):
    """A program or a flow may need more than its budget allows.

    Why: the run is cut off when the budget is used up. A call that is refused follows its `else`; without one the run
    fails, after what it made was paid for. The worst case takes every retry, the longest prompts and replies that the
    caps allow, and every call its whole time. Under `--strict` this is an error.

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
    budget: str
    measure: str
    limit: int
    most: int
    parts: tuple[tuple[Span, int], ...]
    change: Fix | None = None

    def title(self) -> str:
        most, limit = amount(self.measure, self.most), amount(self.measure, self.limit)
        verb = "take" if self.measure == "seconds" else "need"
        return f"{self.what} may {verb} {most}, and {self.budget} is {limit}"

    def label(self) -> str:
        return f"{amount(self.measure, self.most - self.limit)} short at worst"

    def help(self) -> str:
        otherwise = self.change.title if self.change else _LESS[self.measure]
        return _remedy(self.budget, "", in_budget(self.measure, self.most), otherwise)

    def labels(self) -> tuple[Label, ...]:
        return tuple(Label(span, f"up to {amount(self.measure, most)}") for span, most in self.parts)

    def fix(self) -> Fix | None:
        return self.change


_LESS = {
    "calls": "lower a count or a retry, or give late steps an `else`",
    "tokens": "cap texts and lists lower, set `max` on an agent, or lower a count",
    "usd": "use a cheaper tier, cap texts and lists lower, or lower a count",
    "seconds": "give agents and tools a `timeout`, or lower a count",
}


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
    change: Fix | None = None

    def title(self) -> str:
        return f"{self.what} may make {amount('calls', self.most)}, and the limit is {self.limit:,}"

    def label(self) -> str:
        return "too much at worst"

    def help(self) -> str:
        lower = self.change.title if self.change else "lower a count, cap a list"
        return f"{lower}, or put a `budget calls ..` under the limit above the flow"

    def labels(self) -> tuple[Label, ...]:
        return tuple(Label(span, f"up to {amount('calls', most)}") for span, most in self.parts if most < 10**15)

    def fix(self) -> Fix | None:
        return self.change


class BudgetAboveOuter(Diagnostic):
    """A budget allows more than the one around it.

    Why: a budget can only take away from what is around it: the ceiling of the configuration holds for the program, the
    program's budget for its flows, a flow's for its slices. What is above that never counts, and reads as if it did.

    Bad:
        mas 1
        budget calls 3
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text budget calls 9 {
          return writer(topic)
        }

    Good:
        mas 1
        budget calls 9
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text budget calls 3 {
          return writer(topic)
        }
    """

    code = "MAS404"
    severity = WARNING
    what: str
    measure: str
    limit: int
    outer: str
    outer_limit: int
    change: Fix | None = None

    def title(self) -> str:
        limit, outer = amount(self.measure, self.limit), amount(self.measure, self.outer_limit)
        return f"{self.what} allows {limit}, and {self.outer} {outer}"

    def label(self) -> str:
        return "never counts"

    def help(self) -> str:
        return f"write `{in_budget(self.measure, self.outer_limit)}` or less, or raise {self.outer}"

    def fix(self) -> Fix | None:
        return self.change


class BoundRose(Diagnostic):
    """A flow may cost more than it did when the bounds were kept that it is compared with.

    Why: `mas cost --compare` holds programs against an earlier state. A change that makes the worst case dearer should
    be meant. When it is, keep the new bounds: `mas cost --format json > base.json`.
    """

    code = "MAS405"
    flow: str
    rise: str

    def title(self) -> str:
        return f"the bound of flow `{self.flow}` rose: {self.rise}"

    def label(self) -> str:
        return self.rise

    def help(self) -> str:
        return "make it cheaper again, or keep the new bounds: mas cost --format json > base.json"
