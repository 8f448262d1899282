# ruff: noqa: E501 a mutant on one line each
"""Mutants of the analysis of trust: each drops a rule, or bends one, and then accepts a program that interferes."""

from __future__ import annotations

import pytest

from tests.harness.interference import Subject, accepts, checked
from tests.harness.mutants import Mutant, trust_with
from tests.harness.trust_scenes import scenes


def _in(file: str, *pairs: tuple[str, str]) -> list[Mutant]:
    return [Mutant(f"trust/{file}.py", old, new) for old, new in pairs]


MUTANTS = [
    *_in(
        "labels",
        ("joined = {**label, **joined}", "pass"),
        ("elif label and not label.keys() <= joined.keys():", "elif label and not joined.keys():"),
        ("return {taint: Reason(kind, name, span, module, reason) for taint, reason in label.items()}", "return CLEAN"),
        ("return self if label.keys() <= self.label.keys() else Value(join(self.label, label), self.parts)", "return self"),
        ("            return Value(self.label)\n        return self.parts[name]", "            return PLAIN\n        return self.parts[name]"),
        ("return self.parts[name].under(self.label)", "return self.parts[name]"),
        ("label = join(label, part.all())", "pass"),
        ("parts = {name: either(_inner(one, name), _inner(other, name)) for name in sorted(names)}", "parts = one.parts"),
        ("return Value(join(one.label, other.label), parts)", "return Value(one.label, parts)"),
        ("found = either(found, value)", "found = value"),
    ),
    *_in(
        "expressions",
        (".part(ITEM).under(label_of(node.index, names))", ".part(ITEM)"),
        ("one_of(value_of(item, names) for item in node.items)", "one_of(value_of(item, names) for item in node.items[:1])"),
        ("Value(join(label_of(node.left, names), label_of(node.right, names)))", "Value(label_of(node.left, names))"),
        ("either(value_of(node.left, names), value_of(node.right, names))", "value_of(node.left, names)"),
        ("Value(join(value_of(node.left, names).label, value_of(node.right, names).label))", "PLAIN"),
        ("return Value(label_of(node.operand, names))", "return PLAIN"),
        ("return Value(join(*(label_of(operand, names) for operand in node.operands)))", "return PLAIN"),
        ("return Value(whole.label)", "return PLAIN"),
        ("            return whole.part(ITEM)", "            return PLAIN"),
        ("whole.under(join(*(label_of(other, names) for other in node.arguments[1:])))", "whole"),
        ("return Value(join(*(label_of(argument, names) for argument in node.arguments)))", "return PLAIN"),
        ("value_of(node.value, names).part(node.field)", "PLAIN"),
        ("_ITEMS = frozenset((\"first\", \"last\"))", "_ITEMS = frozenset((\"first\", \"last\", \"join\"))"),
    ),
    *_in(
        "walk",
        ("names[node.name] = value.under(control)\n", "names[node.name] = value\n"),
        ("either(names[node.name], value_of(node.value, names)).under(control)", "names[node.name].under(control)"),
        ("either(names[node.name], value_of(node.value, names)).under(control)", "either(names[node.name], value_of(node.value, names))"),
        ("loop=join(control, self._asked(node.condition, names))", "loop=control"),
        ("self._side(node.value, names, control).under(control))\n", "self._side(node.value, names, control))\n"),
        ("return None, Exits(flow=control)", "return None, Exits()"),
        ("inside = join(control, self._asks(items.label, node.items))", "inside = control"),
        ("{node.var: items.part(ITEM)})", "{node.var: PLAIN})"),
        ("control = join(control, self._asked(branch.condition, names))", "pass"),
        ("[*blocks, (node.orelse, control)]", "[*blocks, (node.orelse, CLEAN)]"),
        ("control = join(control, self._asked(node.subject, names))", "pass"),
        ("others = () if node.orelse is None else ((node.orelse, control),)", "others = () if node.orelse is None else ((node.orelse, CLEAN),)"),
        ("self._statement(node, names, join(control, exits.flow))", "self._statement(node, names, control)"),
        ("            exits = exits.joined(left)\n        return names, exits", "            exits = left\n        return names, exits"),
        ("            exits = exits.joined(left)\n            if end", "            exits = left\n            if end"),
        ("return Exits(join(self.flow, other.flow), join(self.loop, other.loop))", "return Exits(other.flow, join(self.loop, other.loop))"),
        ("begin = _merged([names, head.names]) or {}", "begin = dict(names)"),
        ("join(control, head.control))", "control)"),
        ("leaving = [one for one in (*self._leaving.pop(), end) if one is not None]", "leaving = [one for one in (self._leaving.pop() and (), end) if one]"),
        ("head.control = join(head.control, exits.loop, exits.flow)", "head.control = join(head.control, exits.flow)"),
        ("head.control = join(head.control, exits.loop, exits.flow)", "head.control = join(head.control, exits.loop)"),
        ("return after, Exits(flow=exits.flow)", "return after, Exits()"),
        ("        while before != (now := self._extent()):", "        for now in (0,):"),
        ("({name: value.shape() for name, value in head.names.items()}, *map(frozenset, (head.control, head.spends)))", "()"),
        ("self._starved = join(starved, head.spends)", "pass"),
        ("self._stopped = self._stoppers() if self._guarded else CLEAN", "self._stopped = CLEAN"),
        ("return join(self._given.stopped, self._fails, late)", "return join(self._fails, late)"),
        ("return join(self._given.stopped, self._fails, late)", "return join(self._given.stopped, self._fails)"),
        ("return join(self._given.stopped, self._fails, late)", "return join(self._given.stopped, late)"),
        ("self._guarded = context.given.guarded or self._flow.has_default", "self._guarded = context.given.guarded"),
        ("self._guarded = context.given.guarded or self._flow.has_default", "self._guarded = self._flow.has_default"),
        ("result, fails = result.under(fails), None", "fails = None"),
        ("return Value(CLEAN, {ITEM: one})", "return Value(CLEAN, {ITEM: PLAIN})"),
        ("inner = {**names, node.var: items.part(ITEM)}", "inner = {**names, node.var: PLAIN}"),
        ("chosen = self._asks(items.label, node.items)", "chosen: Label = CLEAN"),
        ("chosen = join(chosen, self._asked(node.condition, inner))", "pass"),
        ("one = self._attempt(node.body, inner, join(control, chosen))", "one = self._attempt(node.body, inner, control)"),
        ("outcome = self._option(option, names, join(control, reached), caught=not is_last)", "outcome = self._option(option, names, control, caught=not is_last)"),
        ("outcome = self._option(option, names, join(control, reached), caught=not is_last)", "outcome = self._option(option, names, join(control, reached), caught=False)"),
        ("            value = either(value, outcome.value)", "            value = outcome.value"),
        ("                reached = join(reached, fails)", "                pass"),
        ("reached = join(reached, self._asks(outcome.value.label, option))", "pass"),
        ("return value.under(reached) if len(options) > 1 else value", "return value"),
        ("                    self._fails = join(self._fails or CLEAN, fails, reached, control)", "                    pass"),
        ("allowed = allowed | INTEGRITY", "takes = allowed = allowed | INTEGRITY"),
        ('self._breach("argument", label, allowed, tool.key, name, node, argument)', "pass"),
        ('self._breach("choice", join(control, self._stopped), takes, tool.key, "", node, node)', "pass"),
        ('self._breach("choice", join(control, self._stopped), takes, tool.key, "", node, node)', 'self._breach("choice", self._stopped, takes, tool.key, "", node, node)'),
        ('self._breach("choice", join(control, self._stopped), takes, tool.key, "", node, node)', 'self._breach("choice", control, takes, tool.key, "", node, node)'),
        ("label = join(through(seen, \"tool\", tool.name, node.span, self._flow.module), self._brought(tool, node))", "label = self._brought(tool, node)"),
        ("label = join(through(seen, \"tool\", tool.name, node.span, self._flow.module), self._brought(tool, node))", "label = seen"),
        ('self._breach("argument", values[name].all(), takes, agent.key, name, node, argument)', "pass"),
        ('self._breach("choice", join(control, self._stopped), takes, agent.key, "", node, node)', "pass"),
        ('self._breach("reads", brought, takes, agent.key, "", node, node)', "pass"),
        ('label = join(through(seen, "agent", agent.name, node.span, self._flow.module), brought, model)', "label = join(brought, model)"),
        ('label = join(through(seen, "agent", agent.name, node.span, self._flow.module), brought, model)', "label = join(seen, model)"),
        ('label = join(through(seen, "agent", agent.name, node.span, self._flow.module), brought, model)', "label = join(seen, brought)"),
        ('self._breach("agent", decided, self._policy.takes[tool.key], tool.key, agent.name, node, node)', "pass"),
        ("decided = join(label, control, self._stopped)", "decided = join(control, self._stopped)"),
        ("decided = join(label, control, self._stopped)", "decided = label"),
        ('fails = join(label, through(self._starved, "budget", "", node.span, self._flow.module))', "fails = label"),
        ('fails = join(label, through(self._starved, "budget", "", node.span, self._flow.module))', 'fails = through(self._starved, "budget", "", node.span, self._flow.module)'),
        ("self._spends = join(self._spends, label, control)", "pass"),
        ("gives = join(label, fails) if callee.has_default else label", "gives = label"),
        ("Given(passed, control, self._stopped, self._starved, guarded)", "Given(passed, CLEAN, self._stopped, self._starved, guarded)"),
        ("Given(passed, control, self._stopped, self._starved, guarded)", "Given(passed, control, CLEAN, self._starved, guarded)"),
        ("Given(passed, control, self._stopped, self._starved, guarded)", "Given(passed, control, self._stopped, CLEAN, guarded)"),
        ("guarded = caught or self._guarded", "guarded = caught"),
        ("self._spends = join(self._spends, context.settled(summary.spends, given, node, module))", "pass"),
        ("self._starved = join(given.starved, self._spends) if self._is_tight else given.starved", "self._starved = given.starved"),
        ("self._is_tight = is_tight or self._flow.key in around.tight", "self._is_tight = is_tight"),
        ("self._is_tight = is_tight or self._flow.key in around.tight", "self._is_tight = self._flow.key in around.tight"),
    ),
    *_in(
        "contexts",
        ("return values, *parts, self.guarded", "return *parts, self.guarded"),
        ("return values, *parts, self.guarded", "return values, self.guarded"),
        ("return values, *parts, self.guarded", "return values, *parts"),
        ("        if not context.is_done:\n            self.waiting.append(context)", "        if len(known) == 0:\n            self.waiting.append(context)"),
        ("Given(values, control, stopped, starved, self.guarded)", "Given(values, CLEAN, stopped, starved, self.guarded)"),
        ("{part: _given(name, inner) for part, inner in value.parts.items()}", "{}"),
        ("return Value(self.settled(value.label, given, step, module), parts)", "return Value(CLEAN, parts)"),
        ("return Value(self.settled(value.label, given, step, module), parts)", "return Value(self.settled(value.label, given, step, module))"),
    ),
    *_in(
        "policy",
        ("usual = MODEL_LEVEL if effect else UNTRUSTED_LEVEL", "usual = UNTRUSTED_LEVEL"),
        ("MODEL_LEVEL: frozenset((MODEL,)),\n    UNTRUSTED_LEVEL: frozenset((UNTRUSTED,)),", "MODEL_LEVEL: frozenset((MODEL,)),\n    UNTRUSTED_LEVEL: frozenset((MODEL,)),"),
        ("_TAKES: Final[Mapping[str, frozenset[str]]] = {\n    TRUSTED: frozenset(),", "_TAKES: Final[Mapping[str, frozenset[str]]] = {\n    TRUSTED: frozenset((MODEL,)),"),
        ("return _BRINGS[trust.sources.get(tool.granted_as, usual)].union(own)", "return _BRINGS[trust.sources.get(tool.granted_as, usual)]"),
        ("return _BRINGS[level].union(own)", "return frozenset(own)"),
        ("words is not None and words <= most", "words is None or words <= most"),
        ("any(name in secret.readers or name in secret.sources for name in names)", "True"),
    ),
    *_in(
        "analysis",
        ("Value(_of_input(flow, param, policy))", "Value()"),
        ("Given(values, guarded=policy.endings)", "Given(values)"),
        ("                continue  # what it calls comes first; then it is looked at again", "                context.is_done = True"),
        ("for flow in entries(program):", "for flow in entries(program)[:1]:"),
    ),
    *_in(
        "check",
        ("value(amounts, seconds, measure) > allowed", "False"),
        ("(bound.needed, bound.needed_seconds) if own else (bound.most, bound.seconds)", "(bound.most, bound.seconds)"),
        ("flow.key in begun and any(_may_run_out(limits, bound, priced, own=False) for limits in around)", "False"),
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def refused() -> list[Subject]:
    """The scenes that interfere; all of them are refused by the analysis as it is."""
    found = [checked(scene.text, scene.trust) for scene in scenes() if not scene.safe]
    subjects = [subject for subject in found if subject is not None]
    assert not any(accepts(subject) for subject in subjects)
    return subjects


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.file}: {mutant.old} -> {mutant.new}"[:100])
def test_every_mutant_accepts_a_program_that_interferes(mutant: Mutant, refused: list[Subject]) -> None:
    judge = trust_with(mutant)
    try:
        caught = any(accepts(subject, judge) for subject in refused)
    except (AssertionError, AttributeError, LookupError, TypeError, ValueError):
        caught = True
    assert caught, f"nothing interferes with\n  {mutant.new}\nin masdsl/{mutant.file} instead of\n  {mutant.old}"


def test_mutants_are_many_and_all_over_the_room() -> None:
    assert len(set(MUTANTS)) == len(MUTANTS) >= 80
    assert len({mutant.file for mutant in MUTANTS}) == 7
