"""The labels of a program's steps, as plain data and as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from masdsl.bounds.result import Bounds
from masdsl.bounds.table import Row, aligned
from masdsl.check.program import Agent, Flow, Program, Tool
from masdsl.check.uses import program_callees
from masdsl.config import Config
from masdsl.config.trust import MODEL as MODEL_LEVEL
from masdsl.config.trust import TRUSTED
from masdsl.config.trust import UNTRUSTED as UNTRUSTED_LEVEL
from masdsl.trust.analysis import analyse
from masdsl.trust.check import unproven
from masdsl.trust.labels import MODEL, SECRET, UNTRUSTED
from masdsl.trust.policy import policy_of

HEAD = ("line", "step", "uses", "decided by", "is given", "gives", "takes")


def labels_report(program: Program, bounds: Bounds, config: Config) -> dict[str, Any]:
    """Return the labels of all steps of the program's own flows that a run can come to, in order of the text.

    `bounds` are the program's, at the configuration's prices.

    Labels are lists of taints: `model`, `untrusted`, `secret:NAME`; none is what the author or the user said. `decided`
    is about whether and how often the step happens, `takes` is the level of a tool that not everything may decide
    about, `refused` says that the step breaks the policy. A step of a flow that is called in several ways has what it
    has in any of them.
    """
    policy = policy_of(program, config)
    found = analyse(program, policy, unproven(program, bounds, config, priced=True))
    callees = program_callees(program)
    refused = {breach.step for breach in found.breaches if breach.outer is None}
    outer = {breach.outer for breach in found.breaches}  # of what happens in other modules
    source = program.modules[0].source
    flows = []
    for flow in program.flows:
        steps = [labels for (key, _), labels in found.steps.items() if key == flow.key]
        if flow.module or not steps:
            continue
        rows = []
        for labels in sorted(steps, key=lambda one: one.step.span):
            callee = callees[labels.step.callee]
            limit = policy.limits.get(callee.key, UNTRUSTED_LEVEL)
            rows.append(
                {
                    "line": source.position(labels.step.span.start).line,
                    "path": labels.step.path,
                    "kind": labels.step.kind,
                    "callee": callee.name,
                    "decided": sorted(labels.control),
                    "given": sorted(labels.given),
                    "gives": sorted(labels.gives),
                    "takes": None if limit == UNTRUSTED_LEVEL else limit,
                    "lends": _lent(callee, program),
                    "endorsed": list(labels.endorsed),
                    "refused": labels.step.path in refused or labels.step.span in outer,
                }
            )
        statics = dict(flow.statics)
        flows.append({"flow": flow.name, "statics": statics, "entry": not flow.statics, "steps": rows})
    return {"file": source.name, "flows": flows}


def _lent(callee: Agent | Tool | Flow, program: Program) -> list[str]:
    """Return the names of the tools that an agent may use."""
    if not isinstance(callee, Agent):
        return []
    names = {tool.key: tool.name for tool in program.tools}
    return [names[key] for key in callee.tools]


def render_labels(flows: Sequence[Mapping[str, Any]]) -> str:
    """Return the flows of `labels_report` as tables.

    flow main
      line  step       uses          decided by  is given   gives      takes
        12  main.page  tool fetch    trusted     trusted    untrusted
        14  main.sent  tool send     trusted     untrusted  untrusted  model  REFUSED
    """
    lines: list[str] = []
    for flow in flows:
        lines += [""] if lines else []
        statics = ", ".join(f"{name}: {value}" for name, value in flow["statics"].items())
        lines.append(f"flow {flow['flow']}" + (f"[{statics}]" if statics else ""))
        rows: list[Row] = [tuple(f"  {name}" if name == "line" else name for name in HEAD)]
        rows += _rows(flow["steps"])
        lines += [line.rstrip() for line in aligned(rows, left=len(HEAD))]
    return "\n".join(lines) + "\n" if lines else ""


def _rows(steps: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    for step in steps:
        tools = f" with {', '.join(step['lends'])}" if step["lends"] else ""
        takes = step["takes"] or ""
        if step["endorsed"]:
            takes += f" (any {', '.join(step['endorsed'])})"
        if step["refused"]:
            takes += "  REFUSED"
        labels = (level(step[key]) for key in ("decided", "given", "gives"))
        yield (f"  {step['line']:4}", step["path"], f"{step['kind']} {step['callee']}{tools}", *labels, takes)


def level(taints: Sequence[str]) -> str:
    """Return taints in words: the worst level of trust, and secrets."""
    worst = UNTRUSTED_LEVEL if UNTRUSTED in taints else MODEL_LEVEL if MODEL in taints else TRUSTED
    secrets = [taint.removeprefix(SECRET) for taint in taints if taint.startswith(SECRET)]
    return ", ".join((worst, *(f"secret {name}" for name in secrets)))
