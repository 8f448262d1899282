"""The canonical printer: one text for every tree, and every comment kept.

`tests/cases/fmt/x.mas` is formatted to `x.out`; `pytest --update` rewrites the outputs.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from masdsl.diagnostics.base import Findings
from masdsl.node import Node
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.layout import WIDTH
from masdsl.syntax.parse import Parsed, parse_binding, parse_patch, parse_program
from masdsl.syntax.print import (
    FormatRefused,
    format_document,
    print_document,
    print_edit,
    print_expr,
    print_item,
    print_program,
    print_rhs,
    print_statement,
    print_type,
)
from tests.harness import trees
from tests.harness.work import calls_of

ROOT = Path(__file__).parent.parent
CASES = sorted((ROOT / "tests" / "cases" / "fmt").glob("*.mas"))
CANONICAL = sorted(path for folder in ("examples", "stdlib") for path in (ROOT / folder).rglob("*.mas"))
PARSERS = {"mas": parse_program, "bind": parse_binding, "patch": parse_patch}
LAW = settings(deadline=None, suppress_health_check=list(HealthCheck))


def parse(text: str) -> Parsed:
    """Parse a text without errors; its first word that is not in a comment tells what it is."""
    kind = next(line.split()[0] for line in text.split("\n") if line.strip() and not line.lstrip().startswith("#"))
    findings = Findings()
    parsed = PARSERS[kind](Source("case.mas", text), findings)
    assert parsed.ok, (findings.sorted(), text)
    return parsed


def comments_of(parsed: Parsed) -> list[str]:
    return [comment.text.rstrip() for comment in parsed.comments]


def formatted(text: str) -> str:
    """Format, and hold the laws of formatting on the way."""
    parsed = parse(text)
    result = format_document(parsed)
    again = parse(result)
    assert again.document == parsed.document, result
    assert comments_of(again) == comments_of(parsed), result
    assert format_document(again) == result
    assert result.endswith("\n")
    assert not result.endswith("\n\n")
    assert "\r" not in result
    assert [line for line in result.split("\n") if line != line.rstrip()] == []
    return result


def in_flow(text: str) -> ast.Statement:
    """Return the statement that a text is."""
    program = parse(f"mas 1 flow main() -> text {{ {text} }}").document
    assert isinstance(program, ast.Program)
    (flow,) = program.items
    assert isinstance(flow, ast.Flow)
    return flow.body.statements[0]


# ---------------------------------------------------------------- cases


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_case_has_its_canonical_text(path: Path, request: pytest.FixtureRequest) -> None:
    result = formatted(path.read_text(encoding="utf-8"))
    expected = path.with_suffix(".out")
    if request.config.getoption("--update"):
        expected.write_text(result, encoding="utf-8")
    assert result == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", CANONICAL, ids=lambda path: path.stem)
def test_examples_and_library_are_canonical(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert formatted(text) == text


EXPRESSIONS = [
    ("((a))", "a"),
    ("a - (b - c)", "a - (b - c)"),
    ("(a - b) - c", "a - b - c"),
    ("a * (b + c) / d", "a * (b + c) / d"),
    ("(a == b) == (c < d)", "(a == b) == (c < d)"),
    ("(a + b) < (c * d)", "a + b < c * d"),
    ("not (a and b)", "not (a and b)"),
    ("(not a) and (b or c)", "not a and (b or c)"),
    ("(a and b) or (c and d)", "a and b or c and d"),
    ("(a or b) or c", "(a or b) or c"),
    ("not (not a)", "not not a"),
    ("(not a) == b", "(not a) == b"),
    ("-(1)", "-1"),
    ("-(-1)", "--1"),
    ("- (a + b)", "-(a + b)"),
    ("a - -1", "a - -1"),
    ("(-1).x", "(-1).x"),
    ("(-a)[0]", "(-a)[0]"),
    ("-(a[0])", "-a[0]"),
    ("(f(a)).b[1 + 2]", "f(a).b[1 + 2]"),
    ("f((a), x: (b),)", "f(a, x: b)"),
    ("Review(ok: (true), issues: [],)", "Review(ok: true, issues: [])"),
    ("(ok: true)", "(ok: true)"),
    ("Kind . math", "Kind.math"),
    ("007", "7"),
    ("1.50", "1.5"),
    ("0.0000001", "0.0000001"),
    ("40000", "40000"),
    ('"a\\u{9}\\u{7}\\u{41}"', '"a\\t\\u{7}A"'),
    ('f("""\n  a\n  b\n""")', 'f("a\\nb")'),
]


@pytest.mark.parametrize(("text", "expected"), EXPRESSIONS, ids=[text for text, _ in EXPRESSIONS])
def test_an_expression_has_the_fewest_parentheses(text: str, expected: str) -> None:
    statement = in_flow(f"until {text}")
    assert isinstance(statement, ast.Until)
    assert print_expr(statement.condition) == expected


RIGHT_SIDES = [
    "f(x)",
    "3 of f(x) else g(x)",
    "n of f(x)",
    "each i in xs where i > 0: f(i) else none",
    "each i in xs: i",
]


@pytest.mark.parametrize("text", RIGHT_SIDES)
def test_a_right_side_on_one_line(text: str) -> None:
    statement = in_flow(f"return {text}")
    assert isinstance(statement, ast.Return)
    assert print_rhs(statement.value) == text


TYPES = ["text", "text(800)", "text(n)", "Review", "T[3]?", "int?[4]+[n]", "T[2]+"]


@pytest.mark.parametrize("text", TYPES)
def test_a_type_on_one_line(text: str) -> None:
    program = parse(f"mas 1 flow main(x: agent({text}) -> int) -> text {{}}").document
    assert isinstance(program, ast.Program)
    (flow,) = program.items
    assert isinstance(flow, ast.Flow)
    kind = flow.params[0].type
    assert isinstance(kind, ast.AgentType)
    assert print_type(kind.params[0]) == text


def test_a_parameter_or_field_of_plain_text_has_one_spelling() -> None:
    document = parse("mas 1 type R { a: text, b: text? } flow main(x: text, y: text(9)) -> text {}").document
    assert "type R { a, b: text? }" in print_document(document)
    assert "flow main(x, y: text(9)) -> text {}" in print_document(document)


def test_one_line_helpers_never_break_a_line() -> None:
    long = ast.StrLit("a long text of\ntwo lines " * 9)
    call = ast.Call(ast.Name("f"), tuple([ast.Argument(None, long)] * 3))
    assert "\n" not in print_expr(call)
    assert "\n" not in print_rhs(ast.Sample(ast.IntLit(3), call))
    fields = tuple([ast.Field(ast.Name("a_field"), None)] * 20)
    assert "\n" not in print_type(ast.RecordType(fields))


def test_parts_of_a_program_are_printed_alone() -> None:
    assert print_statement(in_flow("a: loop 3 { b = 1 }"), indent=2) == "  a: loop 3 {\n    b = 1\n  }"
    program = parse("mas 1 type A {b} use c").document
    assert isinstance(program, ast.Program)
    assert [print_item(item) for item in program.items] == ["type A { b }", "use c"]
    assert print_program(program) == "mas 1\n\ntype A { b }\n\nuse c\n"
    patch = parse("patch 1 add type A {b} set a.b=1").document
    assert isinstance(patch, ast.Patch)
    assert [print_edit(edit) for edit in patch.edits] == ["add type A { b }", "set a.b = 1"]


def test_lists_break_only_where_they_do_not_fit() -> None:
    def program(width: int) -> str:
        return f'mas 1\n\nflow main() -> text {{\n  x = f("{"x" * (width - 11)}")\n}}\n'

    assert formatted(program(WIDTH)) == program(WIDTH)
    assert len(max(program(WIDTH).split("\n"), key=len)) == WIDTH
    assert '  x = f(\n    "xx' in formatted(program(WIDTH + 1))


def test_attributes_and_limits_have_one_order() -> None:
    one = parse('mas 1 budget usd 1 calls 2 agent a() -> text retry 1 on fast "x"')
    other = parse('mas 1 budget calls 2 usd 1 agent a() -> text on fast retry 1 "x"')
    assert one.document == other.document
    assert format_document(one) == format_document(other)


def test_a_source_with_errors_is_refused() -> None:
    faulty = parse("mas 1")._replace(ok=False)
    with pytest.raises(FormatRefused, match=r"case\.mas") as caught:
        format_document(faulty)
    assert caught.value.source_name == "case.mas"


# ---------------------------------------------------------------- laws


@settings(LAW, max_examples=250)
@given(trees.documents)
def test_a_tree_that_is_printed_and_parsed_is_the_same_tree(document: ast.Document) -> None:
    text = print_document(document)
    assert parse(text).document == document, text
    assert format_document(parse(text)) == text


@settings(LAW, max_examples=250)
@given(trees.documents, st.data())
def test_comments_survive_wherever_they_stand(document: ast.Document, data: st.DataObject) -> None:
    text = data.draw(trees.relaid(print_document(document)))
    assert parse(text).document == document
    formatted(text)


@pytest.mark.parametrize("path", CANONICAL, ids=lambda path: path.stem)
def test_every_gap_of_a_program_may_hold_a_comment(path: Path) -> None:
    """One comment after each token in turn, on its line or on a line of its own."""
    text = path.read_text(encoding="utf-8")
    bare = print_document(parse(text).document)
    tokens = trees.tokens_of(bare)
    ends = []
    at = 0
    for token in tokens:
        at = bare.index(token, at) + len(token)
        if token != ".":  # a keyword is a name only directly behind it
            ends.append(at)
    for end in ends[:: max(1, len(ends) // 40)]:
        for mark in (" # here\n", "\n# here\n"):
            assert formatted(bare[:end] + mark + bare[end:]).count("# here") == 1


@pytest.mark.parametrize("kind", trees.NODES, ids=lambda kind: kind.__name__)
def test_every_class_of_the_tree_can_be_drawn(kind: type[Node]) -> None:
    @settings(LAW, max_examples=5, database=None)
    @given(trees.NODES[kind])
    def draw(node: Node) -> None:
        assert type(node) is kind

    draw()


def test_no_class_of_the_tree_is_forgotten() -> None:
    classes = {thing for thing in vars(ast).values() if isinstance(thing, type) and issubclass(thing, Node)}
    assert set(trees.NODES) == classes - {Node}


# ---------------------------------------------------------------- speed


def test_formatting_does_less_than_three_times_what_the_parse_does() -> None:
    text = (ROOT / "tests" / "cases" / "fmt" / "comments.out").read_text(encoding="utf-8")
    parsed = parse(text)
    assert calls_of(lambda: format_document(parsed)) < 3 * calls_of(lambda: parse(text))
