"""Systems of the pool in which one step goes wrong, with and without somebody who repairs the run.

    system = System.of("self_refine", room=1.5)
    for fault in system.faults("model"):
        played = system.play(fault, "rules")

A system runs as a session runs it: without the budget of its file, within `room` times the calls of its worst case. The
models are right (`adversary.Honest`), but for one step, at which the fault (`faults`, `tool_faults`) happens once, as
long as the same model is asked, or for ever. What is repaired, and what that takes, is counted; that nothing is done
twice, and no more spent than is allowed, is for the tests of rectification.
"""

from __future__ import annotations

import inspect
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import masdsl
from masdsl.bounds.flows import bound
from masdsl.config import Config, load_config
from masdsl.diagnostics.base import Findings
from masdsl.journal import MemoryJournal
from masdsl.meta.emission import Terms
from masdsl.meta.roles import ModelRectifier, rectifier_context
from masdsl.meta.systems import bare, parsed, repairable
from masdsl.rectify import Rectifier
from masdsl.rectify.rules import RuleRectifier
from masdsl.runtime import Limits, Result, RunFailed
from masdsl.runtime.models.base import Price, Reply, Request
from masdsl.runtime.models.scripted import ScriptedModel
from masdsl.runtime.shapes import type_of
from masdsl.source import Source
from masdsl.syntax.print import print_document
from tests.harness import virtual_time
from tests.harness.adversary import Honest, largest
from tests.harness.faults import MODEL_KINDS, Context, Kind
from tests.harness.tool_faults import TOOL_KINDS

POOL: Final = Path(__file__).parents[2] / "examples" / "pool"
SYSTEMS: Final = (
    "self_refine", "plan_and_solve", "maslab_llm_debate", "chain_of_verification", "rewoo", "react",
    "mixture_of_agents", "codet", "medagents", "adas_peer_review",
)  # fmt: skip
"""Loops, samples, maps, branches, flows in flows; three of them have tools."""
TRIES: Final = 2
"""Patches for one run, where nobody says another number: as many as a session allows."""
PRICES: Final = {"fast": Price(0.1, 0.4), "default": Price(1.0, 4.0), "smart": Price(3.0, 15.0)}

Lasts: TypeAlias = Literal["once", "model", "step"]
"""How long a fault lasts: one call; all calls at that step by that model (or of that tool); all calls at that step."""
Way: TypeAlias = Literal["nobody", "rules", "model"]


class Position(NamedTuple):
    """A step that can go wrong: its address, who is called (an agent, or the granted name of a tool), on which tier."""

    step: str
    who: str
    tier: str
    context: Context

    @property
    def is_tool(self) -> bool:
        """Whether a tool is called, not a model."""
        return not self.tier


class Fault(NamedTuple):
    """What goes wrong where, and for how long."""

    position: Position
    kind: Kind
    lasts: Lasts


class Played(NamedTuple):
    """How a run ended: `reason` and `step` say why and where it failed.

    `reused` are calls whose values it had from its journal; `asked` those of the rectifier.
    """

    finished: bool
    calls: int
    reused: int
    asked: int
    patches: tuple[str, ...]
    reason: str
    step: str

    @property
    def is_whole(self) -> bool:
        """Whether it gives what it was designed to give: patches changed models and counts, and left nothing out."""
        edits = [line for patch in self.patches for line in patch.splitlines()[1:]]
        return self.finished and all(edit.startswith(("bind ", "set ")) for edit in edits)


def path_of(step: str) -> str:
    """Return an address without its numbers."""
    return re.sub(r"\[[0-9,]*\]", "", step)


class System:
    """A system of the pool, ready to run with models and tools that are right but for one fault."""

    def __init__(self, name: str, text: str, config: Config, room: float, tries: int) -> None:
        self.name = name
        self._budget: Limits | None = None
        self._fault: Fault | None = None
        self._asked: Counter[str] = Counter()
        self._seen: dict[str, Position] = {}
        models = {tier: _Model(self, tier) for tier in PRICES}
        document = parsed(text)
        assert document is not None
        source = Source(str(POOL / f"{name}.mas"), repairable(print_document(bare(document)), tries))
        plain = masdsl.load(source, config=config, models=models)
        self._config = plain.config
        tools = {tool.granted_as: self._function(tool) for tool in plain.compiled.tools.values()}
        self._loaded = masdsl.load(source, config=config, models=models, tools=tools)
        self.honest = Honest(self._loaded.compiled)
        flow = next(one for one in self._loaded.checked.flows if one.name == "main" and not one.module)
        most = bound(self._loaded.checked, {}).flows["main"].most
        self._budget = Limits(calls=math.ceil(most.calls * room))
        self._inputs = {param.name: largest(param.type, "word ", 0.2) for param in flow.params}
        self.undisturbed = self.play(None, "nobody")
        assert self.undisturbed.finished, (name, self.undisturbed.reason)
        self.positions = tuple(self._seen.values())

    @staticmethod
    @cache
    def of(name: str, room: float, tries: int = TRIES) -> System:
        """Return a system by the name of its file."""
        config = load_config(str(POOL), Findings())
        return System(name, (POOL / f"{name}.mas").read_text(encoding="utf-8"), config, room, tries)

    def kinds(self, position: Position) -> list[Kind]:
        """Return the faults at a step that may cost it its value."""
        found = TOOL_KINDS if position.is_tool else MODEL_KINDS
        return [
            kind
            for kind in found
            if kind.fits(position.context)
            and kind.then in ("again", "corrected", "ended", "failed")
            and not kind.blocks
            and (not position.is_tool or inspect.iscoroutinefunction(kind.call))
        ]

    def faults(self, lasts: Lasts) -> Iterator[Fault]:
        """Yield every fault at every step."""
        for position in self.positions:
            for kind in self.kinds(position):
                yield Fault(position, kind, lasts)

    def play(self, fault: Fault | None, way: Way) -> Played:
        """Run the system with a fault, or with none."""
        self._fault, self._asked = fault, Counter()
        asked: list[int] = []
        rectifier = self._rectifier(way, asked)
        run = self._loaded.start(
            "main", self._inputs, journal=MemoryJournal(), run_id="r", rectifier=rectifier or False, budget=self._budget
        )
        try:
            result, reason, failed_step = virtual_time.run(run), "", ""
        except RunFailed as failed:
            result, reason, failed_step = failed.result, failed.reason or "?", failed.step
        patches = tuple(one.patch for one in result.interventions if one.accepted)
        return Played(not reason, result.calls, reused_calls(result), sum(asked), patches, reason, failed_step)

    def _rectifier(self, way: Way, asked: list[int]) -> Rectifier | None:
        if way == "nobody":
            return None
        if way == "rules":
            return RuleRectifier()
        model = ScriptedModel(self._proposed, name="scripted", price=Price(1.0, 1.0))
        asks = partial(rectifier_context, context=None)
        return ModelRectifier(
            model, self._config, asks, lambda: Terms(tries=3), lambda _, emitted: asked.append(emitted.spent.calls)
        )

    def _proposed(self, request: Request) -> str:
        """Return the next idea of a model that always has the same three: another tier, without the step, a default."""
        assert self._fault is not None
        failed = re.search(r"the step (\S+) failed", request.messages[1].content)
        path = path_of(failed.group(1)) if failed else "main"
        position = self._fault.position
        other = "fast" if position.tier == "smart" else "smart"
        ideas = [f"bind {position.who} = {other}", f"drop {path}", f'otherwise {path} = ""']
        if position.is_tool:
            del ideas[0]
        tried = sum(message.role == "assistant" for message in request.messages)
        return f"It failed.\n```patch\npatch 1\n{ideas[min(tried, len(ideas) - 1)]}\n```"

    # ------------------------------------------------------------ models and tools

    def strikes(self, who: str, step: str, tier: str) -> Kind | None:
        """Return what goes wrong with a call now."""
        fault = self._fault
        if fault is None or who != fault.position.who or (step and path_of(step) != path_of(fault.position.step)):
            return None
        number = self._asked[who]
        self._asked[who] += 1
        if fault.lasts == "once" and number:
            return None
        if fault.lasts == "model" and tier != fault.position.tier:
            return None
        return fault.kind

    def see(self, position: Position) -> None:
        """Take note of a step of the undisturbed run, the first of its path."""
        if self._fault is None:
            self._seen.setdefault(path_of(position.step), position)

    def _function(self, tool: Any) -> Callable[..., Any]:
        kind = type_of(tool.returns)
        context = Context(None, "", kind, False)
        names = tool.parameters.names

        async def function(**inputs: Any) -> Any:
            value = largest(kind, "word ", 0.2)
            self.see(Position(tool.granted_as, tool.granted_as, "", context))
            fault = self.strikes(tool.granted_as, "", "")
            if fault is None or fault.call is None or not fault.fits(context):
                return value
            return await fault.call(value, inputs)

        function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]
        )
        return function


class _Model:
    """The model of a tier."""

    def __init__(self, system: System, tier: str) -> None:
        self._system = system
        self._tier = tier
        self.name = f"model-{tier}"
        self.price = PRICES[tier]

    async def complete(self, request: Request) -> Reply:
        """Reply rightly, or go wrong."""
        system = self._system
        reply = await system.honest.complete(request)
        agent = system.honest.program.agents[request.agent]
        context = Context(request, reply.text, type_of(agent.returns), agent.steps > 0)
        system.see(Position(request.step, request.agent, self._tier, context))
        kind = system.strikes(request.agent, request.step, self._tier)
        if kind is None or kind.answer is None or not kind.fits(context):
            return reply
        given: Reply = await kind.answer(context)
        return given

    async def close(self) -> None:
        """Hold nothing."""


def reused_calls(result: Result) -> int:
    """Return the calls whose values a repaired run had from its journal: what a new run would have paid again."""
    reused = {event.address for event in result.events if event.kind == "reused" and event.what == "agent"}
    return sum(event.kind == "called" and event.what == "agent" and event.address in reused for event in result.events)
