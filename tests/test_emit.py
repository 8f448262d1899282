"""Generated Python: what a program says is text in a constant; however long it is, formatters leave it alone."""

from __future__ import annotations

import ast
import asyncio
import io
import os
import subprocess
import sys
import tokenize
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masdsl import pipeline
from masdsl.check.program import Bind, Invoke, Param, Program
from masdsl.config import DEFAULT
from masdsl.diagnostics.base import ERROR, Findings
from masdsl.diagnostics.render import render_short
from masdsl.emit import build, emit
from masdsl.emit.literals import docstring, literal, number
from masdsl.limits import BLOCK_DEPTH
from masdsl.lower import lower
from masdsl.runtime.loader import load_module, places_of
from masdsl.source import Source
from masdsl.types import Bool, Float, Int, List, Optional, Record, Text, Type
from tests.harness.generate import program as generated
from tests.harness.programs import granted
from tests.harness.wide import wide_program

ROOT = Path(__file__).resolve().parent.parent
WIDTH = "120"


def checked(text: str, name: str = "x.mas") -> Program:
    findings = Findings()
    config = DEFAULT._replace(tools=granted("look", "send", "t"))
    program = pipeline.check_source(Source(name, text), config, findings)
    errors = [finding for finding in findings.sorted() if finding.diagnostic.severity == ERROR]
    assert program is not None, render_short(errors) + "\n" + text
    return program


def python(text: str, name: str = "x.mas") -> str:
    return build(checked(text, name)).text


def load(text: str) -> Any:
    return load_module(python(text))


# ---------------------------------------------------------------- constants

ANY_TEXT = st.text(
    st.characters()
    | st.sampled_from("\"'\\\n\r\t #{}\x00\x1b\u202e\ud800\udfff\u2028\x85\xa0")
    | st.sampled_from("ab "),
    max_size=300,
)
"""Texts with what is special to Python, to editors and to terminals; lone surrogates too."""


@settings(max_examples=500)
@given(ANY_TEXT, st.booleans())
def test_a_literal_means_its_text(text: str, block: bool) -> None:
    made = literal(text, block=block)
    assert ast.literal_eval(made) == text
    assert all(character.isprintable() or character == "\n" for character in made)
    tokens = list(tokenize.generate_tokens(io.StringIO(f"x = {made}\n").readline))
    assert [token.type for token in tokens[2:4]] == [tokenize.STRING, tokenize.NEWLINE]
    assert block or "\n" not in made


@settings(max_examples=300)
@given(ANY_TEXT)
def test_a_docstring_is_one_token_and_keeps_the_words(text: str) -> None:
    tree = ast.parse(f"def f():\n    {docstring(text, '    ')}\n")
    function = tree.body[0]
    assert isinstance(function, ast.FunctionDef)
    assert len(tree.body) == len(function.body) == 1
    found = ast.get_docstring(function, clean=False)
    assert found is not None
    assert (
        found.replace("'", '"').replace('""', '"').split() == text.replace("'", '"').replace('""', '"').split()
        or '""' in text
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (-1, "-1"),
        (9999, "9999"),
        (10_000, "10_000"),
        (-1234567, "-1_234_567"),
        (True, "True"),
        (0.5, "0.5"),
        (1e300, "1e+300"),
    ],
)
def test_a_number_is_grouped_where_that_helps(value: float, expected: str) -> None:
    assert number(value) == expected
    assert ast.literal_eval(expected) == value


@settings(max_examples=150, deadline=None)
@given(ANY_TEXT, ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_no_text_of_a_program_becomes_code(prompt: str, role: str, doc: str, default: str) -> None:
    """Built from a checked program, so that even texts which the language would refuse are tried."""
    plain = checked('mas 1\nagent a(q = "x") -> text "p"\nflow main(q) -> text {\n  x = a("c")\n  return x\n}\n')
    agent, flow = plain.agents[0], plain.flows[0]
    hostile = agent.replace(
        prompt=prompt.replace("{", "("),
        role=role,
        doc=doc,
        model=default,
        is_model_name=True,
        params=(Param("q", Text(100_000), True, default),),
    )
    bind = flow.body[0]
    assert isinstance(bind, Bind) and isinstance(bind.value, Invoke)
    said = bind.value.replace(arguments=(("q", bind.value.arguments[0][1].replace(value=default)),))
    program = plain.replace(
        agents=(hostile,), flows=(flow.replace(doc=doc, body=(bind.replace(value=said), flow.body[1])),)
    )
    module = load_module(build(program, header=doc.replace("\n", " ")).text)
    made = module.PROGRAM.agents["a"]
    assert (made.role, made.model, made.doc) == (role, default, doc)
    assert made.prompt.text == prompt.replace("{", "(")


def test_names_of_files_stay_in_their_place() -> None:
    for name in ('/home/me/a"""b.mas', "a\nimport os\n.mas", "a\\.mas", "<input>", "ä b.mas"):
        text = python("mas 1\nflow main() -> int { return 1 }\n", name)
        assert "/home/me" not in text
        assert load_module(text).PROGRAM.name == os.path.basename(name)


# ---------------------------------------------------------------- the page

HEADS = {
    "flow main() -> int { return 1 }": "Flow `main`, compiled from x.mas.",
    "flow f() -> int { return 1 }\nflow main() -> int { return 1 }": "Flow `main` and one more, compiled from x.mas.",
    "flow f() -> int { return 1 }\nflow g() -> int { return 1 }\nflow h() -> int { return 1 }": (
        "Flow `h` and two more, compiled from x.mas."
    ),
    "type K = a | b": "Declarations, compiled from x.mas.",
}


@pytest.mark.parametrize("text", HEADS)
def test_the_head_says_what_it_is(text: str) -> None:
    head = ast.get_docstring(ast.parse(python(f"mas 1\n{text}\n")))
    assert head is not None
    assert head.split("\n") == [HEADS[text], "", "Edit x.mas, not this file, then run `mas build x.mas`."]


def test_the_head_has_what_the_pipeline_adds() -> None:
    module = emit(
        lower(checked("mas 1\nflow main() -> int { return 1 }\n")), header="Worst case: 13 calls.", version="0.1.0"
    )
    head = ast.get_docstring(ast.parse(module.text))
    assert head is not None
    assert head.startswith("Flow `main`, compiled from x.mas by masdsl 0.1.0.\n")
    assert head.endswith("`mas build x.mas`.\nWorst case: 13 calls.")


def test_the_text_depends_on_the_program_alone() -> None:
    script = (
        "import sys; from random import Random\n"
        "from tests.harness.generate import program; from tests.test_emit import python\n"
        "sys.stdout.reconfigure(encoding='utf-8'); [print(python(program(Random(seed), 8))) for seed in (3, 4, 5)]"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "99")
    }
    assert len(texts) == 1


def test_every_step_has_a_mark_and_every_mark_a_statement() -> None:
    for seed in range(10):
        text = generated(Random(seed), 8)
        made = python(text)
        tree = ast.parse(made)
        places = places_of(made, tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Await):
                assert any(line in places for line in range(node.lineno, (node.end_lineno or 0) + 1)), node.lineno
        source = text.split("\n")
        for place in places.values():
            assert source[place.line - 1].strip() not in ("", "}", "} else {")


# ---------------------------------------------------------------- tools have nothing to say


LONG = "x" * 50
DEEP_LABELS = (
    'mas 1\nagent a(q) -> text "x"\nflow main(q) -> text {\n'
    + "".join(f"l{at}_{LONG}: loop 1 {{\n" if at % 3 else f'l{at}_{LONG}: for i{at} in ["a"] {{\n' for at in range(14))
    + 'xs = 3 of a(q) else "b"\n ys = a(q) else a("c") else "d"\n zs = each x in xs where x != "": a(x)\n'
    + 'w = a(ys) else a(q)\n until w == "b" or len(zs) > 2\n'
    + "}" * 14
    + "\n return q\n}\n"
)
DEEP_TYPES = f"""mas 1
type R{LONG} {{ a: text(9)[2][3][4][5][6], b: int }}
type Other {{ xs: R{LONG}[2][3][4][5], ys: bool{"[2]" * 20}? }}
agent a_{LONG}(xs: text(9)[2][3][4][5][6], q = "x") -> R{LONG} "x"
agent c(xs: text(9)[2][3][4][5][6] = [], q = "x") -> text(9){"[2]" * 20}? "x"
flow main(xs: text(9)[2][3][4][5][6], notes: text[8] = ["{"a note " * 9}", "{"one " * 12}"]) -> text(9){"[2]" * 20}? {{
  y = a_{LONG}(xs)
  z = c(xs, "q")
  zs = 3 of c(xs)
  w = each v in zs where v != none: c(xs)
  if len(w) > len(y.a) {{ return none }}
  return z
}}
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of modules: programs that are hard to lay out, and programs of every kind."""
    folder = tmp_path_factory.mktemp("generated")
    for name, text in (("labels", DEEP_LABELS), ("types", DEEP_TYPES), ("odd", ODD)):
        (folder / f"{name}_mas.py").write_text(python(text), encoding="utf-8")
    for seed in range(40):
        (folder / f"wide_{seed}_mas.py").write_text(python(wide_program(Random(seed))), encoding="utf-8")
        (folder / f"any_{seed}_mas.py").write_text(python(generated(Random(seed), 9)), encoding="utf-8")
    return folder


COMMANDS = {
    "black": ["black", "--check", "--diff", "--quiet", "--line-length", WIDTH, "."],
    "ruff format": ["ruff", "format", "--check", "--diff", "--isolated", "--line-length", WIDTH, "."],
    "ruff check": [
        "ruff",
        "check",
        "--isolated",
        "--quiet",
        "--line-length",
        WIDTH,
        "--select",
        "E4,E7,E9,F,I,UP,N8",
        ".",
    ],
    # Random programs compare constants with each other, and mypy knows how that ends.
    "mypy": [
        "mypy",
        "--strict",
        "--config-file=",
        "--no-error-summary",
        "--disable-error-code=comparison-overlap",
        ".",
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("tool", COMMANDS)
def test_tools_have_nothing_to_say(tool: str, modules: Path) -> None:
    environment = os.environ | {"MYPYPATH": str(ROOT), "MYPY_CACHE_DIR": str(modules / ".mypy_cache")}
    command = [sys.executable, "-m", *COMMANDS[tool]]
    done = subprocess.run(command, cwd=modules, env=environment, capture_output=True, text=True, check=False)
    said = [line for line in done.stdout.split("\n") if line and "/masdsl/" not in line]
    assert not said, "\n".join(said[:60]) + done.stderr[-2000:]


def test_lines_that_no_layout_makes_short_are_few() -> None:
    lines = [line for seed in range(40) for line in python(wide_program(Random(seed))).split("\n")]
    assert sum(line.endswith("# fmt: skip") for line in lines) < len(lines) / 50


@pytest.mark.parametrize("size", (80, 84, 85, 86, 87, 88, 89, 90, 100))
def test_a_text_of_wide_characters_that_cannot_be_broken_stays_on_its_line(size: int) -> None:
    prompt = f"{'語' * 50}{'x' * (size - 50)}"
    program = load(f'mas 1\nagent a(q) -> text "{prompt}"\nflow main(q) -> text {{ return a(q) }}\n').PROGRAM
    assert program.agents["a"].prompt.text == prompt


# ---------------------------------------------------------------- depth

HEAD = 'mas 1\nagent a(q) -> text "x"\nagent k(q) -> bool "x"\n'
OPENERS = ("loop 2 {", 'if q != "" {', "within calls 9 {", 'for x%d in ["y"] {', "l%d: loop 1 {")


@pytest.mark.parametrize("opener", OPENERS)
def test_blocks_may_be_as_deep_as_the_language_lets_them(opener: str) -> None:
    depth = BLOCK_DEPTH - 1
    heads = "\n".join(opener % number if "%" in opener else opener for number in range(depth))
    body = f'{heads}\n  y = a(q) else a("b") else "c"\n  n = a(y) else y\n  until y == n\n{"}" * depth}'
    if "loop" not in opener and "for" not in opener:
        body = body.replace("until y == n", "m = a(n)")
    assert load(f"{HEAD}flow main(q) -> text {{\n{body}\n  return q\n}}\n").PROGRAM.flows


def test_mixed_blocks_may_be_deep_beside_others() -> None:
    """Deep blocks beside each other become helpers, which nest in turn."""
    body = 'y = a(q) else a("z") else "c"\n  w = a(y) else y'
    for level in range(BLOCK_DEPTH - 1):
        opener = OPENERS[level % len(OPENERS)]
        body = f"{opener % level if '%' in opener else opener}\n{body}\n}}\n  b{level} = a(q)\n"
    assert load(f"{HEAD}flow main(q) -> text {{\n{body}\n  return q\n}}\n").PROGRAM.flows


EXPRESSIONS = {
    "additions": ("text", " + ".join(["q"] * 31)),
    "nots": ("bool", "not " * 30 + "k_"),
    "brackets": ("text", "(" * 30 + "q" + ")" * 30),
    "calls": ("text", "upper(" * 30 + "q" + ")" * 30),
    "minus": ("int", "-" * 30 + "n"),
    "and, or": ("bool", "(k_ and (k_ or " * 14 + "k_" + "))" * 14),
    "a long list": ("text", "join([" + ", ".join(["q"] * 3000) + '], "")'),
    "a long condition": ("bool", " and ".join(["k_"] * 3000)),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions_may_be_as_deep_as_the_language_lets_them(name: str) -> None:
    kind, expression = EXPRESSIONS[name]
    assert load(f"{HEAD}flow main(q, k_: bool, n: int) -> {kind} {{\n  return {expression}\n}}\n").PROGRAM.flows


def test_a_type_may_be_deep() -> None:
    made = load(
        f'{HEAD}agent d(xs: text(9){"[2]" * 30}) -> text(9){"[3]" * 30} "x"\nflow main(q) -> text {{ return q }}\n'
    )
    assert made.PROGRAM.agents


@pytest.mark.parametrize("count", [199, 200, 201, 2000])
def test_else_if_may_be_long(count: int) -> None:
    branches = " else ".join(f'if q == "{number}" {{ r = "r{number}" }}' for number in range(count))
    program = load(f'{HEAD}flow main(q) -> text {{\n{branches} else {{ r = "none" }}\n  return r\n}}\n').PROGRAM
    for question, expected_value in (("0", "r0"), (str(count - 1), f"r{count - 1}"), ("200", "r200"), ("x", "none")):
        result = asyncio.run(program.run("main", {"q": question}, models={}))
        assert result.value == (expected_value if question in ("0", "x") or int(question) < count else "none")
    branches = branches.replace("r = ", "return ")
    assert load(f'{HEAD}flow main(q) -> text {{\n{branches} else {{ return "none" }}\n}}\n').PROGRAM


# ---------------------------------------------------------------- types and names

ODD = """mas 1
type Record { class: text, schema: int, _x: bool, json: text[2], model_dump: float? }
type Enum = import_it | name | value | mro | upper | class | _y
tool open_it(from_: text, lambda: int) -> (ok: bool, def: text(20)) from "t" effect timeout 3
agent plus_it(run: text, self: text, class: text, __x: int = 3) -> Record on "gpt-4o" tools [open_it] "Say {{ run }}"
agent print(x) -> Enum else Enum.mro "p"
agent list(x) -> text? "p"
flow async(a = "x", b: int) -> (text: text, n: int) else (text: "no", n: 0) budget calls 50 {
  run = plus_it(a, "s", "c", __x: 4)
  return (text: run.class, n: b + run.schema)
}
flow main(run, id: int, _args: text[3]) -> text {
  print_ = print(run)
  input = list(run) else "none"
  str = async(b: id)
  open = open_it(run, 3)
  eval = each item in _args where item != "": list(item)
  exec = each x in eval where x != none: print(x)
  match print_ {
    import_it | name { return "a" }
    value | mro | upper { zip = input }
    else { zip = str.text }
  }
  if str.n > 3 and open.ok and len(exec) > 1 { return open.def }
  return zip
}
"""


def test_odd_names_work() -> None:
    module = load(ODD)
    assert list(module.PROGRAM.flows) == ["async", "main"]
    record = module.Record2(class_="c", schema_=1, x=True, json_=["j"], model_dump_=None)
    assert record.class_ == "c"
    assert [word.value for word in module.Enum2] == ["import_it", "name", "value", "mro", "upper", "class", "_y"]


TYPES = st.recursive(
    st.sampled_from([Text(5), Int(), Float(), Bool()]),
    lambda inner: (
        st.builds(lambda kind, high: List(kind, 0, high), inner, st.integers(0, 9))
        | inner.map(lambda kind: kind if isinstance(kind, Optional) else Optional(kind))
        | st.lists(inner, min_size=1, max_size=3).map(
            lambda kinds: Record(None, "", tuple((f"f{at}", kind) for at, kind in enumerate(kinds)))
        )
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(TYPES)
def test_every_type_is_written_and_read_back(kind: Type) -> None:
    plain = checked('mas 1\nagent a(q) -> text "p"\nflow main(q) -> text {\n  x = a(q)\n  return q\n}\n')
    bind: Any = plain.flows[0].body[0]
    typed = bind.replace(value=bind.value.replace(type=kind), type=kind)
    flow = plain.flows[0].replace(body=(typed, *plain.flows[0].body[1:]))
    agent = plain.agents[0].replace(returns=kind)
    module = load_module(build(plain.replace(agents=(agent,), flows=(flow,))).text)
    assert shown(module.PROGRAM.agents["a"].returns) == expected(kind)


def shown(shape: Any) -> Any:
    match type(shape).__name__:
        case "TextShape":
            return ("text", shape.cap)
        case "ListShape":
            return ("list", shown(shape.element), shape.low, shape.high)
        case "OptionalShape":
            return ("optional", shown(shape.inner))
        case "RecordShape":
            return ("record", tuple((field.name, shown(field.shape)) for field in shape.fields))
        case name:
            return name.removesuffix("Shape").lower()


def expected(kind: Type) -> Any:
    match kind:
        case Text():
            return ("text", kind.cap)
        case List():
            return ("list", expected(kind.element), kind.low, kind.high)
        case Optional():
            return ("optional", expected(kind.inner))
        case Record():
            return ("record", tuple((field, expected(inner)) for field, inner in kind.fields))
        case _:
            return type(kind).__name__.lower()
