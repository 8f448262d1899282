"""Highlighting outside of the language server: Pygments, and the files of `editors/` that are made from the grammar."""

from __future__ import annotations

import ctypes
import hashlib
import json
import re
import shutil
import subprocess
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pygments", reason="Pygments is not here: pip install -e '.[dev]'")

from pygments.token import Comment, Error, Keyword, Name, String

from masdsl.editor.words import unclassified
from masdsl.pygments_lexer import MasLexer
from tests.harness import editor_files, tree_sitter

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
    found: dict[tuple[int, int], str] = {}
    for entry in out.read_text(encoding="utf-8").splitlines():
        at_line, at_column, *groups = entry.split(" ")
        found[int(at_line), int(at_column)] = groups[0]
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


# ---------------------------------------------------------------- tree-sitter

TREE_SITTER = EDITORS / "tree-sitter-mas"


def test_the_parser_of_tree_sitter_is_that_of_the_grammar() -> None:
    """Names of rules, words and signs are the same; making it again needs tree-sitter's command."""
    rules = json.loads((TREE_SITTER / "src" / "grammar.json").read_text(encoding="utf-8"))["rules"]
    parser = (TREE_SITTER / "src" / "parser.c").read_text(encoding="utf-8")
    table = parser[parser.index("ts_symbol_names[] = {") : parser.index("ts_symbol_map[]")]
    known = set(re.findall(r'= "((?:[^"\\]|\\.)*)",', table))
    made = set(re.findall(r"^  \[(?:anon_)?sym_(\w+)\] = ", table, re.MULTILINE))
    advice = "run `tree-sitter generate src/grammar.json` in editors/tree-sitter-mas"
    assert set(tree_sitter.strings(rules)) <= {name.replace("\\?", "?") for name in known}, advice
    assert set(rules) <= made, advice


def test_the_parser_was_made_from_the_grammar_that_is_here() -> None:
    """The hashes are written down when the parser is made: with another grammar, or by hand, they would differ."""
    recorded = [line.split() for line in (TREE_SITTER / "src" / "parser.sha256").read_text().splitlines()]
    assert [name for _, name in recorded] == ["grammar.json", "node-types.json", "parser.c"]
    for digest, name in recorded:
        made = hashlib.sha256((TREE_SITTER / "src" / name).read_bytes()).hexdigest()
        assert made == digest, f"{name} changed: make the parser again, as editors/tree-sitter-mas/README.md says"


def test_making_the_parser_again_gives_the_same(tmp_path: Path) -> None:
    command = shutil.which("tree-sitter")
    if command is None:
        pytest.skip("tree-sitter's command is not installed: npm install --global tree-sitter-cli (it loads a binary)")
    copy = tmp_path / "grammar"
    shutil.copytree(TREE_SITTER, copy)
    abi = re.search(r"#define LANGUAGE_VERSION (\d+)", (copy / "src" / "parser.c").read_text(encoding="utf-8"))
    assert abi is not None
    (copy / "src" / "parser.c").unlink()
    subprocess.run([command, "generate", "--abi", abi[1], "src/grammar.json"], cwd=copy, check=True, timeout=250)

    def tables(folder: Path) -> str:
        """Return what versions of the command write alike: the parse tables."""
        text = (folder / "src" / "parser.c").read_text(encoding="utf-8")
        return text[text.index("ts_parse_table[") : text.index("ts_parse_actions[")]

    assert tables(copy) == tables(TREE_SITTER)


@pytest.fixture(scope="module")
def parsing(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The language, compiled, and the binding of Python's."""
    binding = pytest.importorskip("tree_sitter", reason="tree-sitter's binding is not here: pip install -e '.[dev]'")
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler here")
    library = tmp_path_factory.mktemp("tree-sitter") / "mas.so"
    source = TREE_SITTER / "src"
    subprocess.run([compiler, "-shared", "-fPIC", "-I", source, "-o", library, source / "parser.c"], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.tree_sitter_mas.restype = ctypes.c_void_p
    capsule = ctypes.pythonapi.PyCapsule_New
    capsule.restype, capsule.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    language = binding.Language(capsule(loaded.tree_sitter_mas(), b"tree_sitter.Language", None))
    return binding, language


def test_tree_sitter_parses_every_program(parsing: Any) -> None:
    binding, language = parsing
    parser = binding.Parser(language)
    faulty = [str(path) for path in PROGRAMS if parser.parse(path.read_bytes()).root_node.has_error]
    assert faulty == []
    assert parser.parse(b"mas 1\nflow main( {").root_node.has_error


def test_tree_sitter_parses_bindings_and_patches(parsing: Any) -> None:
    binding, language = parsing
    parser = binding.Parser(language)
    for text in (
        'bind 1\nwriter = fast\ncritic = "openai/gpt-4o"\n',
        "patch 1\nset writer.retry = 2\ndrop main.refine\nwrap main.draft in if true\nrename main.loop.draft = text\n",
    ):
        assert not parser.parse(text.encode()).root_node.has_error, text


def test_the_query_of_tree_sitter_tells_words_apart(parsing: Any) -> None:
    binding, language = parsing
    query = binding.Query(language, (TREE_SITTER / "queries" / "highlights.scm").read_text(encoding="utf-8"))
    tree = binding.Parser(language).parse(SAMPLE.encode())
    assert not tree.root_node.has_error
    shown: dict[tuple[int, str], set[str]] = {}
    for capture, nodes in binding.QueryCursor(query).captures(tree.root_node).items():
        for node in nodes:
            shown.setdefault((node.start_point[0] + 1, node.text.decode()), set()).add(capture)
    assert "comment.documentation" in shown[2, "## What comes."]
    assert "type.definition" in shown[3, "Kind"] and "constant" in shown[3, "math"]
    assert "variable.parameter" in shown[4, "on"] and "keyword" in shown[4, "effect"]
    assert "keyword" in shown[5, "on"] and "function" in shown[5, "solver"] and "variable.parameter" in shown[5, "max"]
    assert "variable" in shown[10, "at"] and "variable" in shown[10, "calls"]
    assert "keyword" in shown[11, "of"] and "function.call" in shown[11, "solver"]
    binding.Query(language, (TREE_SITTER / "queries" / "injections.scm").read_text(encoding="utf-8"))
