"""Changes that diagnostics offer: every one mends what it says, none makes a text worse."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masdsl.bounds.flows import bound
from masdsl.bounds.rates import prices_of
from masdsl.cli import fix as command
from masdsl.cli import main
from masdsl.config import find_config, load_config
from masdsl.config.reader import parse_config
from masdsl.diagnostics.base import SAFE, SUGGESTED, Diagnostic, Finding, Findings, Fix
from masdsl.diagnostics.catalogue import all_codes, page
from masdsl.diagnostics.render import render_short
from masdsl.fixes import Mended, State, apply_fixes, mend
from masdsl.node import Span
from masdsl.pipeline import check_source
from masdsl.source import Source

CODES = all_codes()
UNSURE = {
    "MAS502": "its page shows a key in the configuration",
    "MAS505": "its page shows a model in the configuration",
}


def check_of(folder: Path) -> Callable[[Source], State]:
    config = load_config(str(folder), Findings())

    def check(source: Source) -> State:
        findings = Findings()
        program = check_source(source, config, findings)
        if program is None:
            return State(findings.sorted())
        bounds = bound(program, prices_of(program, config, None)).flows
        return State(findings.sorted(), {key: (*one.most, one.seconds) for key, one in bounds.items()})

    return check


def bad_program(code: str, folder: Path) -> Source:
    example = page(CODES[code]).bad
    assert example is not None
    for name, text in example.files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return Source(str(folder / "program.mas"), example.program)


def mended(text: str, folder: Path, suggested: bool = False) -> Mended:
    return mend(Source(str(folder / "a.mas"), text), check_of(folder), suggested=suggested)


def codes(found: Mended) -> list[str]:
    return [finding.diagnostic.code for finding in found.left]


def _with_a_fix() -> list[str]:
    """Codes whose class offers a change; some of them only where a name is near."""
    return [
        code for code, kind in CODES.items() if kind.fix is not Diagnostic.fix and page(kind).bad and code not in UNSURE
    ]


# ---------------------------------------------------------------- every change of the catalogue


@pytest.mark.parametrize("code", _with_a_fix())
def test_what_a_page_shows_is_mended(code: str, tmp_path: Path) -> None:
    source, check = bad_program(code, tmp_path), check_of(tmp_path)
    before = check(source)
    fixes = [fix for one in before.findings if one.diagnostic.code == code and (fix := one.diagnostic.fix())]
    if not fixes:
        assert code in NOT_ON_ITS_PAGE, "the page shows no case that can be mended"
        return
    safe = all(fix.applicability == SAFE for fix in fixes)
    done = mend(source, check, suggested=not safe)
    assert code not in codes(done), render_short(done.left)
    assert code in [finding.diagnostic.code for finding in done.applied]
    assert not done.refused
    assert all(CODES[left].severity != "error" for left in codes(done)), render_short(done.left)
    again = mend(done.source, check, suggested=not safe)
    assert again.source == done.source and not again.applied
    if not safe:
        assert code in codes(mend(source, check)), "a suggestion is not applied unasked"
    after = check(done.source)
    for flow, most in (before.most or {}).items():
        now = (after.most or {}).get(flow)
        assert now is None or all(one <= other for one, other in zip(now, most, strict=True))


NOT_ON_ITS_PAGE = {"MAS121", "MAS802", "MAS808"}
"""Codes that offer a change in other cases than that of their page."""


def test_every_change_says_how_sure_it_is(tmp_path: Path) -> None:
    found: dict[str, set[str]] = {SAFE: set(), SUGGESTED: set()}
    for code in _with_a_fix():
        folder = tmp_path / code
        folder.mkdir()
        for finding in check_of(folder)(bad_program(code, folder)).findings:
            fix = finding.diagnostic.fix()
            if fix is not None:
                found[fix.applicability].add(finding.diagnostic.code)
    assert found[SAFE] >= {"MAS002", "MAS013", "MAS019", "MAS021", "MAS022", "MAS308", "MAS704", "MAS725"}
    assert found[SUGGESTED] >= {
        "MAS012",
        "MAS018",
        "MAS101",
        "MAS304",
        "MAS602",
        "MAS701",
        "MAS703",
        "MAS712",
        "MAS713",
    }


def test_a_name_that_differs_in_letter_case_alone_is_surely_meant(tmp_path: Path) -> None:
    text = "mas 1\ntype Mood = very_good | bad\nflow main(mood: Mood) -> bool {\n  return mood == Mood.{}\n}\n"
    assert mended(text.replace("{}", "verygood", 1), tmp_path).source.text == text.replace("{}", "very_good", 1)
    guess = mended(text.replace("{}", "very_goot", 1), tmp_path)
    assert not guess.applied and codes(guess) == ["MAS105"]


# ---------------------------------------------------------------- how changes are applied

HEAD = 'mas 1\nuse std.vote\nagent writer(topic) -> text "Write about {{ topic }}."\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # all uses of a name, one round after the other
        ("match = writer(topic)\n  return match", "match_ = writer(topic)\n  return match_"),
        # several on one line, and one that only shows when the others are mended
        ("x = writer(topic); y = x && True;\n  return x", None),
        ("x = topic else writer(topic) else topic\n  return x", "x = topic\n  return x"),
        ("x = topic  # or\n    else \"else\"  # else\n  return x", "x = topic  # or\n      # else\n  return x"),
        ("// not so\n  x = topic;  // nor so\n  return x", "# not so\n  x = topic  # nor so\n  return x"),
    ],
)  # fmt: skip
def test_changes_are_made_until_none_is_left(before: str, after: str | None, tmp_path: Path) -> None:
    text = 'mas 1\nagent writer(topic) -> text "Write about {{ topic }}."\nflow work(topic) -> text {\n  %s\n}\n'
    done = mended(text % before, tmp_path)
    assert done.applied and not done.refused
    if after is not None:
        assert done.source.text == text % after
    assert not any(finding.diagnostic.fix() and finding.diagnostic.severity == "error" for finding in done.left)


@pytest.mark.parametrize(
    ("text", "cut", "expected"),
    [
        ("a\n  b\nc\n", "b", "a\nc\n"),
        ("a\n  b  # why\nc\n", "b", "a\n    # why\nc\n"),
        ("a\n  b # x\nc\n", "# x", "a\n  b\nc\n"),
        ("a; b\n", ";", "a b\n"),
        ("a", "a", ""),
        ("a\nb", "b", "a\n"),
    ],
)
def test_what_is_deleted_leaves_no_blanks(text: str, cut: str, expected: str) -> None:
    at = text.index(cut)
    assert apply_fixes(text, [Fix("", ((Span(at, at + len(cut)), ""),))]) == expected


def test_documentation_goes_with_what_it_is_about(tmp_path: Path) -> None:
    agent = '## What it does.\n## And how.\nagent a(x) -> text "Say {{ x }}."\n'
    text = f"mas 1\n\n# a remark\n{agent}\n## Main.\nflow main(x) -> text {{ return x }}\n"
    done = mended(text, tmp_path, suggested=True)
    assert done.source.text == "mas 1\n\n# a remark\n\n## Main.\nflow main(x) -> text { return x }\n"


@pytest.mark.parametrize(
    ("names", "left"),
    [("debate, Judge as J", "debate"), ("Judge as J, debate", "debate"), ("Judge", None), ("Judge as J, Side", None)],
)
def test_unused_names_are_taken_out_of_a_use(names: str, left: str | None, tmp_path: Path) -> None:
    (tmp_path / "lib.mas").write_text(
        "mas 1\ntype Judge = a | b\ntype Side = c | d\nflow debate(x) -> text { return x }\n"
    )
    use = "" if left is None else f"use lib: {left}\n"
    body = "y = debate(x)\n  return y" if left else "return x"
    done = mended(f"mas 1\nuse lib: {names}\nflow main(x) -> text {{\n  {body}\n}}\n", tmp_path)
    assert done.source.text == f"mas 1\n{use}flow main(x) -> text {{\n  {body}\n}}\n"


# ---------------------------------------------------------------- what is refused


class Proposal(Diagnostic):
    """A change that a test proposes.

    Why: what is proposed may be wrong.
    """

    code = "MAS799"
    severity = "warning"
    text: str
    sure: str

    def title(self) -> str:
        return f"make it `{self.text}`"

    def help(self) -> str:
        return "do it"

    def fix(self) -> Fix:
        return Fix("do it", ((self.span, self.text),), self.sure)


def proposing(folder: Path, changes: dict[str, tuple[str, str]]) -> Callable[[Source], State]:
    """A check that proposes to write a text in place of another wherever that stands."""
    real = check_of(folder)

    def check(source: Source) -> State:
        state = real(source)
        more = [
            Finding(source, Proposal(new, sure, span=Span(at, at + len(old))))
            for old, (new, sure) in changes.items()
            if (at := source.text.find(old)) >= 0
        ]
        return State((*state.findings, *more), state.most)

    return check


PROGRAM = """mas 1
agent writer(topic) -> text "Write about {{ topic }}."
flow main(topic) -> text {
  drafts = 3 of writer(topic)
  return majority(drafts)
}
"""


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("return majority", "return return", "the text would then have MAS"),
        ("(drafts)", "(draft)", "the text would then have MAS101"),
        ("3 of", "4 of", "`main` might then cost more"),
        ("3 of", "0 of", "the text would then have MAS"),
    ],
)
def test_a_change_that_makes_things_worse_is_taken_back(old: str, new: str, reason: str, tmp_path: Path) -> None:
    source = Source(str(tmp_path / "a.mas"), PROGRAM)
    for sure in (SAFE, SUGGESTED):
        done = mend(
            source, proposing(tmp_path, {old: (new, sure), "{{ topic }}.": ("{{ topic }}!", SAFE)}), suggested=True
        )
        assert done.source.text == PROGRAM.replace("}}.", "}}!"), "the other change is made all the same"
        (refused,) = done.refused
        assert refused.reason.startswith(reason) and refused.is_fault is (sure == SAFE)


def test_changes_that_undo_each_other_end(tmp_path: Path) -> None:
    source = Source(str(tmp_path / "a.mas"), PROGRAM)
    done = mend(source, proposing(tmp_path, {"about": ("of", SAFE), "Write of": ("Write about", SAFE)}))
    assert done.source.text == PROGRAM.replace("about", "of") and len(done.refused) == 1


def test_a_lower_count_is_fine(tmp_path: Path) -> None:
    source = Source(str(tmp_path / "a.mas"), PROGRAM)
    done = mend(source, proposing(tmp_path, {"3 of": ("2 of", SUGGESTED)}), suggested=True)
    assert "2 of" in done.source.text and not done.refused


PIECES = [
    "mas 1\n",
    "```\n",
    'agent writeDraft(topic) -> text "W {{ topik }} \\q."\n',
    "use std.vote\n",
    "flow main(topic) -> text {\n",
    "  x = writeDraft(topic);\n",
    "  match = True\n",
    "  writer(topic)\n",
    "  return x else topic\n",
    "  return Topic\n",
    "}\n",
    "// no\n",
    "  y = 2of writeDraft(topic)\n",
    "# mas: allow MAS701 x\n",
    "\u200b",
    "type t = a | b\n",
    "def f(x) -> text { return x }\n",
]


@settings(max_examples=150, deadline=None)
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=14), suggested=st.booleans())
def test_no_text_gets_worse_and_all_is_said_once(pieces: list[str], suggested: bool) -> None:
    check = check_of(Path("/nowhere"))
    source = Source("/nowhere/a.mas", "".join(pieces))
    done = mend(source, check, suggested=suggested)
    before, after = check(source), check(done.source)
    if not any(one.diagnostic.severity == "error" for one in before.findings):
        assert not any(one.diagnostic.severity == "error" for one in after.findings)
    again = mend(done.source, check, suggested=suggested)
    assert again.source == done.source, "a second time changes nothing"
    assert not [one for one in done.refused if one.is_fault], [
        (one.finding.diagnostic.code, one.reason) for one in done.refused
    ]


# ---------------------------------------------------------------- the command


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mas.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


SLIPS = HEAD + "flow main(topic) -> text {\n  draft = writer(topic);\n  return draft\n}\n"
MENDED = SLIPS.replace("use std.vote\n", "").replace(";", "")


@pytest.fixture
def mas(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_fix_writes_and_then_check_is_clean(here: Path, mas) -> None:  # type: ignore[no-untyped-def]
    (here / "a.mas").write_text(SLIPS)
    (here / "b.mas").write_text(MENDED)
    assert mas("fix", "--check") == (
        1,
        "would fix 2 problems in a.mas (MAS019, MAS704)\n2 problems would be fixed in 1 of 3 files\n",
        "",
    )
    assert (here / "a.mas").read_text() == SLIPS
    code, out, _ = mas("fix", "--diff")
    assert code == 1 and "-use std.vote\n" in out and "+  draft = writer(topic)\n" in out
    assert (here / "a.mas").read_text() == SLIPS
    assert mas("fix") == (0, "fixed 2 problems in a.mas (MAS019, MAS704)\n2 problems fixed in 1 of 3 files\n", "")
    assert (here / "a.mas").read_text() == MENDED
    assert mas("check", "--strict")[0] == 0
    assert mas("fix") == (0, "0 problems fixed in 0 of 3 files\n", "")


def test_suggestions_are_made_when_asked_for(here: Path, mas) -> None:  # type: ignore[no-untyped-def]
    (here / "a.mas").write_text(MENDED.replace("return draft", "return drafts"))
    code, out, _ = mas("fix")
    assert (code, out) == (
        0,
        "0 problems fixed in 0 of 2 files\n1 more change suggested: `mas fix --suggested --diff` shows what\n",
    )
    assert mas("fix", "--suggested")[1].startswith("fixed 1 problem in a.mas (MAS101)\n")
    assert (here / "a.mas").read_text() == MENDED


@pytest.mark.parametrize(("mark", "end"), [(b"\xef\xbb\xbf", b"\r\n"), (b"", b"\r\n"), (b"\xef\xbb\xbf", b"\n")])
def test_line_ends_and_a_byte_order_mark_stay(mark: bytes, end: bytes, here: Path, mas) -> None:  # type: ignore[no-untyped-def]
    (here / "a.mas").write_bytes(mark + SLIPS.encode().replace(b"\n", end))
    assert mas("fix")[0] == 0
    assert (here / "a.mas").read_bytes() == mark + MENDED.encode().replace(b"\n", end)


def test_what_is_no_text_stays_as_it_is(here: Path, mas) -> None:  # type: ignore[no-untyped-def]
    data = SLIPS.encode().replace(b"draft", b"dr\xe4ft")
    (here / "a.mas").write_bytes(data)
    assert mas("fix", "--suggested")[0] == 0
    assert (here / "a.mas").read_bytes() == data
    assert mas("fix", "missing.mas")[0] == 2


def test_permissions_stay(here: Path, mas) -> None:  # type: ignore[no-untyped-def]
    (here / "a.mas").write_text(SLIPS)
    (here / "a.mas").chmod(0o640)
    mas("fix")
    assert os.stat(here / "a.mas").st_mode & 0o777 == 0o640


def test_a_file_that_has_changed_meanwhile_stays(here: Path, mas, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    (here / "a.mas").write_text(SLIPS)
    real = mend

    def slow(source: Source, check: Callable[[Source], State], *, suggested: bool) -> Mended:
        if source.name == "a.mas":
            (here / "a.mas").write_text("mas 1\n")
        return real(source, check, suggested=suggested)

    monkeypatch.setattr(command, "mend", slow)
    code, _, err = mas("fix", "a.mas")
    assert code == 2 and err == "mas: `a.mas` has changed meanwhile, and stays as it is; run `mas fix` again\n"
    assert (here / "a.mas").read_text() == "mas 1\n"


def test_a_safe_change_that_fails_is_a_fault_of_masdsl(here: Path, mas, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    (here / "a.mas").write_text(PROGRAM)
    monkeypatch.setattr(command, "_program_check", lambda config: proposing(here, {"3 of": ("4 of", SAFE)}))
    code, out, err = mas("fix", "a.mas")
    assert code == 1 and "MAS799 stays: `main` might then cost more" in out
    assert (
        "error[MAS000]: masdsl failed: its change for MAS799 had to be taken back (`main` might then cost more)" in err
    )
    assert (here / "a.mas").read_text() == PROGRAM


def test_the_configuration_is_mended_as_well(here: Path, mas) -> None:  # type: ignore[no-untyped-def]
    (here / "a.mas").write_text(MENDED)
    (here / "mas.toml").write_text('[sizes]\nText = 400\n[tiers]\nfast = "smolm2"\n')
    assert mas("fix")[1].startswith("fixed 1 problem in mas.toml (MAS502)\n")
    assert (here / "mas.toml").read_text() == '[sizes]\ntext = 400\n[tiers]\nfast = "smolm2"\n'
    assert mas("fix", "--suggested")[0] == 0
    assert (here / "mas.toml").read_text() == '[sizes]\ntext = 400\n[tiers]\nfast = "smollm2"\n'


@pytest.mark.parametrize("code", UNSURE)
def test_what_a_page_shows_of_the_configuration_is_mended(code: str, tmp_path: Path) -> None:
    bad_program(code, tmp_path)
    path = find_config(str(tmp_path))
    assert path is not None

    def check(source: Source) -> State:
        findings = Findings()
        parse_config(source, path, findings)
        return State(findings.sorted())

    done = mend(Source(path, Path(path).read_text(encoding="utf-8")), check, suggested=True)
    assert [one.diagnostic.code for one in done.applied] == [code] and not done.left


def test_standard_input_is_mended_to_standard_output(here: Path, mas, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    import io

    def feed(data: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))

    feed(SLIPS.encode())
    code, out, err = mas("fix", "-")
    assert (code, out) == (0, MENDED) and err == "fixed 2 problems in <stdin> (MAS019, MAS704)\n"
    feed(SLIPS.encode())
    assert mas("fix", "--check", "-")[:2] == (1, "")
    feed(b"\xff")
    assert mas("fix", "-")[0] == 1
