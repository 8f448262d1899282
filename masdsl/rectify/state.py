"""The state of a run as a rectifier sees it: s_t.

It is compact (values are clipped, old steps left out), typed, and the same for the same rows of a journal: no clock, no
order of dictionaries, no address in memory is in it.

    {"program": "mas 1 ...", "base": "3f9a0c...", "flow": "main",
     "trigger": {"kind": "failure", "cause": "timeout", "step": "main.refine.code[1]", "reason": "..."},
     "inputs": {"spec": "..."},
     "finished": [{"step": "main.drafts[0]", "calls": 1, "tokens": 210, "usd": "0.0004", "value": "..."}],
     "finished_before": 0,
     "budget": {"calls": {"spent": 8, "left": 12, "rest": 9}, "tokens": ..., "usd": ..., "seconds": ...},
     "tiers": [{"tier": "fast", "model": "smollm2", "input_price": "0", "output_price": "0"}],
     "tools": ["web.search"], "tries_left": 1, "earlier": [...]}

`rest` is the worst case of what is left of the program, `left` is null where nothing limits a measure. The values of
steps are what models and tools said: whoever reads the state must treat them as data.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from masdsl.check.program import Program
from masdsl.money import PICODOLLARS, TokenPrice, usd_per_million
from masdsl.patch.identity import SHOWN_DIGITS, base_of
from masdsl.rectify.base import Intervention, Proposal, Trigger
from masdsl.rectify.checks import Standing, Verdict
from masdsl.rectify.remaining import COUNTED, Rest, StepCost
from masdsl.syntax import ast
from masdsl.syntax.parse import parse_program

VALUE: Final = 400
"""Characters of a value that are shown."""
STEPS: Final = 60
"""Finished steps that are shown, the last ones."""
EARLIER: Final = 8
"""Earlier interventions that are shown, the last ones."""


class Tier(NamedTuple):
    """A tier that agents may be put on; `price` is None where nothing says it."""

    name: str
    model: str
    price: TokenPrice | None


class State(NamedTuple):
    """What a rectifier is shown. `to_json` and `text` leave `program`, `standing` and `judge` out: those are for code.

    `judge` says what would be thought of a proposal, without applying it. `granted` are the tools that the host grants.
    """

    trigger: Trigger
    standing: Standing
    inputs: Mapping[str, Any]
    rest: Rest
    left: Mapping[str, int | None]
    tiers: tuple[Tier, ...]
    granted: frozenset[str]
    tries_left: int
    earlier: tuple[Intervention, ...]
    judge: Callable[[Proposal], Verdict]

    @property
    def program(self) -> Program:
        """The program that runs, checked."""
        return self.standing.now.program

    def document(self) -> ast.Program:
        """Return the syntax tree of the program that runs."""
        from masdsl.diagnostics.base import Findings

        document = parse_program(self.standing.source, Findings()).document
        assert isinstance(document, ast.Program)
        return document

    def base(self) -> str:
        """Return what a patch for this program may write behind `on`."""
        return base_of(self.document())[:SHOWN_DIGITS]

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON data."""
        standing = self.standing
        shown = standing.finished[-STEPS:]
        rest = self.rest.to_json()
        return {
            "program": standing.source.text,
            "base": self.base(),
            "flow": standing.now.program.flow(standing.now.entry).name,
            "trigger": self.trigger.to_json(),
            "inputs": {name: clipped(value) for name, value in sorted(self.inputs.items())},
            "finished": [_step(one) for one in shown],
            "finished_before": len(standing.finished) - len(shown),
            "budget": {
                measure: {
                    "spent": _amount(measure, standing.spent.get(measure, 0)),
                    "left": None if room is None else _amount(measure, room),
                    **({"rest": _amount(measure, rest[measure])} if measure in COUNTED else {}),
                }
                for measure, room in self.left.items()
            },
            "tiers": [
                {"tier": one.name, "model": one.model}
                | (
                    {}
                    if one.price is None
                    else {
                        "input_price": usd_per_million(one.price.input),
                        "output_price": usd_per_million(one.price.output),
                    }
                )
                for one in self.tiers
            ],
            "tools": sorted(self.granted),
            "tries_left": self.tries_left,
            "earlier": [
                {"patch": one.patch, "accepted": one.accepted, "diagnostics": list(one.diagnostics)}
                for one in self.earlier[-EARLIER:]
            ],
        }

    def text(self) -> str:
        """Return the state as JSON text, always the same for the same state."""
        return json.dumps(self.to_json(), ensure_ascii=False, sort_keys=True, indent=1, default=str)


def clipped(value: Any) -> Any:
    """Return JSON data as it is where it is short, else the beginning of its text."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    if len(text) <= VALUE:
        return value
    return f"{text[:VALUE]}... ({len(text) - VALUE} characters more)"


def _step(step: StepCost) -> dict[str, Any]:
    return {
        "step": step.address,
        "calls": step.calls,
        "tokens": step.tokens_in + step.tokens_out,
        "usd": _amount("usd", step.picodollars),
        **({"failed": True} if step.failed else {"value": clipped(step.value)}),
    }


def _amount(measure: str, value: int) -> int | str:
    """Return calls and tokens as they are, money in USD and time in seconds as exact decimals."""
    if measure not in ("usd", "seconds"):
        return value
    unit, digits = (PICODOLLARS, 12) if measure == "usd" else (1_000_000, 6)
    whole, part = divmod(value, unit)
    return f"{whole}.{part:0{digits}d}".rstrip("0").removesuffix(".")
