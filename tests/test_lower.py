"""The schedule: data flow is the only order, nothing is lost on the way, values are those of one step after another."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masdsl import pipeline
from masdsl.check.program import Program
from masdsl.config import DEFAULT, Config
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.render import render_short
from masdsl.lower import ir, lower
from masdsl.lower.names import BUILTIN_NAMES, KEYWORDS, Names, field_names, python_name, word_names
from masdsl.runtime import RunFailed
from masdsl.runtime.models.base import ModelError, Reply, Request
from masdsl.runtime.shapes import plain
from masdsl.source import Source
from tests.harness import virtual_time
from tests.harness.generate import program as generated
from tests.harness.programs import granted
from tests.harness.timing import TimedInterpreter, run_timed
from tests.harness.world import hashed_world

CONFIG: Config = DEFAULT._replace(tools=granted("look", "send"))


def checked(text: str) -> Program:
    findings = Findings()
    program = pipeline.check_source(Source("x.mas", text), CONFIG, findings)
    assert program is not None, render_short(findings.sorted()) + "\n" + text
    return program


def load(text: str) -> Any:
    return pipeline.load(checked(text))


# ---------------------------------------------------------------- a world with a clock


class Clocked:
    """A model: takes the time that its step is given (1 s without one), fails where told to, notes what happened."""

    name = "clocked"
    price = None

    def __init__(self, seconds: Mapping[str, float] | None = None, failing: tuple[str, ...] = ()) -> None:
        self.seconds = seconds or {}
        self.failing = failing
        self.log: list[str] = []

    async def complete(self, request: Request) -> Reply:
        step = request.step.partition(".")[2]
        now = asyncio.get_running_loop().time
        began = now()
        self.log.append(f"{began - 1000:g} {step}")
        await asyncio.sleep(self.seconds.get(step.rpartition(".")[2].partition("[")[0], 1))
        if step in self.failing:
            raise ModelError("refused", "as told", billed=True)
        return Reply(f"{step}({request.messages[-1].content})", model=self.name)

    async def close(self) -> None:
        """Nothing is held."""


AGENTS = """mas 1
agent a(q) -> text(8000) "{{ q }}"
agent b(q, r) -> text(8000) "{{ q }}+{{ r }}"
agent ok(q) -> bool "{{ q }}"
tool look(q) -> text from "look"
tool send(q) -> int from "send" effect
"""


def run(body: str, model: Clocked, inputs: dict[str, Any] | None = None) -> tuple[Any, float]:
    """Run `flow main(q)` with a body in virtual time; return its value and how long it took."""
    program = load(f"{AGENTS}flow main(q) -> text(8000) {{\n{body}\n}}\n")

    async def effect(q: str) -> int:
        model.log.append(f"{asyncio.get_running_loop().time() - 1000:g} send {q}")
        await asyncio.sleep(1)
        return 1

    async def timed() -> tuple[Any, float]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            result = await program.run(
                "main", inputs or {"q": "q"}, models=model, tools={"look": effect, "send": effect}
            )
            return result.value, loop.time() - began
        except RunFailed as failure:
            return failure, loop.time() - began

    return virtual_time.run(timed())


# ---------------------------------------------------------------- laws


@st.composite
def graphs(draw: st.DrawFn) -> list[tuple[list[int], int, bool]]:
    """Steps in order: which earlier ones each reads, how long it takes, and whether it is computed, not asked."""
    count = draw(st.integers(1, 9))
    return [
        (
            draw(st.lists(st.integers(0, number - 1), max_size=3, unique=True)) if number else [],
            draw(st.integers(1, 9)),
            draw(st.integers(0, 4)) == 0,
        )
        for number in range(count)
    ]


@settings(max_examples=120, deadline=None)
@given(graphs())
def test_a_graph_of_steps_takes_as_long_as_its_critical_path(graph: list[tuple[list[int], int, bool]]) -> None:
    lines: list[str] = []
    ends: list[int] = []
    values: list[str] = []
    for number, (needs, seconds, pure) in enumerate(graph):
        joined = " + ".join(f"s{other}" for other in needs) or "q"
        lines.append(f"  s{number} = {joined}" if pure else f"  s{number} = a({joined})")
        ends.append(max([ends[other] for other in needs], default=0) + (0 if pure else seconds))
        value = "".join(values[other] for other in needs) or "q"
        values.append(value if pure else f"s{number}({value})")
    everything = " + ".join(f"s{number}" for number in range(len(graph)))
    model = Clocked({f"s{number}": seconds for number, (_, seconds, _) in enumerate(graph)})
    value, took = run("\n".join(lines) + f"\n  return {everything}", model)
    assert value == "".join(values)
    assert took == max(ends)


@settings(max_examples=30, deadline=None)
@given(graphs())
def test_a_failing_step_fails_the_run_whether_its_value_is_used_or_not(
    graph: list[tuple[list[int], int, bool]],
) -> None:
    lines = []
    for number, (needs, _, pure) in enumerate(graph):
        joined = " + ".join(f"s{other}" for other in needs) or "q"
        lines.append(f"  s{number} = {joined}" if pure else f"  s{number} = a({joined})")
    asked = [number for number, (_, _, pure) in enumerate(graph) if not pure]
    model = Clocked(
        {f"s{number}": seconds for number, (_, seconds, _) in enumerate(graph)}, tuple(f"s{n}" for n in asked[:1])
    )
    value, took = run("\n".join(lines) + "\n  return q", model)
    assert isinstance(value, RunFailed) is bool(asked)
    begun = [float(entry.split()[0]) + model.seconds[entry.split()[1]] for entry in model.log]
    assert took == max(begun, default=0), "what was under way has ended"


def compare_times(text: str, seed: int) -> None:
    program = checked(text)
    world = hashed_world(seed, failures=0)
    expected = TimedInterpreter(program, world).run("main", {"q": "what is it?"})
    loaded = pipeline.load(program)
    tools = {tool.granted_as: tool.name for tool in program.tools}
    value, took = run_timed(loaded, world, tools, {"q": "what is it?"})
    assert (plain(value), took) == (expected.value, expected.at), text


@pytest.mark.parametrize("seed", range(30))
def test_programs_take_as_long_as_their_data_flow(seed: int) -> None:
    compare_times(generated(Random(seed), 8), seed)


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False))
def test_any_program_takes_as_long_as_its_data_flow(random: Random) -> None:
    compare_times(generated(random, 6), random.randrange(1000))


# ---------------------------------------------------------------- what is easy to get wrong

SCHEDULES: dict[str, tuple[str, str, float]] = {
    "a name that is changed while a task has its old value": (
        """x = q
        loop 1 { d = a(x)  x = a("new") }
        return x""",
        "loop.x[0](new)",
        1,
    ),
    "a name that is computed anew while another step still waits for the old one": (
        """x = "old"
        loop 1 {
          p = a("p")
          d = b(p, x)
          x = x + "!"
          e = a(x)
        }
        return x""",
        "old!",
        2,
    ),
    "a task that both branches use": (
        """t = a("t")
        u = a("u")
        if q == "q" { r = b(t, u) } else { r = t }
        return r""",
        "if.r(t(t)+u(u))",
        2,
    ),
    "a task that is used inside two levels of loops": (
        """t = a("t")
        x = a("x")
        loop 2 { loop 2 { x = b(t, x)  until x == "" } }
        return x""",
        "loop.loop.x[1,1](t(t)+loop.loop.x[1,0](t(t)+loop.loop.x[0,1](t(t)+loop.loop.x[0,0](t(t)+x(x)))))",
        5,
    ),
    "two chains side by side": (
        """x1 = a("1")
        x2 = a(x1)
        y1 = a("2")
        y2 = a(y1)
        return x2 + y2""",
        "x2(x1(1))y2(y1(2))",
        2,
    ),
    "a cross of two": (
        """x = a("1")
        y = a("2")
        xy = b(x, y)
        xx = a(x)
        yy = a(y)
        return xy + xx + yy""",
        "xy(x(1)+y(2))xx(x(1))yy(y(2))",
        2,
    ),
    "a loop beside a step": (
        """x = q
        loop 3 { x = a(x) }
        y = a("y")
        return x + y""",
        "loop.x[2](loop.x[1](loop.x[0](q)))y(y)",
        3,
    ),
    "two loops side by side": (
        """x = q
        y = q
        loop 3 { x = a(x) }
        loop 2 { y = a(y) }
        return x + y""",
        "loop.x[2](loop.x[1](loop.x[0](q)))loop_2.y[1](loop_2.y[0](q))",
        3,
    ),
    "a branch beside a step": (
        """if q == "q" { x = a("x") } else { x = a("z") }
        y = a("y")
        return x + y""",
        "if.x(x)y(y)",
        1,
    ),
    "a return in a branch waits for what has begun": (
        """slow = a("slow")
        x = a("x")
        if x != "" { return x }
        return slow""",
        "x(x)",
        5,
    ),
    "nothing behind a return begins": (
        """x = a("x")
        if x != "" { return x }
        y = a("y")
        return y""",
        "x(x)",
        1,
    ),
    "until waits for what has begun in its round": (
        """x = q
        loop 3 { slow = a("s")  x = a(x)  until x != "" }
        return x""",
        "loop.x[0](q)",
        5,
    ),
    "until leaves with the values of its round": (
        """x = q
        y = q
        loop 3 { slow = a(y)  y = slow + "!"  x = a(x)  until x != "" }
        return y""",
        "loop.slow[0](q)!",
        5,
    ),
    "nothing behind until begins": (
        """x = q
        loop 3 { until x != ""  x = a(x) }
        return x""",
        "q",
        0,
    ),
    "samples run beside each other, and beside the rest": (
        """xs = 4 of a(q)
        y = a("y")
        return join(xs, ",") + y""",
        "xs[0](q),xs[1](q),xs[2](q),xs[3](q)y(y)",
        1,
    ),
    "a map over what a task gives": (
        """xs = 2 of a(q)
        ys = each x in xs where x != "": a(x)
        z = a("z")
        return join(ys, ",") + z""",
        "ys[0](xs[0](q)),ys[1](xs[1](q))z(z)",
        2,
    ),
    "a chain in a slice of the budget": (
        """part: within calls 3 { x = a("x")  y = a(x) }
        z = a("z")
        return y + z""",
        "part.y(part.x(x))z(z)",
        2,
    ),
    "the value of a return that is a step, with another one still open": (
        """slow = a("slow")
        return a("x")""",
        "return(x)",
        5,
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule(name: str) -> None:
    body, expected, seconds = SCHEDULES[name]
    assert run(body, Clocked({"slow": 5})) == (expected, seconds)


def test_effects_keep_the_order_of_the_source() -> None:
    model = Clocked()
    body = """x = a("x")
    one = send(x)
    two = send("2")
    if q == "q" { three = send("3") }
    ys = each w in ["4", "5"]: send(w)
    y = a("y")
    zs = 2 of send("6")
    return y"""
    _, took = run(body, model)
    assert [entry for entry in model.log if "send" in entry] == [
        "1 send x(x)", "2 send 2", "3 send 3", "4 send 4", "5 send 5", "6 send 6", "7 send 6",
    ]  # fmt: skip
    assert "0 y" in model.log
    assert took == 8


def test_steps_begin_in_the_order_of_the_source() -> None:
    model = Clocked()
    run('x = a("1")\n y = a("2")\n v = look("3")\n w = a("4")\n z = a(w)\n return z', model)
    assert model.log == ["0 x", "0 y", "0 send 3", "0 w", "1 z"]


def test_a_fallback_is_a_part_of_its_step() -> None:
    model = Clocked(failing=("x", "y"))
    value, took = run('x = a("1") else a("2") else "no"\n y = a("3") else "none"\n return x + y', model)
    assert (value, took) == ("x.else(2)none", 2)


def test_a_failure_lets_nothing_else_begin_and_loses_nothing() -> None:
    model = Clocked({"slow": 5}, failing=("bad",))
    value, took = run('slow = a("s")\n bad = a("b")\n later = a(bad)\n more = a(slow)\n return later + more', model)
    assert isinstance(value, RunFailed)
    assert (value.step, took) == ("main.bad", 5)
    assert model.log == ["0 slow", "0 bad"]


def test_in_order_nothing_runs_beside_anything() -> None:
    program = checked(f'{AGENTS}flow main(q) -> text {{\n x = a("1")\n y = a("2")\n zs = 2 of a(y)\n return x\n}}\n')
    kinds = {type(part).__name__ for flow in lower(program, in_order=True).flows for part in flow.body}
    assert "Start" not in kinds
    assert any(isinstance(part, ir.Start) for flow in lower(program).flows for part in flow.body)


# ---------------------------------------------------------------- names


def test_python_names_are_their_own_or_get_an_underscore() -> None:
    assert python_name("answer") == "answer"
    assert python_name("class") == "class_"
    assert python_name("class", {"class_"}) == "class__"
    assert python_name("__import__") == "_import__"
    assert python_name("_x") == "_x"
    assert python_name("___") == "_unnamed"


def test_names_are_stable_and_never_given_twice() -> None:
    names = Names({"input"})
    assert [names.give(name) for name in ("input", "input", "x", "input_", "x")] == [
        "input_",
        "input__",
        "x",
        "input___",
        "x_",
    ]
    assert names.inner().give("x") == "x__"


def test_fields_and_words_keep_away_from_what_their_classes_have() -> None:
    assert field_names(["class", "class_", "schema", "_x", "x", "ok"]) == {
        "class": "class__", "class_": "class_", "schema": "schema_", "_x": "x_", "x": "x", "ok": "ok",
    }  # fmt: skip
    assert word_names(["upper", "mro", "import", "a"]) == {
        "upper": "upper_",
        "mro": "mro_",
        "import": "import_",
        "a": "a",
    }


NAME = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True) | st.sampled_from(sorted(KEYWORDS | BUILTIN_NAMES))


@given(st.lists(NAME, max_size=12))
def test_attributes_are_identifiers_and_all_different(fields: list[str]) -> None:
    for given_names in (field_names(fields), word_names(fields)):
        assert list(given_names) == list(dict.fromkeys(fields))
        assert len(set(given_names.values())) == len(given_names)
        assert all(name.isidentifier() and name not in KEYWORDS and name[0] != "_" for name in given_names.values())


@given(st.lists(NAME, max_size=12))
def test_given_names_are_identifiers_and_all_different(wanted: list[str]) -> None:
    names = Names(BUILTIN_NAMES)
    given_names = [names.give(name) for name in wanted]
    assert len(set(given_names)) == len(wanted)
    for name in given_names:
        assert name.isidentifier() and name not in KEYWORDS | BUILTIN_NAMES and not name.startswith("__")


def test_a_name_makes_way_for_a_function_only_where_that_is_used() -> None:
    def names_in(body: str) -> str:
        return pipeline.build(checked(f"{AGENTS}flow main(q, item) -> text {{\n{body}\n}}\n")).text

    assert "item: Annotated" in names_in("x = a(item)\nreturn x")
    assert "item_: Annotated" in names_in('x = a(item)\nxs = [x]\nreturn xs[3] else ""')
