"""Parsing: trees and their spans, several faults in one run, and no text that breaks the parser."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from masdsl import limits
from masdsl.diagnostics.base import Diagnostic, Finding, Findings
from masdsl.diagnostics.render import render_short
from masdsl.node import Node, Span
from masdsl.source import Source
from masdsl.syntax import ast, grammar, strings, walk
from masdsl.syntax.lex import tokenize
from masdsl.syntax.parse import Chunk, Parsed, parse_binding, parse_chunk, parse_patch, parse_program
from tests.test_grammar import PROGRAM

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(path for folder in ("examples", "stdlib") for path in (ROOT / folder).rglob("*.mas"))
TEXTS = [PROGRAM, *(path.read_text(encoding="utf-8") for path in FILES)]


def parse(
    text: str, parser: Callable[[Source, Findings], Parsed] = parse_program
) -> tuple[Parsed, tuple[Finding, ...]]:
    findings = Findings()
    parsed = parser(Source("t.mas", text), findings)
    assert parsed.ok == findings.ok
    return parsed, findings.sorted()


def sound(text: str) -> ast.Document:
    parsed, found = parse(text)
    assert parsed.ok, render_short(found)
    return parsed.document


def codes(text: str) -> list[str]:
    return [found.diagnostic.code for found in parse(text)[1]]


def in_flow(statements: str) -> str:
    return f"mas 1\nflow main(x, y) -> text {{\n{statements}\n}}\n"


def statements_of(text: str) -> tuple[ast.Statement, ...]:
    document = parse(text)[0].document
    assert isinstance(document, ast.Program)
    flow = document.items[-1]
    assert isinstance(flow, ast.Flow)
    return flow.body.statements


def value_of(expression: str) -> Node:
    document = sound(in_flow(f"z = {expression}"))
    assert isinstance(document, ast.Program)
    flow = document.items[0]
    assert isinstance(flow, ast.Flow)
    bind = flow.body.statements[0]
    assert isinstance(bind, ast.Bind)
    return bind.value


# ---------------------------------------------------------------- trees


def shown(node: object) -> str:
    """A tree in brief."""
    match node:
        case ast.IntLit(value=value) | ast.FloatLit(value=value) | ast.StrLit(value=value) | ast.BoolLit(value=value):
            return repr(value)
        case ast.Var(name=name):
            return name.text
        case ast.Name(text=text):
            return text
        case ast.Binary(left=left, op=op, right=right):
            return f"({shown(left)} {op} {shown(right)})"
        case ast.And(operands=operands):
            return "(" + " and ".join(map(shown, operands)) + ")"
        case ast.Or(operands=operands):
            return "(" + " or ".join(map(shown, operands)) + ")"
        case ast.Not(operand=operand):
            return f"(not {shown(operand)})"
        case ast.Negate(operand=operand):
            return f"(- {shown(operand)})"
        case ast.Attribute(value=value, field=field):
            return f"{shown(value)}.{field.text}"
        case ast.Index(value=value, index=index):
            return f"{shown(value)}[{shown(index)}]"
        case ast.Call(callee=callee, arguments=arguments):
            return f"{callee.text}({', '.join(map(shown, arguments))})"
        case ast.Argument(name=name, value=value) | ast.NamedValue(name=name, value=value):
            return f"{name.text}: {shown(value)}" if name else shown(value)
        case ast.ListLit(items=items):
            return f"[{', '.join(map(shown, items))}]"
        case ast.RecordLit(type=kind, fields=fields):
            return f"{kind.text if kind else ''}({', '.join(map(shown, fields))})"
        case ast.TagLit(type=kind, word=word):
            return f"{kind.text}.{word.text}"
        case ast.Fallback(options=options):
            return " else ".join(map(shown, options))
        case ast.Sample(count=count, body=body):
            return f"{shown(count)} of {shown(body)}"
        case ast.Each(var=var, items=items, condition=condition, body=body):
            return f"each {var.text} in {shown(items)} where {shown(condition)}: {shown(body)}"
    return type(node).__name__


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("1 + 2 * 3", "(1 + (2 * 3))"),
        ("(1 + 2) * 3", "((1 + 2) * 3)"),
        ("a - b - c", "((a - b) - c)"),
        ("a - (b - c)", "(a - (b - c))"),
        ("a and b and c or d", "((a and b and c) or d)"),
        ("a and (b and c)", "(a and (b and c))"),
        ("not a == b", "(not (a == b))"),
        ("not not a", "(not (not a))"),
        ("a + 1 <= b", "((a + 1) <= b)"),
        ("-1", "-1"),
        ("-1.5", "-1.5"),
        ("-x", "(- x)"),
        ("- -1", "(- -1)"),
        ("2 - -1", "(2 - -1)"),
        ("2 -1", "(2 - 1)"),
        ("-a.b[0]", "(- a.b[0])"),
        ("a.b.c[0][1].d", "a.b.c[0][1].d"),
        ("f(g(1), n: x)", "f(g(1), n: x)"),
        ("f(a,)", "f(a)"),
        ("[]", "[]"),
        ("[1, [2],]", "[1, [2]]"),
        ("Review(ok: true, issues: [])", "Review(ok: True, issues: [])"),
        ("(ok: true)", "(ok: True)"),
        ("Kind.math", "Kind.math"),
        ("a(x) else b(x) else 1", "a(x) else b(x) else 1"),
        ("3 of f(x)", "3 of f(x)"),
        ("n of f(x) else y", "n of f(x) else y"),
        ("each i in xs where i > 1: f(i)", "each i in xs where (i > 1): f(i)"),
        ("max", "max"),
        ("calls + tokens", "(calls + tokens)"),
        ("0009", "9"),
    ],
)
def test_expressions_mean(text: str, tree: str) -> None:
    assert shown(value_of(text)) == tree


def test_literals_of_declarations() -> None:
    document = sound(
        "mas 1 budget tokens 40k usd 0.05 calls 2M rectify tries 2 at 80%\n"
        'tool t(a = -1, b: text[3]+= [], c = Kind.a, d = Review(x: -1.5)) -> int else -1 from "s" timeout 3 effect'
    )
    assert isinstance(document, ast.Program)
    budget, rectify, tool = document.items
    assert isinstance(budget, ast.Budget) and isinstance(rectify, ast.Rectify) and isinstance(tool, ast.Tool)
    amounts = [(limit.kind, limit.amount.value) for limit in budget.limits]
    assert amounts == [("calls", 2_000_000), ("tokens", 40_000), ("usd", 0.05)]
    assert (rectify.tries, rectify.at) == (2, 0.8)
    assert [shown(param.default) for param in tool.params] == ["-1", "[]", "Kind.a", "Review(x: -1.5)"]
    assert isinstance(tool.params[1].type, ast.ListType) and tool.params[1].type.nonempty
    assert shown(tool.output.default) == "-1"
    assert [attr.key for attr in tool.attrs] == ["effect", "timeout"]


@pytest.mark.parametrize("text", TEXTS)
def test_spans_cover_what_a_node_says(text: str) -> None:
    source = Source("t.mas", text)
    parsed, _ = parse(text)
    assert parsed.ok
    tokens = tokenize(source, grammar.load("program"), lambda *_: None)
    starts, ends = set(tokens.starts), set(tokens.ends)
    for node in walk.iterate(parsed.document):
        if isinstance(node, ast.Block) and node.span.start == node.span.end:
            continue
        assert node.span.start in starts and node.span.end in ends, node
        if isinstance(node, ast.Name):
            assert source.slice(node.span) == node.text
        elif isinstance(node, ast.Block):
            assert source.slice(node.span)[0] + source.slice(node.span)[-1] == "{}"
        elif isinstance(node, ast.StrLit):
            assert strings.decode(source.slice(node.span)) == (node.value, ())
        for child in walk.children(node):
            assert node.span.start <= child.span.start <= child.span.end <= node.span.end, (node, child)
    for comment in parsed.comments:
        assert source.slice(comment.span).rstrip() == comment.text


def test_parentheses_belong_to_the_span() -> None:
    value = value_of("(a + b) * (c)")
    assert isinstance(value, ast.Binary)
    text = in_flow("z = (a + b) * (c)")
    assert [text[node.span.start : node.span.end] for node in (value, value.left, value.right)] == [
        "(a + b) * (c)", "(a + b)", "(c)"
    ]  # fmt: skip


def test_walk_visits_each_node_once_in_order_of_text() -> None:
    document = sound(PROGRAM)
    nodes = list(walk.iterate(document))
    assert len({id(node) for node in nodes}) == len(nodes)
    assert nodes[0] is document
    assert len(list(walk.find_all(document, ast.Flow))) == 1
    names = [node.span.start for node in nodes if isinstance(node, ast.Name)]
    assert names == sorted(names)


def test_a_keyword_may_be_a_name_where_none_is_reserved() -> None:
    words = sorted(grammar.keywords() - grammar.reserved_words())
    sound("mas 1\n" + "".join(f'agent {word}({word}) -> text "x"\n' for word in words))
    sound(in_flow("".join(f"{word} = {word}({word}: {word}.{word})\n" for word in words)))


def test_bindings_and_patches_are_parsed() -> None:
    binding, found = parse('bind 1 coder = smart reviewer = "openai/gpt-4o"', parse_binding)
    assert not found and isinstance(binding.document, ast.Binding) and len(binding.document.assignments) == 2
    edits = [
        *("set reviewer.on = smart", "bind coder = fast", 'add agent check(code) -> bool else true "?"', "drop main.t"),
        *("replace main.drafts = 2 of coder(spec)", "after main.a { ok = check(code) until ok }", "before main.a { }"),
        *("wrap main.a in loop 3", "wrap main.a in if x", "otherwise main.a = b(x) else c(x)", "rename main.a = b"),
        *("redo main.code", "budget tokens 3 calls 2"),
    ]
    patch, found = parse(f'patch 1 on "3f9a" {" ".join(edits)}', parse_patch)
    assert not found and isinstance(patch.document, ast.Patch)
    assert patch.document.base == ast.StrLit("3f9a")
    assert [type(edit).__name__ for edit in patch.document.edits] == [
        *("SetEdit", "BindEdit", "AddEdit", "DropEdit", "ReplaceEdit", "InsertEdit", "InsertEdit", "WrapEdit"),
        *("WrapEdit", "ElseEdit", "RenameEdit", "RedoEdit", "BudgetEdit"),
    ]


@pytest.mark.parametrize(
    ("text", "kind", "node"),
    [
        ("use std.vote", "declaration", "Use"),
        ("type Kind = a | b", "declaration", "EnumDecl"),
        ('agent a(x) -> text "p"', "declaration", "Agent"),
        ("flow f[n = 2](x) -> text {", "flow", "Flow"),
        ('test "t" {', "test", "Test"),
        ("x = f(y)", "statement", "Bind"),
        ("x += [1]", "statement", "Append"),
        ("until t.ok", "statement", "Until"),
        ("return x", "statement", "Return"),
        ("refine: loop 3 {", "opener", "Loop"),
        ("for x in xs {", "opener", "For"),
        ("within calls 3 {", "opener", "Within"),
        ("if x == 1 {", "opener", "If"),
        ("match x {", "opener", "Match"),
        ("else if x {", "elif", "Branch"),
        ("else {", "else", "Block"),
        ("math | code {", "arm", "Arm"),
        ("given a fails", "given", "Given"),
        ("expect x == 1", "expect", "Expect"),
        ("}", "close", "NoneType"),
    ],
)
def test_chunks_are_parsed(text: str, kind: str, node: str) -> None:
    findings = Findings()
    chunk = parse_chunk(Source("t", text), findings)
    assert findings.ok and isinstance(chunk, Chunk)
    assert (chunk.kind, type(chunk.node).__name__) == (kind, node)
    assert parse_chunk(Source("t", f"{text} ,"), findings) is None and not findings.ok


# ---------------------------------------------------------------- strings


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ('""', ""),
        ('"a\\n\\t\\r\\"\\\\\\u{e9}\\u{1F600}"', 'a\n\t\r"\\é😀'),
        ('""""""', ""),
        ('"""a "quoted" b"""', 'a "quoted" b'),
        ('"""\n  a\n    b\n\n  c\n  """', "a\n  b\n\nc"),
        ('"""\n  a\n"""', "a"),
        ('"""a\n  b"""', "a\n  b"),
        ('"""\n\n  a\n\n  """', "\na\n"),
        ('"""\n  a\\n\\u{20} b\n  """', "a\n  b"),
        ('"""\n\ta\n\t b\n"""', "a\n b"),
        ('"""\n  a\n\tb\n"""', "  a\n\tb"),
        ('"""\n"""', ""),
    ],
)
def test_literals_mean(literal: str, value: str) -> None:
    assert strings.decode(literal) == (value, ())


PIECES = [*'ab "\\\t\n\r{}', "\u202e", "é", '"""', "\x85", "\x1f", "  "]
TEXT = st.lists(st.sampled_from(PIECES), max_size=20).map("".join)


@given(TEXT, st.sampled_from([0, 2, 7]))
@settings(deadline=None)
def test_a_value_is_read_back_from_its_literal(value: str, indent: int) -> None:
    literal = strings.encode(value, indent)
    assert strings.decode(literal) == (value, ())
    statement = statements_of(in_flow(f"z = {literal}"))[0]
    assert isinstance(statement, ast.Bind) and statement.value == ast.StrLit(value)
    one_line = strings.encode_line(value)
    assert "\n" not in one_line and strings.decode(one_line) == (value, ())


def test_unknown_escapes_are_each_reported() -> None:
    _, found = parse(in_flow(r'z = "a\q\u{d800}\u{0}\u{110000}\x41"'))
    assert [found.source.slice(found.diagnostic.span) for found in found] == [
        *(r"\q", r"\u{d800}", r"\u{0}", r"\u{110000}", r"\x")
    ]
    assert {item.diagnostic.code for item in found} == {"MAS013"}


# ---------------------------------------------------------------- faults

AGENT = 'agent f(x) -> text "p"\n'
SLIPS = [
    # text, codes, words of the help or title
    (in_flow("z = f(x);\nreturn z"), ["MAS019"], "delete it"),
    ("mas 1 type R { ok: bool; n: int }", ["MAS019"], "`;`"),
    (in_flow("z == f(x)\nreturn z"), ["MAS010"], "write `=`"),
    (in_flow("if x = 3 { z = 1 }\nreturn y"), ["MAS010"], "write `==`"),
    (in_flow("z = f(a = 1, b = 2)\nreturn z"), ["MAS010", "MAS010"], "name: value"),
    (in_flow("z := f(x)\nreturn z"), ["MAS019"], "write `=`"),
    (in_flow("if x === y { z = 1 }\nreturn y"), ["MAS019"], "write `==`"),
    (in_flow("if x <> y { z = 1 }\nreturn y"), ["MAS019"], "write `!=`"),
    (in_flow("if x && y { z = 1 }\nreturn y"), ["MAS019"], "write `and`"),
    (in_flow("if x || y { z = 1 }\nreturn y"), ["MAS019"], "write `or`"),
    (in_flow("if !x { z = 1 }\nreturn y"), ["MAS019"], "write `not`"),
    (in_flow("z = x % 2\nreturn y"), ["MAS019"], "mod(a, b)"),
    (in_flow("z = .5 + y\nreturn z"), ["MAS019"], "0.5"),
    (in_flow("z = True\nreturn z"), ["MAS019"], "`true`"),
    (in_flow("z = None\nreturn z"), ["MAS019"], "`none`"),
    (in_flow("while x < 3 {\n  z = 1\n}\nreturn y"), ["MAS019"], "loop 5"),
    (in_flow("repeat 3 {\n  z = 1\n}\nreturn y"), ["MAS019"], "loop 5"),
    (in_flow("loop 3 { z = f(x)\n if z == x { break } }\nreturn y"), ["MAS019"], "until"),
    (in_flow("let z = f(x)\nreturn z"), ["MAS019"], "name = ..."),
    (in_flow("z = await f(x)\nreturn z"), ["MAS019"], "leave it out"),
    (in_flow("if x { z = 1 }\nelif y { z = 2 }\nreturn y"), ["MAS019"], "else if"),
    (in_flow("if x:\n  z = 1\nreturn y"), ["MAS019"], "`{` and `}`"),
    (in_flow("for i in x:\n  z = i\nreturn y"), ["MAS019"], "`{` and `}`"),
    (in_flow("if x:\n  z = 1\nelse:\n  z = 2\nfor i in y: w = i\nreturn y"), ["MAS019"] * 3, "`{` and `}`"),
    ("mas 1\nflow main(x) -> text:\n  y = x\n  return y\n\nagent f(x) -> text \"p\"\n", ["MAS019"], "`{` and `}`"),
    (in_flow("z = for i in x: f(i)\nreturn y"), ["MAS010"], "each x in xs"),
    (in_flow("loop until x max 3 {\n  z = 1\n}\nreturn y"), ["MAS010"], "largest count comes first"),
    (in_flow("match x {\n  case a { z = 1 }\n  b { z = 2 }\n}\nreturn y"), ["MAS019"], "the word alone"),
    (in_flow("for (i = 0; i < 3; i++) {\n  z = 1\n}\nreturn y"), ["MAS010"], "loop 3"),
    (in_flow("x.push(y)\nreturn y"), ["MAS010"], "x += [x]"),
    (in_flow("y[0] = 3\nreturn y"), ["MAS010"], "lists do not change"),
    (in_flow("y.a = 3\nreturn y"), ["MAS010"], "records do not change"),
    (in_flow("a, b = f(x)\nreturn y"), ["MAS010"], "one name"),
    (in_flow("y -= 1\nreturn y"), ["MAS010"], "bind the new value"),
    (in_flow('z = f"{x}"\nreturn y'), ["MAS019"], "`+` joins texts"),
    ("mas 1\nagent f(x) -> text temperature 0.2 \"p\"", ["MAS019"], "`temp`"),
    ("mas 1\nagent f(x) -> text tmp 0.2 \"p\"", ["MAS010"], "did you mean `temp`"),
    ("mas 1\nagent f(x) \"p\"", ["MAS010"], "-> text"),
    ("mas 1\nagent f -> text \"p\"", ["MAS010"], "`()`"),
    ("mas 1\nagent f(x) -> text {\n  model: \"a\"\n}\n" + AGENT, ["MAS010"], "without braces"),
    ("mas 1\nflow f(x) {\n  return x\n}", ["MAS010"], "-> text"),
    ("mas 1\nflow f(x) -> {ok: bool} {\n  return x\n}", ["MAS010"], "between `(` and `)`"),
    ("mas 1\ntool f(x) -> text\n" + AGENT, ["MAS010"], "`from`"),
    ("mas 1\ntype R { a: text[], b: [text], c: int = 3 }", ["MAS010"] * 3, "text[8]"),
    ("mas 1\ntype K { a | b }\n" + AGENT, ["MAS010"], "type Kind = math | code"),
    ("mas 1\ntype T = text[3]\n" + AGENT, ["MAS010"], "only records and enums"),
    ("mas 1\nbudget { calls: 20 }\n" + AGENT, ["MAS010"], "without braces"),
    ("mas 1\nuse a, b\n" + AGENT, ["MAS010"], "each module"),
    ('mas 1\ntest "t" {\n  x = f(y)\n}\n' + AGENT, ["MAS010"], "expect out"),
    (in_flow("z: text = f(x)\nreturn z"), ["MAS019"], "the type follows"),
    (in_flow("z: f(x)\nreturn z"), ["MAS019"], "write `=`"),
    (in_flow("f(x)\nreturn y"), ["MAS020"], "result = f(...)"),
    (in_flow("retrun y"), ["MAS010"], "did you mean `return`"),
    (in_flow("lop 3 { z = 1 }\nreturn y"), ["MAS010"], "did you mean `loop`"),
    (in_flow("z = x.strip()\nreturn y"), ["MAS010"], "strip(value)"),
    (in_flow('z = {"a": 1}\nreturn y'), ["MAS010"], "there are no maps"),
    (in_flow("z = Review{ok: true}\nreturn y"), ["MAS010"], "parentheses"),
    (in_flow("z = y if x else 1\nreturn y"), ["MAS010"], "if condition"),
    (in_flow("z = [f(i) for i in x]\nreturn y"), ["MAS010"], "each x in xs"),
    (in_flow("if y in x { z = 1 }\nreturn y"), ["MAS010"], "contains(xs, x)"),
    (in_flow("z = f(x\nreturn y"), ["MAS018"], "missing `)`"),
    (in_flow("z = [x, f(y\nreturn y"), ["MAS018"], "missing `)`"),
    (in_flow("z = f(x))\nreturn y"), ["MAS010"], "delete it"),
    (in_flow("z =\nreturn y"), ["MAS010"], "an expression"),
    (in_flow("z =\ny2 = f(x)\nreturn y"), ["MAS010"], "an expression"),
    (in_flow("loop 3\n z = f(x)\n}\nreturn y"), ["MAS010"], "`{`"),
    (in_flow("loop { z = f(x) }\nreturn y"), ["MAS010"], "a number"),
    (in_flow("match = f(x)\nreturn match"), ["MAS015"], "match_"),
    (in_flow("z = f(x) return_ = z\nfor = 3\nreturn y"), ["MAS015"], "for_"),
    (in_flow("z = 2of f(x)\nreturn z"), ["MAS014"], "`2 of`"),
    (in_flow("r: loop3 { z = f(x) }\nreturn y"), ["MAS014"], "`loop 3`"),
    (in_flow("z = 1_000\nreturn y"), ["MAS014"], "`1000`"),
    (in_flow("myVar = f(x)\nreturn myVar"), ["MAS022"], "my_var"),
    (in_flow("Draft = f(x)\nreturn y"), ["MAS022"], "draft"),
    (in_flow("z = 'it'\nreturn y"), ["MAS019"], '`"`'),
    (in_flow("z = “it”\nreturn y"), ["MAS019"], '`"`'),
    (in_flow("z = f(x) // why\nreturn y"), ["MAS019"], "`#`"),
    (in_flow("z = f(x) /* why\n */ return y"), ["MAS019"], "`#`"),
    (in_flow("z = f（x）\nreturn y"), ["MAS019", "MAS019"], "write `(`"),
    (in_flow("z = x\u00a0+\u00a0y\nreturn y"), ["MAS019"], "ordinary blanks"),
    (in_flow("café = f(x)\nreturn y"), ["MAS003"], "`cafe`"),
    (in_flow("tоpic = f(x)\nreturn y"), ["MAS003"], "`topic`"),
    (in_flow("z = @f(x)\nreturn y"), ["MAS011"], "decorators"),
    (in_flow("z = $x\nreturn y"), ["MAS011"], "no `$`"),
    (in_flow('z = "abc\nreturn y'), ["MAS012"], "on this line"),
    (in_flow('z = f("abc)\nreturn y'), ["MAS012"], "on this line"),
    (f'mas 1\nagent a(x) -> text """\n  prompt\n\n{AGENT}', ["MAS012"], "on a line of its own"),
    (f'mas 1\nagent a(x) -> text """\n  p\n\nagent b(x) -> text """\n  q\n"""\n{AGENT}', ["MAS012"], "line of its own"),
    (f"mas 1\nflow a(x) -> text {{\n  return x\n\n{AGENT}", ["MAS018"], "missing `}`"),
    ("mas 1\nflow a(x) -> text {\n  return x\n", ["MAS018"], "missing `}`"),
    (f"mas 1\nflow a(x) -> text {{\n  return x\n}}\n}}\n{AGENT}", ["MAS010"], "closes nothing"),
    (f"mas 1\nagnet a(x) -> text \"p\"\n{AGENT}", ["MAS010"], "did you mean `agent`"),
    ("mas 1\ndef a(x) -> text {\n  return x\n}\n", ["MAS019"], "write `flow`"),
    (f"mas 1\nimport std.vote\n{AGENT}", ["MAS019"], "write `use`"),
    (f"mas 1\nclass R {{ ok: bool }}\n{AGENT}", ["MAS019"], "write `type`"),
    (f"mas 1\ntype review {{ ok: bool }}\n{AGENT}", ["MAS022"], "`Review`"),
    (f"mas 1\nagent A(x) -> text \"p\"\n{AGENT}", ["MAS022"], "`a`"),
    (f"mas 1\nagent a(x): text \"p\"\n{AGENT}", ["MAS019"], "`->`"),
    (f"mas 1\nagent a(x) => text \"p\"\n{AGENT}", ["MAS019"], "`->`"),
    (f"mas 1\ntype R {{ ok: bool n: int }}\n{AGENT}", ["MAS010"], "`,`"),
    (AGENT, ["MAS016"], "begin with `mas 1`"),
    ("", ["MAS016"], "begin with `mas 1`"),
    (f"mas\n{AGENT}", ["MAS016"], "begin with `mas 1`"),
    (f"mas 1.0\n{AGENT}", ["MAS016"], "begin with `mas 1`"),
    (f"Here is the program:\nmas 1\n{AGENT}", ["MAS016"], "delete what stands before"),
    (f"mas 2\n{AGENT}", ["MAS017"], "write `1`"),
    (f"```mas\nmas 1\n{AGENT}```\n", ["MAS021"], "delete the lines"),
    (f"Sure! Here it is.\n\n```\nmas 1\n{AGENT}```\nIt has one agent; isn't it nice?", ["MAS021"], "delete the lines"),
    (f"```mas\nmas 1\n{AGENT}", ["MAS021"], "delete the lines"),
    ('mas 1\ntest "t" { x = f(y) given f = "a" given f = "b" expect x == "" }', ["MAS010"], "before its statements"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected", "words"), SLIPS)
def test_a_slip_is_one_diagnostic_that_helps(text: str, expected: list[str], words: str) -> None:
    _, found = parse(text)
    assert [item.diagnostic.code for item in found] == expected, render_short(found)
    assert words in f"{found[0].diagnostic.title()} {found[0].diagnostic.help()}"


def mended(text: str, found: tuple[Finding, ...]) -> str | None:
    """The text with all fixes made; None if a finding has none."""
    replacements: list[tuple[Span, str]] = []
    for item in found:
        fix = item.diagnostic.fix()
        if fix is None:
            return None
        replacements += fix.replacements
    for span, new in sorted(replacements, reverse=True):
        text = text[: span.start] + new + text[span.end :]
    return text


def test_fixes_mend_what_they_are_for() -> None:
    tried = 0
    for text, _, _ in SLIPS:
        _, found = parse(text)
        better = mended(text, found)
        if better is None:
            continue
        tried += 1
        for _ in range(3):  # a name at fault is reported once, but may stand in several places
            left = parse(better)[1]
            better = mended(better, left) or better
        assert not {item.diagnostic.code for item in left} & {item.diagnostic.code for item in found}, better
    assert tried > 35


FIVE = """\
mas 1
type Review { ok: bool issues: text[8] }
agnet writer(topic) -> text "Write."
agent reviewer(draft) -> Review on fast "List defects."
flow main(topic) -> text {
  draft = writer(topic
  loop 3 {
    review = reviewer(draft)
    until review.ok = true
    draft == writer(topic)
  }
  return draft
}
"""


def test_five_planted_mistakes_give_five_diagnostics() -> None:
    parsed, found = parse(FIVE)
    places = [(item.diagnostic.code, item.source.position(item.diagnostic.span.start).line) for item in found]
    assert places == [("MAS010", 2), ("MAS010", 3), ("MAS018", 7), ("MAS010", 9), ("MAS010", 10)]
    assert isinstance(parsed.document, ast.Program)
    assert [type(item).__name__ for item in parsed.document.items] == ["RecordDecl", "Agent", "Agent", "Flow"]
    assert len(statements_of(FIVE)) == 3


def test_what_is_sound_stays_in_the_tree() -> None:
    text = (
        "mas 1\nuse a.b: c, D as E\ntype R { ok: }\n" + AGENT + "flow main(x) -> text {\n  a = f(x)\n  b = f(x x x +)\n"
        "  while a {\n    c = f(x)\n  }\n  d = f(a)\n  return d\n}\n" + AGENT.replace(" f(", " g(")
    )
    parsed, found = parse(text)
    assert [item.diagnostic.code for item in found] == ["MAS010", "MAS010", "MAS019"], render_short(found)
    assert isinstance(parsed.document, ast.Program)
    names = [type(item).__name__ for item in parsed.document.items]
    assert names == ["Use", "Agent", "Flow", "Agent"]
    flow = parsed.document.items[2]
    assert isinstance(flow, ast.Flow)
    kept = [item.name.text for item in flow.body.statements if isinstance(item, ast.Bind)]
    assert kept == ["a", "d"] and isinstance(flow.body.statements[-1], ast.Return)
    assert parsed.lost == {"R", "b", "c"}
    assert all(0 <= gap.start <= gap.end <= len(text) for gap in parsed.gaps)


def test_another_kind_of_text_is_told_apart() -> None:
    parsed, found = parse("patch 1 drop main.t")
    assert [item.diagnostic.code for item in found] == ["MAS016"]
    assert parsed.document == ast.Program(1, ())
    parsed, found = parse("mas 1", parse_binding)
    assert [item.diagnostic.code for item in found] == ["MAS016"] and isinstance(parsed.document, ast.Binding)
    parsed, found = parse("bind 1", parse_binding)
    assert [item.diagnostic.code for item in found] == ["MAS010"] and isinstance(parsed.document, ast.Binding)
    parsed, found = parse("patch 1 set a = 1 drop drop main.a redo main.b", parse_patch)
    assert [item.diagnostic.code for item in found] == ["MAS010"] and isinstance(parsed.document, ast.Patch)
    assert {type(edit).__name__ for edit in parsed.document.edits} >= {"SetEdit", "RedoEdit"}


def test_there_are_at_most_fifty_diagnostics() -> None:
    found = parse(in_flow("z = )\n" * 500))[1]
    assert len(found) == limits.DIAGNOSTICS
    assert found[-1].diagnostic.code == "MAS009"


# ---------------------------------------------------------------- changes of sound programs

WORDS = (
    *(
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ",",
        ":",
        "=",
        "==",
        "->",
        "?",
        "+",
        "|",
        ".",
        ";",
        "@",
        "x",
        "Foo",
        "3",
        '"s"',
        "'q'",
        "é",
    ),
    *(
        "if",
        "else",
        "until",
        "return",
        "agent",
        "flow",
        "and",
        "loop",
        "match",
        "for",
        "in",
        "each",
        "where",
        "of",
        "not",
    ),
    *("none", "given", "test", "type", "use"),
)


def changed(text: str, choice: random.Random) -> str:
    """A program with one token left out, doubled, replaced or put in."""
    tokens = tokenize(Source("t", text), grammar.load("program"), lambda *_: None)
    at = choice.randrange(2, len(tokens.kinds) - 1)
    start, end, word = tokens.starts[at], tokens.ends[at], choice.choice(WORDS)
    new = choice.choice(["", f"{text[start:end]} {text[start:end]}", word, f"{word} {text[start:end]}"])
    return text[:start] + new + text[end:]


def test_one_change_gives_about_one_diagnostic() -> None:
    choice = random.Random(7)
    counts = []
    for _ in range(1_500):
        text = changed(choice.choice(TEXTS), choice)
        parsed, found = parse(text)
        assert parsed.ok == (not found)
        counts.append(len(found))
    faulty = [count for count in counts if count]
    assert len(faulty) > 1_200
    assert sum(count == 1 for count in faulty) / len(faulty) > 0.93
    assert max(faulty) < 12


@given(st.data())
@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=150)
def test_many_changes_break_nothing(data: st.DataObject) -> None:
    choice = random.Random(data.draw(st.integers(0, 2**32)))
    text = choice.choice(TEXTS)
    for _ in range(choice.randrange(1, 30)):
        if len(text) < 20:
            break
        at = choice.randrange(len(text))
        cut = choice.randrange(12)
        text = (
            text[:at] + choice.choice(["", choice.choice(WORDS), " ", "\n", '"""', "\0", "\u202e"]) + text[at + cut :]
        )
    for parser in (parse_program, parse_binding, parse_patch):
        harmless(text, parser)


@given(st.text(max_size=300))
@example("mas 1\n" + '"""' * 3)
@example("```\n```")
@settings(deadline=None, suppress_health_check=list(HealthCheck))
def test_any_text_is_parsed_to_something(text: str) -> None:
    harmless(text)
    harmless(f"mas 1\n{text}")
    findings = Findings()
    parse_chunk(Source("t", text), findings)


def harmless(text: str, parser: Callable[[Source, Findings], Parsed] = parse_program) -> Parsed:
    """Parse, and do with the tree and the findings what every later stage does."""
    parsed, found = parse(text, parser)
    assert len(found) <= 2 * limits.DIAGNOSTICS
    for item in found:
        assert_printable(item.diagnostic)
        assert 0 <= item.diagnostic.span.start <= item.diagnostic.span.end <= len(parsed.source.text)
    render_short(found)
    assert depth(parsed.document) < 150
    repr(parsed.document)
    assert parsed.document == parsed.document and hash(parsed.document) == hash(parsed.document)
    return parsed


def assert_printable(diagnostic: Diagnostic) -> None:
    assert diagnostic.title() and diagnostic.help()
    assert diagnostic.label() is not None and diagnostic.labels() is not None
    diagnostic.fix()


def depth(node: Node) -> int:
    deepest, level = 0, [node]
    while level:
        deepest += 1
        level = [child for parent in level for child in walk.children(parent)]
    return deepest


# ---------------------------------------------------------------- hostile text

H = "mas 1\nflow main(x) -> text {\n"


def value(text: str) -> str:
    return f"{H}  y = {text}\n  return y\n}}\n"


HOSTILE: dict[str, Callable[[int], str]] = {
    "parentheses": lambda n: value("(" * n + "x" + ")" * n),
    "open parentheses": lambda n: value("(" * n),
    "lists": lambda n: value("[" * n + "]" * n),
    "not": lambda n: value("not " * n + "x"),
    "not (": lambda n: value("not (" * n),
    "minus": lambda n: value("- " * n + "x"),
    "minus one": lambda n: value("-" * n + "1"),
    "sum": lambda n: value("x + " * n + "x"),
    "and": lambda n: value("x and " * n + "x"),
    "comparisons": lambda n: value("x < " * n + "x"),
    "fields": lambda n: value("x" + ".a" * n),
    "indices": lambda n: value("x" + "[0]" * n),
    "calls": lambda n: value("f(" * n + "x" + ")" * n),
    "fallbacks": lambda n: value("x else " * n + "x"),
    "arguments": lambda n: value("f(" + "x, " * n + "x)"),
    "named arguments": lambda n: value("f(" + "a: x, " * n + "a: x)"),
    "records": lambda n: value("R(a: " * n + "1" + ")" * n),
    "list types": lambda n: f"mas 1\ntype R {{ a: text{'[1]' * n} }}\n",
    "optional types": lambda n: f"mas 1\ntype R {{ a: text{'?' * n} }}\n",
    "loops": lambda n: H + "loop 2 {\n" * n + "}\n" * n + "return x }\n",
    "open loops": lambda n: H + "loop 2 {\n" * n,
    "ifs": lambda n: H + "if x {\n" * n + "}\n" * n + "}",
    "else ifs": lambda n: H + "if x {} " + "else if x {} " * n + "}",
    "words": lambda n: "mas 1\ntype K = a" + " | a" * n,
    "budgets": lambda n: "mas 1\n" + "budget calls 2\n" * n,
    "statements": lambda n: H + "y = f(x)\n" * n + "return x}",
    "limits": lambda n: "mas 1\nbudget " + "calls 2 " * n,
    "open braces": lambda n: "mas 1\n" + "{" * n,
    "closing braces": lambda n: "mas 1\n" + "}" * n,
    "closing parentheses": lambda n: value(")" * n),
    "commas": lambda n: value("," * n),
    "strays": lambda n: value("@" * n),
    "spaced strays": lambda n: value("@ " * n),
    "semicolons": lambda n: value("x;\n" * n),
    "open strings": lambda n: value('"\n' * n),
    "open blocks": lambda n: value('"""' * n),
    "escaped open blocks": lambda n: value('"""\\' * n),
    "single quotes": lambda n: value("'" * n),
    "three single quotes": lambda n: value("'''" * n),
    "backquotes": lambda n: value("`" * n),
    "fences": lambda n: "```\n" * n,
    "escapes": lambda n: value('"' + "\\q" * n + '"'),
    "digits": lambda n: value("1" * n),
    "fraction": lambda n: value("1." + "1" * n),
    "long name": lambda n: value("a" * n),
    "long odd name": lambda n: value("aB" * n),
    "odd numbers": lambda n: value("1" + "_1" * n),
    "prose": lambda n: "mas 1\n" + "foo " * n,
    "agents": lambda n: "mas 1\n" + "agent " * n,
    "flow heads": lambda n: "mas 1\n" + "flow f(x) -> text {\n" * n,
    "comments": lambda n: "mas 1\n" + "#\n" * n,
    "untils": lambda n: H + "until " * n,
    "assignments": lambda n: H + "a = " * n,
    "empty assignments": lambda n: H + "a =\n" * n,
    "bad statements": lambda n: H + "y = ) 3\n" * n + "}",
    "whiles": lambda n: H + "while x {\n" * n,
    "closed whiles": lambda n: H + "while x { }\n" * n,
    "tests": lambda n: "mas 1\n" + 'test "a" {\n' * n,
    "matches": lambda n: H + "match x { a { " * n,
    "foreign name": lambda n: value("é" * n),
    "foreign names": lambda n: value("é " * n),
    "hard blanks": lambda n: value("\xa0" * n),
    "smart quotes": lambda n: value("“" * n),
    "dashes": lambda n: value("—" * n),
    "no gaps": lambda n: value("2x " * n),
    "slashes": lambda n: value("//" * n),
    "open comments": lambda n: value("/*" * n),
    "NUL": lambda n: value("\0" * n),
    "bidi": lambda n: value("\u202e " * n),
    "labels": lambda n: H + "x: " * n,
    "label lines": lambda n: H + "x: y\n" * n,
    "each": lambda n: value("each x in " * n),
    "indentation": lambda n: value('"""\n' + " " * n + "a\n" + "\n" * n + '"""'),
    "attributes": lambda n: "mas 1\nagent a(x) -> text " + "temp 1 " * n + '"p"',
    "open agents": lambda n: "mas 1\n" + 'agent a() -> text """\n' * n,
    "carriage returns": lambda n: "mas 1\r" * n,
    "headers": lambda n: "mas 1 " * n,
    "late header": lambda n: "x " * n + "mas 1",
    "mas": lambda n: "mas " * n,
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.timeout(60)
def test_no_size_of_anything_breaks_the_parser(kind: str) -> None:
    for size in (1, 2, 15, 16, 17, 31, 32, 33, 64, 100, 1_000, 10_000, 100_000):
        harmless(HOSTILE[kind](size))


@pytest.mark.timeout(60)
def test_four_hundred_thousand_tokens_are_refused() -> None:
    assert codes("mas 1\n" + "x " * 400_000) == ["MAS009"]
    assert codes("mas 1\ntype K = a" + "|a" * 100_000) == ["MAS009"]


LIMITED: list[tuple[Callable[[int], str], int]] = [
    (HOSTILE["parentheses"], limits.BRACKET_DEPTH),
    (HOSTILE["lists"], limits.EXPRESSION_DEPTH - 1),
    (HOSTILE["not"], limits.EXPRESSION_DEPTH - 1),
    (HOSTILE["minus"], limits.EXPRESSION_DEPTH - 1),
    (HOSTILE["sum"], limits.EXPRESSION_DEPTH - 1),
    (HOSTILE["fields"], limits.EXPRESSION_DEPTH - 1),
    (HOSTILE["indices"], limits.EXPRESSION_DEPTH - 1),
    (HOSTILE["calls"], limits.EXPRESSION_DEPTH - 1),
    (HOSTILE["optional types"], limits.EXPRESSION_DEPTH - 1),
    (HOSTILE["list types"], limits.EXPRESSION_DEPTH - 1),
    (HOSTILE["loops"], limits.BLOCK_DEPTH - 1),  # the flow's own block is the first
    (HOSTILE["digits"], limits.INTEGER_DIGITS),
    (HOSTILE["fraction"], limits.FRACTION_DIGITS),
    (HOSTILE["long name"], limits.NAME_LENGTH),
    (lambda n: value('"' + "a" * n + '"'), limits.STRING_BYTES),
    (lambda n: "mas 1\ntype K = a" + "|a" * ((n - 6) // 2) + "|" * (n % 2), limits.TOKENS),
    (lambda n: f"mas 1 budget tokens {10 ** (n - 1)}", 10),
    (lambda n: f"mas 1 budget tokens {10 ** (n - 1)}k", 7),
    (lambda n: f"mas 1 budget tokens {10 ** (n - 1)}M", 4),
]


@pytest.mark.parametrize(("make", "limit"), LIMITED)
def test_each_limit_is_exact(make: Callable[[int], str], limit: int) -> None:
    assert codes(make(limit)) == []
    assert set(codes(make(limit + 1))) == {"MAS009"}


def test_a_string_counts_in_bytes() -> None:
    assert codes(value('"' + "é" * (limits.STRING_BYTES // 2) + '"')) == []
    assert codes(value('"' + "é" * (limits.STRING_BYTES // 2) + 'a"')) == ["MAS009"]


def test_parsing_needs_little_stack() -> None:
    """From 600 frames deep, as a host may call it."""

    def dig(frames: int) -> None:
        if frames:
            dig(frames - 1)
        else:
            for kind in ("parentheses", "not", "sum", "loops", "fields", "list types"):
                for size in (10, 10_000):
                    parse(HOSTILE[kind](size))

    dig(600)
