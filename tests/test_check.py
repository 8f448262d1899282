"""The checker: what types names get, which programs are refused.

Codes have their own examples (`test_catalogue.py`).
"""

from __future__ import annotations

import pytest

from masdsl.check.check import check_parsed
from masdsl.check.program import Append, Bind, For, If, Loop, Match, Program, Statement, Within
from masdsl.check.relations import show
from masdsl.config import DEFAULT
from masdsl.diagnostics.base import ERROR, Findings
from masdsl.limits import RECORD_DEPTH
from masdsl.pipeline import check_source
from masdsl.source import Source
from masdsl.syntax.parse import parse_program
from tests.harness.programs import granted

PRELUDE = """mas 1
type Review { ok: bool, issues: text(60)[8] }
type Kind = math | code
agent write(topic) -> text(100) "Write about {{ topic }}."
agent maybe(topic) -> text(100)? "Perhaps write about {{ topic }}."
agent review(topic) -> Review "Review {{ topic }}."
agent sort_out(topic) -> Kind "What is {{ topic }}?"
agent grade(topic) -> int "Grade {{ topic }}."
flow pick[T, n](xs: T[n]+) -> T { return first(xs) }
"""


def check(text: str) -> tuple[Program | None, list[str]]:
    findings = Findings()
    parsed = parse_program(Source("x.mas", text), findings)
    config = DEFAULT._replace(tools=granted("send", "look"))
    program = check_parsed(parsed, config=config, read_module=lambda *_: "no modules here", findings=findings)
    diagnostics = [finding.diagnostic for finding in findings.sorted()]
    return program, [diagnostic.code for diagnostic in diagnostics if diagnostic.severity == ERROR]


def types_in(block: tuple[Statement, ...]) -> dict[str, str]:
    """Return the last type that each name of a block is given, nested blocks included."""
    found: dict[str, str] = {}
    for node in block:
        match node:
            case Bind() | Append():
                found[node.name] = show(node.type)
            case Loop() | For() | Within():
                found |= types_in(node.body)
            case If():
                for branch in node.branches:
                    found |= types_in(branch.body)
                found |= types_in(node.orelse)
            case Match():
                for arm in node.arms:
                    found |= types_in(arm.body)
                found |= types_in(node.orelse or ())
            case _:
                pass
    return found


TYPES = [
    ("samples have their exact number", "x = 3 of write(q)", "text(100)[3]+"),
    (
        "a map without condition keeps the least number",
        "ys = 3 of write(q) x = each y in ys: write(y)",
        "text(100)[3]+",
    ),
    (
        "a map with condition may be empty",
        "ys = 3 of write(q) x = each y in ys where len(y) > 1: write(y)",
        "text(100)[3]",
    ),
    ("the first of some is there", "ys = 3 of write(q) x = first(ys)", "text(100)"),
    ("the first of perhaps none may be none", "x = first(lines(q))", "text(800)?"),
    ("an index within the least number is there", 'ys = ["a", "b"] x = ys[1]', "text(1)"),
    ("an index beyond it may be none", 'ys = ["a", "b"] x = ys[2]', "text(1)?"),
    ("else replaces none", 'x = first(lines(q)) else ""', "text(800)"),
    ("else of a step that may be none", "x = maybe(q) else write(q)", "text(100)"),
    ("the last alternative may be none", "x = write(q) else maybe(q)", "text(100)?"),
    ("texts add their sizes", 'y = write(q) x = y + "12345678"', "text(105)"),
    ("division is a float", "x = 3 / 2", "float"),
    ("int and float make float", "x = 1 + 0.5", "float"),
    ("lists join", 'x = ["a"] + ["b", "c"]', "text(1)[3]+"),
    ("a list of int and float", "x = [1, 0.5]", "float[2]+"),
    ("branches join", 'if q == "" { x = "12345678" } else { x = write(q) } y = x', "text(100)"),
    ("none and text join", 'if q == "" { x = none } else { x = write(q) } y = x', "text(100)?"),
    ("a range of a literal has its length", "x = range(4)", "int[4]+"),
    ("an accumulating list grows by one a round", "x = [] loop 5 { y = write(q) x += [y] }", "text(100)[5]+"),
    ("a list may stay empty", 'x = [] loop 5 { until q == "" x += [1] }', "int[5]"),
    ("a list that a later loop fills", "x = [] loop 3 { y = x x += [1, 2] }", "int[6]+"),
    ("a list at the head of the third round", "x = [] loop 3 { y = write(q) z = x x += [y, y] }", "text(100)[6]+"),
    ("a list of a list that may be empty", "x = [] for i in range(9) { x += [i] }", "int[9]"),
    ("a growing text is linear", 'x = "" loop 5 { x = x + "12345678" }', "text(25)"),
    ("a doubling text goes to the cap", 'x = "abcd" loop 20 { x = x + x }', "text(32000)"),
    ("a carried text takes the greater size", 'x = "" loop 5 { x = write(x) }', "text(100)"),
    ("one round grows once", 'x = "" loop 1 { x = x + "1234" }', "text(3)"),
]


@pytest.mark.parametrize(("statements", "expected"), [case[1:] for case in TYPES], ids=[case[0] for case in TYPES])
def test_type_of_x(statements: str, expected: str) -> None:
    program, codes = check(PRELUDE + f"flow main(q) -> int {{ {statements} probe = x return 0 }}")
    assert program is not None, codes
    assert types_in(program.flow("main").body)["probe"] == expected


ACCEPTED = [
    ("a test for none narrows", 'x = maybe(q) if x != none { return x } return "-"'),
    ("a test for none narrows what follows a return", 'x = maybe(q) if x == none { return "-" } return x'),
    ("a conjunction narrows its right side", 'x = maybe(q) if x != none and x != "" { return x } return "-"'),
    ("until narrows what follows", "x = maybe(q) loop 3 { until x == none y = write(x) x = maybe(y) } return q"),
    (
        "two maps with the same name for their items",
        "a = each x in lines(q): trim(x) b = each x in a: upper(x) return join(b, q)",
    ),
    (
        "two loops with the same name for their items",
        "for x in lines(q) { y = x } for x in lines(q) { z = x } return q",
    ),
    ("a loop whose body sets what was none", "x = none loop 3 { x = write(q) } return x"),
    ("both branches return", 'if q == "" { return q } else { return q }'),
    ("all arms return", "k = sort_out(q) match k { math { return q } code { return q } }"),
    ("a name bound in all arms", 'k = sort_out(q) match k { math { x = "m" } else { x = "c" } } return x'),
    ("a name bound in the branch that goes on", 'if q == "" { return q } else { x = "a" } return x'),
    ("reassignment in a nested block", "x = write(q) if len(x) > 9 { x = write(x) } return x"),
    ("the same name in two branches", 'if q == "" { x = "a" } else { x = "b" } return x'),
    ("an int where a float is wanted", "x = [0.5] x2 = contains(x, 1) return text(x2)"),
    ("a record without its type where one is wanted", 'x = review(q) return join(x.issues, ", ")'),
    ("a list literal that starts empty", "x = [] for y in lines(q) { x += [y] } return join(x, q)"),
]


@pytest.mark.parametrize("statements", [case[1] for case in ACCEPTED], ids=[case[0] for case in ACCEPTED])
def test_accepted(statements: str) -> None:
    _, codes = check(PRELUDE + f"flow main(q) -> text {{ {statements} }}")
    assert codes == []


REFUSED = [
    ("a name of a loop's body behind it", "loop 2 { x = write(q) } return x", ["MAS302"]),
    ("a name of one arm only", "k = sort_out(q) match k { math { x = q } code { y = q } } return x", ["MAS302"]),
    ("none is no text", "x = maybe(q) return x", ["MAS202"]),
    ("a narrowing ends with its branch", "x = maybe(q) if x != none { y = x } return x", ["MAS202"]),
    (
        "a reassigned name loses its narrowing",
        "x = maybe(q) if x == none { return q } loop 2 { x = maybe(q) } return x",
        ["MAS202"],
    ),
    ("branches without common type", 'if q == "" { x = 1 } else { x = "a" } return q', ["MAS214"]),
    ("a loop that changes a type", 'x = 1 loop 2 { x = "a" } return q', ["MAS214"]),
    ("one faulty name gives one diagnostic", "x = wrong + 1 y = x + 1 z = [y, x] return text(z[0])", ["MAS101"]),
    ("a faulty step gives one diagnostic", "x = wrong(q) y = write(x) return y + x", ["MAS102"]),
    ("shadowing an agent", "write = q return write", ["MAS107"]),
    ("shadowing a built-in", "len = q return q", ["MAS107"]),
    ("an enum compared with a text", 'k = sort_out(q) if k == "math" { return q } return q', ["MAS203"]),
    ("a step in a condition", "if grade(q) > 3 { return q } return q", ["MAS307"]),
    ("a sample in a list", "x = [write(q)] return q", ["MAS307"]),
    ("for over a text", "for x in q { y = x } return q", ["MAS209"]),
    ("until in an if outside a loop", 'if q == "" { until true } return q', ["MAS306"]),
    (
        "a name that may be none where a loop ends early",
        "x = maybe(q) loop 2 { until q == x x = write(q) } return x",
        ["MAS202"],
    ),
    ("an item with the name of a value", "x = q a = each x in lines(q): trim(x) return join(a, x)", ["MAS107"]),
    ("a faulty argument of a generic flow", "x = pick([missing]) return q", ["MAS101"]),
    ("an unknown argument name", "x = write(topik: q) return x", ["MAS106"]),
]


@pytest.mark.parametrize(("statements", "expected"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refused(statements: str, expected: list[str]) -> None:
    program, codes = check(PRELUDE + f"flow main(q) -> text {{ {statements} }}")
    assert program is None
    assert sorted(codes) == sorted(expected)


def test_static_parameters_make_one_instance_for_each_set() -> None:
    program, codes = check(
        PRELUDE
        + """
flow best[T, n = 3](solve: agent(text) -> T, task) -> T {
  xs = n of solve(task)
  return first(xs)
}
flow twice[m](xs: text[m]+) -> text[m]+ {
  ys = each x in xs: write(x)
  return ys
}
flow main(q) -> text {
  a = best(write, q)
  b = best(write, q, n: 5)
  c = best(solve: write, task: q)
  d = best(grade, q)
  e = twice([a, b, c])
  return text(d) + first(e)
}
"""
    )
    assert program is not None, codes
    assert [(flow.key, dict(flow.statics)) for flow in program.flows] == [
        ("best", {"T": "text(100)", "n": "3", "solve": "write"}),
        ("best_2", {"T": "text(100)", "n": "5", "solve": "write"}),
        ("best_3", {"T": "int", "n": "3", "solve": "grade"}),
        ("twice", {"m": "3"}),
        ("main", {}),
    ]


def test_a_flow_that_nothing_calls_is_checked_all_the_same() -> None:
    _, codes = check(
        PRELUDE + "flow best[T, n](solve: agent(text) -> T, task) -> T { xs = n of solve(task) return xs }"
    )
    assert codes == ["MAS201"]


def test_steps_have_addresses() -> None:
    program, codes = check(
        PRELUDE
        + """
flow main(q) -> text {
  loop 2 {
    a = write(q)
    if a == "" { b = write(a) else write(q) } else if a == "x" { b = write(q) } else { b = write(q) }
    if b == "" { return write(b) }
  }
  named: for l in lines(q) { c = write(l) }
  return q
}
"""
    )
    assert program is not None, codes
    from masdsl.check.tests_of import invokes

    assert [step.path for step in invokes(program.flow("main").body)] == [
        "main.loop.a",
        "main.loop.if.b",
        "main.loop.if.b.else",
        "main.loop.if.elif.b",
        "main.loop.if.else.b",
        "main.loop.if_2.return",
        "main.named.c",
    ]


def test_nested_loops_that_grow_are_checked_in_bounded_time() -> None:
    depth = 12
    opening = "".join(f"loop {3 + level} {{ x{level} = x{level} + x{level} x = x + x{level} " for level in range(depth))
    start = "".join(f'x{level} = "a" ' for level in range(depth))
    _, codes = check(f'mas 1 flow main(q) -> int {{ x = "" {start} {opening} {"}" * depth} return 0 }}')
    assert codes in ([], ["MAS320"])


def test_a_test_may_name_steps_in_constructs_without_labels() -> None:
    program, codes = check(
        PRELUDE
        + """
flow main(q) -> text {
  loop 2 { a = write(q) if a == "" { b = write(a) } else { b = write(q) } }
  return q
}
test "counts" {
  given write = "x"
  out = main("q")
  expect ran(main.loop.if.else.b) == 2 and ran(main.loop.if.b) == 0 and out == "q"
}
"""
    )
    assert program is not None, codes


def nested_records(levels: int, each: int) -> str:
    """A type whose records hold `each` others, so many levels deep."""
    lines = ["mas 1", "type A1 { x: text }"]
    for level in range(2, levels + 1):
        lines.append(f"type A{level} {{ {', '.join(f'f{number}: A{level - 1}' for number in range(each))} }}")
    return "\n".join([*lines, f'agent a(t) -> A{levels} "Do."', f"flow main(t) -> A{levels} {{ return a(t) }}"]) + "\n"


@pytest.mark.parametrize(
    ("levels", "each", "said"),
    [
        (RECORD_DEPTH, 1, None),
        (RECORD_DEPTH + 1, 1, f"type `A{RECORD_DEPTH + 1}` has {RECORD_DEPTH + 1} levels, with the records in it"),
        (9, 2, None),
        (10, 2, "type `A10` has 1_534 fields, with the records in it"),
        (18, 2, "type `A10` has 1_534 fields, with the records in it"),
    ],
)
def test_records_inside_records_are_limited(levels: int, each: int, said: str | None) -> None:
    findings = Findings()
    check_source(Source("<a>", nested_records(levels, each)), DEFAULT, findings)
    titles = [found.diagnostic.title() for found in findings.sorted() if found.diagnostic.code == "MAS009"]
    assert [title.partition(";")[0] for title in titles] == ([] if said is None else [said])
