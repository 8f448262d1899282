"""Agents with static parameters, agents of agents, and agents as defaults: what they are in a checked program."""

from __future__ import annotations

import pytest

from masdsl import pipeline
from masdsl.check.program import Agent, Program
from masdsl.check.relations import show
from masdsl.config import DEFAULT
from masdsl.diagnostics.base import ERROR, Findings
from masdsl.diagnostics.render import render_short
from masdsl.source import Source
from masdsl.testing import run_tests
from tests.harness.programs import granted

HEAD = """mas 1
type Choice { reason: text(40), number: int }
agent plain(x: text(30)) -> text(60) "Go. {{ x }}"
agent echo[T](x: T) -> T "Again."
agent pick[Q, T, n](task: Q, options: T[n]+) -> Choice on fast temp 0.5 retry 1 role "A" "{{ task }} {{ options }}"
agent fit[n](x: text(n)) -> text(n) "Shorter: {{ x }}"
tool look(q) -> text(40) from "look"
agent reader(q) -> text(20) tools [look] steps 2 "Find {{ q }}."
"""
CONFIG = DEFAULT._replace(tools=granted("look", "send"))


def check(text: str) -> tuple[Program | None, list[str]]:
    findings = Findings()
    program = pipeline.check_source(Source("case.mas", HEAD + text), CONFIG, findings)
    return program, [finding.diagnostic.code for finding in findings.sorted() if finding.diagnostic.severity == ERROR]


def sound(text: str) -> Program:
    findings = Findings()
    program = pipeline.check_source(Source("case.mas", HEAD + text), CONFIG, findings)
    assert program is not None, render_short(findings.sorted())
    return program


def agents(program: Program) -> dict[str, Agent]:
    return {agent.key: agent for agent in program.agents}


def shown(agent: Agent) -> str:
    return f"({', '.join(show(param.type) for param in agent.params)}) -> {show(agent.returns)}"


# ---------------------------------------------------------------- generic agents


@pytest.mark.parametrize(
    ("body", "name", "expected"),
    [
        ("a = echo(3) return plain(text(a))", "echo", "(int) -> int"),
        ("a = echo([1, 2]) return plain(text(a[0]))", "echo", "(int[2]+) -> int[2]+"),
        ('c = pick(1, ["a", "bb"]) return c.reason', "pick", "(int, text(1)[2]+) -> Choice"),
        ("return fit(x)", "fit", "(text(30)) -> text(30)"),
        ("a = 3 of echo(x) return a[0]", "echo", "(text(30)) -> text(30)"),
    ],
)
def test_an_instance_has_the_types_of_its_arguments(body: str, name: str, expected: str) -> None:
    program = sound(f"flow main(x: text(30)) -> text(60) {{ {body} }}")
    assert shown(agents(program)[name]) == expected


def test_each_set_of_types_is_an_instance_and_the_same_set_is_one() -> None:
    program = sound(
        "flow main(x: text(30)) -> int { a = echo(1) b = echo(2) c = echo(x) d = echo(x) return a + b + len(c + d) }"
    )
    assert sorted(key for key in agents(program) if key.startswith("echo")) == ["echo", "echo_2"]
    assert {agent.declaration for agent in program.agents if agent.name == "echo"} == {":echo"}


def test_what_a_loop_only_tried_is_no_agent_of_the_program() -> None:
    """Types that grow are tried in rounds; the agents of rounds that do not count are left out."""
    program = sound("flow main(x) -> int { xs = [] loop 9 { c = pick(x, xs + [1]) xs += [c.number] } return len(xs) }")
    assert [shown(agent) for agent in program.agents if agent.name == "pick"] == ["(text(800), int[9]+) -> Choice"]


def test_a_generic_agent_that_nothing_calls_is_checked_but_not_in_the_program() -> None:
    assert "echo" not in agents(sound("flow main(x) -> text { return x }"))
    assert check('agent bad[T](x: T) -> text "{{ y }}" flow main(x) -> text { return x }')[1] == ["MAS602"]
    assert check('agent bad[T](x: T) -> U "{{ x }}" flow main(x) -> text { return x }')[1] == ["MAS103"]
    assert check('agent bad[n](x: text(m)) -> text "{{ x }}" flow main(x) -> text { return x }')[1] == ["MAS211"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("a = echo() return 1", "MAS205"),
        ("a = echo(1, 2) return 1", "MAS206"),
        ("a = echo(y: 1) return 1", "MAS106"),
        ("a = echo(zz) return 1", "MAS101"),
        ("a = pick(1, []) return 1", "MAS210"),
        ("a = pick(1) return 1", "MAS205"),
    ],
)
def test_wrong_calls_of_generic_agents(body: str, code: str) -> None:
    assert code in check(f"flow main(x) -> int {{ {body} }}")[1]


# ---------------------------------------------------------------- variants


def test_a_variant_is_the_other_agent_but_for_what_it_says() -> None:
    program = sound(
        'agent a = plain on smart temp 1 max 9 retry 2 timeout 3 role "R"\n'
        'agent b = a temp 0\nagent c = b "Other: {{ x }}"\nagent d = plain\n'
        "flow main(x: text(30)) -> text { p = a(x) q = b(p) r = c(q) return d(r) }"
    )
    known = agents(program)
    a, b, c, d, plain = (known[name] for name in ("a", "b", "c", "d", "plain"))
    assert (a.model, a.temperature, a.max_tokens, a.retries, a.timeout, a.role) == ("smart", 1.0, 9, 2, 3.0, "R")
    assert a.prompt == plain.prompt and a.params == plain.params and a.returns == plain.returns
    assert (b.model, b.temperature, b.retries) == ("smart", 0.0, 2)
    assert c.prompt == "Other: {{ x }}" and c.temperature == 0.0 and not c.unmentioned
    assert d.replace(key="plain", name="plain", declaration=":plain", span=plain.span) == plain


def test_a_variant_with_tools() -> None:
    program = sound(
        'tool other(q) -> text(40) from "send"\nagent a = reader steps 5\nagent b = reader tools [other, look]\n'
        "agent c = plain tools [other]\nflow main(x) -> text { p = a(x) q = b(p) return c(q) }"
    )
    known = agents(program)
    assert (known["a"].tools, known["a"].steps) == (("look",), 5)
    assert (known["b"].tools, known["b"].steps) == (("other", "look"), 2)
    assert (known["c"].tools, known["c"].steps) == (("other",), 4)


def test_a_variant_of_a_generic_agent_is_generic() -> None:
    program = sound(
        "agent a = pick on smart\nflow main(x) -> int { c = a(x, [1]) d = a(x, [true]) return c.number + d.number }"
    )
    assert [shown(agent) for agent in program.agents if agent.name == "a"] == [
        "(text(800), int[1]+) -> Choice",
        "(text(800), bool[1]+) -> Choice",
    ]
    assert {agent.model for agent in program.agents if agent.name == "a"} == {"smart"}
    assert "pick" not in agents(program)


@pytest.mark.parametrize(
    ("declaration", "code"),
    [
        ("agent a = nothing", "MAS102"),
        ("agent a = look", "MAS115"),
        ("agent a = a", "MAS108"),
        ("agent a = b\nagent b = plain", "MAS108"),
        ("agent a = plain effect", "MAS"),
        ("agent a = plain temp 9", "MAS"),
        ("agent a = plain steps 2", "MAS"),
        ("agent a = plain on nowhere", "MAS120"),
        ('agent a = plain "{{ y }}"', "MAS602"),
        ('agent a = pick "{{ y }}"', "MAS602"),
        ("agent plain = echo", "MAS107"),
        ("agent a = plain temp 1 temp 1", "MAS"),
    ],
)
def test_wrong_variants(declaration: str, code: str) -> None:
    program, codes = check(f"{declaration}\nflow main(x) -> text {{ return x }}")
    assert program is None and len(codes) == 1 and codes[0].startswith(code), codes


def test_a_call_of_a_variant_of_nothing_adds_no_error() -> None:
    assert check("agent a = nothing\nflow main(x) -> text { y = a(x) return y }")[1] == ["MAS102"]


# ---------------------------------------------------------------- agents as arguments and defaults


def test_a_default_counts_where_no_agent_is_passed() -> None:
    program = sound(
        "flow f(x: text(30), by: agent(text(30)) -> text(60) = plain) -> text(60) { return by(x) }\n"
        "agent other = plain\nflow main(x: text(30)) -> text { a = f(x) return f(a, by: other) }"
    )
    assert [flow.statics for flow in program.flows] == [(("by", "plain"),), (("by", "other"),), ()]


def test_a_generic_agent_that_is_passed_gets_what_the_flow_gives_it() -> None:
    program = sound(
        "flow twice[T](f: agent(T) -> T, x: T) -> T { y = f(x) return f(y) }\n"
        "flow main(x: text(30)) -> int { a = twice(echo, x) return twice(echo, len(a)) }"
    )
    assert [shown(agent) for agent in program.agents if agent.name == "echo"] == [
        "(text(30)) -> text(30)",
        "(int) -> int",
    ]


def test_a_generic_flow_may_be_passed() -> None:
    program = sound(
        "flow again[T](x: T, by: agent(T) -> T = echo) -> T { y = by(x) return by(y) }\n"
        "flow on_each[P, R, n](f: agent(P) -> R, xs: P[n]+) -> R { ys = each x in xs: f(x) return ys[0] }\n"
        "flow main(x) -> int { return on_each(again, [1, 2]) }"
    )
    assert program.flow("main").returns == program.flow("again").returns


def test_types_that_only_an_agent_knows_are_learned_from_it() -> None:
    program = sound(
        'agent cut(task) -> text(9)[5] "{{ task }}"\nagent join_up[R](results: R) -> R "Join."\n'
        "flow divide[Q, P, n, R](split_up: agent(Q) -> P[n], solve: agent(P) -> R, join_all: agent(R[n]) -> R[n],\n"
        "  task: Q) -> R[n] {\n"
        "  parts = split_up(task)\n  done = each part in parts: solve(part)\n  return join_all(done)\n}\n"
        "flow main(x) -> int { ys = divide(cut, echo, join_up, x) return len(ys) }"
    )
    assert shown(agents(program)["echo"]) == "(text(9)) -> text(9)"
    assert shown(agents(program)["join_up"]) == "(text(9)[5]) -> text(9)[5]"


def test_anonymous_outputs_of_an_agent() -> None:
    sound(
        'agent run(x) -> (ok: bool, log: text(9)) "{{ x }}"\n'
        "flow f[n](by: agent(text) -> (ok: bool, log: text(n)), x) -> text(n) { r = by(x) return r.log }\n"
        "flow main(x) -> text(9) { return f(run, x) }"
    )


@pytest.mark.parametrize(
    ("flows", "codes"),
    [
        ("flow f(x, by: agent(text) -> text = nothing) -> text { return by(x) }", ["MAS102"]),
        ("flow f(x, by: agent(text) -> text = 3) -> text { return by(x) }", ["MAS212"]),
        ("flow f(x, by: agent(text) -> text = late) -> text { return by(x) }\nagent late = plain", ["MAS108"]),
        (
            "flow f(x, by: agent(int) -> int = plain) -> text { return x }\nflow g(x) -> text { return f(x) }",
            ["MAS212"],
        ),
        ("flow f(x = y) -> text { return x }", ["MAS101"]),
        ("flow f(x = plain) -> text { return x }", ["MAS115"]),
        ('agent a(x = plain) -> text "{{ x }}"', ["MAS115"]),
        ("flow f[T](by: agent() -> T) -> T { return by() }\nflow g() -> text { return f(echo) }", ["MAS212"]),
        (
            "flow f[T](by: agent(int) -> T, y: T) -> T { return by(1) }\nflow g(x) -> text { return f(echo, x) }",
            ["MAS212"],
        ),
        (
            "flow f[T](g: agent(T) -> T, x: T) -> T { return g(x) }\nflow h(x) -> text { return f(upper, x) }",
            ["MAS212"],
        ),
    ],
)
def test_wrong_agents(flows: str, codes: list[str]) -> None:
    program, found = check(f"{flows}\nflow main(x) -> text {{ return x }}")
    assert program is None and found == codes


# ---------------------------------------------------------------- given


def test_what_is_given_counts_for_all_instances_in_order() -> None:
    program = sound(
        "flow main(x: text(30)) -> text(30) { a = echo(x) n = echo(3) b = echo(a + text(n)) return b }\n"
        'test "t" { given echo = "one" given echo = 2 given echo = "three"\n'
        'out = main("x") expect out == "three" and calls == 3 }\n'
        'test "missing" { out = main("x") expect out == "" }\n'
        'test "raw" { given echo replies "7" out = main("x") expect out == "7" }'
    )
    outcomes = list(run_tests(program))
    assert [outcome.passed for outcome in outcomes] == [True, False, True]
    assert "echo" in outcomes[1].failures[0].title()


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("given pick = 3", "MAS201"),
        ('given a = Choice(reason: "", number: 1)', ""),
        ("given echo = x", "MAS101"),
        ("given a = 1", "MAS201"),
    ],
)
def test_what_is_given_fits(given: str, code: str) -> None:
    test = f'test "t" {{ {given} out = main("x") expect out == "x" }}'
    codes = check(f"agent a = pick\nflow main(x) -> text {{ return x }}\n{test}")[1]
    assert codes == ([code] if code else [])
