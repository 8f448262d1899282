"""What one step of an agent, or of a tool, costs: the formulas by which the runtime reserves (`masdsl/sizes.py`).

attempt     REQUEST_TOKENS + MESSAGE_TOKENS and counted tokens of each message + the schema's counted tokens
turn        1 + r attempts; each but the first also shows the faulty reply and what is wrong with it
step        s + 1 turns with tools; each shows all earlier uses of tools and their results. Where a model may call
            several tools in one reply, there are fewer turns for as many uses, so that costs no more
reply       at most `max` tokens, of every attempt
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from masdsl import formats, sizes
from masdsl.bounds.amounts import FREE, NO_COST, UNLIMITED, Amounts, Least, Range
from masdsl.bounds.prompts import prompt_extent
from masdsl.bounds.shown import Extent, shown
from masdsl.check.program import Agent, Limits, Program, Tool
from masdsl.limits import RENDERED_BYTES
from masdsl.money import FREE as NO_PRICE
from masdsl.money import TokenPrice
from masdsl.sizes import MICROSECONDS
from masdsl.types import Type

Prices: TypeAlias = Mapping[str, TokenPrice]
"""What the models behind agents cost, by the agents' keys; nothing where there is none."""
Counts: TypeAlias = Mapping[str, Callable[[str], int]]
"""How many tokens a text has for the model behind an agent, by the agents' keys, where its tokenizer is at hand."""
NO_COUNTS: Counts = {}


class StepCost(NamedTuple):
    """What a step costs, the least with which it fails (None where it cannot), and its longest time in microseconds."""

    range: Range
    fails: Least | None
    seconds: int


class _Fixed(NamedTuple):
    """What follows from an agent's declaration alone, in counted tokens."""

    said: str
    """What the prompt's message says behind the prompt."""
    around: int
    """Of every request, all but that message."""
    last_around: int
    """The same of the turn that may use no tool."""
    growth: int
    """What each use of a tool adds to the requests of later turns."""
    retried: int
    """What an attempt adds that follows a faulty reply."""
    turns: int
    attempts: int
    max_tokens: int
    price: TokenPrice
    seconds: int


class AgentCosts:
    """The cost of steps of a program's agents, by the sizes of their inputs; each is worked out once."""

    def __init__(self, program: Program, prices: Prices, counts: Counts = NO_COUNTS) -> None:
        self._counts = counts
        self._tools = {tool.key: tool for tool in program.tools}
        self._prices = prices
        self._fixed: dict[tuple[str, bool], _Fixed] = {}
        self._known: dict[tuple[str, tuple[Type, ...]], StepCost] = {}

    def design(self, tool: Tool, slices: Sequence[Limits | None]) -> StepCost:
        """Return the cost of a use of a tool that designs, within these slices of the budget."""
        return design_cost(tool, slices, self._prices.get(tool.key, NO_PRICE))

    def step(self, agent: Agent, kinds: tuple[Type, ...]) -> StepCost:
        """Return the cost of a step for inputs of these types, in the order of the agent's parameters."""
        known = self._known.get((agent.key, kinds))
        if known is None:
            inputs = {param.name: kind for param, kind in zip(agent.params, kinds, strict=True)}
            known = self._known[agent.key, kinds] = self._cost(agent, inputs)
        return known

    def _cost(self, agent: Agent, inputs: Mapping[str, Type]) -> StepCost:
        if agent.tool_calls is not None:
            return self._cost_by(agent, inputs, agent.tool_calls)
        plain, native = self._cost_by(agent, inputs, False), self._cost_by(agent, inputs, True)
        fails = None if plain.fails is None or native.fails is None else plain.fails.lower(native.fails)
        return StepCost(plain.range.either(native.range), fails, plain.seconds)

    def _cost_by(self, agent: Agent, inputs: Mapping[str, Type], native: bool) -> StepCost:
        """Return the cost where tools are told by a provider's own protocol, or else in plain text."""
        fixed = self._fixed.get((agent.key, native))
        if fixed is None:
            fixed = self._fixed[agent.key, native] = self._declared(agent, native)
        prompt = _message(agent, inputs, fixed.said)
        turns, attempts, price = fixed.turns, fixed.attempts, fixed.price
        tokens_in = attempts * (turns * prompt.most + (turns - 1) * fixed.around + fixed.last_around)
        tokens_in += attempts * fixed.growth * (turns * (turns - 1) // 2) + turns * (attempts - 1) * fixed.retried
        calls = turns * attempts
        tokens_out = calls * fixed.max_tokens
        usd = tokens_in * price.input + tokens_out * price.output
        most = Amounts(calls, tokens_in, tokens_out, tokens_in + tokens_out, usd)
        least = self._least(prompt, fixed)
        fails = Least(_ONE_CALL, least.required)
        if 3 * prompt.most > RENDERED_BYTES:  # each byte counts a third at least: it may be too large to be sent at all
            fails = FREE
        if agent.has_default:
            return StepCost(Range(least.lower(fails), most), None, fixed.seconds)
        return StepCost(Range(least, most), fails, fixed.seconds)

    def _least(self, prompt: Extent, fixed: _Fixed) -> Least:
        """Return what one attempt costs at least: the ledger takes a provider's word down to an eighth of our count."""
        request = prompt.least + min(fixed.around, fixed.last_around)
        spent_in = -(-request // sizes.LEAST_SHARE)
        price, reply = fixed.price, fixed.max_tokens
        spent = Amounts(1, spent_in, 0, spent_in, spent_in * price.input)
        required = Amounts(1, request, reply, request + reply, request * price.input + reply * price.output)
        return Least(spent, required)

    def _declared(self, agent: Agent, native: bool) -> _Fixed:
        tools = [self._tools[key] for key in agent.tools]
        forms = [_form(tool) for tool in tools]
        steps = agent.steps if tools else 0
        longest = formats.turn_tokens(forms, agent.returns) if steps else formats.reply_tokens(agent.returns)
        max_tokens = longest if agent.max_tokens is None else max(agent.max_tokens, 1)
        opening = sizes.REQUEST_TOKENS + sizes.MESSAGE_TOKENS
        if agent.role:
            opening += sizes.MESSAGE_TOKENS + sizes.counted_tokens(agent.role)
        schema: dict[str, Any] | None
        last_schema: dict[str, Any] | None
        growth = 0
        if steps and native:
            said = formats.native_instructions(agent.returns, steps)
            schema, last_schema = None, _answer_schema(agent.returns)
            opening += formats.tools_tokens(formats.tool_functions(forms))
        elif steps:
            said = formats.tool_instructions(forms, agent.returns, steps)
            schema, last_schema = formats.turn_schema(forms, agent.returns), formats.turn_schema([], agent.returns)
        else:
            said = formats.output_contract(agent.returns)
            schema = last_schema = _answer_schema(agent.returns)
        if steps:
            results = max(shown(tool.returns).most for tool in tools)
            growth = 2 * sizes.MESSAGE_TOKENS + 2 * max_tokens + sizes.RESULT_TOKENS + results
            growth += sizes.CALL_TOKENS if native else 0
        if agent.key in self._counts:
            texts = formats.constant_texts(agent.role, agent.prompt, said)
            opening -= sizes.saved_tokens(texts, self._counts[agent.key])
        tool_seconds = max((tool.timeout or sizes.TOOL_SECONDS for tool in tools), default=0.0)
        return _Fixed(
            said=said,
            around=opening + formats.schema_tokens(schema),
            last_around=opening + formats.schema_tokens(last_schema),
            growth=growth,
            retried=2 * sizes.MESSAGE_TOKENS + 2 * max_tokens + sizes.CORRECTION_TOKENS,
            turns=steps + 1,
            attempts=1 + agent.retries,
            max_tokens=max_tokens,
            price=self._prices.get(agent.key, NO_PRICE),
            seconds=microseconds(sizes.agent_seconds(agent.timeout, agent.retries, steps, tool_seconds)),
        )


def _answer_schema(returns: Type) -> dict[str, Any] | None:
    return None if formats.is_free_text(returns) else formats.schema(returns)


def _message(agent: Agent, inputs: Mapping[str, Type], said: str) -> Extent:
    """Return what the message with the prompt counts; an empty one has a text of its own."""
    found = prompt_extent(agent, inputs, said)
    if found.least:
        return found
    return Extent(0 if found.most else _EMPTY, max(found.most, _EMPTY))


def _form(tool: Tool) -> formats.ToolForm:
    return formats.ToolForm(tool.name, {param.name: param.type for param in tool.params}, tool.doc)


_ONE_CALL = Amounts(1, 0, 0, 0, 0)
_EMPTY = sizes.counted_tokens(formats.EMPTY_PROMPT)


def tool_cost(tool: Tool) -> StepCost:
    """Return the cost of using a tool: time alone."""
    fails = None if tool.has_default else FREE
    return StepCost(NO_COST, fails, microseconds(tool.timeout or sizes.TOOL_SECONDS))


def design_cost(tool: Tool, slices: Sequence[Limits | None], price: TokenPrice) -> StepCost:
    """Return the cost of a system that a model designs and that is run: at worst all that the slices around it allow.

    `price` is that of the dearest model that may be asked. The checker sees to it that calls and tokens are limited.
    """
    most = UNLIMITED
    for limits in slices:
        most = most.under(limits)
    most = most._replace(usd=most.tokens * max(price.input, price.output))  # a limit in USD cuts it off further out
    least = Least(_ONE_CALL, Amounts(1, 0, 0, sizes.DESIGN_TOKENS, 0))
    seconds = microseconds(tool.timeout or sizes.DESIGN_SECONDS)
    if tool.has_default:
        return StepCost(Range(FREE, most), None, seconds)
    return StepCost(Range(least, most), FREE, seconds)


def microseconds(seconds: float) -> int:
    """Return a time in whole microseconds, rounded up."""
    return -int(-seconds * MICROSECONDS // 1)
