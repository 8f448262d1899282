"""Where steps stand in the source, and what they cost at worst, as attributes of their spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masdsl.tracing import names

if TYPE_CHECKING:
    from masdsl.bounds.result import Bounds, Part
    from masdsl.check.program import Program
    from masdsl.config import Config


class Places:
    """Where steps stand in the source, and what they cost at worst; worked out when it is first asked for."""

    def __init__(self, program: Program, config: Config, flow: str) -> None:
        self._program = program
        self._flow = flow
        self._bounds = _bounds(program, config)
        self._parts: dict[str, Part] = {}
        waiting = list(self._bounds.flows[flow].parts)
        while waiting:
            part = waiting.pop()
            self._parts.setdefault(part.path, part)
            waiting += part.parts

    def whole(self) -> dict[str, Any]:
        """Return the worst case of a run."""
        found = self._bounds.flows[self._flow]
        return _worst(found.most, found.seconds)

    def of(self, path: str) -> dict[str, Any]:
        """Return where a step stands, and its worst case, all rounds of the loops around it included."""
        from masdsl.check.addresses import places

        flow = self._program.flow(self._flow)
        own = places(self._program, flow.body, path)
        found: dict[str, Any] = {}
        if own:
            last = own[-1]
            source = next(one.source for one in self._program.modules if one.name == last.module)
            found[names.SOURCE] = f"{source.name}:{source.position(last.span.start).line}"
        part = self._parts.get(path)
        if part is not None:
            found |= _worst(part.most, part.seconds)
        return found


def _bounds(program: Program, config: Config) -> Bounds:
    from masdsl.bounds.flows import bound
    from masdsl.bounds.rates import counts_of, prices_in, rates_of

    rates = rates_of(program, config)
    return bound(program, prices_in(rates), counts_of(rates))


def _worst(most: Any, seconds: int) -> dict[str, Any]:
    from masdsl.bounds.report import amounts

    told = amounts(most, seconds)
    return {names.bound(measure): told[measure] for measure in ("calls", "tokens", "usd", "seconds")}
