"""What a session gives: the system that it designed, and the answer, with all that it took."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from masdsl.meta.retrieval import Known
from masdsl.meta.task import Emitted, Spent, Task
from masdsl.runtime.meter import Limits

if TYPE_CHECKING:
    from masdsl.meta.host import Host


class System(NamedTuple):
    """M = M_temp (+) phi: a program that can be run, and what it costs at worst (None: not known).

    `name` says where it comes from: who designed it, or which simple system it is.
    """

    text: str
    name: str
    calls: int | None = None
    tokens: int | None = None
    picodollars: int | None = None
    over: tuple[str, ...] = ()
    """The measures in which its worst case is above what is left: there the ledger has to stop it."""
    rules: tuple[str, ...] = ()
    """The rules of the library that changed it before its run."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        most = {"calls": self.calls, "tokens": self.tokens, "picodollars": self.picodollars}
        told = {"text": self.text, "name": self.name, "most": most, "over": list(self.over)}
        return told | {"rules": list(self.rules)}


def system_of(kept: Mapping[str, Any]) -> System:
    """Return a system from its JSON data."""
    return System(
        kept["text"], kept["name"], **kept["most"], over=tuple(kept["over"]), rules=tuple(kept.get("rules", ()))
    )


class Designed(NamedTuple):
    """What a session designed for a task: M_temp as `template`, phi as `binding`, M as `system`.

    `generated` is what pi_gen gave, `implemented` what pi_imp gave, with every try; `examples` are the systems that the
    generator was shown, with their scores; `notes` say what did not go as planned, and what was done instead.
    """

    template: str
    binding: str
    system: System
    generated: Emitted
    implemented: Emitted
    examples: tuple[tuple[str, float], ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "template": self.template,
            "binding": self.binding,
            "system": self.system.to_json(),
            "reasoning": self.generated.reasoning,
            "generated": self.generated.to_json(),
            "implemented": self.implemented.to_json(),
            "examples": [{"name": name, "score": round(score, 4)} for name, score in self.examples],
            "notes": list(self.notes),
        }


class Attempt(NamedTuple):
    """One system that was run: its run in the journal, what it took, and why it has no answer, if it has none."""

    system: str
    run: str
    spent: Spent
    failed: str = ""
    interventions: tuple[Any, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        told = [one if isinstance(one, dict) else one.to_json() for one in self.interventions]
        return {
            "system": self.system,
            "run": self.run,
            "spent": self.spent.to_json(),
            "failed": self.failed,
            "interventions": told,
        }


class Solved(NamedTuple):
    """How a session ended. `value` is None, and `failed` says why, where no system gave an answer.

    `spent` is what each part took: generator, implementer, rectifier, run.
    """

    session: str
    value: Any
    failed: str
    designed: Designed | None
    attempts: tuple[Attempt, ...]
    spent: dict[str, Spent]
    seconds: float
    notes: tuple[str, ...]
    stopped: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "session": self.session,
            "value": self.value,
            "failed": self.failed,
            "designed": None if self.designed is None else self.designed.to_json(),
            "attempts": [one.to_json() for one in self.attempts],
            "spent": {part: one.to_json() for part, one in self.spent.items()},
            "seconds": self.seconds,
            "notes": list(self.notes),
        }


# ---------------------------------------------------------------- seams


class TemplateRule(Protocol):
    """Something that was learned from a repair, and is applied to a system before it runs: M, with its models."""

    @property
    def name(self) -> str:
        """Which rule this is, for the report."""

    def apply(self, system: str, task: Task, host: Host) -> str | None:
        """Return a better program, or None where the rule has nothing to say about this one. It is checked again.

        The ceiling of the host's configuration is what is left for the run.
        """


Choice = Callable[[Task, System, System, Limits], "str"]
"""Says why the simple system (the second) is the better one for what is left; nothing where the designed one is."""


class Seams(NamedTuple):
    """What comes to a session from outside.

    `known` are further systems that the generator is shown; `rules` are applied to the system, in order; `choose`
    decides between the designed system and self-consistency for the same budget; `ended` is told how it ended.
    """

    known: tuple[Known, ...] = ()
    rules: tuple[TemplateRule, ...] = ()
    choose: Choice | None = None
    ended: Callable[[Task, Solved], None] | None = None
