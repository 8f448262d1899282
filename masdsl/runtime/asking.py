"""How an agent is asked: its inputs, its prompt, its model; then one turn, or several with tools."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

from masdsl.formats import constant_texts
from masdsl.runtime.acting import act, native_contract
from masdsl.runtime.agent import Agent
from masdsl.runtime.calling import Conversation
from masdsl.runtime.models.base import ChatModel, ModelError, calls_tools
from masdsl.runtime.models.counted import CountedModel
from masdsl.runtime.prompt import PromptFailed
from masdsl.runtime.session import Step
from masdsl.runtime.shapes import plain
from masdsl.runtime.stand_in import StandInModel
from masdsl.runtime.turns import messages_of, take_turn


def ask(step: Step, agent: Agent[Any], values: Mapping[str, object]) -> Awaitable[Any]:
    """Ask an agent with fitted inputs and return its typed value; raise StepFailed (the default is not used here)."""
    try:
        prompt = agent.prompt.render({name: plain(value) for name, value in values.items()})
    except PromptFailed as error:
        raise step.failed(str(error)) from None
    stand_in = step.session.stand_ins.get(agent.name)
    try:
        model = step.session.model_of(agent) if stand_in is None else StandInModel(stand_in, values)
    except ModelError as error:
        raise step.failed(error.detail) from None
    deadline = step.session.time() + agent.seconds
    ends = deadline if step.meter.deadline is None else min(deadline, step.meter.deadline)
    contract = native_contract(agent) if agent.steps and calls_tools(model) else agent.contract
    talk = Conversation(step, agent, model, deadline, ends, saved_tokens(agent, model, contract))
    if agent.steps:
        return act(talk, prompt)
    return take_turn(talk, messages_of(agent, prompt), agent.schema, agent.parse)


def saved_tokens(agent: Agent[Any], model: ChatModel, contract: str) -> int:
    """Return what every request of an agent counts less than by the rule, because the model's tokenizer is at hand.

    `contract` is how the format of the reply is asked for.
    """
    if not isinstance(model, CountedModel):
        return 0
    return model.saved_tokens(constant_texts(agent.role, agent.prompt.text, contract))
