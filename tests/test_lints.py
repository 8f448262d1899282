# ruff: noqa: E501 programs on one line each
"""Lints: each finds its fault, and nothing else; the slice of dead calls agrees with running the program twice."""

from __future__ import annotations

import pickle
import random

import pytest

from masdsl.check.check import check_parsed
from masdsl.check.lint_flows import dead_values
from masdsl.check.program import Program
from masdsl.check.uses import scan
from masdsl.config import DEFAULT
from masdsl.diagnostics.base import ERROR, Findings
from masdsl.diagnostics.catalogue import lint_names
from masdsl.diagnostics.lints import DeadCall, at_severity
from masdsl.diagnostics.render import render_text
from masdsl.node import Span
from masdsl.source import Source
from masdsl.syntax.parse import parse_program
from tests.harness.programs import granted

HEAD = """mas 1
type Kind = math | code
type Note { body: text(60), score: float }
tool search(query) -> text from "search"
tool post(body) -> bool from "post" effect
agent one(topic) -> text "One {{ topic }}."
agent two(topic, notes = "") -> text retry 1 "Two {{ topic }}{{ notes }}."
agent poster(topic) -> text tools [post] "Post {{ topic }}."
agent sure(topic) -> bool "Sure? {{ topic }}"
agent judge(topic) -> Kind "Judge {{ topic }}."
agent noted(topic) -> Note "Note {{ topic }}."
agent cold(topic) -> text temp 0 "Cold {{ topic }}."
agent long(topic) -> text(2000) "Long {{ topic }}."
agent short(topic: text(40)) -> text(40) "Short {{ topic }}."
agent tags(topic) -> text(20)[8] "Tags {{ topic }}."
flow posting(x) -> text { y = post(x) return text(y) }
"""
LEVELS = {"unused": "off"}


def checked(
    text: str, levels: dict[str, str] | None = None, head: str = HEAD
) -> tuple[Program | None, Findings, Source]:
    source = Source("x.mas", head + text)
    findings = Findings()
    config = DEFAULT._replace(tools=granted("search", "post"), lints=LEVELS if levels is None else levels)
    program = check_parsed(
        parse_program(source, findings), config=config, read_module=lambda *_: "none here", findings=findings
    )
    assert program is not None or not findings.ok, render_text(findings.sorted())
    return program, findings, source


def lints(text: str, head: str = HEAD, levels: dict[str, str] | None = None) -> list[str]:
    """Code and place (as the characters there) of each finding."""
    program, findings, source = checked(text, levels, head)
    assert program is not None, render_text(findings.sorted())
    return [f"{found.code} {source.slice(found.span)}" for _, found in findings.sorted()]


def body(statements: str, params: str = "x, ok: bool") -> str:
    return f"flow main({params}) -> text {{ {statements} }}"


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ("a = one(x) if ok { return a } return x", []),
        ("a = one(x) b = two(x) if ok { return b } return x", ["MAS701 a = one(x)"]),
        ("a = one(x) b = two(a) if ok { return x } return x", ["MAS701 a = one(x)", "MAS701 b = two(a)"]),
        ("a = sure(x) if a and ok { return x } return one(x)", []),
        ("a = one(x) b = trim(a) if ok { x = b } return x", []),
        ("a = 3 of one(x) if ok { return x } return x", ["MAS701 a = 3 of one(x)"]),
        ("a = each w in split(x, x): one(w) if ok { return x } return x", ["MAS701 a = each w in split(x, x): one(w)"]),
        ("a = one(x) else two(x) if ok { return x } return x", ["MAS701 a = one(x) else two(x)"]),
        ("a = search(x) if ok { return x } return x", ["MAS701 a = search(x)"]),
        ("a = post(x) if ok { return x } return x", []),
        ("a = poster(x) b = posting(x) if ok { return x } return x", []),
        ("a = one(x) b = post(a) if ok { return x } return x", []),
        ("a = sure(x) if a and ok { b = post(x) } return x", []),
        ("k = judge(x) match k { math { x = one(x) } code { } } if ok { } return x", []),
        (
            "k = judge(x) match k { math { a = one(x) } code { } } if ok { return x } return x",
            ["MAS701 k = judge(x)", "MAS701 a = one(x)"],
        ),
        ("loop 3 { a = sure(x) until a x = one(x) } if ok { } return x", []),
        (
            "loop 3 { a = sure(x) until a b = one(x) } if ok { return x } return x",
            ["MAS701 a = sure(x)", "MAS701 b = one(x)"],
        ),
        ("a = x loop 3 { a = one(a) } if ok { return x } return x", ["MAS706 a", "MAS701 a = one(a)"]),
        ("a = x loop 3 { b = one(a) a = two(b) } if ok { return a } return x", []),
        ("n = 0 loop 3 { n = n + 1 x = one(x) } if ok { } return x", ["MAS706 n", "MAS706 n"]),
        ("n = 0 loop 3 { n = n + 1 until n > 2 x = one(x) } if ok { } return x", []),
        ("loop 3 { if ok { a = sure(x) until a } x = one(x) } return x", []),
        ("loop 3 { a = sure(x) if a and ok { return x } } return one(x)", []),
        ("xs = [x] for y in xs { z = one(y) x = z } if ok { } return x", []),
        ("xs = [x] for y in xs { z = one(y) } if ok { return x } return x", ["MAS706 xs", "MAS701 z = one(y)"]),
        ("xs = [x] for y in xs { a = post(y) } if ok { } return x", []),
        ("xs = [x] xs += [x] if ok { return first(xs) } return x", []),
        ("within calls 2 { a = one(x) } if ok { return a } return x", []),
        ("within calls 2 { a = one(x) } if ok { return x } return x", ["MAS701 a = one(x)"]),
        ("_a = one(x) if ok { return x } return x", []),
        ("a = trim(x) if ok { return x } return x", ["MAS706 a"]),
        # replaced before use
        ("a = one(x) loop 3 { a = two(x) x = a } if ok { } return x", ["MAS702 a"]),
        ("a = one(x) for y in [x] { a = two(y) } if ok { } return a", ["MAS702 a"]),
        ("a = one(x) for y in split(x, x) { a = two(y) } if ok { } return a", []),
        ("a = one(x) if ok { a = two(x) } return a", []),
        ("a = one(x) if ok { a = two(x) } else { a = x } return a", ["MAS702 a"]),
        ("a = one(x) loop 3 { until a == x a = two(x) } if ok { } return a", []),
        ("loop 3 { a = one(x) if ok { a = two(x) } else { a = x } x = a } return x", ["MAS702 a"]),
        ("a = x loop 2 { b = a a = one(x) x = b } if ok { } return x", []),
    ],
)
def test_values_that_cannot_reach_the_output(statements: str, expected: list[str]) -> None:
    assert lints(body(statements)) == expected


def test_a_parameter_that_is_replaced_first_is_shown() -> None:
    assert lints("flow main(x, y) -> text { loop 1 { x = one(y) } return x }") == ["MAS702 x"]


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ("loop 3 { x = one(x) until true } if ok { } return x", ["MAS708 until true"]),
        ("loop 3 { x = one(x) until false } if ok { } return x", ["MAS707 until false"]),
        ("loop 3 { x = one(x) until 1 > 2 or not true } if ok { } return x", ["MAS707 until 1 > 2 or not true"]),
        ("loop 3 { x = one(x) until ok } return x", ["MAS707 until ok"]),
        ('loop 3 { x = one(x) until ok or x == "" } return x', []),
        ("loop 3 { x = one(x) until x == x } if ok { } return x", ["MAS708 until x == x"]),
        ("loop 3 { x = one(x) until x != x } if ok { } return x", ["MAS707 until x != x"]),
        ("y = x loop 3 { x = one(x) until len(y) > 3 } if ok { } return x", ["MAS707 until len(y) > 3"]),
        ("y = x loop 3 { x = one(x) z = trim(y) until len(z) > 3 } if ok { } return x", ["MAS707 until len(z) > 3"]),
        ("y = x loop 3 { x = one(x) z = trim(x) until len(z) > 3 } if ok { return y } return x", []),
        ("n = 0 loop 3 { x = one(x) n = n + 1 until n > 1 } if ok { } return x", []),
        (
            "loop 3 { z = tags(x) until len(z) > 8 x = first(z) else x } if ok { } return x",
            ["MAS707 until len(z) > 8"],
        ),
        (
            "loop 3 { z = tags(x) until len(z) >= 0 x = first(z) else x } if ok { } return x",
            ["MAS708 until len(z) >= 0"],
        ),
        ("loop 3 { z = tags(x) until len(z) > 7 x = one(x) } if ok { } return x", []),
        (
            'loop 3 { z = tags(x) until count(z, "a") > 8 x = one(x) } if ok { } return x',
            ['MAS707 until count(z, "a") > 8'],
        ),
        ('loop 3 { z = short("a") until len(z) > 240 x = one(x) } if ok { } return x', ["MAS707 until len(z) > 240"]),
        ('loop 3 { z = short("a") until len(z) > 159 x = one(x) } if ok { } return x', []),
        ('for y in split(x, x) { x = one(x) until y == "" } if ok { } return x', []),
        ("for y in split(x, x) { x = one(x) until ok } return x", ["MAS707 until ok"]),
        ("loop 3 { loop 2 { x = one(x) until ok } ok = sure(x) } return x", ["MAS707 until ok"]),
        ('loop 3 { x = one(x) if ok { until x == "" } } return x', []),
    ],
)
def test_untils_that_decide_nothing(statements: str, expected: list[str]) -> None:
    assert lints(body(statements), levels=LEVELS | {"branch_on_text": "off"}) == expected


@pytest.mark.parametrize(
    ("condition", "title", "label"),
    [
        (
            "ok",
            "this `until` ends the loop in its first round or never: `ok` never changes in the loop",
            "decided before the loop begins",
        ),
        ("false", "this `until` cannot become true: it is always false", "the loop never ends early here"),
    ],
)
def test_an_until_that_looks_at_nothing_of_its_loop_may_still_be_true(condition: str, title: str, label: str) -> None:
    _, findings, _ = checked(body(f"loop 3 {{ x = one(x) until {condition} }} if ok {{ }} return x"), None, HEAD)
    (found,) = (one.diagnostic for one in findings.sorted())
    assert (found.title(), found.label()) == (title, label)


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ('r = one(x) if r == "yes" and ok { return r } return x', ['MAS709 r == "yes"']),
        ('r = one(x) if "yes" != lower(trim(r)) and ok { return r } return x', ['MAS709 "yes" != lower(trim(r))']),
        ('r = one(x) if contains(r, "YES") and ok { return r } return x', ['MAS709 contains(r, "YES")']),
        (
            'r = one(x) if starts_with(upper(r), "NO") and ok { return r } return x',
            ['MAS709 starts_with(upper(r), "NO")'],
        ),
        ('loop 3 { x = one(x) until x == "DONE" } if ok { } return x', ['MAS709 x == "DONE"']),
        ('r = 3 of one(x) if first(r) == "yes" and ok { return x } return x', ['MAS709 first(r) == "yes"']),
        ('r = one(x) else two(x) s = r if s == "yes" and ok { return x } return x', ['MAS709 s == "yes"']),
        ('n = noted(x) if n.body == "good" and ok { return x } return x', ['MAS709 n.body == "good"']),
        (
            'r = tags(x) s = each w in r where w == "good": one(w) if ok { return join(s, x) } return x',
            ['MAS709 w == "good"', "MAS710 join(s, x)"],
        ),
        ('r = tags(x) for w in r { if w == "good" { x = one(w) } } if ok { } return x', ['MAS709 w == "good"']),
        # no free text of a model, or no word
        ('if x == "yes" and ok { return one(x) } return x', []),
        ('r = search(x) if r == "yes" and ok { return x } return x', []),
        ('r = one(x) if r == "" and ok { return x } return r', []),
        ("r = one(x) if r == x and ok { return x } return r", []),
        ('r = one(x) if contains(r, "def main()") and ok { return x } return r', []),
        ("r = one(x) if len(r) > 3 and ok { return x } return r", []),
        ("k = judge(x) if k == Kind.math and ok { return x } return one(x)", []),
        ('r = one(x) if r == "this sentence is too long to be a word" and ok { return x } return r', []),
    ],
)
def test_decisions_on_free_text(statements: str, expected: list[str]) -> None:
    assert lints(body(statements)) == expected


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ("a = long(x) if ok { return one(a) } return x", ["MAS710 a"]),
        ("a = long(x) if ok { return a } return x", ["MAS710 a"]),
        ("if ok { return long(x) } return x", ["MAS710 long(x)"]),
        ("a = short(x) if ok { return one(a) } return a", ["MAS710 x"]),
        ('a = short("a few words") if ok { return one(a) } return x', []),
        (f'a = short("{"a" * 238}") if ok {{ return one(a) }} return x', []),
        (f'a = short("{"a" * 239}") if ok {{ return one(a) }} return x', [f'MAS710 "{"a" * 239}"']),
        ("if ok { return x + x } return x", ["MAS710 x + x"]),
        ("a = Note(body: x, score: 0.5) if ok { return a.body } return x", ["MAS710 x"]),
        ("a = each w in split(x, x): short(w) if ok { return first(a) else x } return x", ["MAS710 w"]),
        ("a = narrow([x, x, x]) if ok { return a } return x", ["MAS710 [x, x, x]"]),
        ("a = narrow([x, x]) if ok { return a } return x", []),
        ("a = maybe(long(x) else x) if ok { return a } return x", None),
        ("b = long(x) a = maybe(b) if ok { return a } return x", ["MAS710 b"]),
        ("a = maybe(none) if ok { return a } return x", []),
    ],
)
def test_values_that_are_clipped(statements: str, expected: list[str] | None) -> None:
    more = 'agent narrow(xs: text[2]) -> text "N {{ xs }}"\nagent maybe(m: text(900)?) -> text "M {{ m }}"\n'
    if expected is None:
        assert checked(more + body(statements))[0] is None  # a call stands alone, so no such thing can be clipped
    else:
        assert lints(more + body(statements)) == expected


def test_the_sizes_are_said() -> None:
    _, findings, _ = checked("flow main(x) -> text { a = long(x) return one(a) }")
    (found,) = findings.sorted()
    assert found.diagnostic.title() == "up to 2,000 tokens go to `topic` of `one`, which takes 800: the rest is cut off"


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ("a = 3 of cold(x) if ok { return majority(a) } return x", ["MAS711 3 of cold(x)"]),
        ("a = 1 of cold(x) if ok { return majority(a) } return x", []),
        ("a = 3 of one(x) if ok { return majority(a) } return x", []),
        ("a = 3 of cold(x) else one(x) if ok { return majority(a) } return x", []),
        ("return one(x) if ok { return x } return x", ["MAS712 if ok { return x }"]),
        ("if ok { return x } else { return one(x) } return x", ["MAS712 return x"]),
        (
            "loop 2 { if ok { return x } else { until true } x = two(x) } return x",
            ["MAS708 until true", "MAS712 x = two(x)"],
        ),
        ("k = judge(x) match k { math { return x } code { return one(x) } } if ok { } return x", ["MAS712 if ok { }"]),
        ("loop 2 { x = one(x) return x } if ok { } return x", ["MAS712 if ok { }"]),
        ('loop 2 { until x == "" return one(x) } if ok { } return x', ['MAS707 until x == ""']),
        ("within calls 2 { return one(x) } if ok { } return x", ["MAS712 if ok { }"]),
        ("for y in split(x, x) { return one(y) } if ok { } return x", []),
    ],
)
def test_copies_and_statements_that_are_never_reached(statements: str, expected: list[str]) -> None:
    assert lints(body(statements)) == expected


BARE = 'mas 1\nagent one(topic) -> text "One {{ topic }}."\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flow main(x) -> text { return one(x) }", []),
        ('agent spare(topic) -> text "Spare." flow main(x) -> text { return one(x) }', ["MAS703 spare"]),
        ('tool spare(topic) -> text from "search" flow main(x) -> text { return one(x) }', ["MAS703 spare"]),
        ("type Spare = a | b flow main(x) -> text { return one(x) }", ["MAS703 Spare"]),
        ("type Word = a | b type Box { w: Word } flow main(x) -> text { return one(x) }", ["MAS703 Box"]),
        ("type Word = a | b flow main(x) -> text { if x == text(Word.a) { return x } return one(x) }", []),
        ("type Box { w: text } flow main(x) -> text { b = Box(w: x) return one(b.w) }", []),
        (
            'type Box { w: text } agent boxed(x) -> Box else Box(w: "") "Box." flow main(x) -> text { b = boxed(x) return one(b.w) }',
            [],
        ),
        ("flow spare(x) -> text { return one(x) } flow main(x) -> text { return one(x) }", ["MAS703 spare"]),
        ("flow used(x) -> text { return one(x) } flow main(x) -> text { return used(x) }", []),
        ('flow lib(x) -> text { return one(x) } agent spare(topic) -> text "Spare."', []),
        (
            'agent spare(topic) -> text "Spare." flow main(x) -> text { return one(x) } test "t" { given one = "a" given spare = "b" y = main("a") expect y == "a" }',
            ["MAS703 spare"],
        ),
        (
            'agent extra(topic) -> text "Spare." flow main(x) -> text { return one(x) } test "t" { given one = "a" given extra = "b" y = main("a") z = extra(y) expect z == "b" }',
            [],
        ),
        (
            'flow pick[T, n](solve: agent(text) -> T, x, xs: text[n]) -> T { return solve(join(xs, x)) } flow main(x) -> text { y = pick(one, "a", [x]) return y }',
            [],
        ),
        (
            "flow rest[n = 2, m = 3](x) -> text[n]+ { xs = n of one(x) return xs } flow main(x) -> text { ys = rest(x) return first(ys) }",
            ["MAS705 m"],
        ),
        ("flow main(x, y) -> text { return one(x) }", ["MAS705 y"]),
        ("flow main(x, _y) -> text { return one(x) }", []),
        (
            'tool find(q) -> text from "search" agent asks(topic) -> text tools [find] "Asks." flow main(x) -> text { return one(x) else asks(x) }',
            [],
        ),
    ],
)
def test_names_that_nothing_uses(text: str, expected: list[str]) -> None:
    assert [found for found in lints(text, BARE, {}) if not found.startswith("MAS710")] == expected


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Write about {topic}.", ["{topic}"]),
        ("Write about { topic } and {{ topic }} and {topic}.", ["{ topic }", "{topic}"]),
        ("Write about {{topic}}.", []),
        ("Write about {other}.", []),
        ('Reply with {\\"topic\\": 1}.', []),
        ("Shell ${topic}", []),
        ("{% if topic %}{topic}{% endif %}", ["{topic}"]),
        ("{% raw %}{{ topic }}{% endraw %}", []),
    ],
)
def test_single_braces_in_prompts(prompt: str, expected: list[str]) -> None:
    text = f'mas 1\nagent write(topic) -> text "{prompt}"\nflow main(topic) -> text {{ return write(topic) }}\n'
    _, findings, source = checked(text, {}, head="")
    found = [found for found in findings.sorted() if found.diagnostic.code == "MAS713"]
    assert [source.slice(finding.diagnostic.span) for finding in found] == expected
    for finding in found:
        fix = finding.diagnostic.fix()
        assert fix is not None
        assert fix.replacements == ((finding.diagnostic.span, "{{ topic }}"),)


def test_imports_that_nothing_uses() -> None:
    def read(_: Source, path: tuple[str, ...], __: Findings) -> Source | str:
        return Source(
            "helpers.mas", "mas 1\nflow a(x) -> text { return x }\nflow b(x) -> text { y = upper(x) return x }\n"
        )

    source = Source("x.mas", "mas 1\nuse helpers: a, b as c\nflow main(x) -> text { return a(x) }\n")
    findings = Findings()
    assert (
        check_parsed(parse_program(source, findings), config=DEFAULT, read_module=read, findings=findings) is not None
    )
    assert [f"{found.diagnostic.code} {found.source.slice(found.diagnostic.span)}" for found in findings.sorted()] == [
        "MAS704 c"
    ]


# ---------------------------------------------------------------- levels


def test_a_configuration_turns_lints_off_or_into_errors() -> None:
    text = "flow main(x, y) -> text { a = one(x) return x }"
    assert lints(text) == ["MAS705 y", "MAS701 a = one(x)"]
    assert lints(text, levels=LEVELS | {"dead_call": "off"}) == ["MAS705 y"]
    program, findings, _ = checked(text, LEVELS | {"dead_call": "error"})
    assert program is None
    assert [(found.code, found.severity) for _, found in findings.sorted()] == [
        ("MAS705", "warning"),
        ("MAS701", "error"),
    ]
    assert "error[MAS701]" in render_text(findings.sorted())


def test_a_lint_as_an_error_is_the_same_diagnostic() -> None:
    warning = DeadCall("a", "one", Span(1, 2), span=Span(1, 2))
    error = at_severity(warning, ERROR)
    assert isinstance(error, DeadCall)
    assert (error.severity, error.code, error.title(), error.span) == (ERROR, "MAS701", warning.title(), warning.span)
    assert pickle.loads(pickle.dumps(error)) == error
    assert at_severity(error, ERROR) is error
    assert DeadCall.severity == "warning"


def test_every_lint_has_a_name_of_its_own() -> None:
    names = lint_names()
    assert len(names) == len(set(names)) == 19


def test_lints_are_not_run_on_programs_with_errors() -> None:
    _, findings, _ = checked("flow main(x, y) -> text { a = one(x) return nope }")
    assert [found.code for _, found in findings.sorted()] == ["MAS101"]


def test_imported_modules_are_not_judged() -> None:
    def read(_: Source, path: tuple[str, ...], __: Findings) -> Source | str:
        return Source("helpers.mas", "mas 1\nflow b(x, y) -> text { z = upper(x) return x }\n")

    source = Source("x.mas", "mas 1\nuse helpers: b\nflow main(x) -> text { return b(x, x) }\n")
    findings = Findings()
    assert (
        check_parsed(parse_program(source, findings), config=DEFAULT, read_module=read, findings=findings) is not None
    )
    assert [found.diagnostic.code for found in findings.sorted()] == []


# ---------------------------------------------------------------- the slice, against running programs


class Runner:
    """Runs flows written by `_random_flow` on numbers, with a table of what each call gives."""

    def __init__(self, calls: dict[int, int], changed: int | None) -> None:
        self.calls = calls
        self.changed = changed

    def call(self, number: int, value: int) -> int:
        shift = 1_000_003 if number == self.changed else 0
        return (value * 31 + self.calls[number] + shift) % 1_009


def _random_flow(chance: random.Random) -> tuple[str, str, int]:
    """Return a flow as a program of the language and as Python, and how many calls it has."""
    count = 0
    names = ["x", "y"]

    def block(depth: int, in_loop: bool, bound: set[str]) -> tuple[list[str], list[str]]:
        nonlocal count
        mas: list[str] = []
        python: list[str] = []
        here: set[str] = set()
        visible = set(bound)
        for _ in range(chance.randint(1, 4)):
            value = chance.choice(sorted(visible))
            kind = chance.choice(
                [
                    "call",
                    "call",
                    "copy",
                    "until" if in_loop else "copy",
                    "loop",
                    "if",
                    "return" if depth < 2 else "copy",
                ]
            )
            if kind in ("call", "copy"):
                free = [name for name in ("x", "y", "a", "b", "c") if name not in here]
                if not free:
                    continue
                name = chance.choice(free)
                here.add(name)
                visible.add(name)
                if kind == "call":
                    mas.append(f"{name} = ask({value}, {count})")
                    python.append(f"{name} = run.call({count}, {value})")
                    count += 1
                else:
                    mas.append(f"{name} = {value} + 1")
                    python.append(f"{name} = {value} + 1")
            elif kind == "until":
                limit = chance.randint(100, 900)
                mas.append(f"until {value} > {limit}")
                python.append(f"if {value} > {limit}: break")
            elif kind == "return":
                limit = chance.randint(100, 900)
                other = chance.choice(sorted(visible))
                mas.append(f"if {other} > {limit} {{ return {value} }}")
                python.append(f"if {other} > {limit}: return {value}")
            elif depth:
                inner_mas, inner_python = block(depth - 1, in_loop or kind == "loop", set(visible))
                limit = chance.randint(100, 900)
                mas.append(
                    ("loop 3 { " if kind == "loop" else f"if {value} > {limit} {{ ") + " ".join(inner_mas) + " }"
                )
                python.append("for _ in range(3):" if kind == "loop" else f"if {value} > {limit}:")
                python.extend("    " + line for line in inner_python or ["pass"])
        return mas, python

    mas, python = block(3, False, set(names))
    result = chance.choice(names)
    text = f"flow main(x: int, y: int) -> int {{ {' '.join(mas)} return {result} }}"
    return text, "\n".join(["def main(run, x, y):", *("    " + line for line in (*python, f"return {result}"))]), count


@pytest.mark.parametrize("seed", range(12))
def test_changing_what_a_dead_call_gives_never_changes_the_result(seed: int) -> None:
    """Random flows run as Python, each call's result changed in turn."""
    chance = random.Random(seed)
    head = 'mas 1\nagent ask(value: int, number: int) -> int "Ask {{ value }} {{ number }}."\n'
    dead_calls = 0
    for _ in range(60):
        text, python, count = _random_flow(chance)
        source = Source("x.mas", head + text)
        findings = Findings()
        program = check_parsed(
            parse_program(source, findings), config=DEFAULT, read_module=lambda *_: "none", findings=findings
        )
        if program is None:
            assert {found.code for _, found in findings.sorted()} <= {"MAS301", "MAS302", "MAS101"}
            continue
        flow = program.flow("main")
        shown = [source.slice(found.span) for found in dead_values(program, scan(flow), frozenset())]
        dead = {number for number in range(count) if any(f", {number})" in place for place in shown)}
        dead_calls += len(dead)
        scope: dict[str, object] = {}
        exec(python, scope)
        main = scope["main"]
        assert callable(main)
        for _ in range(8):
            table = {number: chance.randrange(1_009) for number in range(count)}
            x, y = chance.randrange(1_000), chance.randrange(1_000)
            expected = main(Runner(table, None), x, y)
            for number in dead:
                assert main(Runner(table, number), x, y) == expected, (text, number)
    assert dead_calls > 0


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ('return one("About {{ x }}.")', ["{{ x }}"]),
        ('return one("About {x} and {{y}}.")', ["{x}"]),
        ('y = one(x) return "{y} {{y.a}} {n} {other}" + y', ["{y}", "{{y.a}}"]),
        ('for word in split(x, " ") { x = "{word}" } return x', ["{word}"]),
        ('each_one = each w in split(x, " "): one("{ w }" + w) return join(each_one, "")', ["{ w }"]),
        ('return one("About {other} {} { x y } {\\"x\\": 1} x")', []),
    ],
)
def test_insertions_in_texts_of_flows(statements: str, expected: list[str]) -> None:
    _, findings, source = checked(body(statements, "x"), {}, HEAD)
    found = [found.diagnostic for found in findings.sorted() if found.diagnostic.code == "MAS714"]
    assert [source.slice(one.span) for one in found] == expected
    assert all(source.slice(one.span) in one.title() for one in found)
