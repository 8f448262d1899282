"""The whole language under a decoder: every program can be written, and whatever is written is sound."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

pytest.importorskip("llguidance", reason="masdsl[decode] is not installed")

from masdsl.config import DEFAULT, load_config
from masdsl.decode.draft import Draft, Refused, begin, closed, fed, is_fault
from masdsl.decode.pieces import next_piece
from masdsl.decode.profile import WHOLE
from masdsl.decode.write import write
from masdsl.diagnostics.base import Findings
from masdsl.pipeline import check_source
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.parse import parse_program
from masdsl.syntax.print import print_item
from tests.harness.pieces import begun, has
from tests.harness.random_writer import RandomWriter

POOL = Path(__file__).parents[1] / "examples" / "pool"
CONFIG = load_config(str(POOL), Findings())


def _parsed(path: Path) -> ast.Program:
    document = parse_program(Source(str(path), path.read_text()), Findings()).document
    assert isinstance(document, ast.Program)
    return document


def _imports_a_file(program: ast.Program) -> bool:
    return any(isinstance(item, ast.Use) and item.path[0].text != "std" for item in program.items)


@pytest.mark.parametrize("path", sorted(POOL.glob("*.mas"))[::6], ids=lambda path: path.stem)
def test_systems_of_the_pool_can_be_written(path: Path) -> None:
    program = _parsed(path)
    if _imports_a_file(program):
        pytest.skip("it imports another file, and a draft is in none")
    draft, pieces = begun(program, CONFIG, WHOLE)
    for piece in pieces:
        assert has(next_piece(draft), piece), piece
        draft = fed(draft, piece)
    assert draft.done
    kept = [print_item(item) for item in program.items if not isinstance(item, ast.Test)]
    written = parse_program(Source("x", draft.text), Findings()).document
    assert isinstance(written, ast.Program)
    assert sorted(map(print_item, written.items)) == sorted(kept)


def test_a_model_that_knows_nothing_leaves_sound_programs() -> None:
    header = "budget calls 12\n"
    for seed in range(8):
        draft = begin("flow main(query) -> text", DEFAULT, WHOLE, header=header)
        one = asyncio.run(write(draft, RandomWriter(), tokens=4_000, seed=seed, tries=12))
        findings = Findings()
        check_source(Source("x", one.text), DEFAULT, findings)
        assert not [found for found in findings.sorted() if is_fault(found)], one.text


BEGUN = (
    "use std.vote: vote\n",
    "type Review { ok: bool, notes }\n",
    'agent solver(q, level: int = 1) -> text temp 0.5 retry 2 "Solve {{ q }}"\n',
    'agent critic(q) -> Review else Review(ok: true, notes: "") on fast """\nJudge\n{{ q }}\n"""\n',
    "flow helper(q) -> Review {\n",
    "again: loop 2 {\n",
    "r = critic(q)\n",
    "until r.ok\n",
    "}\n",
    "return critic(q)\n",
    "}\n",
)


def _drafted(*pieces: str) -> Draft:
    draft = begin("flow main(query) -> text", CONFIG, WHOLE)
    for piece in pieces:
        assert has(next_piece(draft), piece), piece
        draft = fed(draft, piece)
        findings = Findings()
        check_source(Source("x", closed(draft) if not draft.done else draft.text), CONFIG, findings)
        assert not [found for found in findings.sorted() if is_fault(found)], closed(draft)
    return draft


def test_every_place_of_a_larger_program_can_be_closed() -> None:
    draft = _drafted(
        *BEGUN,
        "flow main(query) -> text {\n",
        'kept = each part in [query, "x"] where part != "": solver(part, level: 2)\n',
        "parts = 3 of solver(query)\n",
        "within calls 6 {\n",
        "best = vote(parts)\n",
        "}\n",
        "if len(parts) > 1 {\n",
        "found = 2 of helper(query)\n",
        "}\n",
        'else if query == "" {\n',
        'return "nothing"\n',
        "}\n",
        "else {\n",
        'return join(parts, "\\n")\n',
        "}\n",
        "return best\n",
        "}\n",
    )
    assert draft.done


@pytest.mark.parametrize(
    ("pieces", "wrong"),
    [
        ((), "use std.nothing: vote\n"),
        ((), "use std.vote: no_such_name\n"),
        ((), "use helpers: tidy\n"),
        ((), "flow main(query) -> int {\n"),
        ((), 'agent a(q: Nothing) -> text "Answer {{ q }}"\n'),
        ((), 'agent a(q) -> text on gigantic "Answer {{ q }}"\n'),
        (BEGUN, "use std.vote: vote\n"),
        ((*BEGUN, "flow main(query) -> text {\n"), "x = nobody(query)\n"),
        ((*BEGUN, "flow main(query) -> text {\n"), "x = solver(missing)\n"),
        ((*BEGUN, "flow main(query) -> text {\n"), "return r\n"),
    ],
)
def test_names_that_are_not_there_cannot_be_written(pieces: tuple[str, ...], wrong: str) -> None:
    assert not has(next_piece(_drafted(*pieces)), wrong)


def test_types_are_for_the_checker() -> None:
    draft = _drafted(*BEGUN, "flow main(query) -> text {\n")
    assert has(next_piece(draft), "return 1\n")
    with pytest.raises(Refused, match="must be"):
        fed(draft, "return 1\n")
