# ruff: noqa: E501 a mutant on one line each
"""Mutants of the analysis of bounds: each is one mistake that somebody could make, and the tests of bounds notice it."""

from __future__ import annotations

import pytest

from masdsl.bounds.flows import bound
from tests.harness import battery
from tests.harness.mutants import Mutant, Vanished, analysis_with, source_of

SEEDS = range(24)
"""Generated programs that every mutant is tried on, after the tables."""


def _in(file: str, *pairs: tuple[str, str]) -> list[Mutant]:
    return [Mutant(file, old, new) for old, new in pairs]


MUTANTS = [
    *_in(
        "bounds/amounts.py",
        ("self[0] + other[0], self[1] + other[1]", "max(self[0], other[0]), self[1] + other[1]"),
        ("self[2] + other[2], self[3]", "max(self[2], other[2]), self[3]"),
        ("self[4] + other[4]\n", "max(self[4], other[4])\n"),
        ("self[3] * count, self[4] * count)", "self[3] * count, self[4])"),
        ("Amounts(*map(max, self, other))", "Amounts(*map(min, self, other))"),
        ("Amounts(*map(min, self, other))", "Amounts(*map(max, self, other))"),
        ("calls = min(calls, limits.calls)", "calls = limits.calls"),
        ("calls = min(calls, limits.calls)", "calls = min(calls, limits.calls - 1)"),
        ("min(tokens_in, limits.tokens), min(tokens_out", "min(tokens_in, limits.tokens // 2), min(tokens_out"),
        ("usd = min(usd, limit_of(limits.usd))", "usd = min(usd, int(limits.usd))"),
        ("spent = self.spent.plus(other.spent)\n", "spent = self.spent.upper(other.spent)\n"),
        ("if count == 0:\n            return FREE\n        spent = self.spent.times(count)", "if count == 0:\n            return self\n        spent = self.spent.times(count)"),
        ("Least(self.spent.lower(other.spent),", "Least(self.spent.upper(other.spent),"),
        ("self.least.times(low), self.most.times(high)", "self.least.times(high), self.most.times(high)"),
        ("self.least.times(low), self.most.times(high)", "self.least.times(low), self.most.times(low)"),
        ("self.least.lower(other.least), self.most.upper(other.most)", "self.least.lower(other.least), self.most.plus(other.most)"),
        ("Range(self.least, self.most.under(limits))", "Range(self.least, self.most)"),
    ),
    *_in(
        "bounds/ways.py",
        ("None if next_one.behind is None else self.behind.plus(next_one.behind),", "next_one.behind,"),
        ("either(self.out, None if next_one.out is None else self.behind.plus(next_one.out))", "either(self.out, next_one.out)"),
        ("either(self.back, None if next_one.back is None else self.behind.plus(next_one.back))", "self.back"),
        ("        if self.behind is None:\n            return self\n        if next_one.out is None", "        if next_one.out is None"),
        ("ways.behind.most.times(count - 1))", "ways.behind.most.times(count))"),
        ("ways.behind.most.times(count - 1))", "ways.behind.most.times(count - 2))"),
        ("spent = spent.plus(ways.behind.most.times(count))", "spent = ways.behind.most.times(count)"),
        ("counted = min(count, max(low - done, 0))", "counted = count"),
        ("behind = Range(least if low else FREE, spent)", "behind = Range(FREE, spent)"),
        ("Range(way.least, spent.plus(way.most))", "Range(way.least, way.most)"),
        ("return Ways(either(behind, out), None, back)", "return Ways(behind, None, back)"),
        ("least = one if least is None else least.lower(one)", "least = one if least is None else least"),
        ("None if way is None else way.under(limits)", "way"),
    ),
    *_in(
        "bounds/requests.py",
        ("turns * prompt.most + (turns - 1) * fixed.around", "prompt.most + (turns - 1) * fixed.around"),
        ("(turns * (turns - 1) // 2)", "(turns - 1)"),
        ("(turns * (turns - 1) // 2)", "((turns - 1) * (turns - 2) // 2)"),
        (" + turns * (attempts - 1) * fixed.retried", ""),
        (" + turns * (attempts - 1) * fixed.retried", " + (attempts - 1) * fixed.retried"),
        ("calls = turns * attempts", "calls = turns"),
        ("calls = turns * attempts", "calls = turns + attempts"),
        ("tokens_out = calls * fixed.max_tokens", "tokens_out = turns * fixed.max_tokens"),
        ("usd = tokens_in * price.input + tokens_out * price.output", "usd = (tokens_in + tokens_out) * price.input"),
        ("usd = tokens_in * price.input + tokens_out * price.output", "usd = tokens_in * price.output + tokens_out * price.input"),
        ("return StepCost(Range(least.lower(fails), most), None, fixed.seconds)", "return StepCost(Range(least, most), None, fixed.seconds)"),
        ("fails = Least(_ONE_CALL, least.required)", "fails = least"),
        ("Least(_ONE_CALL, least.required)\n", "Least(_ONE_CALL.times(0), least.required)\n"),
        ("prompt.least + min(fixed.around, fixed.last_around)", "prompt.most + min(fixed.around, fixed.last_around)"),
        ("-(-request // sizes.LEAST_SHARE)", "request // sizes.LEAST_SHARE"),
        ("-(-request // sizes.LEAST_SHARE)", "request"),
        ("steps = agent.steps if tools else 0", "steps = 0"),
        ("formats.turn_tokens(forms, agent.returns) if steps else", "formats.turn_tokens([], agent.returns) if steps else"),
        ("longest if agent.max_tokens is None else max(agent.max_tokens, 1)", "longest"),
        ("opening = sizes.REQUEST_TOKENS + sizes.MESSAGE_TOKENS", "opening = sizes.REQUEST_TOKENS"),
        ("opening = sizes.REQUEST_TOKENS + sizes.MESSAGE_TOKENS", "opening = sizes.MESSAGE_TOKENS"),
        ("opening += sizes.MESSAGE_TOKENS + sizes.counted_tokens(agent.role)", "opening += sizes.MESSAGE_TOKENS"),
        ("results = max(shown(tool.returns).most for tool in tools)", "results = min(shown(tool.returns).most for tool in tools)"),
        ("sizes.RESULT_TOKENS + results", "sizes.RESULT_TOKENS"),
        ("opening += formats.tools_tokens(formats.tool_functions(forms))", "opening += 0"),
        ("return self._cost_by(agent, inputs, agent.tool_calls)", "return self._cost_by(agent, inputs, False)"),
        ("growth = 2 * sizes.MESSAGE_TOKENS + 2 * max_tokens", "growth = 2 * sizes.MESSAGE_TOKENS"),
        ("said = formats.output_contract(agent.returns)", 'said = ""'),
        ("around=opening + formats.schema_tokens(schema)", "around=opening"),
        ("last_around=opening + formats.schema_tokens(last_schema)", "last_around=opening"),
        ("retried=2 * sizes.MESSAGE_TOKENS + 2 * max_tokens", "retried=2 * sizes.MESSAGE_TOKENS + max_tokens // 2"),
        ("turns=steps + 1", "turns=max(steps, 1)"),
        ("attempts=1 + agent.retries", "attempts=max(agent.retries, 1)"),
        ("prompt_extent(agent, inputs, said)\n    if", "prompt_extent(agent, inputs)\n    if"),
        ("max(found.most, _EMPTY)", "found.most"),
        ("sizes.agent_seconds(agent.timeout, agent.retries, steps, tool_seconds)", "sizes.agent_seconds(agent.timeout, 0, steps, tool_seconds)"),
        ("StepCost(NO_COST, fails, microseconds(tool.timeout or sizes.TOOL_SECONDS))", "StepCost(NO_COST, fails, 0)"),
        ("fails = None if tool.has_default else FREE", "fails = None"),
        ("-int(-seconds * MICROSECONDS // 1)", "int(seconds) * MICROSECONDS"),
        ("        most = most.under(limits)\n", "        pass\n"),
        ("        most = most.under(limits)\n", "        most = UNLIMITED.under(limits)\n"),
        ("usd=most.tokens * max(price.input, price.output)", "usd=most.tokens * price.input"),
        ("usd=most.tokens * max(price.input, price.output)", "usd=most.calls * max(price.input, price.output)"),
        ("usd=most.tokens * max(price.input, price.output)", "usd=most.usd"),
        ("tool.timeout or sizes.DESIGN_SECONDS", "tool.timeout or sizes.TOOL_SECONDS"),
        ("Least(_ONE_CALL, Amounts(1, 0, 0, sizes.DESIGN_TOKENS, 0))", "FREE"),
        ("return StepCost(Range(FREE, most), None, seconds)", "return StepCost(Range(least, most), None, seconds)"),
        ("return StepCost(Range(least, most), FREE, seconds)", "return StepCost(Range(least, most), None, seconds)"),
    ),
    *_in(
        "bounds/flows.py",
        ("ways = ways.then(found.ways)", "ways = found.ways"),
        ("seconds = limited(body.seconds, node.limits)", "seconds = body.seconds"),
        ("limited(body.seconds, flow.limits),", "body.seconds,"),
        ("return _Found(body.ways.under(node.limits), body.fails", "return _Found(body.ways, body.fails"),
        ("Range(least, whole.most.under(flow.limits))", "Range(least, whole.most)"),
        ("least = least.lower(body.fails)", "least = body.fails"),
        ("if flow.has_default and body.fails is not None", "if False and body.fails is not None"),
        ("None if flow.has_default else body.fails", "None"),
        ("seconds = max(seconds, other.seconds)", "seconds = seconds + other.seconds"),
        ("ways = ways.or_else(other.ways)", "ways = ways.then(other.ways)"),
        ("seconds = sum(body.seconds * count for body, count in bodies)", "seconds = sum(body.seconds for body, count in bodies)"),
        ("return _Found(repeated(rounds, low),", "return _Found(repeated(rounds, high),"),
        ("return self._loop(node, node.times, node.times, env,", "return self._loop(node, node.times - 1, node.times - 1, env,"),
        ("return self._loop(node, low, high, env,", "return self._loop(node, low, low, env,"),
        ("return self._loop(node, low, high, env,", "return self._loop(node, high, high, env,"),
        ("most = most.plus(found.range.most)", "most = most.upper(found.range.most)"),
        ("            seconds += found.seconds\n", "            seconds = max(seconds, found.seconds)\n"),
        ("least = leasts(least, spent.then(found.range.least))", "least = spent.then(found.range.least)"),
        ("if isinstance(option.type, Optional | Nothing):\n", "if False:\n"),
        ("            if passed is None:\n                break\n            spent", "            spent"),
        ("if passed is None:\n                break\n", "break\n"),
        ("one.range.times(node.count, node.count)", "one.range.times(1, node.count)"),
        ("one.range.times(node.count, node.count)", "one.range.times(node.count, 1)"),
        ("one.range.times(low, high)", "one.range.times(high, high)"),
        ("low = 0 if node.condition is not None else low", "low = low"),
        ("one.seconds * (node.count if self._has_effect(node.body) else min(node.count, 1))", "one.seconds * node.count"),
        ("one.seconds * (node.count if self._has_effect(node.body) else min(node.count, 1))", "one.seconds"),
        ("one.seconds * (high if self._has_effect(node.body) else min(high, 1))", "one.seconds"),
        ("clock.take(self._order.touches[id(statement)], found.seconds, self._changes_world(statement))", "clock.take(self._order.touches[id(statement)], found.seconds, False)"),
        ("narrowed(passed[param.name], param.type) if param.name in passed else constant(param.default, param.type)", "constant(param.default, param.type) if param.optional else narrowed(passed[param.name], param.type)"),
        ("env[node.name] = self._longer(node, env)", "pass"),
        ("List(element, before.low + more.low, before.high + more.high)", "List(element, before.low + more.low, before.high)"),
        ("List(element, before.low + more.low, before.high + more.high)", "List(element, before.high, before.high + more.high)"),
        ("        for name in carried:\n            env.pop(name, None)\n", ""),
        ("            if after == before or not carried:", "            if True:"),
        ("known.high + (ended - 1) * step", "known.high"),
        ("merged = _widest([inside[name] for inside in after])", "merged = after[0][name]"),
        ("return NO_STEP, kind_of(node, env)", "return NO_STEP, Nothing()"),
        ("(self._limits, *self._slices)", "self._slices"),
        ("(self._limits, *self._slices)", "(self._limits,)"),
        ("if tool.designs else tool_cost(tool)", "if False else tool_cost(tool)"),
    ),
    *_in(
        "bounds/clock.py",
        ("self._ready[name] = ends", "pass"),
        ("begins = max(begins, ready.get(name, 0))\n            for name in touch.binds", "pass\n            for name in touch.binds"),
        ("begins = max(begins, self._effect)", "pass"),
        ("self._control = ends", "pass"),
        ("self.end = max(self.end, ends)", "self.end = ends"),
        ("self.end = max(self.end, ends)", "self.end += seconds"),
        ("ends = begins + seconds", "ends = seconds"),
        ("return min(seconds, -int(-limits.seconds * MICROSECONDS // 1))", "return min(seconds, int(limits.seconds) * MICROSECONDS)"),
        ('found |= {("agent", agent.key) for agent', 'found &= {("agent", agent.key) for agent'),
        ('            found.add(("flow", flow.key))', "            pass"),
    ),
    *_in(
        "bounds/kinds.py",
        ("return known if known.cap < declared.cap else declared", "return known"),
        ("Text(min(kind.cap, text_tokens(value)))", "Text(text_tokens(value) // 2)"),
        ("return one if one.cap > other.cap else other", "return one"),
        ("low, high = min(one.low, other.low), max(one.high, other.high)", "low, high = max(one.low, other.low), max(one.high, other.high)"),
        ("low, high = min(one.low, other.low), max(one.high, other.high)", "low, high = min(one.low, other.low), min(one.high, other.high)"),
        ("narrowed(Text(left.cap + right.cap), declared)", "narrowed(Text(max(left.cap, right.cap)), declared)"),
        ("List(element, left.low + right.low, left.high + right.high), declared)", "List(element, left.low + right.low, right.high), declared)"),
        ("List(element, len(node.items), len(node.items))", "List(element, 1, 1)"),
        ("element = wider(element, kind_of(item, kinds), node.type.element)", "pass"),
    ),
    *_in(
        "bounds/shown.py",
        ("return unknown(SIZE * cap)", "return unknown(SIZE // 2 * cap)"),
        ("_QUOTES.full.size + 2 * SIZE * cap", "_QUOTES.full.size + SIZE * cap // 2"),
        ("_in_a_row(as_json(kind.element, inside, known), comma, max(kind.low, 1), kind.high)", "_in_a_row(as_json(kind.element, inside, known), comma, 1, 1)"),
        ("run = run.either(as_json(kind, 0))", "pass"),
        ("separator.then(item).repeated(low - 1, high - 1)", "item.repeated(low - 1, high - 1)"),
    ),
    *_in(
        "bounds/runs.py",
        ("size = max(self.size, other.size)", "size = min(self.size, other.size)"),
        ("size = self.size * high - lost", "size = self.size - lost"),
        ("self.rest.either(other.rest), self.full.either(other.full)", "self.rest.then(other.rest), self.full.either(other.full)"),
        ("-(-self.full.size // 3)", "self.full.size // 3"),
        ("-(-self.full.size // 3)", "self.full.size"),
    ),
    *_in(
        "bounds/prompts.py",
        ("run = run.then(_inserted(value, scope))", "pass"),
        ("chosen = chosen.either(_parts(branch, scope))", "pass"),
        ("    for name in agent.unmentioned:\n", "    for name in agent.unmentioned[1:]:\n"),
        ('.then(constant(f"{name}:\\n")).then(show(types[name]))', ".then(show(types[name]))"),
        ("_apart(run).then(constant(said)) if said else run", "run.then(constant(said)) if said else run"),
        ("_apart(run).then(constant(said)) if said else run", "run"),
        ("UPPER: Final = (11, 3)", "UPPER: Final = (1, 3)"),
        ("types = {param.name: narrowed(kinds.get(param.name, param.type), param.type) for", "types = {param.name: param.type for"),
    ),
    *_in(
        "bounds/parts.py",
        ("most = most.plus(part.most.times(count))", "most = most.plus(part.most)"),
        ("most = most.plus(part.most.times(count))", "most = part.most.times(count)"),
        (".append((part, count))", ".append((part, 1))"),
    ),
    *_in("bounds/growth.py", ("added += node.value.type.high", "added += 0")),
    *_in(
        "sizes.py",
        ("    if timeout is not None:\n        return timeout\n    turns", "    turns"),
        ("return (1 + retries) * turns * MODEL_SECONDS", "return turns * MODEL_SECONDS"),
        (" + retries * turns * LONGEST_PAUSE", ""),
        (" + steps * tool_seconds\n", "\n"),
        ("    turns = steps + 1\n", "    turns = 1\n"),
    ),
]  # fmt: skip


def test_there_is_nothing_wrong_with_the_analysis_itself() -> None:
    assert not list(battery.faults(bound, SEEDS))
    assert not list(battery.faults(analysis_with(UNCHANGED), SEEDS))


UNCHANGED = Mutant("bounds/amounts.py", "from __future__ import annotations\n", "from __future__ import annotations\n")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.file}: {mutant.old} -> {mutant.new}"[:100])
def test_every_mutant_is_noticed(mutant: Mutant) -> None:
    assert mutant.old != mutant.new
    analysis = analysis_with(mutant)
    assert _is_noticed(analysis), (
        f"nothing is wrong with\n  {mutant.new}\nin masdsl/{mutant.file} instead of\n  {mutant.old}"
    )


def _is_noticed(analysis: battery.Analysis) -> bool:
    """Whether a run shows a fault, or the analysis does not even come to an end."""
    try:
        return next(battery.faults(analysis, SEEDS), None) is not None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return True


def test_a_mutant_whose_text_is_gone_says_so() -> None:
    with pytest.raises(Vanished, match="has this text 0 times"):
        source_of(Mutant("bounds/amounts.py", "no such text", ""))
    with pytest.raises(Vanished, match="a mutant needs it once"):
        source_of(Mutant("bounds/amounts.py", "def ", ""))


def test_mutants_are_many_and_all_over_the_room() -> None:
    assert len(set(MUTANTS)) == len(MUTANTS) >= 40
    assert len({mutant.file for mutant in MUTANTS}) >= 10


def test_a_copy_with_a_mutant_leaves_the_true_analysis_alone() -> None:
    import masdsl.bounds.flows
    import masdsl.sizes

    before = masdsl.bounds.flows, masdsl.sizes, masdsl.bounds.flows.bound
    analysis_with(Mutant("sizes.py", "    turns = steps + 1\n", "    turns = 1\n"))
    assert (masdsl.bounds.flows, masdsl.sizes, masdsl.bounds.flows.bound) == before
