"""The topology of a program: its graph of steps, without what agents are called and told.

Two programs have the same one where `masdsl.graph` draws the same picture of both: kinds of steps and constructs, how
often each happens at most, what is in what, and which value or decision goes where, in the order of the text. Names,
prompts, types, tiers and temperatures do not count.
"""

from __future__ import annotations

import json
from hashlib import sha256

from masdsl.check.program import Program
from masdsl.diagnostics.base import Findings
from masdsl.graph.walk import walk
from masdsl.meta.host import Host

_DEPTH = 8
"""Levels of flows that are called which are unfolded."""


def topology_of(text: str, host: Host) -> str:
    """Return what identifies the topology of a program; empty where it has errors, so has none."""
    program = host.check(text, Findings())
    return "" if program is None else topology(program)


def topology(program: Program) -> str:
    """Return what identifies the topology of the flow `main`. Raises masdsl.graph.sketch.TooLarge."""
    flows = tuple(one for one in program.flows if one.name == "main" and not one.module)
    graph = walk(program, flows, _DEPTH)
    ids = [*(one.id for one in graph.clusters), *(one.id for one in graph.vertices)]
    number = {one: at for at, one in enumerate(ids)}
    told = [
        [[one.kind, one.times, number.get(one.parent)] for one in graph.clusters],
        [[one.kind, one.times, bool(one.repeat), number.get(one.cluster)] for one in graph.vertices],
        sorted([number[one.source], number[one.target], one.kind, one.back] for one in graph.edges),
    ]
    return sha256(json.dumps(told).encode()).hexdigest()[:16]
