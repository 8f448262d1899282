"""A step that a model designs: what the runtime gives to whoever designs it, and how the step stands in its run.

What is done below the step has addresses below its own, each try with its number, and is journaled like any other:

    main.answer.designer[0]     the model that designs is asked
    main.answer.checked[0]      what it wrote is judged: the program that may be run, or what is wrong with it
    main.answer.main[0]         the flow `main` of that program, and its steps: main.answer.main.draft[0]
    main.answer.mended[1]       after a failure: the program as rules have changed it, which is run in try 1

So a run that goes on from its journal designs nothing again, and pays for nothing twice. Once the step has its value,
or has failed, its row in the journal stands for all of that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

from masdsl.runtime.agent import Agent
from masdsl.runtime.events import address as to_address
from masdsl.runtime.events import read_address
from masdsl.runtime.failures import ShapeError
from masdsl.runtime.meter import NO_LIMITS, Cost, Limits, Measures
from masdsl.runtime.models.base import ChatModel
from masdsl.runtime.past import Spent
from masdsl.runtime.session import Scope, Step
from masdsl.runtime.shapes import Items, Tokens, fit, plain
from masdsl.runtime.stepping import take_step
from masdsl.runtime.text import brief
from masdsl.runtime.tool import Tool, ToolFunction
from masdsl.sizes import DESIGN_SECONDS
from masdsl.tools.base import Designer, ToolFault, ToolUnusable

if TYPE_CHECKING:
    from masdsl.runtime.program import Program
    from masdsl.runtime.run import FlowFunction, Run

LONGEST_TEXT: Final = 40_000
"""Tokens of a designed program by our count: more than any reply has, so that nothing of one is ever cut off."""
MOST_FAULTS: Final = 40
"""Lines that are kept of what is wrong with a text."""


class Judgement(Tool[list[str]]):
    """A step in which a text is judged: its value is a program, empty where there is none to be run, and remarks."""

    def __init__(self, name: str) -> None:
        super().__init__(
            name=name,
            granted_as="",
            inputs={"text": Annotated[str, Tokens(LONGEST_TEXT)]},
            returns=Annotated[list[Annotated[str, Tokens(LONGEST_TEXT)]], Items(1, 1 + MOST_FAULTS)],
        )


CHECKED: Final = Judgement("checked")
"""What a model wrote: whether it may be run, or what is wrong with it."""
MENDED: Final = Judgement("mended")
"""A program that failed: how rules have changed it, and what they did, or why they did nothing."""


class Workshop:
    """What a designer works with: the models of the run, what is left of the slice, and steps below its own.

    `limits` are those of the slice around the step, as the program says them (None for what it leaves open).
    """

    def __init__(self, frame: Run, address: str) -> None:
        self._frame = frame
        self.address = address

    @property
    def left(self) -> Measures:
        """What is left now of all limits around the step."""
        return self._frame._meter.remaining()

    @property
    def limits(self) -> Limits:
        """The innermost limits of calls and tokens around the step, which are the same however often a run goes on."""
        chain = [meter.limits for meter in self._frame._meter.chain]
        calls = next((limits.calls for limits in chain if limits.calls is not None), None)
        return Limits(calls=calls, tokens=next((limits.tokens for limits in chain if limits.tokens is not None), None))

    @property
    def tools(self) -> Mapping[str, ToolFunction]:
        """The host's tools, by the names under which they are granted."""
        return self._frame._session.tools

    def model(self, name: str, *, tier: bool) -> ChatModel:
        """Return a model of the run. Raises ModelError."""
        return self._frame._session.model(name, tier=tier)

    def ask(self, number: int, agent: Agent[str], /, **inputs: object) -> Coroutine[Any, Any, str]:
        """Ask the model that designs, as the step of that agent's name, in try `number`. Raises StepFailed."""
        return self._at(number).call(agent.name, agent, **inputs)

    async def judged(
        self, number: int, judgement: Judgement, text: str, judge: Callable[[], Sequence[str]]
    ) -> list[str]:
        """Return what `judge` says of a text in try `number`, or what it has said of it, by the journal."""

        async def work(step: Step, tool: Judgement, inputs: Mapping[str, Any]) -> list[str]:
            if step.entry is not None:
                step.entry.check_may_call(step.address, "what was thought of a design")
            return list(judge())[: 1 + MOST_FAULTS]

        frame = self._at(number)
        step = frame._step(f"{frame.path}.{judgement.name}", "tool", judgement.name)
        said: list[str] = await take_step(step, judgement, {"text": text}, work)
        return said

    def inner_address(self, address: str) -> str:
        """Return the address of a step of a system as the system's own program calls it: `main.draft[1]`."""
        path, indices = read_address(address)
        frame = self._frame
        return to_address(path.removeprefix(f"{frame.path}."), indices[len(frame.indices) + 1 :])

    async def run(self, number: int, program: Program, flow: FlowFunction, inputs: Mapping[str, object]) -> object:
        """Run a flow of a designed program in try `number`, and return its value as plain data. Raises StepFailed."""
        from masdsl.runtime.run import flow_name, flow_shape, run_flow

        frame = self._at(number)
        path = f"{frame.path}.{flow_name(flow)}"
        if program.budget != NO_LIMITS:
            meter = frame._slice(program.budget, f"the budget of the system at {path}", path)
            frame = frame._below(frame.path, meter, frame._scope)
        parameters = {flow_shape(flow).parameter_of(name) or name: value for name, value in inputs.items()}
        return plain(await run_flow(frame, path, flow, parameters))

    def _at(self, number: int) -> Run:
        frame = self._frame
        return frame._at(frame.path, (*frame.indices, number))


def use_designer(
    frame: Run, path: str, tool: Tool[Any], designer: Designer, inputs: Mapping[str, object]
) -> Coroutine[Any, Any, Any]:
    """Let a system be designed and run as the step at `path`, and return its value, or the declared default.

    Raises StepFailed.
    """
    work: Callable[[Step, Tool[Any], Mapping[str, Any]], Awaitable[Any]] = partial(_design, frame, designer)
    return take_step(frame._step(path, "tool", tool.name), tool, inputs, work)


async def _design(frame: Run, designer: Designer, step: Step, tool: Tool[Any], inputs: Mapping[str, Any]) -> Any:
    entry = step.entry
    if entry is not None:
        entry.check_may_call(step.address, f"what `{tool.name}` designs")
    seconds = DESIGN_SECONDS if tool.timeout is None else tool.timeout
    meter = frame._slice(Limits(seconds=seconds), f"the step {step.path}", step.path)
    scope = Scope(step.scope)
    workshop = Workshop(frame._below(step.path, meter, scope), step.address)
    values = {name: plain(value) for name, value in inputs.items()}
    try:
        result = await scope.run(designer.design(workshop, tool.declared, values))
        fitted, clips = fit(result, tool.returns)
    except (ToolFault, ToolUnusable) as fault:
        raise step.failed(brief(str(fault), 300)) from None
    except ShapeError as error:
        raise step.failed(f"its result does not fit: {error}") from None
    finally:
        if entry is not None:
            entry.below = Spent(Cost(meter.tokens_in, meter.tokens_out, meter.picodollars), meter.calls)
    for clip in clips:
        step.emit("clipped", detail=f"result: {clip}")
    return fitted
