"""What a rectifier is: it sees the state of a run that goes wrong, and may propose a patch of its program.

    A_R(s_t) = C(s_t) > theta_C  or  O(s_t) = Failure              when it is asked
    M_(t+1) ~ pi_rec( . | M_t, s_t)                                what it gives: a patch, M_t to M_(t+1)

theta_C is the `at` of the program's `rectify`, a share of every measure that its budget limits. A failure is one that
nothing in the program catches, or a refusal by the budget.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from masdsl.rectify.state import State

Cause = Literal[
    "timeout",  # a model or tool took too long
    "overloaded",  # rate limit, overloaded, no connection
    "refused",  # the model or its filter declines
    "malformed",  # no reply of the declared type after all tries
    "too_long",  # the prompt does not fit the model's context
    "unavailable",  # the model cannot be used: key, name, machine, bad request
    "tool",  # a tool failed
    "budget",  # a call does not fit the budget, or consumption went beyond the threshold
    "other",  # the program itself: a prompt that cannot be rendered, a value that does not fit
]


class Trigger(NamedTuple):
    """Why a rectifier is asked.

    `kind` is `failure` or `threshold`; `step` is the address of the step that failed, or of the last one that ended
    before the threshold was seen; `measure` is that of the budget (calls, tokens, usd, seconds) where it is about one.
    """

    kind: Literal["failure", "threshold"]
    cause: Cause
    step: str
    reason: str
    measure: str = ""

    def to_json(self) -> dict[str, str]:
        """Return it as JSON data."""
        return {name: value for name, value in self._asdict().items() if value}


class Proposal(NamedTuple):
    """A patch as text, and why. `invents` says that it brings values nobody computed: a literal in a step's place."""

    patch: str
    reason: str
    invents: bool = False


class Rectifier(Protocol):
    """Somebody who proposes patches.

    `trusted` rectifiers are code of the host, whose literals count as the program's own. A model never is one.
    """

    @property
    def name(self) -> str:
        """Who this is, for the journal and the report."""

    @property
    def trusted(self) -> bool:
        """Whether its literals count as the program's own, and a bound that was over before may stay so."""

    async def propose(self, state: State) -> Proposal | str:
        """Return a patch for the program of the state, or, in one sentence, why there is none."""


FITS: Final = ("proved", "enforced", "over")
"""What is known of a measure: the rest fits at its worst; it may not, and the ledger stops it; it is refused."""


USER: Final = "user"
"""Who changes a run by hand: no rectifier."""


class Intervention(NamedTuple):
    """One time that a rectifier was asked, and what came of it.

    `patch` is empty where it proposed none (`reason` says why). `diagnostics` are those of a refused patch, as text.
    `before` and `after` are the worst case of what was left of the program, in each measure; `left` is what was left of
    the budget (None: no limit); `fits` says for each measure with a limit how it is kept.
    """

    trigger: Trigger
    who: str
    patch: str
    reason: str
    accepted: bool
    diagnostics: tuple[str, ...] = ()
    before: dict[str, int] = {}  # noqa: RUF012  never changed
    after: dict[str, int] = {}  # noqa: RUF012
    left: dict[str, int | None] = {}  # noqa: RUF012
    fits: dict[str, str] = {}  # noqa: RUF012
    base: str = ""
    new: str = ""

    @property
    def is_try(self) -> bool:
        """Whether it is one of the tries of `rectify`: a patch, and not one by the run's own user."""
        return bool(self.patch) and self.who != USER

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data; amounts are calls, tokens, picodollars and microseconds."""
        data = self._asdict()
        data["trigger"] = self.trigger.to_json()
        data["diagnostics"] = list(self.diagnostics)
        return data
