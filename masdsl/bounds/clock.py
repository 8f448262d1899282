"""How long a block takes: along its critical path, as the schedule of compiled programs goes (spec, Concurrency)."""

from __future__ import annotations

from masdsl.check.order import Touch
from masdsl.check.program import Limits, Program
from masdsl.check.uses import invokes, right_sides, statements_of
from masdsl.sizes import MICROSECONDS


class Clock:
    """When the statements of a block end at the latest, in microseconds from its beginning."""

    def __init__(self, in_order: bool) -> None:
        self._in_order = in_order  # where so much is open that the schedule may begin steps later than data flow allows
        self._ready: dict[str, int] = {}
        self._control = self._effect = self.end = 0

    def take(self, touch: Touch, seconds: int, effect: bool) -> None:
        """Add a statement that takes so long: it waits for names, for ways out before it, an effect for effects."""
        begins = self.end if self._in_order else self._control
        if not self._in_order:
            ready = self._ready
            for name in touch.reads:
                begins = max(begins, ready.get(name, 0))
            for name in touch.binds:
                begins = max(begins, ready.get(name, 0))
            if effect:
                begins = max(begins, self._effect)
        ends = begins + seconds
        for name in touch.binds:
            self._ready[name] = ends
        if effect:
            self._effect = ends
        if touch.leaves:
            self._control = ends
        self.end = max(self.end, ends)


def limited(seconds: int, limits: Limits | None) -> int:
    """Return a time in microseconds under a budget, which ends whatever is under way."""
    if limits is None or limits.seconds is None:
        return seconds
    return min(seconds, -int(-limits.seconds * MICROSECONDS // 1))


def effects(program: Program) -> frozenset[tuple[str, str]]:
    """Return what keeps the order of the source: effect tools, agents that may use one, flows that call one."""
    found = {("tool", tool.key) for tool in program.tools if tool.effect}
    if not found:
        return frozenset()
    found |= {("agent", agent.key) for agent in program.agents if any(("tool", tool) in found for tool in agent.tools)}
    for flow in program.flows:
        sides = right_sides(statements_of(flow.body))
        if any((step.kind, step.callee) in found for side in sides for step in invokes(side)):
            found.add(("flow", flow.key))
    return frozenset(found)
