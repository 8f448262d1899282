"""`mas tools`: what is granted, whether it works, what servers offer."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import masdsl
from masdsl.cli import main
from masdsl.tools.mcp_schema import ServerTool, declaration
from tests.harness.programs import write

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = """mas 1

tool search(query) -> text(60)[5] from "docs.search"
tool look(query, n: int) -> text from "web.look"

flow main(q) -> text { return look(q, 1) }
"""
CONFIG = """
[tools]
"docs.search" = { kind = "search", path = "corpus" }
"web.look" = "looker_of_the_command:look"
"web.get" = { kind = "http", allow = ["docs.python.org"] }
"shop.order" = { kind = "host", effect = true }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {
        "looker_of_the_command.py": "def look(query: str, n: int) -> str:\n    return query\n",
        "corpus/a.txt": "A.",
    }
    write(tmp_path, PROGRAM, files, CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def mas(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str]]:
    code = main(["tools", *arguments])
    return code, capsys.readouterr().out.splitlines()


def test_grants_are_listed_without_being_used(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "looker_of_the_command.py").write_text("raise SystemExit")
    assert mas(capsys) == (
        0,
        [
            "docs.search  the built-in `search` of corpus",
            "web.look     the Python function `looker_of_the_command:look`",
            "web.get      the built-in `http` for docs.python.org",
            "shop.order   what the Python program around passes, with an effect",
        ],
    )


def test_of_a_program_only_its_own_tools_are_listed_and_tried(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = mas(capsys, "--check", "program.mas")
    assert code == 0
    assert lines[0] == "docs.search  works    the built-in `search` of corpus"
    assert lines[1].strip().startswith("(query: text, limit: int = ..) -> Item[..], type Item { id: text, ")
    assert lines[2:] == [
        "web.look     works    the Python function `looker_of_the_command:look`",
        "             (query: str, n: int) -> str",
    ]


def test_what_cannot_be_used_is_said_with_its_reason(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "corpus" / "a.txt").unlink()
    (folder / "mas.toml").write_text(CONFIG.replace("looker_of_the_command:look", "looker_of_the_command:nothing"))
    code, lines = mas(capsys, "--check")
    assert code == 1
    assert "docs.search  fails    the built-in `search` of corpus" in lines
    assert any("has no documents" in line for line in lines)
    assert any("`looker_of_the_command:nothing` cannot be imported: AttributeError" in line for line in lines)
    assert "shop.order   left     what the Python program around passes, with an effect" in lines


def test_declarations_are_compared(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "program.mas").write_text(PROGRAM.replace("n: int", "n: float").replace("look(q, 1)", "look(q, 1.0)"))
    code, lines = mas(capsys, "--check", "program.mas")
    assert code == 1
    assert any("MAS122" in line for line in lines)
    assert any("passes float as `n`, and the function takes int" in line for line in lines)


def test_without_grants_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mas.toml").write_text("")
    assert mas(capsys) == (0, ["no tools are granted (mas.toml)"])
    (tmp_path / "mas.toml").write_text("[tools]\nx = 3\n")
    code, lines = mas(capsys)
    assert code == 1 and any("MAS503" in line for line in lines)


SERVER = f"""
[tools]
"s.greet" = {{ kind = "mcp", server = "s" }}
"s.t" = {{ kind = "mcp", server = "s" }}

[mcp.s]
command = [{sys.executable!r}, "-m", "tests.harness.mcp_server", "hostile", "good"]
env = ["PYTHONPATH"]
"""


def test_the_tools_of_a_server_are_shown_as_declarations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mcp", reason="tools of MCP servers need the extra masdsl[mcp]")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    write(tmp_path, 'mas 1\ntool t(qury) -> text from "s.t"\nflow main() -> text { return t("a") }\n', config=SERVER)
    assert mas(capsys, "--server", "s") == (
        0,
        [
            'tool t(query: text?) -> text from "s.t"',
            "",
            "[tools]",
            '"s.t" = { kind = "mcp", server = "s", tool = "t" }',
        ],
    )
    code, lines = mas(capsys, "--check", "program.mas")
    assert code == 1
    assert lines[0] == "s.t  works    the tool `t` of the MCP server `s`"
    assert any("has an input `qury`, which the server's tool does not take" in line for line in lines)
    code, lines = mas(capsys, "--check")
    assert code == 1
    assert any("the MCP server `s` has no tool `greet`" in line for line in lines)
    assert main(["tools", "--server", "x"]) == 2


def test_a_server_that_cannot_be_used_is_an_error_with_its_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mcp", reason="tools of MCP servers need the extra masdsl[mcp]")
    monkeypatch.chdir(tmp_path)
    Path("mas.toml").write_text('[mcp.s]\ncommand = ["no-such-program-anywhere"]\n')
    assert main(["tools", "--server", "s"]) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.startswith(
        "mas: the MCP server `s` cannot be used: `no-such-program-anywhere` cannot be"
    )
    assert error.endswith("; mend [mcp.s], or what it names\n")


@pytest.mark.parametrize(
    ("inputs", "output", "written"),
    [
        ({"a": {"type": "string"}, "b": {"type": "integer"}}, None, "(a: text, b: int?) -> text"),
        (
            {"a": {"type": "array", "items": {"type": "number"}}},
            {"result": {"type": "boolean"}},
            "(a: float[20]) -> bool",
        ),
        ({"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}, None, "(a: text) -> text"),
        (
            {"a": {"type": "object"}},
            {"x": {"type": "integer"}, "y": {"type": "string"}},
            "(a: text) -> (x: int, y: text)",
        ),
    ],
)
def test_a_declaration_that_is_shown_is_one(inputs: dict[str, object], output: object, written: str) -> None:
    schema = {"type": "object", "properties": inputs, "required": ["a"]}
    result = None if output is None else {"type": "object", "properties": output}
    shown = declaration(ServerTool("t", schema, result), "t", "s.t")
    assert shown == f'tool t{written} from "s.t"'
    text = f"mas 1\n{shown}\nflow main(x) -> text {{ return x }}\n"
    assert masdsl.format(text)
