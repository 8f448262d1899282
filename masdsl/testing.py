"""Runs the tests that stand in programs (`mas test`): offline, against the real compiler and the real runtime.

Each test becomes a flow of its own, compiled with the program: its body, and at the end a record of the names that its
expectations read. Agents and tools answer what is `given`, in the order of the source: steps that a run would do side
by side follow each other. The expectations are evaluated on the result, so that a failure can show the values on both
sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from masdsl.check.addresses import places
from masdsl.check.program import Const, Flow, Given, Local, MakeRecord, Program, Return, Test
from masdsl.diagnostics.base import Diagnostic, Label
from masdsl.diagnostics.run import ExpectationFailed, FailedInTest, NotGiven
from masdsl.node import Node
from masdsl.pipeline import load
from masdsl.runtime import Program as CompiledProgram
from masdsl.runtime import RawReply, Result, RunFailed, StepFailed
from masdsl.runtime.replies import Fault, parse_reply
from masdsl.runtime.shapes import Shape, plain
from masdsl.testing_values import Evaluator, plain_constant
from masdsl.types import Bool, Record, Type

MEASURES = ("calls", "tokens", "usd", "seconds")
ROOT = "test"
"""What the checker calls the outermost part of addresses in a test."""


class Outcome(NamedTuple):
    """How a test ended: what failed (nothing when it passed), how many calls it made, its wall time in seconds."""

    test: Test
    failures: tuple[Diagnostic, ...]
    calls: int
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether everything that the test expects holds."""
        return not self.failures


def run_tests(program: Program, wanted: Callable[[Test], bool] = lambda test: True) -> Iterator[Outcome]:
    """Run the tests of a checked program that are wanted, one after the other, in order of the text."""
    tests = [test for test in program.tests if wanted(test)]
    if not tests:
        return
    flows = _flows(program, tests)
    tools = tuple(tool.replace(granted_as=tool.key) for tool in program.tools)  # two may stand for one host's function
    compiled = load(program.replace(flows=(*program.flows, *flows), tests=(), tools=tools), in_order=True)
    for test, flow in zip(tests, flows, strict=True):
        yield _TestRun(program, test).outcome(compiled, flow.key)


# ---------------------------------------------------------------- tests as flows


def _flows(program: Program, tests: Sequence[Test]) -> list[Flow]:
    taken = {flow.key for flow in program.flows}
    flows = []
    for number, test in enumerate(tests, 1):
        key = f"test_{number}"
        while key in taken:
            key += "_"
        flows.append(_as_flow(test, key))
    return flows


def _as_flow(test: Test, key: str) -> Flow:
    """Return a flow that does what the test's body does and returns the names that its expectations read."""
    names = _names_read(test)
    kind: Type = Bool()
    value: Const | MakeRecord = Const(True, kind)
    if names:
        kind = Record(None, "", tuple(names.items()))
        value = MakeRecord(tuple(Local(name, of) for name, of in names.items()), kind)
    return Flow(
        key=key,
        name=ROOT,
        module="",
        params=(),
        returns=kind,
        has_default=False,
        default=None,
        statics=(),
        limits=None,
        body=(*test.body, Return(f"{ROOT}.return", value, kind)),
        doc=test.title,
        span=test.span,
    )


def _names_read(test: Test) -> dict[str, Type]:
    found: dict[str, Type] = {}
    pending: list[object] = list(reversed(test.expects))
    while pending:
        part = pending.pop()
        if isinstance(part, Local):
            if part.name not in MEASURES:
                found[part.name] = part.type
        elif isinstance(part, tuple):
            pending.extend(reversed(part))
        elif isinstance(part, Node) and not isinstance(part, Type):
            pending.extend(getattr(part, field) for field in reversed(part._fields))
    return found


# ---------------------------------------------------------------- one test


class _TestRun:
    """One run of one test, and what was found missing in it."""

    def __init__(self, program: Program, test: Test) -> None:
        self._program = program
        self._test = test
        self._missing: dict[str, None] = {}

    def outcome(self, compiled: CompiledProgram, flow: str) -> Outcome:
        """Run the test and judge it."""
        agents = {agent.declaration: self._answers(agent.declaration) for agent in self._program.agents}
        stand_ins = {agent.key: agents[agent.declaration].for_agent(agent.key) for agent in self._program.agents}
        tools = {
            tool.key: self._answers(tool.key).for_tool(tool.key, compiled.tools[tool.key].returns)
            for tool in self._program.tools
        }
        try:
            result = compiled.run_sync(flow, {}, stand_ins=stand_ins, tools=tools, models={})
            failures = (*self._not_given(result), *self._unmet(result))
        except RunFailed as failure:
            result = failure.result
            failures = tuple(self._not_given(result)) or (self._failed(failure),)
        return Outcome(self._test, failures, result.calls, result.seconds)

    def _answers(self, target: str) -> _Answers:
        return _Answers([given for given in self._test.givens if given.target == target], self._missing)

    def _not_given(self, result: Result) -> Iterator[Diagnostic]:
        """Report each agent and tool that was asked without having anything to say, at the step that asked first."""
        names = {agent.key: agent.name for agent in self._program.agents}
        for key in self._missing:
            event = next(event for event in result.events if event.kind == "started" and event.name == key)
            address, span, _ = self._place(event.path)
            yield NotGiven(self._test.title, address, names.get(key, key), span=span)

    def _failed(self, failure: RunFailed) -> Diagnostic:
        address, span, labels = self._place(failure.step)
        return FailedInTest(self._test.title, address, failure.reason, labels, span=span)

    def _unmet(self, result: Result) -> Iterator[Diagnostic]:
        measures = {"calls": result.calls, "tokens": result.tokens, "usd": result.usd, "seconds": result.seconds}
        value = plain(result.value)
        names = {**(value if isinstance(value, dict) else {}), **measures}
        evaluator = Evaluator(names, lambda address: self._times(result, address))
        source = self._program.modules[0].source
        for condition in self._test.expects:
            if evaluator.value(condition) is not True:
                text = " ".join(source.slice(condition.span).split())
                seen = evaluator.observations(condition)
                yield ExpectationFailed(self._test.title, text, seen, span=condition.span)

    def _times(self, result: Result, address: str) -> int:
        """Return how often the step at an address was begun; the address may start at any flow around the step."""
        begun = [event.path for event in result.events if event.kind == "started"]
        matching = {path for path in set(begun) if any(place.address == address for place in self._places(path))}
        return sum(path in matching for path in begun)

    def _places(self, path: str) -> tuple[Any, ...]:
        return places(self._program, self._test.body, f"{ROOT}.{path.partition('.')[2]}")

    def _place(self, path: str) -> tuple[str, Any, tuple[Label, ...]]:
        """Return the address of a step as seen from the flow that the test calls, where the test calls it, and labels
        of the places on the way that stand in the same file."""
        found = self._places(path)
        if not found:
            return path, self._test.span, ()
        inner = [place for place in found[1:] if not place.module]
        labels = (Label(inner[-1].span, "fails here"),) if inner else ()
        indices = path[path.index("[") :] if "[" in path else ""
        return found[min(1, len(found) - 1)].address + indices, found[0].span, labels


class _Answers:
    """What a test gives for one agent or tool: one answer after the other, the last one again and again.

    An agent that is used with several types answers as one. Who is asked and has none is noted in `missing`.
    """

    def __init__(self, givens: Sequence[Given], missing: dict[str, None]) -> None:
        self._givens = givens
        self._missing = missing
        self._next = 0

    def _take(self, key: str) -> Given:
        if not self._givens:
            self._missing.setdefault(key)
            raise StepFailed("test", "nothing is given for it")
        given = self._givens[min(self._next, len(self._givens) - 1)]
        self._next += 1
        if given.mode == "fails":
            raise StepFailed("test", "the test lets it fail")
        return given

    def for_agent(self, key: str) -> Callable[[Mapping[str, Any]], Any]:
        """Return a function that answers in the place of an agent's model."""

        def answer(inputs: Mapping[str, Any]) -> Any:
            given = self._take(key)
            return RawReply(str(given.value)) if given.mode == "replies" else plain_constant(given.value)

        return answer

    def for_tool(self, key: str, returns: Shape) -> Callable[..., Any]:
        """Return a function that answers in the place of a tool with that type of result."""

        async def answer(**inputs: Any) -> Any:
            given = self._take(key)
            if given.mode != "replies":
                return plain_constant(given.value)
            parsed = parse_reply(str(given.value), returns)
            if isinstance(parsed, Fault):
                raise StepFailed("test", parsed.text)
            return parsed.value

        return answer
