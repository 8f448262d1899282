"""Tools of MCP servers: a real one over both of its ways, and ones that misbehave."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import masdsl
from masdsl.journal import MemoryJournal
from masdsl.runtime import RunFailed
from masdsl.tools.base import Declared
from masdsl.tools.mcp_schema import ServerTool, arguments_for, mismatches
from masdsl.types import Bool, Enum, Float, Int, List, Optional, Record, Text, Type
from tests.harness.faulty_server import FaultyServer, echo_key
from tests.harness.mcp_server import SECRET
from tests.harness.programs import write

ROOT = Path(__file__).resolve().parent.parent
VALUE = "hunter2-hunter2"

# ---------------------------------------------------------------- schemas, without a server


def schema(required: tuple[str, ...] = (), others: Any = None, **properties: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "object", "properties": properties, "required": list(required)}
    return found if others is None else {**found, "additionalProperties": others}


def problems(tool: ServerTool, returns: Type | None = None, effect: bool = False, **inputs: Type) -> list[str]:
    declared = Declared("t", "t", inputs, frozenset(), returns or Text(9), effect, 60.0)
    return [f"{one.where}: {one.problem}" for one in mismatches(tool, declared)]


WORDS = Enum("Mood", "", ("good", "bad"))


@pytest.mark.parametrize(
    ("wanted", "kind", "fits"),
    [
        ({"type": "string"}, Text(9), True),
        ({"type": "string"}, WORDS, True),
        ({"type": "string", "enum": ["good", "bad", "odd"]}, WORDS, True),
        ({"type": "string", "enum": ["good"]}, WORDS, False),
        ({"type": "string", "enum": ["good"]}, Text(9), False),
        ({"type": "string"}, Int(), False),
        ({"type": "integer"}, Int(), True),
        ({"type": "number"}, Int(), True),
        ({"type": "integer"}, Float(), False),
        ({"type": "number"}, Float(), True),
        ({"type": "boolean"}, Bool(), True),
        ({"type": "boolean"}, Int(), False),
        ({"type": ["string", "null"]}, Optional(Text(9)), True),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, Optional(Int()), True),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, Text(9), True),
        ({"type": "array", "items": {"type": "string"}}, List(Text(9), 0, 3), True),
        ({"type": "array", "items": {"type": "string"}}, List(Int(), 0, 3), False),
        ({"type": "array"}, List(Int(), 0, 3), True),
        ({"$ref": "#/$defs/P"}, Record("P", "", (("x", Int()),)), True),
        ({"$ref": "#/$defs/P"}, Record("P", "", (("x", Text(9)),)), False),
        ({"$ref": "#/$defs/P"}, Int(), False),
        ({"$ref": "#/$defs/Loop"}, Int(), True),
        ({"$ref": "https://elsewhere/"}, Int(), True),
        ({}, Int(), True),
        (True, Int(), True),
        ({"type": "object"}, Text(9), False),
    ],
)
def test_what_an_input_takes(wanted: Any, kind: Type, fits: bool) -> None:
    definitions = {
        "P": {"type": "object", "properties": {"x": {"type": "integer"}}},
        "Loop": {"$ref": "#/$defs/Loop"},
    }
    tool = ServerTool("t", {**schema(a=wanted), "$defs": definitions})
    assert (problems(tool, a=kind) == []) == fits


def test_names_and_what_is_required() -> None:
    tool = ServerTool("t", schema(("a",), a={"type": "string"}, b={"type": "integer"}))
    assert problems(tool, a=Text(9)) == problems(tool, a=Text(9), b=Int()) == []
    assert problems(tool, a=Text(9), b=Optional(Int())) == []  # none is left out
    assert problems(tool, a=Optional(Text(9))) == ["a: passes text? as `a`, and the server's tool takes text"]
    assert problems(tool, b=Int()) == ["None: lacks the input `a`, which the server's tool requires"]
    assert problems(tool, a=Text(9), c=Int()) == ["c: has an input `c`, which the server's tool does not take"]
    open_tool = ServerTool("t", schema((), True, a={"type": "string"}))
    assert problems(open_tool, anything=Int()) == []
    assert arguments_for(tool, {"a": "x", "b": None}) == {"a": "x"}
    nullable = ServerTool("t", schema(("a",), a={"type": ["string", "null"]}))
    assert arguments_for(nullable, {"a": None}) == {"a": None}


def test_results_and_effects() -> None:
    point = schema(x={"type": "integer"}, y={"type": "string"})
    tool = ServerTool("t", schema(), point)
    assert problems(tool, Record(None, "", (("x", Int()),))) == []
    assert problems(tool, Record(None, "", (("z", Int()),))) == [
        ": gives a field `z`, which the server's tool does not give"
    ]
    assert problems(tool, Record(None, "", (("z", Optional(Int())),))) == []
    assert problems(tool, Record(None, "", (("y", Int()),))) == [
        ": gives the field `y` of type int, and the server's tool gives text"
    ]
    assert problems(tool, Text(9)) == []
    wrapped = ServerTool("t", schema(), schema(result={"type": "integer"}))
    assert problems(wrapped, Float()) == []
    assert problems(wrapped, Bool()) == [": gives bool, and the server's tool gives int"]
    changing = ServerTool("t", schema(), changes=True)
    assert problems(changing) == ["None: is declared without `effect`, and the server says that it changes the world"]
    assert problems(changing, effect=True) == []
    harmless = Declared("t", "t", {}, frozenset(), Text(9), False, 60.0)
    assert list(mismatches(changing, harmless, False)) == []
    assert len(list(mismatches(ServerTool("t", schema()), harmless, True))) == 1


# ---------------------------------------------------------------- a real server

PROGRAM = """mas 1

type Mood = good | bad
type Point {{ x: int, y: int, name: text(20)? }}

tool plus(a: int, b: int?) -> int from "s.plus"
tool greet(name, mood: Mood) -> text(40) from "s.greet"
tool mirror(point: Point, names: text(9)[3]) -> Point from "s.mirror"
tool order(item) -> bool from "s.order" effect
tool big(size: int) -> text(40) from "s.big"
tool fail(query) -> text(90) else "" from "s.fail"
tool environment() -> text(40)[99] from "s.environment"
tool leave_behind() -> int from "s.leave_behind"
tool pid() -> int from "s.pid"

flow main() -> {returns} {{
{body}
}}
"""
GRANTS = "[tools]\n" + "".join(
    f's.{name} = {{ kind = "mcp", server = "s" }}\n'
    for name in ["plus", "greet", "mirror", "order", "big", "fail", "environment", "leave_behind", "pid"]
)
STDIO = f"\n[mcp.s]\ncommand = [{sys.executable!r}, '-m', 'tests.harness.mcp_server'{{more}}]\n"


@pytest.fixture(autouse=True)
def sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv(SECRET, VALUE)


def load(folder: Path, body: str, returns: str = "text", config: str | None = None) -> Any:
    pytest.importorskip("mcp", reason="tools of MCP servers need the extra masdsl[mcp]")
    config = GRANTS + STDIO.format(more="") + f'env = ["{SECRET}", "PYTHONPATH"]\n' if config is None else config
    return masdsl.load(write(folder, PROGRAM.format(body=body, returns=returns), config=config)).main


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a server over HTTP."""
    pytest.importorskip("mcp", reason="tools of MCP servers need the extra masdsl[mcp]")
    command = [sys.executable, "-m", "tests.harness.mcp_server", "0"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), SECRET: VALUE}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/mcp"
        process.kill()


EVERYTHING = """
  three = plus(1, none)
  more = plus(three, 4)
  words = greet("Ada", Mood.bad)
  point = mirror(Point(x: 1, y: more), ["a", "b"])
  done = order("tea")
  return (words: words, point: point, done: done)
"""


@pytest.mark.parametrize("way", ["stdio", "http"])
def test_tools_of_a_server(way: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    config = None
    if way == "http":
        config = GRANTS + f'\n[mcp.s]\nurl = "{request.getfixturevalue("address")}"\nkey_env = "{SECRET}"\n'
    main = load(tmp_path, EVERYTHING, "(words: text(40), point: Point, done: bool)", config)
    value = main.sync()
    assert value.words == "Hello, Ada! I am bad."
    assert (value.point.x, value.point.y, value.point.name) == (7, 1, "a,b")
    assert value.done is True


def test_a_run_has_one_server_with_the_variables_that_are_named_and_nothing_of_it_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_API_KEY", "something")
    body = """
  names = environment()
  a = pid()
  b = pid()
  child = leave_behind()
  failed = fail("tea")
  return (pids: [a, b, child], names: names)
"""
    result = load(tmp_path, body, "(pids: int[3], names: text(40)[99])").run_sync()
    first, second, child = result.value.pids
    assert first == second
    assert SECRET in result.value.names
    assert "OTHER_API_KEY" not in result.value.names
    (failure,) = [event.detail for event in result.events if event.name == "fail" and event.kind == "called"]
    assert failure.endswith("no tea, and my key is [key]")
    for process in (first, child):
        for _ in range(100):  # a process that was killed is gone when its new parent has noticed
            if not _is_alive(process):
                break
            time.sleep(0.05)
        assert not _is_alive(process)


def test_over_http_an_answer_has_its_cap_and_a_key_is_never_shown(tmp_path: Path, address: str) -> None:
    config = f'{GRANTS}\n[mcp.s]\nurl = "{address}"\nkey_env = "{SECRET}"\nbytes = 20000\n'
    assert load(tmp_path, "  return big(5000)", "text(40)", config).sync().startswith("xxx")
    with pytest.raises(RunFailed, match=r"main\.return: "):
        load(tmp_path, "  return big(200000)", "text(40)", config).sync()
    with FaultyServer() as server:
        server.will(echo_key)
        config = f'{GRANTS}\n[mcp.s]\nurl = "{server.url}"\nkey_env = "{SECRET}"\n'
        with pytest.raises(
            RunFailed, match="the MCP server `s` at http://127.0.0.1:[0-9]+/v1 cannot be used: "
        ) as raised:
            load(tmp_path, "  return big(5)", "text(40)", config).sync()
    assert server.requests[0].headers["authorization"] == f"Bearer {VALUE}"
    assert VALUE not in str(raised.value)


def test_an_effect_of_a_server_is_in_the_journal_before_it_happens(tmp_path: Path) -> None:
    journal = MemoryJournal()
    body = '  done = order("tea")\n  more = plus(1, 2)\n  return (done: done, more: more)'
    main = load(tmp_path, body, "(done: bool, more: int)")
    assert main.run_sync(journal=journal, run_id="r").value.done is True
    rows = [(row.kind, row.path) for row in journal.resume("r").rows() if row.path]
    assert rows.index(("intent", "main.done")) < rows.index(("tool", "main.done"))
    assert ("intent", "main.more") not in rows and ("tool", "main.more") in rows


def _is_alive(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat", encoding="ascii") as file:
            return file.read().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("config", "reason"),
    {
        "[mcp.s]\ncommand = ['no-such-program-anywhere']": "the MCP server"
        " `s` cannot be used: `no-such-program-anywhere` cannot be started: No such file",
        f"[mcp.s]\ncommand = [{sys.executable!r}, '-c', 'exit(\"bad configuration\")']": "the MCP server"
        " `s` cannot be used: it ended; its last words: bad configuration",
        f"[mcp.s]\ncommand = [{sys.executable!r}, '-c', 'import time; time.sleep(9)']\ntimeout = 0.5": "the MCP server"
        " `s` is not ready after 0.5 s",
        "[mcp.s]\nurl = 'http://127.0.0.1:1/mcp?key=hidden'": "the MCP server"
        " `s` at http://127.0.0.1:1/mcp cannot be used: ",
        "[mcp.s]\nurl = 'http://[::1/mcp'": "the MCP server `s` cannot be used: ",
        "[mcp.s]\nurl = 'http://127.0.0.1:1/mcp'\nkey_env = 'NOT_SET_ANYWHERE'": "the environment variable"
        " NOT_SET_ANYWHERE is not set: the MCP server `s` needs it",
    }.items(),
)
def test_a_server_that_cannot_be_connected_ends_the_run_before_it_begins(
    config: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(RunFailed) as raised:
        load(tmp_path, '  return greet("a", Mood.good)', config=GRANTS + config).sync()
    assert f'"s.plus": {reason}' in str(raised.value)
    assert [event.kind for event in raised.value.result.events if event.kind == "called"] == []


# ---------------------------------------------------------------- servers that misbehave

HOSTILE = {
    "good": ("int", "7"),
    "loud": ("int", "7"),
    "hang": ("int", "no result within 1 s"),
    "die": ("int", "the MCP server `s` broke off: it ended; its last words: dying with [key]"),
    "silent": ("int", "is not ready after 1 s"),
    "endless": ("int", "it sent a message of more than 100000 bytes"),
    "malformed": ("int", "content"),
    "picture": ("text(9)", "it gave no text, but image"),
    "number": ("int", "it gave text, and int is declared"),
}


def load_hostile(how: str, folder: Path, body: str, returns: str) -> Any:
    pytest.importorskip("mcp", reason="tools of MCP servers need the extra masdsl[mcp]")
    seconds = 1 if how == "hang" else 5
    program = (
        f'mas 1\ntool t(query) -> {returns} from "s.t" timeout {seconds}\nflow main() -> {returns} {{\n{body}\n}}\n'
    )
    config = '[tools]\ns.t = { kind = "mcp", server = "s" }\n' + STDIO.format(more=f", 'hostile', '{how}'")
    config += f'env = ["PYTHONPATH", "{SECRET}"]\nbytes = 100000\ntimeout = {1 if how == "silent" else 20}\n'
    return masdsl.load(write(folder, program, config=config)).main


@pytest.mark.parametrize("how", HOSTILE)
def test_whatever_a_server_does_the_run_ends_with_a_reason_that_shows_no_secret(how: str, tmp_path: Path) -> None:
    returns, expected = HOSTILE[how]
    main = load_hostile(how, tmp_path, '  return t("a")', returns)
    if expected == "7":
        assert main.sync() == 7
        return
    with pytest.raises(RunFailed) as raised:
        main.sync()
    assert expected in str(raised.value)
    assert VALUE not in str(raised.value)


def test_a_server_that_died_is_started_again_a_few_times(tmp_path: Path) -> None:
    body = '  a = t("die") else "die"\n  b = t(a) else "+"\n  return t(b)'
    assert load_hostile("mortal", tmp_path, body, "text(9)").sync() == "7"
    body = '  a = t("die") else "die"\n  b = t(a) else "die"\n  c = t(b) else "d"\n  return t(c)'
    with pytest.raises(RunFailed, match="the MCP server `s` broke off 3 times"):
        load_hostile("mortal", tmp_path, body, "text(9)").sync()


def test_a_declaration_that_differs_is_found_when_the_server_is_connected(tmp_path: Path) -> None:
    pytest.importorskip("mcp", reason="tools of MCP servers need the extra masdsl[mcp]")
    program = 'mas 1\ntool t(qury) -> text(9) from "s.t"\nflow main() -> text(9) { return t("a") }\n'
    config = '[tools]\ns.t = { kind = "mcp", server = "s" }\n' + STDIO.format(more=", 'hostile', 'good'")
    config += 'env = ["PYTHONPATH"]\n'
    with pytest.raises(RunFailed, match=r"its declaration has an input `qury`, .*; did you mean `query`\?"):
        masdsl.load(write(tmp_path, program, config=config)).main.sync()
    config = config.replace('s.t = { kind = "mcp"', 's.t = { kind = "mcp", tool = "tt"')
    with pytest.raises(RunFailed, match=r"the MCP server `s` has no tool `tt`; did you mean `t`\?"):
        masdsl.load(write(tmp_path, program, config=config)).main.sync()


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    program = 'mas 1\ntool t(query) -> text from "s.t"\nflow main() -> text { return t("a") }\n'
    config = '[tools]\ns.t = { kind = "mcp", server = "s" }\n[mcp.s]\ncommand = ["x"]\n'
    with pytest.raises(RunFailed, match=r"need the package mcp: pip install 'masdsl\[mcp\]'"):
        masdsl.load(write(tmp_path, program, config=config)).main.sync()
