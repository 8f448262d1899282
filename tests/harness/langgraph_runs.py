"""Programs exported to LangGraph, and run there with what the tests in them give: beside masdsl's own runs."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field, TypeAdapter

from masdsl import testing
from masdsl.check.program import Program
from masdsl.interop.langgraph import export
from masdsl.pipeline import load
from masdsl.runtime import RawReply, RunFailed
from masdsl.runtime.shapes import plain

FAILED = "the run failed"


class Said(NamedTuple):
    """How a run ended: its value as plain data, or FAILED; and how many calls of models it made."""

    value: Any
    calls: int


class Scripted(BaseChatModel):
    """A chat model of langchain-core whose replies a function gives."""

    answer: Callable[[list[BaseMessage]], str]
    asked: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        self.asked.append(kwargs)
        return ChatResult(generations=[ChatGeneration(message=AIMessage(self.answer(messages)))])

    async def _agenerate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        await asyncio.sleep(0)
        return self._generate(messages, stop, None, **kwargs)


def imported(text: str, name: str, folder: Path) -> ModuleType:
    """Import the text of an exported file, as a user does."""
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def both(program: Program, folder: Path) -> list[tuple[str, Said, Said]]:
    """Run every test of a program: its title, how it ends here (in the order of the text) and on LangGraph."""
    flows = testing._flows(program, program.tests)
    tools = tuple(tool.replace(granted_as=tool.key) for tool in program.tools)
    whole = program.replace(flows=(*program.flows, *flows), tests=(), tools=tools)
    ours = load(whole, in_order=True)
    own_models = tuple(agent.replace(model=agent.key, is_model_name=True) for agent in program.agents)
    theirs = imported(export(whole.replace(agents=own_models)), f"exported_{abs(hash(program))}", folder)
    found = []
    for test, flow in zip(program.tests, flows, strict=True):
        found.append((test.title, _here(program, test, ours, flow.key), _there(program, test, ours, theirs, flow.key)))
    return found


def _answers(program: Program, test: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    def given(target: str) -> testing._Answers:
        return testing._Answers([one for one in test.givens if one.target == target], {})

    declared = {agent.declaration: given(agent.declaration) for agent in program.agents}
    agents = {agent.key: declared[agent.declaration].for_agent(agent.key) for agent in program.agents}
    return agents, {tool.key: given(tool.key) for tool in program.tools}


def _here(program: Program, test: Any, ours: Any, flow: str) -> Said:
    agents, tools = _answers(program, test)
    functions = {key: answers.for_tool(key, ours.tools[key].returns) for key, answers in tools.items()}
    try:
        result = ours.run_sync(flow, {}, stand_ins=agents, tools=functions, models={})
    except RunFailed as failure:
        return Said(FAILED, failure.result.calls)
    return Said(plain(result.value), result.calls)


def _there(program: Program, test: Any, ours: Any, theirs: ModuleType, flow: str) -> Said:
    agents, tools = _answers(program, test)
    functions = {key: answers.for_tool(key, ours.tools[key].returns) for key, answers in tools.items()}
    calls = 0

    def model(answer: Callable[[Any], Any]) -> Scripted:
        def said(messages: list[BaseMessage]) -> str:
            nonlocal calls
            calls += 1
            value = answer({})
            if isinstance(value, RawReply):
                return value.text
            value = plain(value)
            return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

        return Scripted(answer=said)

    host = theirs.Host(models={key: model(answer) for key, answer in agents.items()}, tools=functions)
    try:  # one task at a time: in the order in which answers are given
        value = asyncio.run(theirs.call(getattr(theirs, flow.upper()), host, {}, {"max_concurrency": 1}))
    except theirs.StepFailed:
        return Said(FAILED, calls)
    return Said(TypeAdapter(Any).dump_python(value, mode="json", by_alias=True), calls)
