# ruff: noqa: E501 programs and nodes on one line each
"""Bounds: how many calls a program makes at least and at worst, against an oracle that tries every run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import product
from operator import le
from typing import NamedTuple

import pytest

from masdsl.bounds.budgets import check_budgets
from masdsl.bounds.flows import bound
from masdsl.bounds.report import program_report
from masdsl.bounds.result import Bounds
from masdsl.bounds.table import render_flows
from masdsl.check.check import check_parsed
from masdsl.check.program import (
    Agent,
    Append,
    Arm,
    Attempt,
    Bind,
    Block,
    Branch,
    Const,
    Each,
    Expr,
    Fallback,
    Flow,
    For,
    If,
    Invoke,
    Limits,
    Local,
    Loop,
    Match,
    ModuleSource,
    Param,
    Program,
    Return,
    Rhs,
    Sample,
    Statement,
    Tool,
    Until,
    Within,
)
from masdsl.check.uses import nodes_of
from masdsl.config import DEFAULT
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.render import render_text
from masdsl.limits import CALLS
from masdsl.node import Node
from masdsl.source import Source
from masdsl.syntax.parse import parse_program
from masdsl.types import Bool, Enum, List, Optional, Text, Type
from tests.harness.programs import granted

HEAD = """mas 1
type Kind = math | code
tool search(query) -> text from "search"
agent one(topic) -> text "One."
agent two(topic) -> text retry 1 "Two."
agent user(topic) -> text retry 2 tools [search] steps 3 "Use."
agent perhaps(topic) -> text? "Perhaps."
agent judge(topic) -> Kind else Kind.math "Sort."
"""


def bounds_of(text: str) -> tuple[Program, Bounds, Findings]:
    source = Source("x.mas", HEAD + text)
    findings = Findings()
    parsed = parse_program(source, findings)
    config = DEFAULT._replace(tools=granted("search"))
    program = check_parsed(parsed, config=config, read_module=lambda *_: "no modules here", findings=findings)
    assert program is not None, render_text(findings.sorted())
    return program, bound(program, {}), findings


CASES = [
    ("return x", 0, 0),
    ("return one(x)", 1, 1),
    ("return two(x)", 1, 2),
    ("return search(x)", 0, 0),
    ("return user(x)", 1, 12),
    ("a = one(x) b = two(a) return b", 2, 3),
    ("a = 3 of two(x) return first(a)", 3, 6),
    ("a = each y in xs: two(y) return join(a, x)", 1, 8),
    ("a = each y in xs where y != x: two(y) return join(a, x)", 0, 8),
    ("a = two(x) else one(x) return a", 1, 3),
    ("a = two(x) else x return a", 1, 2),
    ("a = 2 of two(x) else one(x) return first(a)", 2, 6),
    ("loop 4 { x = one(x) } return x", 4, 4),
    ("loop 4 { y = one(x) until x == x x = two(y) } return x", 1, 12),
    ("loop 4 { until x == x x = two(x) } return x", 0, 8),
    ("loop 4 { y = one(x) until true x = two(y) } return x", 1, 1),
    ("loop 4 { y = one(x) until false x = two(y) } return x", 8, 12),
    ("loop 4 { loop 3 { x = one(x) until x == x } x = two(x) } return x", 8, 20),
    ("for y in xs { x = two(y) } return x", 1, 8),
    ("for y in slice(xs, 0, 2) { x = two(y) } return x", 1, 4),
    ("if ok { x = one(x) } else if x == x { x = two(x) } else { x = user(x) } return x", 1, 12),
    ("if ok { x = two(x) } return x", 0, 2),
    ("if ok { return two(x) } a = one(x) b = one(a) c = one(b) return c", 1, 3),
    ("if ok { return one(x) } return two(x)", 1, 2),
    ("loop 3 { a = one(x) if ok { return two(a) } } return x", 2, 5),
    ("k = judge(x) match k { math { x = one(x) } code { x = user(x) } } return x", 2, 13),
    ("k = judge(x) match k { math { return x } else { x = two(x) } } return one(x)", 1, 4),
    ("within calls 2 { a = user(x) b = two(a) } return b", 2, 2),
    ("within calls 5 tokens 4k { a = two(x) } return a", 1, 2),
    ("within seconds 5 { a = two(x) } return a", 1, 2),
    ("return inner(x)", 2, 3),
    ("a = 3 of inner(x) return first(a)", 6, 9),
    ("a = inner(x) else one(x) return a", 2, 4),
    ("a = inner(x) else x return a", 1, 3),
    ("a = search(x) else one(x) return a", 0, 1),
    ("a = search(x) else search(x) return two(a)", 1, 2),
    ("a = judge(x) else judge(x) return x", 1, 1),
    ("a = perhaps(x) else one(x) return a", 1, 2),
    ("a = looked(x) else two(x) return a", 1, 4),
    ("a = late(x) else two(x) return a", 2, 4),
    ("a = beside(x) else two(x) return a", 1, 4),
    ("a = kept(x) return a", 1, 3),
    ("a = kept_looked(x) return a", 0, 2),
    ("a = kept(x) else two(x) return a", 1, 3),
    ("a = capped(x) return a", 2, 4),
    ("a = sampled(x, n: 5) return first(a)", 5, 10),
    ("a = sampled(x) return first(a)", 3, 6),
    ("a = asked(two, x) b = asked(one, a) return b", 2, 3),
    ("xs += [x] ys = each y in xs: one(y) return first(ys)", 2, 5),
    ("loop 3 { ys = each y in xs: one(y) xs = ys } return first(xs)", 3, 12),
]

FLOWS = """
flow inner(x) -> text { a = one(x) return two(a) }
flow kept(x) -> text else "none" { a = one(x) return two(a) }
flow kept_looked(x) -> text else "none" { a = search(x) return two(a) }
flow looked(x) -> text { a = search(x) return two(a) }
flow late(x) -> text { k = judge(x) a = search(text(k)) return one(a) }
flow beside(x) -> text { k = judge(x) a = search(x) return one(a) }
flow capped(x) -> text budget calls 4 { a = one(x) b = user(a) return b }
flow sampled[n = 3](x) -> text[n]+ { drafts = n of two(x) return drafts }
flow asked(solve: agent(text) -> text, x) -> text { return solve(x) }
"""


@pytest.mark.parametrize(("body", "least", "most"), CASES)
def test_calls_of_each_construct(body: str, least: int, most: int) -> None:
    _, bounds, _ = bounds_of(f"{FLOWS}flow main(x, xs: text[4]+, ok: bool) -> text {{ {body} }}")
    found = bounds.flows["main"]
    assert (found.least.calls, found.most.calls) == (least, most)


def test_every_instance_of_a_flow_has_bounds_of_its_own() -> None:
    program, bounds, _ = bounds_of(
        FLOWS + "flow main(x) -> text { a = sampled(x, n: 5) b = sampled(x) return first(a) }"
    )
    sampled = {flow.statics: bounds.flows[flow.key].most.calls for flow in program.flows if flow.name == "sampled"}
    assert sampled == {(("n", "5"),): 10, (("n", "3"),): 6}


def test_entries_are_main_or_the_flows_that_nothing_calls() -> None:
    text = "flow a(x) -> text { return one(x) } flow b(x) -> text { return a(x) } flow c(x) -> text { return two(x) }"
    _, bounds, _ = bounds_of(text)
    assert bounds.entries == ("b", "c")
    assert bounds.headline.startswith("Worst case: 2 calls, ")
    _, bounds, _ = bounds_of(text + " flow main(x) -> text { return b(x) }")
    assert bounds.entries == ("main",)
    assert bounds.headline.startswith("Worst case: 1 call, ")


def test_numbers_of_any_size_are_exact() -> None:
    loops = "loop 1000 { " * 12 + "x = two(x) " + "} " * 12
    _, bounds, _ = bounds_of(f"flow main(x) -> text {{ {loops} return x }}")
    assert bounds.flows["main"].most.calls == 2 * 1000**12


def table(program: Program, bounds: Bounds) -> str:
    report = program_report(program, bounds, models={})
    return render_flows([flow for flow in report["flows"] if flow["entry"]])


def test_the_text_shows_where_the_calls_go() -> None:
    program, bounds, _ = bounds_of(
        """
flow main(x) -> text {
  drafts = 2 of two(x)
  refine: loop 3 {
    x = one(x) else two(x)
    until x == ""
    k = judge(x)
  }
  return first(drafts)
}
"""
    )
    lines = table(program, bounds).splitlines()
    assert [line.split() for line in lines[:2]] == [["flow", "main", "least", "most"], ["calls", "3", "16"]]
    shares = [" ".join(line.split()[2:-3]) for line in lines[lines.index("") + 2 :]]
    assert shares == [
        "line 12 main.refine: loop of 3 12",
        "line 13 main.refine.x: one else two 9",
        "line 15 main.refine.k: judge 3",
        "line 11 main.drafts: 2 of two 4",
    ]
    program, bounds, _ = bounds_of(FLOWS + "flow main(x) -> text budget calls 9 { return user(x) }")
    assert table(program, bounds).splitlines()[1].split() == ["calls", "1", "9", "9"]


# ---------------------------------------------------------------- budgets


def budget_faults(text: str) -> list[str]:
    program, bounds, findings = bounds_of(text)
    check_budgets(program, bounds, findings, prices={})
    source = program.modules[0].source
    return [
        f"{found.diagnostic.code} {source.slice(found.diagnostic.span)}"
        for found in findings.sorted()
        if found.diagnostic.code.startswith("MAS4")
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("budget calls 2 flow main(x) -> text { a = 2 of one(x) return first(a) }", []),
        ("budget calls 1 flow main(x) -> text { a = 2 of one(x) return first(a) }", ["MAS401 calls 1"]),
        ("budget calls 0 flow main(x) -> text { return one(x) }", ["MAS401 calls 0"]),
        ("budget calls 0 flow main(x) -> text { return x }", []),
        ("budget calls 3 flow main(x) -> text { a = 2 of two(x) return first(a) }", ["MAS402 calls 3"]),
        ("budget calls 4 flow main(x) -> text { a = 2 of two(x) return first(a) }", []),
        ("budget tokens 40k flow main(x) -> text { a = 2 of two(x) return first(a) }", []),
        ("flow main(x) -> text budget calls 1 usd 1 { a = one(x) return one(a) }", ["MAS401 calls 1"]),
        ("flow main(x) -> text budget calls 1 { return two(x) }", ["MAS402 calls 1"]),
        ("budget calls 1 flow main(x) -> text budget calls 1 { return two(x) }", ["MAS402 calls 1"]),
        ("budget calls 0 flow main(x) -> text { return search(x) }", []),
        (
            'flow a(x) -> text else "" budget calls 1 { b = one(x) return one(b) } flow main(x) -> text { return a(x) }',
            ["MAS401 calls 1"],
        ),
        (
            "budget calls 1 flow a(x) -> text { b = one(x) return one(b) } flow main(x) -> text { c = a(x) else x return c }",
            ["MAS402 calls 1"],
        ),
        ("flow main(x) -> text { within calls 1 { a = two(x) } return a }", []),
        ("flow main(x) -> text { within calls 1 { a = one(x) b = one(a) } return b }", ["MAS401 calls 1"]),
        (
            "flow main(x, ok: bool) -> text { if ok { within calls 1 { y = one(x) x = one(y) } } else { x = user(x) } return x }",
            ["MAS401 calls 1"],
        ),
        (
            "budget calls 1 flow a(x) -> text { b = one(x) return one(b) } flow c(x) -> text { return one(x) }",
            ["MAS401 calls 1"],
        ),
        ("budget calls 1 flow a(x) -> text { b = one(x) return one(b) } flow main(x) -> text { return one(x) }", []),
        ("flow main(x) -> text { loop 1000 { a = 50 of two(x) x = first(a) } return x }", []),
        ("flow main(x) -> text { loop 1000 { a = 51 of two(x) x = first(a) } return x }", ["MAS403 flow main"]),
        (
            "budget calls 500 flow main(x) -> text { loop 1000 { a = 51 of two(x) until x == x x = first(a) } return x }",
            ["MAS402 calls 500"],
        ),
    ],
)
def test_budgets_that_cannot_or_may_not_hold(text: str, expected: list[str]) -> None:
    assert CALLS == 100_000
    assert budget_faults(text) == expected


def test_a_budget_fault_names_the_statements_that_cost_most() -> None:
    program, bounds, findings = bounds_of(
        "budget calls 2\nflow main(x) -> text {\n  a = two(x)\n  loop 3 {\n    x = one(x)\n  }\n  return a\n}"
    )
    check_budgets(program, bounds, findings, prices={})
    (found,) = [found for found in findings.sorted() if found.diagnostic.code.startswith("MAS4")]
    source = program.modules[0].source
    labels = [(source.slice(label.span), label.text) for label in found.diagnostic.labels()]
    assert labels == [("loop 3 {", "at least 3 calls"), ("a = two(x)", "at least 1 call")]


# ---------------------------------------------------------------- against every possible run

COND: Expr = Local("c", Bool())
WORDS = Enum("K", "", ("a", "b"))
MAYBE = Optional(Text(9))
TYPES: tuple[Type, ...] = (Text(9), Text(9), MAYBE)
AGENTS = {"cheap": (0, 0), "retried": (1, 0), "tooled": (1, 2), "kept": (1, 0), "maybe": (0, 0)}
"""Retries and rounds of tools; `kept` has a default, `maybe` may give none."""


def _agent(key: str, retries: int, steps: int) -> Agent:
    return Agent(
        key, key, "", (), _type(key), key == "kept", None, None, False, None, None, None, retries, None, ("t",) if steps else (), steps, "", (), ""
    )  # fmt: skip


def _tool(key: str) -> Tool:
    return Tool(key, key, "", (), Text(9), key == "kept_t", None, "t", False, None, "")


def _type(key: str) -> Type:
    return MAYBE if key == "maybe" else Text(9)


class Maker:
    """Random programs, small enough to try every run of. No two things have the same name but where one replaces another."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.flows: list[Flow] = []
        self.names: list[str] = []
        self.count = 0

    def program(self) -> Program:
        for number in range(self.chance.randint(1, 3)):
            limit = self.chance.choice([None, None, Limits(calls=self.chance.randint(1, 6))])
            self.names = ["p"]
            params = (Param("p", Text(9), False, None),)
            body = (*self.block(2, False), Return("", self.rhs(), Text(9)))
            returns = self.chance.choice(TYPES)
            has_default = self.chance.random() < 0.3
            self.flows.append(
                Flow(f"f{number}", f"f{number}", "", params, returns, has_default, None, (), limit, body, "")
            )
        tools = (_tool("t"), _tool("kept_t"))
        agents = tuple(_agent(key, *numbers) for key, numbers in AGENTS.items())
        return Program((ModuleSource("", Source("x", "")),), (), tools, agents, tuple(self.flows), (), None, None)

    def block(self, depth: int, in_loop: bool) -> Block:
        outside = list(self.names)
        made = tuple(self.statement(depth, in_loop, outside) for _ in range(self.chance.randint(0, 3)))
        self.names = outside
        return made

    def statement(self, depth: int, in_loop: bool, outside: list[str]) -> Statement:
        kinds = ["bind", "bind", "replace", "append", "return"] + ["until"] * (2 * in_loop)
        kinds += ["loop", "for", "if", "match", "within"] if depth else []
        match self.chance.choice(kinds):
            case "bind":
                value = self.rhs()
                return Bind("", self.new_name(), value, Text(9))
            case "replace":  # `outside` has no name that this block binds, so nothing is bound twice in it
                name = self.chance.choice(outside)
                return Bind("", name, self.rhs(name), Text(9))
            case "append":
                return Append(self.chance.choice(outside), COND, List(Text(9), 0, 9))
            case "return":
                return Return("", self.rhs(), Text(9))
            case "until":
                return Until(self.chance.choice([self.condition(), COND, Const(True, Bool()), Const(False, Bool())]))
            case "loop":
                return Loop("", self.chance.randint(1, 2), self.block(depth - 1, True))
            case "for":
                items = self.items()
                return For("", f"item_{self.new_number()}", Text(9), items, self.block(depth - 1, True))
            case "if":
                count = self.chance.randint(1, 2)
                branches = [Branch(self.condition(), self.block(depth - 1, in_loop)) for _ in range(count)]
                return If("", tuple(branches), self.block(depth - 1, in_loop))
            case "match":
                arms = tuple(Arm((word,), self.block(depth - 1, in_loop)) for word in WORDS.words)
                return Match("", Local("k", WORDS), arms, self.chance.choice([None, self.block(depth - 1, in_loop)]))
            case _:
                limits = self.chance.choice([Limits(calls=self.chance.randint(0, 5)), Limits(tokens=9)])
                return Within("", limits, self.block(depth - 1, in_loop))

    def new_number(self) -> int:
        self.count += 1
        return self.count

    def new_name(self) -> str:
        name = f"x{self.new_number()}"
        self.names.append(name)
        return name

    def condition(self) -> Expr:
        return Local(self.chance.choice(["c", *self.names]), Bool())

    def items(self) -> Expr:
        low = self.chance.randint(0, 2)
        return Local(self.chance.choice(["xs", *self.names]), List(Text(9), low, low + self.chance.randint(0, 2)))

    def rhs(self, reads: str | None = None) -> Rhs:
        match self.chance.randint(0, 5):
            case 0:
                return Sample(self.chance.randint(1, 2), self.attempt(reads), List(Text(9), 1, 2))
            case 1:
                where = self.chance.choice([None, COND])
                return Each("y", Text(9), self.items(), where, self.attempt(reads), List(Text(9), 0, 2))
            case _:
                return self.attempt(reads)

    def attempt(self, reads: str | None) -> Attempt:
        if self.chance.random() < 0.4:
            return Fallback(tuple(self.option(reads) for _ in range(self.chance.randint(2, 3))), Text(9))
        return self.option(reads)

    def option(self, reads: str | None) -> Expr | Invoke:
        read = Local(reads or self.chance.choice(["c", *self.names]), self.chance.choice(TYPES))
        arguments = (("p", read),)
        match self.chance.randint(0, 5):
            case 0:
                return read
            case 1:
                return Invoke("", "tool", self.chance.choice(["t", "t", "kept_t"]), arguments, Text(9))
            case 2 | 3 if self.flows:
                flow = self.chance.choice(self.flows)
                return Invoke("", "flow", flow.key, arguments, flow.returns)
            case _:
                agent = self.chance.choice(list(AGENTS))
                return Invoke("", "agent", agent, arguments, _type(agent))


class Counts(NamedTuple):
    """All numbers of calls with which something gives a value, and with which it fails."""

    gives: frozenset[int]
    fails: frozenset[int] = frozenset()


NONE = Counts(frozenset({0}))


class EveryRun:
    """All numbers of calls that the runs of a program can have, found by trying every run one by one.

    A run of a block ends "behind" it, "out" of the loop, "back" from the flow, or it "fails". When a statement fails, those
    that it waits for have ended, and nothing else has begun: others may be running, but with no call so far. At the other
    end, what fails may have made as many calls as it ever makes. Budgets are left out: they cut a run off, which says
    nothing about the least.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.known: dict[str, Counts] = {}

    def flow(self, key: str) -> Counts:
        """The runs of a flow's body, its default left out."""
        if key not in self.known:
            runs = self.block(self.program.flow(key).body)
            gives = frozenset(count for end, count in runs if end != "fails")
            fails = frozenset(count for end, count in runs if end == "fails")
            self.known[key] = Counts(gives, fails | ({max(gives)} if fails else frozenset()))
        return self.known[key]

    def call(self, key: str) -> Counts:
        counts = self.flow(key)
        return Counts(counts.gives | counts.fails) if self.program.flow(key).has_default else counts

    def block(self, block: Block) -> set[tuple[str, int]]:
        runs = {("behind", 0)}
        alone: list[set[int]] = []
        for number, statement in enumerate(block):
            own = self.statement(statement)
            alone.append({count for end, count in own if end == "behind"})
            after = {run for run in runs if run[0] != "behind"}
            so_far = {count for end, count in runs if end == "behind"}
            after |= {(end, count + more) for count in so_far for end, more in own if end != "fails"}
            if so_far:
                spent = {0}
                for earlier in awaited(block, number):
                    spent = {count + more for count in spent for more in alone[earlier]}
                after |= {(end, count + more) for count in spent for end, more in own if end == "fails"}
            runs = after
        return runs

    def statement(self, node: Statement) -> set[tuple[str, int]]:
        match node:
            case Bind() | Return():
                counts = self.rhs(node.value)
                end = "behind" if isinstance(node, Bind) else "back"
                return {(end, count) for count in counts.gives} | {("fails", count) for count in counts.fails}
            case Append():
                return {("behind", 0)}
            case Until():
                constant = node.condition.value if isinstance(node.condition, Const) else None
                return {("behind", 0)} - ({("behind", 0)} if constant else set()) | (
                    {("out", 0)} if constant is not False else set()
                )
            case Loop():
                return self.rounds(node.body, node.times, node.times)
            case For():
                assert isinstance(node.items.type, List)
                return self.rounds(node.body, node.items.type.low, node.items.type.high)
            case Within():
                return self.block(node.body)
            case If():
                return set().union(*(self.block(branch.body) for branch in node.branches), self.block(node.orelse))
            case Match():
                return set().union(
                    *(self.block(arm.body) for arm in node.arms),
                    self.block(node.orelse) if node.orelse is not None else (),
                )

    def rounds(self, body: Block, low: int, high: int) -> set[tuple[str, int]]:
        found: set[tuple[str, int]] = set()
        ends = {"out": "behind", "back": "back", "fails": "fails"}
        for times in range(low, high + 1):
            running = {0}
            for _ in range(times):
                after: set[int] = set()
                for before, (end, count) in product(running, self.block(body)):
                    if end == "behind":
                        after.add(before + count)
                    else:
                        found.add((ends[end], before + count))
                running = after
            found |= {("behind", count) for count in running}
        return found

    def rhs(self, node: Rhs) -> Counts:
        match node:
            case Sample():
                return self.repeated(self.attempt(node.body), [node.count])
            case Each():
                assert isinstance(node.items.type, List)
                low = 0 if node.condition is not None else node.items.type.low
                return self.repeated(self.attempt(node.body), range(low, node.items.type.high + 1))
            case _:
                return self.attempt(node)

    def repeated(self, counts: Counts, times: Sequence[int]) -> Counts:
        found: set[int] = set()
        for number in times:
            totals = {0}
            for _ in range(number):
                totals = {total + count for total in totals for count in counts.gives}
            found |= totals
        return Counts(frozenset(found), counts.fails if max(times) else frozenset())

    def attempt(self, node: Attempt) -> Counts:
        match node:
            case Fallback():
                spent, gives, fails = {0}, set(), set()
                for option in node.options:
                    counts = self.attempt(option)
                    gives |= {before + count for before in spent for count in counts.gives}
                    fails = {before + count for before in spent for count in counts.fails}
                    nothing = counts.gives if isinstance(option.type, Optional) else frozenset()
                    spent = {before + count for before in spent for count in counts.fails | nothing}
                return Counts(frozenset(gives), frozenset(fails))
            case Invoke(kind="agent"):
                retries, steps = AGENTS[node.callee]
                asked = frozenset({1, (1 + retries) * (steps + 1)})
                return Counts(asked, frozenset() if node.callee == "kept" else asked)
            case Invoke(kind="tool"):
                return Counts(frozenset({0}), frozenset() if node.callee == "kept_t" else frozenset({0}))
            case Invoke():
                return self.call(node.callee)
            case _:
                return NONE


def awaited(block: Block, place: int) -> set[int]:
    """The statements that have ended when the one at `place` begins: names they bind are read, or they may lead away."""
    found: set[int] = set()
    pending = [place]
    while pending:
        number = pending.pop()
        mentioned = {node.name for node in nodes_of(block[number]) if isinstance(node, Local | Append)}
        for earlier in range(number):
            inside = list(nodes_of(block[earlier]))
            bound = {node.name for node in inside if isinstance(node, Bind | Append)}
            if earlier not in found and (bound & mentioned or leads_away(block[earlier])):
                found.add(earlier)
                pending.append(earlier)
    return found


def leads_away(node: Node, in_loop: bool = True) -> bool:
    """Whether a statement may leave its block: `return` wherever it stands, `until` unless for a loop inside."""
    if isinstance(node, Return) or (isinstance(node, Until) and in_loop):
        return True
    inside = in_loop and not isinstance(node, Loop | For)
    fields = [getattr(node, field) for field in node._fields]
    parts = [part for field in fields for part in (field if isinstance(field, tuple) else (field,))]
    return any(leads_away(part, inside) for part in parts if isinstance(part, Node))


@pytest.mark.parametrize("seed", range(20))
def test_bounds_are_the_least_and_the_most_of_all_runs(seed: int) -> None:
    for number in range(60):
        program = Maker(1_000 * seed + number).program()
        free = program.replace(
            flows=tuple(flow.replace(limits=None, body=_unsliced(flow.body)) for flow in program.flows)
        )
        bounds = bound(free, {})
        oracle = EveryRun(free)
        for flow in free.flows:
            own, runs = oracle.flow(flow.key).gives, oracle.call(flow.key).gives
            found = bounds.flows[flow.key]
            assert (found.required.calls, found.needed.calls) == (min(own), max(own)), flow
            assert (found.least.calls, found.most.calls) == (min(runs), max(runs)), flow


@pytest.mark.parametrize("seed", range(5))
def test_budgets_only_ever_cut_the_worst_case(seed: int) -> None:
    for number in range(60):
        program = Maker(1_000 * seed + number).program()
        free = program.replace(
            flows=tuple(flow.replace(limits=None, body=_unsliced(flow.body)) for flow in program.flows)
        )
        for key, found in bound(program, {}).flows.items():
            unlimited = bound(free, {}).flows[key]
            assert (found.least, found.required) == (unlimited.least, unlimited.required)
            assert all(map(le, found.most, unlimited.most))
            assert found.seconds <= unlimited.seconds
            limits = program.flow(key).limits
            assert limits is None or limits.calls is None or found.most.calls <= limits.calls
            assert sum(part.most.calls for part in found.parts) >= found.needed.calls


def _unsliced(block: Block) -> Block:
    return tuple(_without_limit(node) for node in block)


def _without_limit(node: Statement) -> Statement:
    match node:
        case Within():
            return node.replace(limits=Limits(), body=_unsliced(node.body))
        case Loop() | For():
            return node.replace(body=_unsliced(node.body))
        case If():
            branches = tuple(branch.replace(body=_unsliced(branch.body)) for branch in node.branches)
            return node.replace(branches=branches, orelse=_unsliced(node.orelse))
        case Match():
            arms = tuple(arm.replace(body=_unsliced(arm.body)) for arm in node.arms)
            return node.replace(arms=arms, orelse=None if node.orelse is None else _unsliced(node.orelse))
        case _:
            return node
