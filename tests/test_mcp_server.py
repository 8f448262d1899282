"""`mas mcp`, asked by the official client over its standard input and output."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from masdsl.mcp_server.answers import BadQuestion, Root, check

pytest.importorskip("mcp", reason="the official package is not installed: pip install 'masdsl[mcp]'")

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

ROOT = Path(__file__).parent.parent

GOOD = """\
mas 1

agent solver(task) -> text(40)
  "Solve: {{ task }}"

flow main(task) -> text(40) {
  answer = solver(task)
  return answer
}
"""
BAD = GOOD.replace("solver(task)\n  return", "solvr(task)\n  return")


def ask(folder: Path, questions: Callable[[Any], Awaitable[Any]]) -> Any:
    async def talk() -> Any:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = StdioServerParameters(
            command=sys.executable, args=["-m", "masdsl", "mcp", "--root", str(folder)], env=environment
        )
        async with Client(stdio_client(command)) as client:
            return await questions(client)

    return asyncio.run(talk())


def text_of(result: Any) -> str:
    return "".join(one.text for one in result.content if one.type == "text")


def test_what_a_coding_agent_does(tmp_path: Path) -> None:
    (tmp_path / "prog.mas").write_text(BAD)
    (tmp_path / "mas.toml").write_text("[budget]\ncalls = 50\n")

    async def work(client: Any) -> None:
        tools = {one.name: one for one in (await client.list_tools()).tools}
        assert set(tools) == {"check", "cost", "format", "fix", "patch", "diff", "explain", "graph"}
        assert all(one.annotations.read_only_hint for one in tools.values())
        assert all(one.description for one in tools.values())
        found = json.loads(text_of(await client.call_tool("check", {"path": "prog.mas"})))
        assert not found["ok"]
        assert [one["code"] for one in found["findings"]] == ["MAS102"]
        assert "did you mean `solver`?" in found["text"]
        page = text_of(await client.call_tool("explain", {"code": "MAS102"}))
        assert "MAS102" in page
        mended = json.loads(text_of(await client.call_tool("fix", {"path": "prog.mas", "suggested": True})))
        assert mended["ok"] and mended["program"] == GOOD
        assert (tmp_path / "prog.mas").read_text() == BAD, "nothing is written"
        cost = json.loads(text_of(await client.call_tool("cost", {"program": GOOD})))
        assert cost["flows"][0]["most"]["calls"] == 1
        patch = text_of(await client.call_tool("diff", {"before": GOOD, "after": GOOD.replace("Solve:", "Work out:")}))
        assert patch.startswith("patch 1")
        done = json.loads(text_of(await client.call_tool("patch", {"program": GOOD, "patch": patch})))
        assert "Work out:" in done["program"]
        assert done["worst_case"]["before"]["main"]["calls"] == done["worst_case"]["after"]["main"]["calls"] == 1
        layout = text_of(await client.call_tool("format", {"program": GOOD.replace("  answer", "      answer")}))
        assert layout == GOOD
        picture = text_of(await client.call_tool("graph", {"program": GOOD}))
        assert "flowchart" in picture and "solver" in picture
        guide = await client.read_resource("mas://guide")
        assert "flow main" in guide.contents[0].text

    ask(tmp_path, work)


CANNOT: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("check", {}, "no program is given"),
    ("check", {"path": "../secret.mas"}, "outside of the folder"),
    ("check", {"path": "/etc/passwd"}, "outside of the folder"),
    ("check", {"path": "none.mas"}, "cannot read"),
    ("cost", {"program": BAD}, "MAS102"),
    ("format", {"program": "mas 1\nflow {"}, "MAS010"),
    ("patch", {"program": GOOD, "patch": "patch 1\ndrop main.nothing\n"}, "MAS802"),
    ("patch", {"program": GOOD, "patch": "no patch"}, "error"),
    ("diff", {"before": GOOD, "after": "mas"}, "error"),
    ("graph", {"program": BAD}, "MAS102"),
    ("graph", {"program": GOOD, "flow": "other"}, "there are: main"),
    ("explain", {"code": "MAS99999"}, "MAS99999"),
)


def test_a_question_that_cannot_be_answered_says_why(tmp_path: Path) -> None:
    async def work(client: Any) -> None:
        for tool, arguments, said in CANNOT:
            result = await client.call_tool(tool, arguments)
            assert result.is_error, (tool, arguments)
            assert said in text_of(result)
            assert "Traceback" not in text_of(result)
        assert json.loads(text_of(await client.call_tool("check", {"program": GOOD})))["ok"], "it goes on"

    ask(tmp_path, work)


def test_a_link_out_of_the_folder_is_no_way_out(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret.mas").write_text(GOOD)
    (inside / "link.mas").symlink_to(tmp_path / "secret.mas")
    with pytest.raises(BadQuestion, match="outside of the folder"):
        Root(str(inside)).read(None, "link.mas")


def test_an_unsaved_text_is_checked_beside_its_imports(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "helper.mas").write_text(GOOD.replace("flow main", "flow solve"))
    text = "mas 1\n\nuse helper: solve\n\nflow main(task) -> text(40) {\n  said = solve(task)\n  return said\n}\n"
    root = Root(str(tmp_path))
    assert check(root.read(text, "lib/new.mas"))["ok"]
    assert not check(root.read(text, None))["ok"]


def test_the_configuration_of_the_folder_holds(tmp_path: Path) -> None:
    (tmp_path / "mas.toml").write_text("[budget]\ncalls = 0\n")
    assert not check(Root(str(tmp_path)).read(GOOD, "x.mas"))["ok"]
    (tmp_path / "mas.toml").write_text("[budget]\ncalls = many\n")
    assert not check(Root(str(tmp_path)).read(GOOD, "x.mas"))["ok"]


def test_a_large_and_wrong_text_is_answered_in_bounds(tmp_path: Path) -> None:
    text = "mas 1\n" + "".join(f"flow f{n}(x) -> text {{ return y{n} }}\n" for n in range(3_000))
    found = check(Root(str(tmp_path)).read(text, None))
    assert not found["ok"]
    assert len(json.dumps(found)) < 1_000_000
    assert "cut; mend these first" in found["text"] or len(found["text"]) < 20_000


def test_a_folder_that_is_none_is_told() -> None:
    command = [sys.executable, "-m", "masdsl", "mcp", "--root", "/nowhere"]
    told = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, stdin=subprocess.DEVNULL)
    assert told.returncode == 2
    assert "is no folder" in told.stderr
