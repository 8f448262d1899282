"""Patches that are written under a grammar: whatever a model does, they apply, and what comes of them is sound."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("llguidance", reason="masdsl[decode] is not installed")

from masdsl.config import load_config
from masdsl.decode.draft import Refused, is_fault
from masdsl.decode.patches import PATCH, Judge, Judgement, PatchDraft, begin_patch, write_patch
from masdsl.decode.write import Piece, Written
from masdsl.diagnostics.base import Finding, Findings
from masdsl.diagnostics.patches import StalePatch
from masdsl.node import Span
from masdsl.patch.patching import apply_patch
from masdsl.pipeline import check_source
from masdsl.source import Source
from tests.harness.pieces import has
from tests.harness.random_writer import RandomWriter

POOL = Path(__file__).parents[1] / "examples" / "pool"
TIERS = ("fast", "smart", "default")
PROGRAM = Source(
    "x.mas",
    """mas 1

type Review { ok: bool, issues: text(60)[8] }

budget calls 40

agent coder(spec, notes: text(60)[8] = []) -> text(1500) max 900
  "Write {{ spec }}, minding {{ notes|join('; ') }}"

agent reviewer(spec, code: text(1500)) -> Review on fast
  "List concrete defects of {{ code }}."

flow main(spec) -> text(1500) {
  drafts = 3 of coder(spec)
  code = first(drafts)
  seen = []
  refine: loop 3 {
    r = reviewer(spec, code) else Review(ok: false, issues: [])
    until r.ok
    code = coder(spec, r.issues)
    seen += r.issues
  }
  return code
}
""",
)
CONFIG = load_config(str(POOL), Findings())


def written(program: Source = PROGRAM, *, seed: int = 0, tokens: int = 3_000, judge: Judge | None = None) -> Written:
    wanted = write_patch(
        program,
        RandomWriter(),
        CONFIG,
        tiers=TIERS,
        finished=("main.drafts",),
        judge=judge,
        tokens=tokens,
        seed=seed,
    )
    return asyncio.run(wanted)


def faults(patch: str, program: Source) -> list[str]:
    """Return what is wrong with a patch, or with the program that it makes."""
    findings = Findings()
    made = apply_patch(Source("p", patch), program, findings)
    if made is not None:
        check_source(made.source, CONFIG, findings)
    return [str(one.diagnostic.title()) for one in findings.sorted() if is_fault(one)]


def test_a_model_that_knows_nothing_writes_sound_patches() -> None:
    kinds: Counter[str] = Counter()
    finished = 0
    for seed in range(30):
        one = written(seed=seed)
        finished += one.finished
        assert not one.text or faults(one.text, PROGRAM) == [], one.text
        kinds.update(line.split()[0] for line in one.text.splitlines() if line != "patch 1")
    assert finished >= 24
    words = ("set", "bind", "add", "drop", "replace", "after", "before", "wrap", "otherwise", "rename", "redo")
    assert not [word for word in words if not kinds[word]], kinds


@pytest.mark.parametrize("path", sorted(POOL.glob("*.mas"))[::12], ids=lambda path: path.stem)
def test_systems_of_the_pool_are_patched(path: Path) -> None:
    program = Source(str(path), path.read_text())
    for seed in range(2):
        one = written(program, seed=seed)
        assert not one.text or faults(one.text, program) == [], one.text


@pytest.mark.parametrize("tokens", [0, 10, 40, 80, 200])
def test_tokens_that_run_out_leave_what_is_sound(tokens: int) -> None:
    for seed in range(3):
        one = written(seed=seed, tokens=tokens)
        assert one.finished or "tokens" in one.reason
        assert not one.text or faults(one.text, PROGRAM) == []


# ---------------------------------------------------------------- what may stand at a place


def accepts(draft: PatchDraft, piece: str) -> bool:
    """Whether the grammar of a draft's next piece has this text."""
    return has(PATCH.next_piece(draft), piece)


def drafted(*pieces: str, judge: Judge | None = None) -> PatchDraft:
    draft = begin_patch(PROGRAM, CONFIG, tiers=TIERS, finished=("main.drafts",), judge=judge)
    for piece in pieces:
        assert accepts(draft, piece), piece
        draft = PATCH.fed(draft, piece)
    return draft


EDITS = (
    ("bind coder = fast\n",),
    ("set coder.temp = 0.7\n",),
    ("set coder.max = 300\n",),
    ("set reviewer.retry = 0\n",),
    ('set reviewer.else = Review(ok: true, issues: ["none"])\n',),
    ("set coder.prompt =\n", '"Please write {{ spec }}"\n'),
    ("drop coder.max\n",),
    ("drop main.refine\n",),
    ("drop main.refine.r.else\n",),
    ("set main.refine.times = 2\n",),
    ("set main.drafts.count = 2\n",),
    ("replace main.drafts =\n", "2 of coder(spec)\n"),
    ("replace main.drafts =\n", "2 of coder(spec, notes: [spec]) else spec\n"),
    ("replace main.refine.until =\n", "r.ok or code == spec\n"),
    ("replace main.return =\n", "coder(code)\n"),
    ("replace main.refine.seen =\n", "[spec]\n"),
    ("otherwise main.refine.code =\n", "code\n"),
    ("after main.refine.code {\n", "twice = coder(code)\n}\n"),
    ("before main.refine.r {\n", "twice = coder(code)\n}\n"),
    ("wrap main.refine.code in loop 2\n",),
    ("wrap main.refine.code in if\n", "not r.ok\n"),
    ("rename main.drafts = drawn\n",),
    ("redo main.drafts\n",),
    ("add agent judge(work: text(300)) -> bool\n", '"Is {{ work }} good?"\n'),
)


@pytest.mark.parametrize("pieces", EDITS, ids=lambda pieces: pieces[0].strip())
def test_edits_that_can_be_written(pieces: tuple[str, ...]) -> None:
    draft = drafted(*pieces)
    assert draft.sound == draft.text and draft.edits == 1
    whole = PATCH.fed(draft, "end\n")
    assert whole.done and accepts(draft, "end\n") and faults(PATCH.closed(whole), PROGRAM) == []


@pytest.mark.parametrize(
    "piece",
    [
        "\n",
        "end\n",
        "bind coder = dear\n",
        "bind nobody = fast\n",
        "bind reviewer = fast\n",
        "drop main.nothing\n",
        "redo main.code\n",
        "set coder.times = 2\n",
        "after main.return {\n",
        "rename main.drafts = spec\n",
        "use std.vote\n",
        'add tool x(q) -> text from "shell"\n',
        "budget calls 900\n",
    ],
)
def test_edits_that_cannot(piece: str) -> None:
    assert not accepts(drafted(), piece)


@pytest.mark.parametrize(
    ("head", "rest"),
    [
        ("replace main.drafts =\n", "coder(spec)\n"),
        ("replace main.drafts =\n", "2 of reviewer(spec, spec)\n"),
        ("replace main.code =\n", "r\n"),
        ("after main.code {\n", "x = coder(r)\n}\n"),
        ("otherwise main.refine.r =\n", '"good"\n'),
        ("set coder.prompt =\n", '"Write {{ code }}"\n'),
    ],
)
def test_rests_that_cannot(head: str, rest: str) -> None:
    assert not accepts(drafted(head), rest)


def test_an_edit_sees_the_program_as_it_is_by_then() -> None:
    draft = drafted("rename main.drafts = drawn\n")
    assert accepts(draft, "drop main.drawn\n") and not accepts(draft, "drop main.drafts\n")
    draft = drafted("drop main.refine\n", "after main.code {\n", "again = coder(code)\n}\n", "replace main.return =\n")
    assert accepts(draft, "again\n") and not accepts(draft, "r\n")


def test_a_place_is_written_once() -> None:
    draft = drafted("set main.refine.times = 2\n", "bind coder = fast\n", "replace main.return =\n", "spec\n")
    for again in ("set main.refine.times = 1\n", "bind coder = smart\n", "replace main.return =\n"):
        assert not accepts(draft, again)
    assert accepts(draft, "set coder.max = 60\n")


def test_a_model_that_never_finds_a_right_side_is_given_up() -> None:
    class Insists:
        async def piece(self, prefix: str, grammar: object, *, most: int, seed: int) -> Piece:
            return Piece("nothing\n" if prefix.endswith(" = ") else "replace main.return =\n", True, 1)

    one = asyncio.run(write_patch(PROGRAM, Insists(), CONFIG, tiers=TIERS, tokens=500))
    assert one.text == "" and len(one.refused) == 4 and "in a row" in one.reason
    draft = PATCH.retreat(drafted("replace main.return =\n"))
    assert not accepts(draft, "replace main.return =\n") and accepts(draft, "replace main.code =\n")


def test_an_edit_that_breaks_the_program_is_refused() -> None:
    draft = drafted()
    with pytest.raises(Refused, match="`code` is not defined"):
        PATCH.fed(draft, "drop main.code\n")
    assert PATCH.retreat(drafted("wrap main.drafts in if\n")).head == ""


def test_a_place_where_nothing_fits_is_left() -> None:
    class Insists(RandomWriter):
        async def piece(self, prefix: str, grammar: object, *, most: int, seed: int) -> Piece:
            asked.append(prefix)
            if prefix.endswith("in if "):
                return Piece("true\n", True, 4)
            if len(asked) > 5:
                return Piece("bind coder = fast\n" if "coder = fast" not in prefix else "end\n", True, 4)
            return Piece("wrap main.drafts in if\n", True, 4)

    asked: list[str] = []
    one = asyncio.run(write_patch(PROGRAM, Insists(), CONFIG, tiers=TIERS, tokens=500))
    assert one.text == "patch 1\nbind coder = fast\n" and one.finished and len(one.refused) == 3


# ---------------------------------------------------------------- judges


def _fault() -> Finding:
    return Finding(Source("p", "patch 1\n"), StalePatch("0", "1", span=Span(0, 1)))


def test_a_judge_that_takes_nothing_leaves_nothing() -> None:
    one = written(PROGRAM, judge=lambda patch: Judgement(False))
    assert one.text == "" and not one.finished
    one = written(PROGRAM, judge=lambda patch: Judgement(False, (_fault(),)))
    assert one.text == "" and "in a row were refused" in one.reason


def test_a_patch_ends_only_where_it_is_accepted() -> None:
    draft = drafted("bind coder = fast\n", judge=lambda patch: Judgement(patch.count("\n") > 2))
    assert not accepts(draft, "end\n") and PATCH.closed(draft) == ""
    with pytest.raises(Refused):
        PATCH.fed(draft, "end\n")
    draft = PATCH.fed(draft, "set main.refine.times = 1\n")
    assert accepts(draft, "end\n") and PATCH.closed(draft) == draft.text


def test_a_program_with_errors_has_no_patch() -> None:
    with pytest.raises(Refused):
        begin_patch(Source("x", "mas 1\nflow main("), CONFIG)
