"""Joining two changes of a program: by hand, and by git with `mas` as its merge driver and its textconv."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import masdsl
from masdsl.source import Source

BASE = """\
mas 1

type Review { ok: bool, issues: text(60)[8] }

budget calls 30

agent coder(spec, notes: text(60)[8] = []) -> text(1500) on smart temp 0.2
  "Write {{ spec }}, minding {{ notes|join('; ') }}"

agent reviewer(spec, code: text(1500)) -> Review on fast
  "List concrete defects of {{ code }}."

flow main(spec) -> text(1500) {
  code = coder(spec)
  # look again
  refine: loop 3 {
    r = reviewer(spec, code)
    until r.ok
    code = coder(spec, r.issues)
  }
  return code
}
"""


def merged(left: str, right: str, base: str = BASE) -> masdsl.api.Merged:  # type: ignore[name-defined]
    return masdsl.merge(Source("base", base), Source("left", left), Source("right", right))


def changed(*changes: tuple[str, str], base: str = BASE) -> str:
    for old, new in changes:
        assert old in base, old
        base = base.replace(old, new)
    return base


APART = {
    "two agents": (("on smart", "on fast"), ('"List concrete', '"List all')),
    "two attributes of one agent": (("on smart", "on fast"), ("temp 0.2", "temp 0.7 retry 1")),
    "a count and a step": (("loop 3", "loop 2"), ("coder(spec, r.issues)", 'coder(spec + "!", r.issues)')),
    "a step and one that is new": (
        ("  code = coder(spec)\n", '  code = coder(spec) else ""\n'),
        ("    until r.ok\n", "    until r.ok\n    n = 1\n"),
    ),
    "a name and what it is used in": (("code = coder", "text_ = coder"), ("loop 3", "loop 1")),
    "a comment and code": (("# look again", "# look again and again"), ("loop 3", "loop 2")),
    "budgets of two kinds": (("calls 30", "calls 20"), ("calls 30", "calls 30 tokens 900k")),
    "fields": (("ok: bool,", "ok: bool, score: int,"), ("issues: text(60)[8] }", "issues: text(60)[8], why }")),
    "declarations at one place": (
        ("flow main", 'agent one(q) -> text on fast\n  "Go."\n\nflow main'),
        ("flow main", 'agent two(q) -> text on fast\n  "Go."\n\nflow main'),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", APART)
def test_changes_of_different_things_are_joined(name: str) -> None:
    (old, new), (other_old, other_new) = APART[name]
    left, right = changed((old, new)), changed((other_old, other_new))
    if name == "a name and what it is used in":
        head, flow, body = BASE.partition("flow main")
        left = head + flow + re.sub(r"\bcode\b", "text_", body)
    result = merged(left, right)
    assert result.conflicts == () and result.program is not None, result.text
    assert result.text == merged(right, left).text
    assert masdsl.format(result.text) == result.text
    for piece in (
        (new, other_new) if name not in ("a name and what it is used in", "budgets of two kinds", "fields") else ()
    ):
        assert piece.strip().split("\n")[0].split(" retry")[0].strip() in result.text


def test_budgets_and_fields_are_joined_part_by_part() -> None:
    assert (
        "budget calls 20 tokens 900k\n" in merged(*(changed(change) for change in APART["budgets of two kinds"])).text
    )
    assert "text(60)[8], score: int, why }" in merged(*(changed(change) for change in APART["fields"])).text


REVIEWER = """\
agent reviewer(spec, code: text(1500)) -> Review on fast
  "List concrete defects of {{ code }}."
"""
CONFLICTS = {
    "coder.on": (("on smart", "on fast"), ("on smart", "on local")),
    "main.refine.times": (("loop 3", "loop 2"), ("loop 3", "loop 4")),
    "main.refine.code": (("r.issues", "[]"), ("spec, r.issues", "spec")),
    "reviewer": ((REVIEWER, ""), ('"List concrete', '"List all')),
    "main.code": (("  code = coder(spec)\n", "  code = spec\n"), ("  code = coder(spec)\n", '  code = "x"\n')),
}  # fmt: skip


@pytest.mark.parametrize("address", CONFLICTS)
def test_changes_of_one_thing_are_a_conflict_by_name(address: str) -> None:
    left, right = (changed(change) for change in CONFLICTS[address])
    result = merged(left, right)
    assert [conflict.address for conflict in result.conflicts] == [address]
    assert result.program is None
    before, _, rest = result.text.partition("<<<<<<< left\n")
    one, _, other = rest.partition("=======\n")
    other, _, after = other.partition(">>>>>>> right\n")
    assert masdsl.format(before + one + after) == masdsl.format(left)
    assert masdsl.format(before + other + after) == masdsl.format(right)
    mirrored = merged(right, left)
    assert [(one.address, one.right, one.left) for one in mirrored.conflicts] == list(result.conflicts)


def test_what_each_side_did_is_told() -> None:
    left, right = (changed(change) for change in CONFLICTS["reviewer"])
    assert merged(left, right).conflicts[0] == ("reviewer", "dropped it", "changed it")


# ---------------------------------------------------------------- git

ATTRIBUTES = "*.mas merge=mas diff=mas\n"
MAS = f"{sys.executable} -m masdsl"


class Repository:
    """A repository of git in a folder, in which programs are merged and shown by `mas`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "-q", "-b", "main")
        for key, value in {
            "user.name": "t",
            "user.email": "t@t",
            "merge.mas.driver": f"{MAS} merge --in-place --path %P %O %A %B",
            "diff.mas.textconv": f"{MAS} diff --textconv",
        }.items():
            self.git("config", key, value)
        (folder / ".gitattributes").write_text(ATTRIBUTES, encoding="utf-8")

    def git(self, *arguments: str, code: int = 0) -> str:
        environment = os.environ | {
            "PYTHONPATH": str(Path(masdsl.__file__).parent.parent),
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def commit(self, text: str) -> None:
        (self.folder / "p.mas").write_text(text, encoding="utf-8")
        self.git("add", ".")
        self.git("commit", "-q", "-m", "change")

    def both(self, left: str, right: str) -> None:
        """Commit the base, one change on `main` and another one on `other`."""
        self.commit(BASE)
        self.git("checkout", "-q", "-b", "other")
        self.commit(right)
        self.git("checkout", "-q", "main")
        self.commit(left)


needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git on this machine")


@needs_git
def test_git_merges_what_lines_would_not(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    left, right = changed(("on smart temp 0.2", "on fast temp 0.2")), changed(("temp 0.2", "temp 0.7"))
    repository.both(left, right)
    repository.git("merge", "other", "-m", "both")
    assert "on fast temp 0.7" in (tmp_path / "p.mas").read_text(encoding="utf-8")


@needs_git
def test_git_stops_at_a_conflict_and_shows_it(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.both(changed(("loop 3", "loop 2")), changed(("loop 3", "loop 4")))
    said = repository.git("merge", "other", "-m", "both", code=1)
    assert "MAS811" in said and "main.refine.times" in said
    text = (tmp_path / "p.mas").read_text(encoding="utf-8")
    assert "<<<<<<< left\n  # look again\n  refine: loop 2 {" in text and ">>>>>>> right\n" in text


@needs_git
def test_git_stops_at_a_merge_that_is_wrong(tmp_path: Path) -> None:
    """One side drops an agent that nobody uses, the other one uses it: no conflict, and no program."""
    extra = 'agent extra(q) -> text(1500) on fast\n  "Go."\n\nflow main'
    repository = Repository(tmp_path)
    base = changed(("flow main", extra))
    repository.commit(base)
    repository.git("checkout", "-q", "-b", "other")
    repository.commit(base.replace("  return code", "  last = extra(code)\n  return last"))
    repository.git("checkout", "-q", "main")
    repository.commit(BASE)
    said = repository.git("merge", "other", "-m", "both", code=1)
    assert "`extra`" in said and "the merged program is written, but it is wrong" in said


@needs_git
def test_git_keeps_both_texts_where_one_is_no_program(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    broken = changed(("loop 3 {", "loop 3"))
    repository.both(changed(("loop 3", "loop 2")), broken)
    repository.git("merge", "other", "-m", "both", code=1)
    text = (tmp_path / "p.mas").read_text(encoding="utf-8")
    assert text == f"<<<<<<< left\n{changed(('loop 3', 'loop 2'))}=======\n{broken}>>>>>>> right\n"


@needs_git
def test_git_shows_programs_in_their_one_layout(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.commit(BASE)
    (tmp_path / "p.mas").write_text(BASE.replace("\n  ", "\n      ").replace("loop 3", "loop 4"), encoding="utf-8")
    lines = repository.git("diff").split("\n")
    assert [line for line in lines if line and line[0] in "+-" and line[:3] not in ("+++", "---")] == [
        *("-  refine: loop 3 {", "+  refine: loop 4 {")
    ]
