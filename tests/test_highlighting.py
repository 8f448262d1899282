"""Highlighting outside of the language server: Pygments, and the files of `editors/` that are made from the grammar."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

pytest.importorskip("pygments", reason="Pygments is not here: pip install -e '.[dev]'")

from pygments.token import Comment, Error, Keyword, Name, String

from masdsl.editor.words import unclassified
from masdsl.pygments_lexer import MasLexer
from tests.harness import editor_files

ROOT = Path(__file__).resolve().parent.parent
EDITORS = ROOT / "editors"
PROGRAMS = [*sorted((ROOT / "examples").glob("*/*.mas")), *sorted((ROOT / "stdlib").glob("*.mas"))]

SAMPLE = '''mas 1
## What comes.
type Kind = math | other
tool search(on: text) -> text from "docs.search" effect
agent solver[T](max, items: T[3]) -> Kind on fast temp 0.5
  """
  {# a note #}{% for item in items %}{{ item.name|upper }} "said"{% endfor %} \\u{1F600}
  """
flow main(calls: int) -> Kind {
  at = calls + 1  # here
  x = 3 of solver(max: "{{ no }}", items: [])
  return x[0] else Kind.other
}
'''


def test_every_word_of_the_grammar_is_in_one_group() -> None:
    assert unclassified() == frozenset()


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_pygments_knows_every_character_of_every_program(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tokens = list(MasLexer().get_tokens_unprocessed(text))
    assert "".join(part for _, _, part in tokens) == text
    assert [text[max(0, at - 20) : at + 20] for at, kind, _ in tokens if kind is Error] == []


def test_pygments_tells_words_apart() -> None:
    found = {(str(kind), text) for _, kind, text in MasLexer().get_tokens_unprocessed(SAMPLE)}
    for kind, text in (
        (String.Doc, "## What comes."),
        (Comment.Single, "# here"),
        (Comment.Multiline, "{# a note #}"),
        (Keyword.Declaration, "agent"),
        (Name.Function, "solver"),
        (Name.Class, "Kind"),
        (Keyword, "on"),  # the attribute
        (Name, "on"),  # a parameter of that name
        (Keyword, "effect"),
        (Name, "max"),
        (Name, "calls"),
        (Name, "at"),
        (Keyword, "of"),
        (String.Interpol, "{%"),
        (Keyword, "endfor"),
        (Name.Builtin, "upper"),
        (Name.Attribute, "name"),
        (String.Escape, "\\u{1F600}"),
    ):
        assert (str(kind), text) in found, (kind, text)


def test_the_entry_point_is_the_lexer_and_fences_find_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, name = project["entry-points"]["pygments.lexers"]["mas"].partition(":")
    assert getattr(import_module(module), name) is MasLexer
    assert "mas" in MasLexer.aliases and MasLexer.filenames == ["*.mas"]


@pytest.mark.parametrize("path", [path for path, _ in editor_files.files()], ids=lambda path: path.name)
def test_the_files_of_editors_are_those_of_the_grammar(path: Path) -> None:
    made = dict(editor_files.files())[path]
    assert path.read_text(encoding="utf-8") == made, "out of date; run: python -m tests.regen"


def test_the_extension_has_what_it_names() -> None:
    folder = EDITORS / "vscode"
    package = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    contributes = package["contributes"]
    for part in (*contributes["grammars"], *({"path": one["configuration"]} for one in contributes["languages"])):
        json.loads((folder / part["path"]).read_text(encoding="utf-8"))
    client = (folder / "extension.js").read_text(encoding="utf-8")
    registered = set(re.findall(r'registerCommand\("([^"]+)"', client))
    assert registered == {one["command"] for one in contributes["commands"]} | {"mas.runInTerminal"}
    assert (
        '"mas.command"' in client
        and '.get("command")' in client
        and "mas.command" in contributes["configuration"]["properties"]
    )
    lock = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))
    assert lock["packages"][""]["devDependencies"] == package["devDependencies"]
    assert "resolved" not in json.dumps(lock)


VIM = """
set nocompatible
set rtp^={folder}
filetype plugin on
syntax on
edit {file}
let found = []
for line in range(1, line('$'))
  for column in range(1, len(getline(line)))
    call add(found, line . ' ' . column . ' ' . synIDattr(synID(line, column, 1), 'name'))
  endfor
endfor
call writefile(found, '{out}')
qa!
"""


@pytest.mark.skipif(shutil.which("vim") is None, reason="vim is not here")
def test_vim_shows_what_words_are(tmp_path: Path) -> None:
    program, script, out = tmp_path / "x.mas", tmp_path / "x.vim", tmp_path / "out"
    program.write_text(SAMPLE, encoding="utf-8")
    script.write_text(VIM.format(folder=EDITORS / "vim", file=program, out=out), encoding="utf-8")
    subprocess.run(["vim", "-Nu", str(script), "-es"], check=False, timeout=60, stdin=subprocess.DEVNULL)
    found = {}
    for entry in out.read_text(encoding="utf-8").splitlines():
        line, column, *group = entry.split(" ")
        found[int(line), int(column)] = group[0]
    lines = SAMPLE.split("\n")

    def group(line: int, word: str) -> str:
        return found[line, lines[line - 1].index(word) + 1]

    assert group(2, "##") == "masDoc"
    assert group(3, "type") == "masDeclaration" and group(3, "Kind") == "masType"
    assert group(4, "on:") == "" and group(4, "effect") == "masPlaced" and group(4, '"docs') == "masString"
    assert group(5, "on fast") == "masPlaced" and group(5, "max") == ""
    assert group(7, "{#") == "masNote" and group(7, "{%") == "masMark" and group(7, "endfor") == "masTagWord"
    assert group(8, '"""') == "masString" and group(9, "flow") == "masDeclaration"
    assert group(10, "at") == "" and group(11, "of") == "masControl"
