"""A table of programs and how many seconds they take when nothing answers: as many as their bound, exactly.

Every agent and every tool has a timeout of its own and lets it pass, then follows its default, the chain or the flow's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache
from typing import Any

from tests.harness.adversary import Adversary
from tests.harness.bounding import Case, Took, largest_inputs, play, prepared

HEAD = """mas 1
type Kind = math | code
tool look(q) -> text(30) else "t" from "look" timeout 4
tool fetch(q) -> text(30) from "fetch" timeout 2.5
tool send(q) -> text(30) else "e" from "send" effect timeout 6
tool search(q) -> text(30) else "u" from "search"
agent a(q) -> text(30) else "a" timeout 3 "A. {{ q }}"
agent b(q) -> text(30) else "b" timeout 5 retry 2 "B. {{ q }}"
agent c(q) -> text(30) timeout 7 retry 1 "C. {{ q }}"
agent k(q) -> Kind else Kind.code timeout 1.5 "K. {{ q }}"
agent y(q) -> bool else false timeout 0.5 "Y. {{ q }}"
agent u(q) -> text(30) else "u" timeout 11 tools [look, fetch] steps 2 "U. {{ q }}"
agent e(q) -> text(30) else "e" timeout 9 tools [send] steps 1 "E. {{ q }}"
agent once(q) -> text(30) else "o" "Once. {{ q }}"
agent often(q) -> text(30) else "o" retry 2 "Often. {{ q }}"
agent using(q) -> text(30) else "o" tools [look] steps 2 "Use. {{ q }}"
flow two(x: text(30)) -> text(30) { v = a(x) w = b(v) return w }
flow wide(x: text(30)) -> text(30) { v = a(x) w = b(x) return v + w }
flow lost(x: text(30)) -> text(30) else "lost" { v = a(x) w = c(v) return w }
flow hasty(x: text(30)) -> text(30) else "late" budget seconds 2.25 { v = b(x) return v }
flow writes(x: text(30)) -> text(30) { v = send(x) return v }
"""

PROGRAMS: tuple[tuple[str, float], ...] = (
    ("return x", 0),
    ("return a(x)", 3),
    ("return b(x)", 5),
    ("return look(x)", 4),
    ("return search(x)", 60),
    ("return u(x)", 11),
    ("return once(x)", 120),
    ("v = a(x) w = b(v) return w", 8),
    ("v = a(x) w = b(x) return v + w", 5),
    ("v = a(x) w = b(v) z = look(x) return w + z", 8),
    ("v = c(x) else a(x) return v", 10),
    ("v = c(x) else fetch(x) else a(x) return v", 12.5),
    ("v = a(x) else c(x) return v", 3),
    ("v = 4 of b(x) return first(v)", 5),
    ("v = each i in xs: b(i) return first(v)", 5),
    ("v = each i in xs: two(i) return first(v)", 8),
    ("v = 3 of c(x) else a(x) return first(v)", 10),
    ("v = each i in xs: send(i) return first(v)", 24),
    ("v = 3 of send(x) return first(v)", 18),
    ("v = 2 of writes(x) return first(v)", 12),
    ("v = send(x) w = send(x) return v + w", 12),
    ("v = send(x) w = look(x) z = e(x) return v + w + z", 15),
    ("v = send(x) w = b(x) return v + w", 6),
    ("loop 3 { x = a(x) } return x", 9),
    ("loop 3 { v = a(x) } return x", 9),
    ("loop 3 { v = a(x) w = b(x) } return x", 15),
    ("loop 2 { loop 3 { x = a(x) } x = b(x) } return x", 28),
    ("loop 3 { z = y(x) until z x = a(x) } return x", 10.5),
    ("loop 2 { z = y(x) v = b(x) until z w = a(x) } return x", 10),
    ("loop 2 { z = y(x) v = a(x) until z w = b(x) } return x", 11),
    ("for i in xs { x = a(i) } return x", 12),
    ("t = x loop 3 { t = a(t) } v = look(x) return v + t", 9),
    ("z = y(x) if z { x = a(x) } else { x = b(x) } return x", 5.5),
    ("z = y(x) if not z { x = b(x) } return x", 5.5),
    ("z = y(x) if z { return x } w = a(x) return w", 3.5),
    ("z = y(x) v = b(x) if z { return x } w = a(x) return v + w", 5),
    ("m = k(x) match m { math { x = a(x) } code { x = b(x) } } return x", 6.5),
    ("v = two(x) w = two(x) return v + w", 8),
    ("v = wide(x) return v", 5),
    ("v = lost(x) return v", 10),
    ("v = hasty(x) return v", 2.25),
    ("v = hasty(x) w = a(v) return w", 5.25),
    ("within seconds 2 { v = b(x) else x } return v", 2),
    ("within seconds 9 { v = b(x) } w = a(v) return w", 8),
    ("loop 2 { within seconds 1.25 { v = b(x) else x } } return x", 2.5),
    ("within seconds 4 { within seconds 1 { v = b(x) else x } w = a(v) } return w", 4),
)  # fmt: skip


class Silent(Adversary):
    """A model that never answers, nor do its tools; a model that may use tools uses them first, at once."""

    @property
    def tools(self) -> dict[str, Callable[..., Any]]:
        """The host's functions."""

        async def never(**inputs: Any) -> Any:
            await asyncio.sleep(10**7)

        return {tool.granted_as: never for tool in self.program.tools.values()}


@cache
def slow_case(body: str) -> Case:
    """Return the program, with a flow `main` of the table's body."""
    return prepared(f"{HEAD}flow main(x: text(30), xs: text(30)[4]+, ok: bool) -> text(200) {{ {body} }}")


@cache
def slowest(body: str) -> Took:
    """Return what the slowest run takes."""
    case = slow_case(body)
    model = Silent(case.compiled, faults=0.0, choose=lambda request: "timeout")
    return play(case, model, {**largest_inputs(case), "ok": True})
