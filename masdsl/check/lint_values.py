"""Lints about values: loops that cannot end early, decisions on free text, clipped values, samples that are copies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from masdsl.check.lint_truth import truth
from masdsl.check.program import (
    Append,
    Attempt,
    Binary,
    Bind,
    Block,
    Builtin,
    Const,
    Each,
    Expr,
    Fallback,
    For,
    GetField,
    GetItem,
    Invoke,
    Local,
    Loop,
    MakeRecord,
    Program,
    Return,
    Rhs,
    Sample,
    Statement,
    Until,
)
from masdsl.check.uses import (
    Scan,
    attempts,
    blocks_of,
    invokes,
    program_callees,
    reads,
    right_sides,
    statements_of,
)
from masdsl.diagnostics.base import Diagnostic
from masdsl.diagnostics.lints import BranchOnText, Clipped, SameSamples, UntilAlwaysTrue, UntilNeverTrue
from masdsl.node import Node
from masdsl.types import List, Optional, Record, Text, Type

LONGEST_WORD = 20
MAX_PASSES = 8
"""How often a flow is gone through for names that hold a model's text: as deep as loops carry it on, and no more."""
_PASSING_ON = frozenset(("lower", "upper", "trim", "first", "last", "majority", "text"))
_SEARCHING = frozenset(("contains", "starts_with", "ends_with"))


# ---------------------------------------------------------------- until


def pointless_untils(scan: Scan) -> Iterator[Diagnostic]:
    """Report each `until` that cannot become true, or always is."""
    for node in scan.statements:
        if isinstance(node, Loop | For):
            yield from _untils(node, node.body)


def _untils(loop: Loop | For, body: Block) -> Iterator[Diagnostic]:
    changing = _changing(loop)
    for node in _of_this_loop(body):
        if not isinstance(node, Until):
            continue
        known = truth(node.condition)
        looks_at = reads(node.condition)
        if known is True:
            yield UntilAlwaysTrue(span=node.span)
        elif known is False:
            yield UntilNeverTrue("it is always false", is_false=True, span=node.span)
        elif not looks_at & changing:
            names = " and ".join(f"`{name}`" for name in sorted(looks_at))
            reason = (
                f"{names} never change{'s' if len(looks_at) == 1 else ''} in the loop" if names else "it is constant"
            )
            yield UntilNeverTrue(reason, is_false=False, span=node.span)


def _of_this_loop(body: Block) -> Iterator[Statement]:
    """Yield the statements of a loop's body that are not in a loop inside it."""
    for node in body:
        yield node
        if not isinstance(node, Loop | For):
            for block in blocks_of(node):
                yield from _of_this_loop(block)


def _changing(loop: Loop | For) -> frozenset[str]:
    """Return the names whose values differ from round to round, as far as can be told from the text."""
    times = Counter(_bound_names(loop.body))
    bound = frozenset(times)
    steady: set[str] = set()
    for node in loop.body:
        if isinstance(node, Bind) and not invokes(node.value):
            known = all(name in steady or name not in bound for name in reads(node.value))
            is_variable = isinstance(loop, For) and loop.var in reads(node.value)
            if known and not is_variable and times[node.name] == 1:
                steady.add(node.name)
    return (bound - steady) | ({loop.var} if isinstance(loop, For) else frozenset())


def _bound_names(body: Block) -> Iterator[str]:
    for node in statements_of(body):
        if isinstance(node, Bind | Append):
            yield node.name
        elif isinstance(node, For):
            yield node.var


# ---------------------------------------------------------------- decisions on free text


def branches_on_text(scan: Scan) -> Iterator[Diagnostic]:
    """Report comparisons of what a model wrote as free text with a constant word."""
    spoken = _spoken(scan.statements)
    if not spoken:
        return
    spoken |= {node.var for node in scan.nodes if isinstance(node, Each) and _is_spoken(node.items, spoken)}
    for node in scan.nodes:
        word = _compared_word(node, spoken)
        if word is not None:
            yield BranchOnText(word, span=node.span)


def _spoken(statements: tuple[Statement, ...]) -> frozenset[str]:
    """Return the names whose value is, or has in it, text as a model wrote it."""
    names: set[str] = set()
    for _ in range(MAX_PASSES):
        before = len(names)
        for node in statements:
            if isinstance(node, Bind):
                found = {node.name} if any(_speaks(option, names) for option in _options(node.value)) else set()
            elif isinstance(node, For):
                found = {node.var} if _is_spoken(node.items, names) else set()
            else:
                continue
            names |= found
        if len(names) == before:
            break
    return frozenset(names)


def _options(value: Rhs) -> tuple[Attempt, ...]:
    (body,) = attempts(value)
    return body.options if isinstance(body, Fallback) else (body,)


def _speaks(node: Attempt, names: set[str]) -> bool:
    if isinstance(node, Invoke):
        return node.kind in ("agent", "flow")
    return not isinstance(node, Fallback) and _is_spoken(node, names)


def _is_spoken(node: Expr, names: set[str] | frozenset[str]) -> bool:
    while True:
        match node:
            case Local():
                return node.name in names
            case GetField() | GetItem():
                node = node.value
            case Builtin() if node.name in _PASSING_ON and node.arguments:
                node = node.arguments[0]
            case _:
                return False


def _compared_word(node: Node, spoken: frozenset[str]) -> str | None:
    """Return the constant that free text of a model is compared with, or None."""
    if isinstance(node, Binary) and node.op in ("==", "!="):
        for value, other in ((node.left, node.right), (node.right, node.left)):
            word = _constant_text(other)
            if word is not None and len(word) <= LONGEST_WORD and _is_free_text(value, spoken):
                return word
    if isinstance(node, Builtin) and node.name in _SEARCHING and len(node.arguments) == 2:
        word = _constant_text(node.arguments[1])
        if (
            word is not None
            and word.isalpha()
            and len(word) <= LONGEST_WORD
            and _is_free_text(node.arguments[0], spoken)
        ):
            return word
    return None


def _is_free_text(node: Expr, spoken: frozenset[str]) -> bool:
    kind = node.type.inner if isinstance(node.type, Optional) else node.type
    return isinstance(kind, Text) and _is_spoken(node, spoken)


def _constant_text(node: Expr) -> str | None:
    word = node.value if isinstance(node, Const) else None
    return word if isinstance(word, str) and word.strip() else None


# ---------------------------------------------------------------- sizes


def clipped_values(program: Program, scan: Scan) -> Iterator[Diagnostic]:
    """Report values that go to a place which is too small for the largest of them."""
    takers = program_callees(program)
    for value in right_sides(scan.statements):
        for step in invokes(value):
            callee = takers[step.callee]
            kinds = {param.name: param.type for param in callee.params}
            for name, argument in step.arguments:
                yield from _clip(argument, argument.type, kinds[name], f"`{name}` of `{callee.name}`")
    for node in scan.statements:
        if isinstance(node, Return):
            yield from _clip(node.value, node.value.type, node.type, f"the output of flow `{scan.flow.name}`")
    for made in scan.nodes:
        if isinstance(made, MakeRecord):
            for part, (field, kind) in zip(made.values, made.type.fields, strict=True):
                yield from _clip(part, part.type, kind, f"field `{field}`")


def _clip(node: Node, given: Type, taken: Type, place: str) -> Iterator[Diagnostic]:
    found = _larger(given, taken)
    if found is not None:
        yield Clipped(place, *found, span=node.span)


def _larger(given: Type, taken: Type) -> tuple[str, str] | None:
    """Return the sizes of the first part of a type that is larger than its place, in words."""
    match given, taken:
        case Text(), Text() if given.cap > taken.cap:
            return f"{given.cap:,} tokens", f"{taken.cap:,}"
        case List(), List() if given.high > taken.high:
            return f"{given.high:,} items", f"{taken.high:,}"
        case List(), List() if given.high > 0:
            return _larger(given.element, taken.element)
        case Optional(), Optional():
            return _larger(given.inner, taken.inner)
        case _, Optional():
            return _larger(given, taken.inner)
        case Record(), Record() if given != taken:
            pairs = zip(given.fields, taken.fields, strict=False)
            return next((found for (_, a), (_, b) in pairs if (found := _larger(a, b)) is not None), None)
        case _:
            return None


# ---------------------------------------------------------------- samples


def same_samples(program: Program, scan: Scan) -> Iterator[Diagnostic]:
    """Report samples of an agent whose temperature is 0."""
    agents = {agent.key: agent for agent in program.agents}
    for value in right_sides(scan.statements):
        if isinstance(value, Sample) and value.count > 1 and isinstance(value.body, Invoke):
            agent = agents.get(value.body.callee) if value.body.kind == "agent" else None
            if agent is not None and agent.temperature == 0:
                yield SameSamples(value.count, agent.name, span=value.span)
