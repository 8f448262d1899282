"""Random well-typed programs: they check, print, compile and verify, and run like the reference interpreter says."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masdsl import pipeline
from masdsl.bounds.flows import bound
from masdsl.check.program import Program
from masdsl.config import DEFAULT, Config
from masdsl.diagnostics.base import ERROR, Findings
from masdsl.diagnostics.render import render_short
from masdsl.runtime import RunFailed
from masdsl.runtime.failures import StepFailed
from masdsl.runtime.loader import load_module
from masdsl.runtime.shapes import plain
from masdsl.source import Source
from masdsl.syntax.parse import parse_program
from masdsl.syntax.print import format_document
from tests.harness.generate import program as generated
from tests.harness.programs import granted
from tests.harness.reference import Interpreter, StepFailure, World
from tests.harness.world import hashed_world

CONFIG: Config = DEFAULT._replace(tools=granted("look", "send"))
FAILED = "the run failed"
Calls = Counter[str]


def checked(text: str) -> Program:
    findings = Findings()
    program = pipeline.check_source(Source("generated.mas", text), CONFIG, findings)
    errors = [finding for finding in findings.sorted() if finding.diagnostic.severity == ERROR]
    assert program is not None, render_short(errors) + "\n" + text
    return program


def interpreted(program: Program, world: World, question: str) -> tuple[Any, Calls | None]:
    """Return the value, and the calls where they do not depend on the order of time."""
    interpreter = Interpreter(program, world)
    try:
        value = interpreter.run("main", {"q": question})
    except StepFailure:
        value = FAILED
    if interpreter.failed_flows:
        return value, None
    return value, Counter(json.dumps(call, sort_keys=True) for call in interpreter.calls)


def compiled(program: Program, world: World, question: str) -> tuple[Any, Calls, int]:
    """Return the value, the calls and the number of calls of models of the compiled program."""
    calls: Calls = Counter()

    def stand_in(kind: str, name: str) -> Callable[[Any], Any]:
        def answer(inputs: Any) -> Any:
            calls[json.dumps((name, dict(inputs)), sort_keys=True)] += 1
            try:
                return world(kind, name, dict(inputs))
            except StepFailure:
                raise StepFailed(name, "as the world wants it") from None

        return answer

    stand_ins = {agent.name: stand_in("agent", agent.name) for agent in program.agents}
    tools = {tool.granted_as: tool_function(stand_in("tool", tool.name)) for tool in program.tools}
    module = load_module(pipeline.build(program).text, {})
    try:
        result = asyncio.run(module.PROGRAM.run("main", {"q": question}, stand_ins=stand_ins, tools=tools, models={}))
    except RunFailed as failure:
        return FAILED, calls, failure.result.calls
    return plain(result.value), calls, result.calls


def tool_function(answer: Callable[[Any], Any]) -> Callable[..., Any]:
    async def function(**inputs: Any) -> Any:
        return answer(inputs)

    return function


def compare(text: str, seed: int) -> None:
    program = checked(text)
    limits = bound(program, {}).flows["main"]
    for question in ("", "what is it?"):
        world = hashed_world(seed)
        expected, expected_calls = interpreted(program, world, question)
        value, calls, count = compiled(program, world, question)
        assert value == expected, text
        assert count <= limits.most.calls
        assert value == FAILED or count >= limits.least.calls
        assert expected_calls is None or calls == expected_calls, text


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False))
def test_generated_programs_run_like_the_reference(random: Random) -> None:
    compare(generated(random, 5), random.randrange(1000))


@pytest.mark.parametrize("seed", range(40))
def test_seeded_programs_run_like_the_reference(seed: int) -> None:
    compare(generated(Random(seed), 8), seed)


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_generated_programs_print_to_themselves(random: Random) -> None:
    parsed = parse_program(Source("generated.mas", generated(random, 6)), Findings())
    text = format_document(parsed)
    again = parse_program(Source("generated.mas", text), Findings())
    assert again.document == parsed.document
    assert format_document(again) == text
