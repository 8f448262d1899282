"""What a session is asked for, what a meta-agent wrote, and what that took."""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple, TypeAlias

from masdsl.runtime.meter import NO_LIMITS, Limits

SIGNATURE: Final = "flow main(query) -> text"
"""What a system for a query looks like from outside, unless its task says otherwise."""

Effort: TypeAlias = Literal["low", "medium", "high"]
"""How much the meta-agents may try: what that means for each of them is its own (`masdsl.meta.roles`)."""

How: TypeAlias = Literal[
    "grammar",  # a model wrote it under the decoder
    "text",  # a model wrote it in plain text; the checker and machine fixes had their say
    "closed",  # a model began it; it was cut off and ended by the decoder
    "retrieved",  # one of the systems that are kept, without a model
    "fallback",  # the simplest thing that fits the task, without a model
]


class Task(NamedTuple):
    """One query, and what a system that answers it may be.

    `signature` is the head of its flow; `query` is what that flow's parameter of this name gets. `budget` holds for the
    whole session, design included (calls, tokens, USD, seconds; None is no limit). `tools` are declarations as a
    program writes them (`tool search(query: text) -> text = "web.search"`), of what the host grants.
    """

    query: str
    signature: str = SIGNATURE
    budget: Limits = NO_LIMITS
    tools: tuple[str, ...] = ()
    effort: Effort = "medium"


class Spent(NamedTuple):
    """What calls of models took; `picodollars` are units of 10^-12 USD, of the calls whose model has a price."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    picodollars: int = 0

    @property
    def tokens(self) -> int:
        """Tokens of prompts and replies together."""
        return self.tokens_in + self.tokens_out

    def plus(self, other: Spent) -> Spent:
        """Return both together."""
        return Spent(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return self._asdict()


class Try(NamedTuple):
    """One attempt of a model, as it stood in the end.

    `text` is what was judged (after machine fixes), `diagnostics` what is wrong with it in the `short` form (none where
    it was taken), `fixes` how many machine fixes were applied, `tokens` what it took, prompt included.
    """

    text: str
    diagnostics: tuple[str, ...] = ()
    fixes: int = 0
    tokens: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return self._asdict() | {"diagnostics": list(self.diagnostics)}


class Emitted(NamedTuple):
    """A program, binding or patch that a meta-agent gave, or nothing: then `text` is empty and `tries` say why.

    `reasoning` is what it said for it. `spent` counts every try.
    """

    text: str
    reasoning: str = ""
    how: How = "text"
    tries: tuple[Try, ...] = ()
    spent: Spent = Spent()

    def why_none(self) -> str:
        """Return why there is no text, as far as the last try says."""
        said = self.tries[-1].diagnostics if self.tries else ()
        return said[0] if said else self.reasoning or "nothing was written"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "text": self.text,
            "reasoning": self.reasoning,
            "how": self.how,
            "tries": [one.to_json() for one in self.tries],
            "spent": self.spent.to_json(),
        }
