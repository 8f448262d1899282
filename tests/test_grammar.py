"""The grammar has no conflicts and keeps to what a decoder can follow; a cache of its tables can do no harm."""

from __future__ import annotations

import marshal
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lark import Lark
from lark.lexer import PatternRE, PatternStr

from masdsl.diagnostics.base import Findings
from masdsl.source import Source
from masdsl.syntax import grammar, tables
from masdsl.syntax.build import BUILDERS, LEAVES
from masdsl.syntax.parse import parse_program

ROOT = Path(__file__).resolve().parent.parent
TEXT = grammar.grammar_text()
PROGRAM = """\
mas 1
use std.vote
type Review { ok: bool, issues: text(60)[8]+ }
type Kind = math | code
budget calls 20 tokens 40k usd 0.05
rectify tries 2 at 80%
tool run(code: text(1500)) -> (passed: bool, log: text) from "sandbox.python" timeout 30 effect
agent coder(spec, notes: text[8]? = none) -> text(1500) else "" on smart temp 0.2
  \"\"\"
  Write {{ spec }}
  \"\"\"
flow best[T, n = 3](solve: agent(text) -> T, question) -> T {
  drafts = n of solve(question)
  each_ = each d in drafts where d != "" and not (len(d) > 3 or -d.size[0] <= 2 * 3 / 4 - 1): coder(d) else coder("")
  refine: loop n { until drafts[0].ok  drafts += [Kind.math, (a: 1)] }
  for d in drafts { x = d }
  within calls 4 { y = 1 }
  match question { math | code { z = 1 } else { z = 2 } }
  if true { a = 1 } else if false { a = 2 } else { a = 3 }
  return drafts
}
test "t" { given coder = "" given coder fails given coder replies "x" out = best(coder, "q") expect out == none }
"""


@pytest.fixture(scope="module")
def parsers() -> dict[str, Lark]:
    """Strict: any conflict of rules or collision of terminals is an exception."""
    return {start: tables.compile_start(TEXT, start, strict=True) for start in tables.STARTS}


def test_every_start_symbol_is_free_of_conflicts(parsers: dict[str, Lark]) -> None:
    assert set(parsers) == {"program", "binding", "patch", "chunk"}


def test_strict_mode_would_find_a_conflict() -> None:
    with pytest.raises(Exception, match="ollision"):
        tables.compile_start('start: a | b\na: "x"\nb: "x"\n', "start", strict=True)
    with pytest.raises(Exception, match="Collision"):
        tables.compile_start("start: (A | B)+\nA: /[ab]/\nB: /[bc]/\n", "start", strict=True)


def test_every_terminal_has_a_name(parsers: dict[str, Lark]) -> None:
    names = {terminal.name for parser in parsers.values() for terminal in parser.terminals}
    assert not [name for name in names if name.startswith("__")]


def test_terminals_are_such_as_a_decoder_can_follow(parsers: dict[str, Lark]) -> None:
    for parser in parsers.values():
        for terminal in parser.terminals:
            assert terminal.priority == 0
            assert not terminal.pattern.flags
            if isinstance(terminal.pattern, PatternRE):
                pattern = terminal.pattern.value
                bare = re.sub(r"\\.|\[(?:\\.|[^\]\\])*\]", "_", pattern)
                assert not re.search(r"\(\?(?!:)|[*+?}]\?|\\b|\\[1-9]", bare), f"{terminal.name}: look-around or lazy"
    assert not re.search(r"^%(import|override|extend)", TEXT, re.MULTILINE)
    assert not re.search(r"^\??\w+\.\d+\s*:", TEXT, re.MULTILINE), "a priority"


ROLES = (
    *(
        "binder",
        "label_binder",
        "field_binder",
        "word_binder",
        "size_binder",
        "type_binder",
        "module_ref",
        "import_ref",
    ),
    *("type_ref", "primitive_ref", "size_ref", "agent_ref", "tool_ref", "model_ref", "bound_model_ref", "callee"),
    *("var_ref", "param_ref", "field_ref", "word_ref", "literal_word_ref", "path_part"),
)


@pytest.mark.parametrize("role", ROLES)
def test_every_role_of_a_name_is_a_rule_that_leaves_no_trace(role: str) -> None:
    found = re.search(rf"^\?{role}: (.*)$", TEXT, re.MULTILINE)
    assert found and set(found[1].split(" | ")) <= {"NAME", "TYPENAME", "STRING"}


def test_names_stand_in_rules_of_roles_only() -> None:
    for line in TEXT.split("\n"):
        rule = re.match(r"\??(\w+):", line)
        if re.search(r"\b(TYPE)?NAME\b", re.sub(r"//.*", "", line)) and not re.match(r"(TYPE)?NAME:", line):
            assert rule and rule[1] in ROLES, line


RESERVED = """
    add after agent and before bind budget drop each else expect extern false flow for given if loop match none not of
    or otherwise rectify redo rename replace return set test tool true type until use where within wrap
"""
SOFT = """
    as at calls effect fails from in mas max on patch replies retry role seconds steps temp timeout tokens tools tries
    usd
"""


def test_reserved_words_are_these() -> None:
    """A word becomes reserved where a name may stand in its place; a new one breaks programs that use it as a name."""
    assert grammar.reserved_words() == frozenset(RESERVED.split())
    assert grammar.keywords() == frozenset(RESERVED.split()) | frozenset(SOFT.split())


def test_every_rule_has_a_builder_and_every_builder_a_rule() -> None:
    names = {builder for start in tables.STARTS for _, _, builder in grammar.load(start).tables.rules}
    assert names - {"", "*"} == set(BUILDERS)


def test_every_leaf_is_a_terminal(parsers: dict[str, Lark]) -> None:
    assert set(LEAVES) <= {terminal.name for parser in parsers.values() for terminal in parser.terminals}


def test_word_terminals_are_all_those_that_need_a_gap(parsers: dict[str, Lark]) -> None:
    """The lexer reads a run of letters, digits and underscores as one token."""
    for terminal in parsers["program"].terminals:
        if isinstance(terminal.pattern, PatternStr):
            text = terminal.pattern.value
            assert text.isidentifier() or not re.search(r"\w", text)
        elif terminal.name not in ("STRING", "FLOAT", "PERCENT", "CMP", "COMMENT", "SPACE"):
            assert terminal.name in tables.WORD_TERMINALS


def test_our_loop_accepts_what_lark_accepts(parsers: dict[str, Lark]) -> None:
    """Also with each token left out, in turn: then both accept or both refuse."""
    pieces = list(parsers["program"].lex(PROGRAM))
    for left_out in (None, *range(len(pieces))):
        text = " ".join(piece for at, piece in enumerate(pieces) if at != left_out)
        findings = Findings()
        ok = parse_program(Source("t.mas", text), findings).ok
        try:
            parsers["program"].parse(text)
            expected = True
        except Exception:
            expected = False
        if ok != expected:  # a reserved word as a name is refused by us alone
            assert expected and {found.diagnostic.code for found in findings.sorted()} == {"MAS015"}, text


# ---------------------------------------------------------------- the cache of tables


def cache_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MASDSL_CACHE", str(folder))
    path = grammar.cache_file()
    assert path is not None
    return Path(path)


def fresh(start: str = "program") -> grammar.Language:
    return grammar.load.__wrapped__(start)


@pytest.fixture(scope="module")
def table_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A sound table file."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        path = cache_in(folder, patch)
        fresh()
        return path.read_bytes()


def test_tables_are_written_once_and_then_read_without_lark(table_file: bytes, tmp_path: Path) -> None:
    script = (
        "import sys; from masdsl.syntax.grammar import load; load('program'); load('patch')\n"
        "assert not any(name.split('.')[0] == 'lark' for name in sys.modules)"
    )
    with pytest.MonkeyPatch.context() as patch:
        cache_in(tmp_path, patch).write_bytes(table_file)
        os.chmod(cache_in(tmp_path, patch), 0o600)
    environment = os.environ | {"MASDSL_CACHE": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def damaged(data: bytes) -> dict[str, bytes]:
    body = data[len(b"masdsl tables\n") + 4 :]
    made_from, lexicon, parts = marshal.loads(body)

    def sealed(content: int | tuple[Any, ...]) -> bytes:
        from binascii import crc32

        new = marshal.dumps(content)
        return b"masdsl tables\n" + crc32(new).to_bytes(4, "big") + new

    return {
        "empty": b"",
        "foreign": b"\x80\x04\x95 pickled",
        "cut": data[:-100],
        "head": data[:10],
        "flipped": data[:5000] + bytes([data[5000] ^ 1]) + data[5001:],
        "other grammar": sealed((made_from + b" ", lexicon, parts)),
        "not a tuple": sealed(5),
        "too short": sealed((made_from, lexicon)),
        "start missing": sealed((made_from, lexicon, {})),
        "tables of another shape": sealed((made_from, lexicon, {"program": marshal.dumps((1, 2))})),
        "tables of no marshal": sealed((made_from, lexicon, {"program": b"?"})),
        "lexicon of another shape": sealed((made_from, (1,), parts)),
    }


@pytest.mark.parametrize(
    "kind",
    [
        *("empty", "foreign", "cut", "head", "flipped", "other grammar", "not a tuple", "too short", "start missing"),
        *("tables of another shape", "tables of no marshal", "lexicon of another shape"),
    ],
)
def test_a_damaged_table_file_is_not_used(
    kind: str, table_file: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = cache_in(tmp_path, monkeypatch)
    path.write_bytes(damaged(table_file)[kind])
    path.chmod(0o600)
    assert grammar._stored("program") is None


def test_a_sound_table_file_is_used(table_file: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = cache_in(tmp_path, monkeypatch)
    path.write_bytes(table_file)
    path.chmod(0o600)
    stored = grammar._stored("program")
    assert stored is not None
    assert stored == (grammar.load("program").tables, grammar.load("program").lexicon)


@pytest.mark.skipif(os.name == "nt", reason="modes of files mean something else there")
def test_a_table_file_that_others_may_write_is_not_used(
    table_file: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = cache_in(tmp_path, monkeypatch)
    path.write_bytes(table_file)
    path.chmod(0o666)
    assert grammar._stored("program") is None


def test_a_damaged_file_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes depend on which texts the process shares (`marshal` writes these once), what it holds does not."""
    path = cache_in(tmp_path, monkeypatch)
    path.write_bytes(b"nonsense")
    assert fresh().tables == grammar.load("program").tables
    assert grammar._stored("program") == (grammar.load("program").tables, grammar.load("program").lexicon)
    assert os.listdir(tmp_path) == [path.name], "no half-written file stays"


@pytest.mark.parametrize("place", ["", "/dev/null/x", "file/in/the/way"])
def test_without_a_cache_the_tables_are_built(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MASDSL_CACHE", str(tmp_path / place) if place.startswith("file") else place)
    assert fresh().tables == grammar.load("program").tables
