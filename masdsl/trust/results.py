"""What the analysis of trust labels finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from masdsl.check.program import Invoke
from masdsl.node import Span
from masdsl.trust.labels import Reason


class Breach(NamedTuple):
    """A taint that reaches a step that it may not reach.

    `kind` is `argument` (it is in an argument, `what`), `choice` (it decides whether, or how often, the step happens),
    `agent` (the agent `what`, which may use the tool, has seen it) or `reads` (a tool gives it to the agent). `callee`
    is the key of the tool or agent that may not have it. `step` is the address of the step, `span` the place of the
    argument or of the step, in the text of `module`; `outer` is where the program's own module comes to it. `trail`
    says how it came there, from its source on.
    """

    kind: str
    taint: str
    callee: str
    what: str
    step: str
    span: Span
    module: str
    outer: Span | None = None
    trail: tuple[Reason, ...] = ()


class StepLabels(NamedTuple):
    """The taints of one step: of what decides that it happens, of what it is given, and of what it gives.

    `flow` is the key of its flow. `endorsed` are the arguments that have taints because the policy endorses them.
    """

    flow: str
    step: Invoke
    control: frozenset[str]
    given: frozenset[str]
    gives: frozenset[str]
    endorsed: tuple[str, ...] = ()

    def with_those(self, other: StepLabels) -> StepLabels:
        """Return what the step has in either of two contexts."""
        return self._replace(
            control=self.control | other.control,
            given=self.given | other.given,
            gives=self.gives | other.gives,
            endorsed=tuple(dict.fromkeys((*self.endorsed, *other.endorsed))),
        )


class Found(NamedTuple):
    """Breaches in order of contexts, and the labels of steps by (key of the flow, address)."""

    breaches: tuple[Breach, ...]
    steps: Mapping[tuple[str, str], StepLabels]
