"""`mas lsp`, the syntax file and the tree-sitter grammar in a real editor: Neovim, without a screen."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
NVIM = shutil.which("nvim")
pytestmark = pytest.mark.skipif(NVIM is None, reason="Neovim is not installed: apt-get install neovim")
pytest.importorskip("pygls", reason="the language server's library is not here: pip install -e '.[lsp]'")

PROGRAM = '''mas 1

## Writes what is asked for.
agent writer(topic) -> text(100) on fast
  """
  Write about {{ topic }}.
  Be brief.
  """

agent critic(draft: text(100)) -> bool on fast
  "Is this good? {{ draft }}"

flow main(topic) -> text(100) {
  draft = writer(topics)
  refine: loop 3 {
    ok = critic(draft)
    until ok
    draft = writer(topic)
  }
  return draft
}
'''


def parser(folder: Path) -> Path | None:
    """Compile the tree-sitter grammar, as an editor's plugin does; None where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    made = folder / "mas.so"
    source = ROOT / "editors" / "tree-sitter-mas" / "src"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-I", source, source / "parser.c", "-o", made], check=True, timeout=250
    )
    return made


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What happened in the editor."""
    folder = tmp_path_factory.mktemp("neovim")
    program = folder / "program.mas"
    program.write_text(PROGRAM, encoding="utf-8")
    (folder / "mas.toml").write_text('[tiers]\nfast = "smollm2"\n', encoding="utf-8")
    compiled = parser(folder)
    environment = os.environ | {
        "MAS_FILE": str(program),
        "MAS_PYTHON": sys.executable,
        "MAS_SEEN": str(folder / "seen.json"),
        "MAS_QUERIES": str(ROOT / "editors" / "tree-sitter-mas" / "queries"),
        "PYTHONPATH": str(ROOT),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    if compiled is not None:
        environment["MAS_PARSER"] = str(compiled)
    assert NVIM is not None
    plugin = f"set runtimepath^={ROOT / 'editors' / 'vim'}"
    setup = ["--cmd", plugin, "-c", "filetype plugin indent on", "-c", "syntax on"]
    driver = ["-c", f"luafile {ROOT / 'tests' / 'harness' / 'neovim.lua'}"]
    run = subprocess.run(
        [NVIM, "--headless", "-u", "NONE", "-i", "NONE", "-n", *setup, *driver],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
        stdin=subprocess.DEVNULL,
    )
    written = folder / "seen.json"
    assert written.exists(), run.stderr
    found: dict[str, Any] = json.loads(written.read_text(encoding="utf-8"))
    assert "failed" not in found, f"{found['failed']}\n{run.stderr}"
    return found


def test_the_file_type_and_the_syntax_are_known(seen: dict[str, Any]) -> None:
    assert seen["filetype"] == "mas"
    assert seen["comments"].replace(" ", "") == "#%s"
    groups = seen["syntax"]
    assert all(groups.values()), groups
    assert len({groups["agent"], groups["## Writes"], groups["Write about"], groups["{{ topic"]}) >= 3, groups


def test_diagnostics_are_shown_and_a_code_action_mends_one(seen: dict[str, Any]) -> None:
    assert len(seen["diagnostics"]) == 1 and seen["diagnostics"][0].startswith("MAS")
    assert "topic" in seen["action"]
    assert seen["fixed"] == PROGRAM.replace("writer(topics)", "writer(topic)").rstrip("\n")


def test_completion_hover_definition_and_signature_answer(seen: dict[str, Any]) -> None:
    assert "writer" in seen["completion"]
    assert "Writes what is asked for." in seen["hover"] and "agent writer(topic)" in seen["hover"]
    assert seen["definition"] == 3
    assert seen["signature"].startswith("writer(topic")


def test_a_rename_and_the_formatting_change_the_text(seen: dict[str, Any]) -> None:
    renamed = PROGRAM.replace("topics", "topic").replace("writer", "author").rstrip("\n")
    assert seen["renamed"] == renamed
    assert seen["formatted"] == f"{renamed}\n\ntype Mood = happy | sad"


def test_the_tree_sitter_grammar_parses_and_highlights(seen: dict[str, Any]) -> None:
    if "captures" not in seen:
        pytest.skip("no C compiler to build the grammar with: apt-get install gcc")
    assert seen["tree_is_clean"]
    assert {"keyword", "comment", "string", "type"} <= {name.split(".")[0] for name in seen["captures"]}


def test_the_server_goes_when_the_editor_says_so(seen: dict[str, Any]) -> None:
    assert seen["stopped"]
