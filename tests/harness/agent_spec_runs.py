"""Programs exported to Agent Spec and imported again, run with what the tests in them give: beside their own runs."""

from __future__ import annotations

from typing import Any, NamedTuple

from masdsl import testing
from masdsl.check.program import Program
from masdsl.config import DEFAULT
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.render import render_short
from masdsl.interop.agent_spec import document_text, export
from masdsl.interop.agent_spec_import import import_text
from masdsl.interop.agent_spec_read import plain_name
from masdsl.pipeline import check_source, load
from masdsl.runtime import RunFailed
from masdsl.runtime.shapes import plain
from masdsl.source import Source
from tests.harness.programs import granted

FAILED = "the run failed"


class Said(NamedTuple):
    """How a run ended: its value as plain data, or FAILED; and how many calls of models it made."""

    value: Any
    calls: int


def with_tests(program: Program) -> tuple[Program, list[tuple[Any, str]]]:
    """Return a program whose tests are flows, and each test with the key of its flow."""
    flows = testing._flows(program, program.tests)
    tools = tuple(tool.replace(granted_as=tool.key) for tool in program.tools)
    whole = program.replace(flows=(*program.flows, *flows), tests=(), tools=tools, budget=None)
    return whole, list(zip(program.tests, (flow.key for flow in flows), strict=True))


def given_answers(program: Program, test: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a test gives, by the keys of agents and of tools."""

    def given(target: str) -> testing._Answers:
        return testing._Answers([one for one in test.givens if one.target == target], {})

    declared = {agent.declaration: given(agent.declaration) for agent in program.agents}
    agents = {agent.key: declared[agent.declaration].for_agent(agent.key) for agent in program.agents}
    return agents, {tool.key: given(tool.key) for tool in program.tools}


def both(program: Program) -> list[tuple[str, Said, Said]]:
    """Run every test that translates: its title, how it ends here, and in the program that came back."""
    whole, tests = with_tests(program)
    ours = load(whole, in_order=True)
    found = []
    for test, key in tests:
        findings = Findings()
        document = export(whole, findings, key)
        if document is None:
            continue  # a test that calls more than `main` does
        text = import_text(Source("made.json", document_text(document)), findings)
        assert text is not None, render_short(findings.sorted())
        back = check_source(Source("back.mas", text), DEFAULT._replace(tools=granted(*_tools(whole))), findings)
        assert back is not None, render_short(findings.sorted()) + text
        theirs = load(back, in_order=True)
        name = plain_name(key)
        here = _run(program, test, ours, ours, key, {agent.key: agent.key for agent in program.agents})
        names = {plain_name(agent.key): agent.key for agent in program.agents}
        there = _run(program, test, ours, theirs, name, names)
        found.append((test.title, here, there))
    return found


def _tools(program: Program) -> list[str]:
    return [tool.granted_as for tool in program.tools]


def _run(program: Program, test: Any, ours: Any, runs: Any, flow: str, names: dict[str, str]) -> Said:
    agents, tools = given_answers(program, test)
    functions = {key: answers.for_tool(key, ours.tools[key].returns) for key, answers in tools.items()}
    stand_ins = {name: agents[key] for name, key in names.items()}
    try:
        result = runs.run_sync(flow, {}, stand_ins=stand_ins, tools=functions, models={})
    except RunFailed as failure:
        return Said(FAILED, failure.result.calls)
    return Said(plain(result.value), result.calls)
