"""What a configuration grants: how it is said, and how declarations are held against it before anything runs."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import pytest

import masdsl
from masdsl.cli import main
from masdsl.config import DEFAULT, Config, Grant, Server
from masdsl.config.reader import parse_config
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.render import render_short
from masdsl.pipeline import check_source
from masdsl.runtime.models.scripted import ScriptedModel
from masdsl.source import Source
from masdsl.tools.base import Declared
from masdsl.tools.python_functions import gives, mismatches, takes
from masdsl.types import Bool, Enum, Float, Int, List, Optional, Record, Text, Type
from tests.harness.programs import write


def read(text: str, name: str = "mas.toml") -> tuple[Config, list[str]]:
    findings = Findings()
    config = parse_config(Source(name, text), f"/home/project/{name}", findings)
    return config, render_short(findings.sorted()).splitlines()


# ---------------------------------------------------------------- how grants are said

GRANTS = """
[tools]
"mail.send" = "mailer:send"
"sandbox.python" = "sandbox"
"math.calculate" = "calculator"
"mail.queue" = "host"
"docs.read" = { kind = "read", path = "corpus" }
"web.get" = { kind = "http", allow = ["docs.python.org", "https://example.org/a/"], private = true, bytes = 100000 }
"shop.order" = { kind = "python", function = "shop.api:order", effect = true }
files.list_files = { kind = "mcp", server = "files" }
"files.cat" = { kind = "mcp", server = "files", tool = "read", effect = false }

[tools."docs.search"]
kind = "search"
path = "/data/corpus.jsonl"

[mcp.files]
command = ["server", "--root", "."]
env = ["TOKEN"]
timeout = 5

[mcp.wiki]
url = "https://example.org/mcp"
key_env = "WIKI_KEY"
bytes = 100000
"""


@pytest.mark.parametrize("name", ["mas.toml", "pyproject.toml"])
def test_every_form_of_a_grant(name: str) -> None:
    text = GRANTS
    if name == "pyproject.toml":
        text = GRANTS.replace("[tools", "[tool.masdsl.tools").replace("[mcp", "[tool.masdsl.mcp")
    config, problems = read(text, name)
    assert problems == []
    assert config.tools == {
        "mail.send": Grant("python", function="mailer:send"),
        "sandbox.python": Grant("sandbox"),
        "math.calculate": Grant("calculator"),
        "mail.queue": Grant("host"),
        "docs.read": Grant("read", path="/home/project/corpus"),
        "web.get": Grant("http", allow=("docs.python.org", "https://example.org/a/"), private=True, bytes=100000),
        "shop.order": Grant("python", function="shop.api:order", effect=True),
        "files.list_files": Grant("mcp", server="files", tool="list_files"),
        "files.cat": Grant("mcp", server="files", tool="read", effect=False),
        "docs.search": Grant("search", path="/data/corpus.jsonl"),
    }
    assert config.servers == {
        "files": Server("files", ("server", "--root", "."), ("TOKEN",), "/home/project", timeout=5),
        "wiki": Server("wiki", folder="/home/project", url="https://example.org/mcp", key_env="WIKI_KEY", bytes=100000),
    }


PROBLEMS = {
    "[tools]\na = 'sandbx'": "`package.module:function`, or a kind of tool; did you mean `sandbox`?",
    "[tools]\na = 'search'": "2:5: MAS503 `[tools] a` must be a table: a tool of kind `search` needs `path`;"
    ' write "a" = { kind = "search", path = "corpus" }',
    "[tools]\na = 'x:y z'": "2:5: MAS503 `[tools] a` must be a Python function",
    "[tools]\na = { kind = 'serch', path = 'x' }": "2:14: MAS503 `[tools.a] kind` must be a kind of tool; did you mean",
    "[tools]\na = { path = 'x' }": '2:1: MAS504 the tool "a" has no `kind`',
    "[tools]\na = { kind = 'search' }": 'MAS504 the tool "a" of kind `search` has no `path`; add `path = "corpus"`',
    "[tools]\na = { kind = 'read', path = 'x', allow = ['y'] }": "MAS502 a tool of kind `read` has no key `allow`",
    "[tools]\na = { kind = 'http', allow = [] }": "2:30: MAS503 `[tools.a] allow` must be a list of hosts",
    "[tools]\na = { kind = 'http', allow = ['ftp://x'] }": "MAS503 `[tools.a] allow` must be",
    "[tools]\na = { kind = 'http', allow = ['user@host'] }": "MAS503 `[tools.a] allow` must be",
    "[tools]\na = { kind = 'http', allow = ['host:99999'] }": "MAS503 `[tools.a] allow` must be",
    "[tools]\na = { kind = 'http', allow = ['h'], bytes = 5 }": "MAS503 `[tools.a] bytes` must be a number of bytes",
    "[tools]\na = { kind = 'python', function = 'x' }": "MAS503 `[tools.a] function` must be a Python function",
    "[tools]\na = { kind = 'host', effect = 1 }": "MAS503 `[tools.a] effect` must be true or false",
    "[tools]\na = { kind = 'mcp', server = 's' }": "MAS503 `[tools.a] server` must be an entry of [mcp] of mas.toml;"
    " describe it under [mcp.s]",
    "[tools]\na = { kind = 'mcp', server = 'fils' }\n[mcp.files]\ncommand = ['x']": "did you mean `files`?",
    "[mcp.a]\nenv = ['X']": "1:2: MAS504 the MCP server `a` has no `command`",
    "[mcp.a]\ncommand = 'server -x'": "MAS503 `[mcp.a] command` must be a list of texts: a program and its arguments;"
    ' write each argument as a text of its own, as in ["python", "-m", "my_server"]; no shell reads it',
    "[mcp.a]\ncommand = ['x']\nurl = 'https://x'": "3:7: MAS503 `[mcp.a] url` must be left out beside `command`",
    "[mcp.a]\ncommand = ['x']\nkey_env = 'K'": "MAS503 `[mcp.a] key_env` must be left out beside `command`",
    "[mcp.a]\nurl = 'https://x'\nenv = ['K']": "MAS503 `[mcp.a] env` must be left out beside `url`",
    "[mcp.a]\ncommand = ['x']\nenv = ['sk-123']": "`[mcp.a] env` must be a list of names of environment variables",
    "[mcp.a]\nurl = 'https://x'\nkey_env = 'sk-123'": "`[mcp.a] key_env` must be the name of an environment",
    "[mcp.a]\ncomand = ['x']": "MAS502 [mcp.a] has no key `comand`; did you mean `command`?",
    "mcp = 3": "MAS503 `mcp` must be a table",
}


@pytest.mark.parametrize("text", PROBLEMS)
def test_a_mistake_is_reported_where_it_stands(text: str) -> None:
    _, problems = read(text)
    assert any(PROBLEMS[text] in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("toml", "codes"),
    {
        "[tools]\na = 'serch'": "MAS503",
        "[tools]\na = 'search'": "MAS503",
        "[tools]\na = 3": "MAS503",
        "[tools]\na = {}": "MAS504",
        "[tools]\na = { kind = 'serch', path = 'x' }": "MAS503",
        "[tools]\na = { kind = 'search' }": "MAS504",
        "[tools]\na = { kind = 'search', pth = 'x' }": "MAS504 MAS502",
        "[tools]\na = { kind = 'mcp', server = 's' }": "MAS503",
        "[tools]\na = { pth = 'x' }": "MAS503",
        "[tools]\na = { kind = 'search' }\n[trust]\nsources = { a = 'untrusted' }": "MAS504",
        "[tools]\nb = { kind = 'search' }": "MAS504 MAS121",
        "[tools]\na.b = 3": "MAS503",
        "[tools]\na.b = 'x:y'": "MAS121",
    }.items(),
)
def test_a_tool_with_a_mistaken_entry_is_told_once(toml: str, codes: str, tmp_path: Path) -> None:
    path = write(tmp_path, 'mas 1\ntool t(x) -> text from "a"\nflow main(x) -> text { return t(x) }\n', config=toml)
    assert [one.diagnostic.code for one in masdsl.check(path)] == codes.split()
    with pytest.raises(masdsl.ProgramError):
        masdsl.load(path)


def test_a_tool_with_a_mistaken_entry_is_not_granted_where_the_mistake_is_not_told(tmp_path: Path) -> None:
    config, problems = read("[tools]\na = { kind = 'search' }")
    assert len(problems) == 1 and config.mistaken == {"a"}
    path = write(tmp_path, 'mas 1\ntool t(x) -> text from "a"\nflow main(x) -> text { return t(x) }\n')
    assert [one.diagnostic.code for one in masdsl.check(path, config=config)] == ["MAS121"]


# ---------------------------------------------------------------- declarations and built-in tools

BUILT_IN = """
[tools]
run = "sandbox"
calc = "calculator"
search = { kind = "search", path = "corpus" }
read = { kind = "read", path = "corpus" }
get = { kind = "http", allow = ["x.org"] }
pay = { kind = "host", effect = true }
"""


@pytest.mark.parametrize(
    "declaration",
    [
        'tool t(code: text(1500)) -> (passed: bool, log: text(300)) from "run" timeout 30',
        'tool t(code, tests, entry, arguments, input) -> text(9) from "run"',
        'tool t(code, entry: text?) -> (value: float?, error: text?) from "run"',
        'tool t(expression) -> float? from "calc"',
        'tool t(expression) -> int from "calc"',
        'tool t(expression) -> text(60) else "?" from "calc"',
        'tool t(query, limit: int) -> text(60)[5] from "search"',
        'tool t(query) -> Hit[5] from "search"',
        'tool t(id, page = 1) -> text(600)? from "read"',
        'tool t(id) -> (text, pages: int) from "read"',
        'tool t(url) -> (links: text(60)[9], status: int) from "get"',
        'tool t(anything: int[3]) -> bool from "pay" effect',
    ],
)
def test_declarations_that_fit(declaration: str, tmp_path: Path) -> None:
    assert problems_of(declaration.replace("page = 1", "page: int = 1"), tmp_path) == []


def problems_of(declaration: str, folder: Path) -> list[str]:
    types = "type Page { url }\ntype Hit { id, score: float }\ntype Score { score }"
    text = f"mas 1\n{types}\n\n{declaration}\n\nflow main(x) -> text {{ return x }}\n"
    path = write(folder, text, config=BUILT_IN)
    found = render_short(masdsl.check(path)).splitlines()
    return [line.removeprefix(f"{path}:") for line in found if "MAS1" in line]


DIFFERENT = {
    'tool t(q) -> text(9)[5] from "search"': (
        "6:8: MAS122 the tool `t` has an input `q`, which it does not take; take it out: the built-in `search` is"
        " (query: text, limit: int = ..) -> Item[..], type Item { id: text, title: text, snippet: text, score: float }"
    ),
    'tool t(qury) -> text(9)[5] from "search"': "an input `qury`, which it does not take; did you mean `query`?",
    'tool t() -> text(9)[5] from "search"': "6:6: MAS122 the tool `t` lacks the input `query`; add `query: text`",
    'tool t(query: int) -> text(9)[5] from "search"': "6:8: MAS122 the tool `t` has the input `query` of type int",
    'tool t(query) -> text(9) from "search"': "6:18: MAS122 the tool `t` gives text, and it gives a list",
    'tool t(query) -> Page[5] from "search"': "6:18: MAS122 the tool `t` gives a field `url`, which it does not have",
    'tool t(query) -> Score[5] from "search"': "gives the field `score` of type text, and it is float",
    'tool t(query) -> int[5] from "search"': "gives a list of int, and its `snippet` is text",
    'tool t(code) -> bool from "run"': "gives bool, and its `log` is text; write a type of text, or a record",
    'tool t(expression) -> bool from "calc"': "gives bool, and it gives a number",
    'tool t(url, page) -> text from "get"': "has the input `page` of type text, and it takes int",
    'tool t(x) -> bool from "pay"': '6:24: MAS123 the host says that "pay" changes the world, and `t` is declared',
    'tool t(x) -> bool from "serch"': '6:24: MAS121 the tool "serch" is not granted; did you mean "search"?',
    'tool t(x) -> bool from "other.one"': 'the tool "other.one" is not granted; grant it under [tools] in ',
}


@pytest.mark.parametrize("declaration", DIFFERENT)
def test_declarations_that_do_not(declaration: str, tmp_path: Path) -> None:
    found = problems_of(declaration, tmp_path)
    assert any(DIFFERENT[declaration] in one for one in found), found


@pytest.mark.parametrize(
    ("name", "toml"),
    {
        "sandbox.python": '"sandbox.python" = "sandbox"',
        "docs.search": '"docs.search" = { kind = "search", path = "corpus" }',
        "my.own": '"my.own" = "package.module:function"',
    }.items(),
)
def test_the_grant_to_add_is_shown_as_it_is_to_be_written(name: str, toml: str, tmp_path: Path) -> None:
    path = write(tmp_path, f'mas 1\n\ntool t(x) -> text from "{name}"\n\nflow main(x) -> text {{ return x }}\n')
    (finding,) = [one for one in masdsl.check(path) if one.diagnostic.code == "MAS121"]
    assert finding.diagnostic.help() == f"grant it under [tools] in {tmp_path / 'mas.toml'}: {toml}"
    (tmp_path / "pyproject.toml").write_text("[tool.masdsl.tools]\n")
    (tmp_path / "mas.toml").unlink()
    (finding,) = [one for one in masdsl.check(path) if one.diagnostic.code == "MAS121"]
    assert "[tool.masdsl.tools] in " in finding.diagnostic.help()
    (tmp_path / "pyproject.toml").write_text(f"[tool.masdsl.tools]\n{toml}\n")
    assert "MAS121" not in render_short(masdsl.check(path))


@pytest.mark.parametrize(
    ("uses", "expected"),
    {
        # the tool itself, among others
        "use std.code: coder, run_python": "3:22: MAS121 {tool}",
        "use std.code: run_python as run, coder": "3:15: MAS121 {tool}",
        # a flow that uses it; what uses nothing of it does not matter
        "use std.vote: majority\nuse std.code: solve_by_program": "4:5: MAS121 {tool}",
        # a module of the user's own in between
        "use mine: answer": "mine.mas:2:5: MAS121 {tool}",
    }.items(),
)
def test_a_grant_that_the_standard_library_needs_is_missed_where_the_user_comes_to_it(
    uses: str, expected: str, tmp_path: Path
) -> None:
    body = "return q"
    if "solve" in uses:
        body = "done = solve_by_program(q)\n  return done.output"
    (tmp_path / "mine.mas").write_text(
        "mas 1\nuse std.code: solve_by_program\nflow answer(q: text(60)) -> text(300) {\n"
        "  done = solve_by_program(q)\n  return done.output\n}\n"
    )
    if "mine" in uses:
        body = "return answer(q)"
    if "run" in uses:
        name = "run" if " as " in uses else "run_python"
        body = f"done = {name}(q)\n  return done.log"
    path = tmp_path / "p.mas"
    path.write_text(f"mas 1\n\n{uses}\nflow main(q: text(60)) -> text(300) {{\n  {body}\n}}\n")
    found = [one for one in masdsl.check(path) if one.diagnostic.code == "MAS121"]
    (line,) = [line for line in render_short(found).splitlines() if "MAS121" in line]
    tool = 'the tool "sandbox.python" is not granted; grant it under [tools] in a mas.toml beside the program: '
    assert line.endswith(expected.format(tool=tool + '"sandbox.python" = "sandbox"')), line
    assert found[0].diagnostic.label() == "needed by `std.code.run_python`"
    assert found[0].diagnostic.fix() is None


# ---------------------------------------------------------------- Python functions

SHORT = Text(9)
WORDS = Enum("Mood", "", ("good", "bad"))
POINT = Record("Point", "", (("x", Int()), ("y", Optional(Text(9)))))


class Point(TypedDict):
    x: int
    y: str


class Place(NamedTuple):
    x: int


@dataclass
class Other:
    z: int


class Mood(enum.StrEnum):
    good = "good"
    bad = "bad"


@pytest.mark.parametrize(
    ("annotation", "kind", "fits"),
    [
        (Any, Int(), True),
        (object, POINT, True),
        ("SomethingForCheckersAlone", Int(), True),
        (str, Text(9), True),
        (str, WORDS, True),
        (Annotated[str, "note"], Text(9), True),
        (Literal["good", "bad", "odd"], WORDS, True),
        (Literal["good"], WORDS, False),
        (int, Text(9), False),
        (bytes, Text(9), False),
        (int, Int(), True),
        (float, Int(), True),
        (int, Float(), False),
        (bool, Int(), False),
        (bool, Bool(), True),
        (str | int, Int(), True),
        (str | None, Optional(Text(9)), True),
        (str, Optional(Text(9)), False),
        (list[int], List(Int(), 0, 9), True),
        (Sequence[float], List(Int(), 0, 9), True),
        (list[str], List(Int(), 0, 9), False),
        (list, List(Text(9), 0, 9), True),
        (tuple[int, ...], List(Int(), 0, 9), False),
        (dict[str, Any], POINT, True),
        (Mapping[str, Any], POINT, True),
        (Point, POINT, True),
        (Other, POINT, False),
        (str, POINT, False),
        (Mood, WORDS, False),
    ],
)
def test_what_a_parameter_takes(annotation: Any, kind: Type, fits: bool) -> None:
    assert takes(annotation, kind) == fits


@pytest.mark.parametrize(
    ("annotation", "kind", "fits"),
    [
        (Any, Int(), True),
        (str, Text(9), True),
        (str, WORDS, True),
        (str, Int(), False),
        (int, Int(), True),
        (int, Float(), True),
        (float, Int(), False),
        (bool, Int(), False),
        (bool, Bool(), True),
        (None, Optional(Int()), True),
        (None, Int(), False),
        (int | None, Optional(Int()), True),
        (int | None, Int(), False),
        (Awaitable[int], Int(), True),
        (Literal["good"], WORDS, True),
        (Literal["odd"], WORDS, False),
        (Mood, WORDS, True),
        (Mood, Text(9), True),
        (list[int], List(Float(), 0, 9), True),
        (tuple[int, ...], List(Int(), 0, 9), True),
        (set[int], List(Int(), 0, 9), False),
        (dict[str, Any], POINT, True),
        (dict[str, Any], Text(9), False),
        (Place, POINT, True),
        (Point, POINT, True),
        (Other, POINT, False),
        (Other, Int(), False),
        (list[int], Text(9), False),
    ],
)
def test_what_a_function_gives(annotation: Any, kind: Type, fits: bool) -> None:
    assert gives(annotation, kind) == fits


def declared(returns: Type = SHORT, effect: bool = False, **inputs: Type) -> Declared:
    return Declared("t", "t", inputs, frozenset(), returns, effect, 60.0)


def test_names_and_what_is_required() -> None:
    def plain(a: str, b: int = 1, *, c: float = 0.5) -> str:
        return a

    def by_position(a: str, /) -> str:
        return a

    def anything(**inputs: Any) -> str:
        return ""

    def keyed(a: str, idempotency_key: str) -> str:
        return a

    class Callable_:  # noqa: N801
        def __call__(self, a: int) -> str:
            return ""

    def problems(function: Any, tool: Declared) -> list[str]:
        return [f"{one.where}: {one.problem}" for one in mismatches(function, tool)]

    assert problems(plain, declared(a=Text(9))) == problems(plain, declared(a=Text(9), c=Float())) == []
    assert problems(plain, declared(b=Int())) == ["None: lacks the input `a`, which the function needs"]
    assert problems(plain, declared(a=Text(9), d=Int())) == ["d: has an input `d`, which the function does not take"]
    assert problems(plain, declared(a=Int())) == ["a: passes int as `a`, and the function takes str"]
    assert problems(plain, declared(Int(), a=Text(9))) == [": gives int, and the function returns str"]
    assert problems(anything, declared(x=Int())) == []
    assert len(problems(by_position, declared(a=Text(9)))) == 2
    assert problems(keyed, declared(effect=True, a=Text(9))) == []
    assert problems(keyed, declared(a=Text(9))) == ["None: lacks the input `idempotency_key`, which the function needs"]
    assert problems(Callable_(), declared(a=Int())) == []
    assert problems(Callable_(), declared(a=Text(9))) == ["a: passes text as `a`, and the function takes int"]
    assert problems(print, declared(x=Int())) != problems(max, declared(x=Int())) == []


PROGRAM = """mas 1

tool look(
  query,
  n: int,
) -> text(20)[5] from "web.look"

flow main(q) -> text(20)[5] {
  return look(q, 3)
}
"""


def test_a_function_that_differs_is_found_before_a_run(tmp_path: Path) -> None:
    config = '[tools]\n"web.look" = "looker_of_this_test:look"\n'
    files = {"looker_of_this_test.py": "def look(query: str, n: str) -> list[str]: ..."}
    path = write(tmp_path, PROGRAM, files, config)
    assert [one for one in masdsl.check(path) if one.diagnostic.severity == "error"] == []  # nothing is imported
    with pytest.raises(masdsl.ProgramError) as raised:
        masdsl.load(path)
    (line,) = render_short(raised.value.findings).splitlines()
    assert ":5:3: MAS122 the tool `look` passes int as `n`, and the function takes str" in line


def test_a_function_that_cannot_be_imported_is_found_before_a_run(tmp_path: Path) -> None:
    path = write(tmp_path, PROGRAM, config='[tools]\n"web.look" = "no_module_of_this_name:look"\n')
    with pytest.raises(masdsl.ProgramError) as raised:
        masdsl.load(path)
    (line,) = render_short(raised.value.findings).splitlines()
    assert ":3:1: MAS124 the tool `look` cannot be used: `no_module_of_this_name:look` cannot be imported" in line


def test_what_the_host_passes_is_granted_and_compared(tmp_path: Path) -> None:
    path = write(tmp_path, PROGRAM)
    assert "MAS121" in render_short(masdsl.check(path))

    def look(query: str, n: int) -> list[str]:
        return [query] * n

    loaded = masdsl.load(path, tools={"web.look": look})
    assert loaded.main.sync("a") == ["a"] * 3
    with pytest.raises(masdsl.ProgramError, match="MAS122"):
        masdsl.load(path, tools={"web.look": lambda query: []})
    write(tmp_path, PROGRAM, config='[tools]\n"web.look" = "host"\n')
    assert "error" not in render_short(masdsl.check(path))
    with pytest.raises(masdsl.ProgramError, match="run it from there, with `tools="):
        masdsl.load(path)
    assert masdsl.load(path, tools={"web.look": look}).main.sync("a") == ["a"] * 3


def test_what_the_host_says_of_an_effect_holds_for_what_it_passes(tmp_path: Path) -> None:
    path = write(tmp_path, PROGRAM, config='[tools]\n"web.look" = { kind = "host", effect = true }\n')
    with pytest.raises(masdsl.ProgramError, match="MAS123"):
        masdsl.load(path, tools={"web.look": lambda query, n: []})


# ---------------------------------------------------------------- in a run

SEARCHING = """mas 1

type Hit { id: text(40), snippet: text(40) }

tool search(query: text(40)) -> Hit[2] from "docs.search"
tool read(id: text(40)) -> text(60)? from "docs.read"
tool calculate(expression: text(40)) -> text(20) from "math.calculate"

agent clerk(question) -> text(60) tools [search, read, calculate] steps 3
  "Answer from the documents. {{ question }}"

flow main(question) -> text(60) {
  return clerk(question)
}

flow direct(question) -> text(60) {
  hits = search(question)
  best = first(hits) else Hit(id: "", snippet: "")
  found = read(best.id)
  return found else "nothing"
}
"""

CORPUS = """
[tools]
"docs.search" = { kind = "search", path = "corpus" }
"docs.read" = { kind = "read", path = "corpus" }
"math.calculate" = "calculator"
"""


def test_built_in_tools_in_a_run(tmp_path: Path) -> None:
    documents = {"corpus/a.txt": "The fox has 3 cubs.", "corpus/b.txt": "The hen has 12 eggs."}
    path = write(tmp_path, SEARCHING, documents, CORPUS)
    model = ScriptedModel(
        {
            "clerk": [
                {"tool": "search", "arguments": {"query": "eggs of hens"}},
                {"tool": "read", "arguments": {"id": "b.txt"}},
                {"tool": "calculate", "arguments": {"expression": "12 / 0"}},
                {"answer": "12"},
            ]
        }
    )
    loaded = masdsl.load(path, models=model)
    assert loaded.main.sync("How many eggs?") == "12"
    told = [request.messages[-1].content.split("\n\nYou ")[0] for request in model.requests[1:]]
    assert told[0].startswith("`search` returned:\n")
    assert "b.txt" in told[0] and "The hen has 12 eggs." in told[0]
    assert told[1:] == [
        "`read` returned:\nThe hen has 12 eggs.",
        "`calculate` failed: at character 7: nothing can be divided by 0.",
    ]
    assert loaded.direct.sync("cubs of the fox") == "The fox has 3 cubs."
    assert loaded.direct.sync("zebra") == "nothing"


def test_mas_run_shows_the_declaration_of_a_tool_that_cannot_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, SEARCHING, config=CORPUS)
    assert main(["run", str(path), "--flow", "direct", "question=x", "--no-journal"]) == 4
    shown = capsys.readouterr().err
    assert "error[MAS124]: the tool `search` cannot be used: there is no folder or file" in shown
    assert f"{path}:5:1" in shown
    assert "granted is the built-in `search`" in shown


def test_a_corpus_that_is_missing_ends_the_run_before_it_costs_anything(tmp_path: Path) -> None:
    path = write(tmp_path, SEARCHING, config=CORPUS)
    model = ScriptedModel({"clerk": [{"answer": "12"}]})
    with pytest.raises(masdsl.runtime.RunFailed, match=r'tool search: "docs.search": there is no folder'):
        masdsl.load(path, models=model).main.sync("How many eggs?")
    assert model.requests == []


def test_a_grant_that_differs_from_what_the_standard_library_needs_is_told_at_the_use(tmp_path: Path) -> None:
    path = tmp_path / "p.mas"
    path.write_text(
        "mas 1\nuse std.code: run_python\nflow main(q) -> text(300) {\n  done = run_python(q)\n  return done.log\n}\n"
    )
    (tmp_path / "mas.toml").write_text('[tools]\n"sandbox.python" = "calculator"\n')
    (found,) = masdsl.check(path)
    assert found.source.name == str(path) and found.source.slice(found.diagnostic.span) == "run_python"
    assert found.diagnostic.title() == "the tool `std.code.run_python` has an input `code`, which it does not take"
    assert found.diagnostic.help() == 'grant a tool as "sandbox.python" that is like `std.code.run_python`'


IN_A_LOOP = """mas 1
use std.code: test_and_fix
agent coder(problem) -> text
  "Write the function of {{ problem }}."
flow main(problem, tests) -> text(1500) {
  drafts = []
  loop 3 {
    draft = coder(problem)
    drafts += [draft]
    result = test_and_fix(problem, draft, tests, rounds: 3)
  }
  return first(drafts) else ""
}
"""


def test_a_missing_grant_that_is_first_met_in_a_loop_is_told() -> None:
    # the body is checked more than once, and what its first rounds report is forgotten
    findings = Findings()
    check_source(Source("x.mas", IN_A_LOOP), DEFAULT, findings)
    assert "MAS121" in [one.diagnostic.code for one in findings.sorted()]


def test_a_fault_of_a_flow_that_is_first_met_in_a_loop_is_told() -> None:
    text = IN_A_LOOP.replace("use std.code: test_and_fix\n", "type Pair { a: text(9), a: text(9) }\n").replace(
        "    result = test_and_fix(problem, draft, tests, rounds: 3)\n", "    result = helped(draft)\n"
    )
    helper = "flow helped[n = 2](given) -> text {\n  pair = Pair(a: given)\n  return given + missing\n}\n"
    findings = Findings()
    check_source(Source("x.mas", text.replace("flow main", f"{helper}flow main")), DEFAULT, findings)
    codes = [one.diagnostic.code for one in findings.sorted()]
    assert "MAS101" in codes, codes
