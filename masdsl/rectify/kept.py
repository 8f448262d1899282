"""What the values that a patched run goes on with may be touched by.

A finished step keeps its value, whatever the patch puts in its place: a value that an earlier version had from a tool
from outside, or one that tells a secret, then stands there under the name of another callee. So for the labels of trust
a step brings what it brought in any version.
"""

from __future__ import annotations

from collections.abc import Mapping

from masdsl.check.program import Agent, Flow, Tool
from masdsl.check.uses import program_callees
from masdsl.config import Config
from masdsl.rectify.locate import steps
from masdsl.rectify.remaining import Version
from masdsl.trust.policy import policy_of


def with_kept(now: Version, before: Version, aliases: Mapping[str, str], config: Config) -> Version:
    """Return a version with the taints that its steps have from the version before it, which has its own.

    `aliases` are addresses of the entry's steps that the patch in between has changed, new to old.
    """
    found: dict[tuple[str, str], frozenset[str]] = {}
    new_callees, old_callees = program_callees(now.program), program_callees(before.program)
    brings = policy_of(before.program, config).brings
    waiting = [(now.program.flow(now.entry), before.program.flow(before.entry), aliases)]
    seen = set()
    while waiting:
        flow, old, moved = waiting.pop()
        if (flow.key, old.key) in seen:
            continue
        seen.add((flow.key, old.key))
        olds = {_below(place.step.path): place.step for place in steps(old)}
        for place in steps(flow):
            key = (flow.key, place.step.path)
            for path in _earlier(place.step.path, moved):
                step = olds.get(_below(path))
                if step is None:
                    continue
                callee, former = new_callees[place.step.callee], old_callees[step.callee]
                if not isinstance(former, Flow):
                    taints = _brought(former, brings) | before.kept.get((old.key, step.path), frozenset())
                    found[key] = found.get(key, frozenset()) | taints
                elif isinstance(callee, Flow):
                    waiting.append((callee, former, {}))
    return now._replace(kept={place: taints for place, taints in found.items() if taints})


def _earlier(path: str, aliases: Mapping[str, str]) -> tuple[str, ...]:
    """Return a path, and what it was before if a part of it has been moved."""
    moved = [old + path[len(new) :] for new, old in aliases.items() if path == new or path.startswith(f"{new}.")]
    return path, *moved


def _below(path: str) -> str:
    """Return an address without the name of its flow."""
    return path.partition(".")[2]


def _brought(callee: Agent | Tool, brings: Mapping[str, frozenset[str]]) -> frozenset[str]:
    keys = (callee.key,) if isinstance(callee, Tool) else callee.tools
    return frozenset[str]().union(*(brings[key] for key in keys))
