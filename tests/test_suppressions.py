"""Warnings that are allowed: by comments with a reason, by paths of the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from masdsl.cli import main
from masdsl.config import load_config
from masdsl.config.allow import matches
from masdsl.diagnostics.base import WARNING, Findings
from masdsl.diagnostics.catalogue import all_codes, page
from masdsl.diagnostics.render import render_short
from masdsl.pipeline import check_file
from masdsl.syntax.format import format_source

ABOUT_COMMENTS = {f"MAS72{digit}" for digit in range(1, 6)}


def checked(folder: Path, text: str, config: str = "", name: str = "a.mas") -> Findings:
    (folder / "mas.toml").write_text(config, encoding="utf-8")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    findings = Findings()
    check_file(str(path), findings)
    return findings


def codes(findings: Findings) -> list[str]:
    return [f"{one.source.position(one[1].span.start).line} {one[1].code}" for one in findings.sorted()]


def allowed(findings: Findings) -> list[tuple[str, str, bool]]:
    return [(one.finding.diagnostic.code, one.reason, one.external) for one in findings.suppressed]


HEAD = """mas 1
agent writer(topic) -> text "Write about {{ topic }}."
agent critic(draft) -> text "Criticise {{ draft }}."
"""


def in_flow(*lines: str, params: str = "topic") -> str:
    body = "".join(f"  {line}\n" for line in lines)
    return f"{HEAD}flow work({params}) -> text {{\n{body}  return critic(topic)\n}}\n"


REASON = "the draft comes later"
DEAD = "x = writer(topic)"


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (in_flow(f"{DEAD}  # mas: allow MAS701 {REASON}"), []),
        (in_flow(f"{DEAD}  # mas: allow MAS701: {REASON}"), []),
        (in_flow(f"{DEAD}  #mas:allow MAS701 - {REASON}"), []),
        (in_flow(f"# mas: allow MAS701 {REASON}", DEAD), []),
        (in_flow(f"# mas: allow MAS701 {REASON}", "# and more", "", DEAD), []),
        (in_flow(f"# mas: allow MAS701 {REASON}", f"# mas: allow MAS706 {REASON}", DEAD), ["6 MAS725"]),
        (in_flow(f"if topic == topic {{  # mas: allow MAS701 {REASON}", DEAD, "}"), ["5 MAS725", "6 MAS701"]),
        (in_flow(f"# mas: allow MAS701 {REASON}", "x =", "writer(", "topic)"), []),
        (in_flow("x =", f"writer(topic)  # mas: allow MAS701 {REASON}"), []),
        (in_flow(f"# mas: allow MAS701, MAS706 {REASON}", DEAD), ["5 MAS725"]),
        (in_flow("x = writer(", "  topic", f")  # mas: allow MAS701 {REASON}"), []),
        (in_flow(f"# mas: allow MAS701 {REASON}", "x = writer(", "  topic", ")"), []),
        (in_flow(f"x = writer(  # mas: allow MAS701 {REASON}", "  topic", ")"), []),
        (in_flow("x = writer(", f"  topic  # mas: allow MAS701 {REASON}", ")"), ["5 MAS701", "6 MAS725"]),
        (in_flow(DEAD, f"# mas: allow MAS701 {REASON}"), ["5 MAS701", "6 MAS725"]),
        (in_flow(f'{DEAD}  # the words "mas: allow MAS701 x"'), ["5 MAS701"]),
        (in_flow('x = "# mas: allow MAS706 it is a string"'), ["5 MAS706"]),
        (in_flow(f"{DEAD}  # mas: allow MAS701"), ["5 MAS701", "5 MAS724"]),
        (in_flow(f"{DEAD}  # mas: allow MAS701 --"), ["5 MAS701", "5 MAS724"]),
        (in_flow(f"{DEAD}  # mas: allow {REASON}"), ["5 MAS701", "5 MAS721"]),
        (in_flow(f"{DEAD}  # mas:"), ["5 MAS701", "5 MAS721"]),
        (in_flow(f"{DEAD}  # mas: allow MAS7O1 {REASON}"), ["5 MAS701", "5 MAS723"]),
        (in_flow(f"{DEAD}  # mas: allow mas701 {REASON}"), ["5 MAS701", "5 MAS723"]),
        (in_flow(f"{DEAD}  # mas: allow MAS101 {REASON}"), ["5 MAS701", "5 MAS722"]),
        (in_flow(f"{DEAD}  # mas: allow MAS701, MAS725 {REASON}"), ["5 MAS722"]),
        (in_flow(f"# mas: allow-file MAS701 {REASON}", DEAD), ["5 MAS721", "6 MAS701"]),
        (in_flow(DEAD, "y = writer(topic)").replace("mas 1", f"# mas: allow-file MAS701 {REASON}\nmas 1"), []),
        (in_flow(DEAD, "y = writer(topic)").replace("mas 1", f"mas 1  # mas: allow-file MAS701 {REASON}"), []),
        (in_flow(DEAD).replace("mas 1", f"mas 1\n# mas: allow-file MAS705 {REASON}"), ["2 MAS725", "6 MAS701"]),
        (in_flow(DEAD).replace("critic(topic)", f"topics  # mas: allow MAS701 {REASON}"), ["6 MAS101"]),
    ],
)  # fmt: skip
def test_which_findings_a_comment_allows(program: str, expected: list[str], tmp_path: Path) -> None:
    findings = checked(tmp_path, program)
    assert codes(findings) == expected, render_short(findings.sorted())


def test_a_comment_covers_a_text_of_several_lines(tmp_path: Path) -> None:
    prompt = '"""\n  Write about {topic}.\n  """'
    for text in (
        f"mas 1\nagent writer(topic) -> text\n  # mas: allow MAS713 shown as it is\n  {prompt}\n",
        f"mas 1\nagent writer(topic) -> text\n  {prompt}  # mas: allow MAS713 shown as it is\n",
    ):
        assert codes(checked(tmp_path, text)) == []
        assert codes(checked(tmp_path, text.replace("# mas: allow", "# not mas: allow"))) != []


def test_what_is_allowed_does_not_count_and_is_kept(tmp_path: Path) -> None:
    findings = checked(tmp_path, in_flow(f"{DEAD}  # mas: allow MAS701 {REASON}"))
    assert findings.ok and not findings.sorted()
    assert allowed(findings) == [("MAS701", REASON, False)]


def test_with_errors_nothing_is_said_about_comments(tmp_path: Path) -> None:
    program = in_flow(f"y = topics  # mas: allow MAS706 {REASON}", f"{DEAD}  # mas: alow")
    assert codes(checked(tmp_path, program)) == ["5 MAS101"]


# ---------------------------------------------------------------- levels of lints


def test_a_program_cannot_take_back_what_the_host_decided(tmp_path: Path) -> None:
    program = in_flow(f"{DEAD}  # mas: allow MAS701 {REASON}")
    findings = checked(tmp_path, program, '[lints]\ndead_call = "error"\n')
    assert codes(findings) == ["5 MAS701"] and not findings.ok
    quiet = in_flow(f"y = topic  # mas: allow MAS701 {REASON}").replace("critic(topic)", "critic(y)")
    assert codes(checked(tmp_path, quiet, '[lints]\ndead_call = "error"\n')) == ["5 MAS722"]


def test_comments_about_lints_that_are_off_are_no_fault(tmp_path: Path) -> None:
    program = in_flow(f"{DEAD}  # mas: allow MAS701 {REASON}")
    assert codes(checked(tmp_path, program, '[lints]\ndead_call = "off"\n')) == []
    unused = in_flow(f"# mas: allow MAS706 {REASON}")
    assert codes(checked(tmp_path, unused, '[lints]\nunused_suppression = "off"\n')) == []
    assert codes(checked(tmp_path, unused, '[lints]\nunused_suppression = "error"\n')) == ["5 MAS725"]


# ---------------------------------------------------------------- [allow]


def test_paths_may_be_allowed_warnings(tmp_path: Path) -> None:
    config = '[allow]\n"demo/**" = ["MAS701 shown on purpose", "MAS706 shown, too"]\n'
    program = in_flow(DEAD, 'y = "z"')
    assert codes(checked(tmp_path, program, config)) == ["5 MAS701", "6 MAS706"]
    findings = checked(tmp_path, program, config, "demo/deep/a.mas")
    assert allowed(findings) == [("MAS701", "shown on purpose", True), ("MAS706", "shown, too", True)]
    assert findings.ok and not findings.sorted()


def test_the_configuration_may_except_paths_from_its_own_errors(tmp_path: Path) -> None:
    config = '[lints]\ndead_call = "error"\n[allow]\n"demo/*.mas" = "MAS701 shown on purpose"\n'
    assert not checked(tmp_path, in_flow(DEAD), config).ok
    assert codes(checked(tmp_path, in_flow(DEAD), config, "demo/a.mas")) == []


@pytest.mark.parametrize(
    ("entry", "advice"),
    [
        ("[]", "write a list of texts"),
        ("3", "write a list of texts"),
        ('["MAS701"]', "write the reason behind the code"),
        ('["no code at all"]', "begin each text with a code"),
        ('["MAS7O1 a reason"]', "there is no code MAS7O1; did you mean MAS701?"),
        ('["MAS101 a reason"]', "take MAS101 out: only warnings can be allowed"),
    ],
)
def test_mistakes_in_the_configuration_are_told(entry: str, advice: str, tmp_path: Path) -> None:
    findings = checked(tmp_path, in_flow(), f'[allow]\n"demo/**" = {entry}\n')
    (finding,) = [one for one in findings.sorted() if one.source.name.endswith("mas.toml")]
    assert finding.diagnostic.code == "MAS503"
    assert finding.diagnostic.title() == "`[allow] demo/**` must be a list of codes, each with a reason"
    assert finding.diagnostic.help().startswith(advice)


def test_the_same_stands_in_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.masdsl.allow]\n"*.mas" = "MAS701 shown"\n')
    assert load_config(str(tmp_path), Findings()).allowed(str(tmp_path / "a.mas")) == {"MAS701": "shown"}


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("a.mas", "a.mas", True),
        ("a.mas", "b/a.mas", False),
        ("*.mas", "a.mas", True),
        ("*.mas", "b/a.mas", False),
        ("**/a.mas", "a.mas", True),
        ("**/a.mas", "b/c/a.mas", True),
        ("b/**", "b/c/a.mas", True),
        ("b/**", "bc/a.mas", False),
        ("b/**/a.mas", "b/a.mas", True),
        ("?.mas", "a.mas", True),
        ("?.mas", "/.mas", False),
        ("a.mas", "axmas", False),
        ("[a].mas", "a.mas", False),
    ],
)
def test_patterns(pattern: str, path: str, expected: bool) -> None:
    assert matches(pattern, path) is expected


# ---------------------------------------------------------------- modules, commands, layout


def test_a_module_allows_its_own_findings(tmp_path: Path) -> None:
    useless = 'flow pick(topic) -> text {\n  x = "a" else "b"  # mas: allow MAS308 shown on purpose\n  return x\n}\n'
    (tmp_path / "helpers.mas").write_text(f"mas 1\n{useless}")
    program = "mas 1\nuse helpers: pick\nflow main(topic) -> text {\n  x = pick(topic)\n  return x\n}\n"
    findings = checked(tmp_path, program)
    assert codes(findings) == [] and allowed(findings) == [("MAS308", "shown on purpose", False)]
    (tmp_path / "helpers.mas").write_text("mas 1\n" + useless.replace("# mas: allow MAS308 shown on purpose", ""))
    assert codes(checked(tmp_path, program)) == ["3 MAS308"]


def test_check_shows_how_many_are_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    checked(tmp_path, in_flow(f"{DEAD}  # mas: allow MAS701 {REASON}"))
    assert main(["check", "a.mas", "--strict"]) == 0
    assert capsys.readouterr().out == "1 program, no problems\n"
    assert main(["check", "a.mas", "--strict", "--verbose", "--no-cache"]) == 0
    assert "1 finding allowed with a reason\n" in capsys.readouterr().out


def _warnings_with_a_page() -> list[str]:
    found = all_codes().items()
    return [code for code, kind in found if kind.severity == WARNING and page(kind).bad and code not in ABOUT_COMMENTS]


@pytest.mark.parametrize("place", ["behind", "above", "file"])
@pytest.mark.parametrize("code", _warnings_with_a_page())
def test_comments_stay_with_what_they_allow_when_the_layout_changes(code: str, place: str, tmp_path: Path) -> None:
    """Every warning of the catalogue, allowed in each way, before and after `mas fmt`."""
    example = page(all_codes()[code]).bad
    assert example is not None
    for name, text in example.files:
        (tmp_path / name).write_text(text, encoding="utf-8")
    path = tmp_path / "program.mas"

    def findings_of(text: str) -> Findings:
        path.write_text(text, encoding="utf-8")
        findings = Findings()
        check_file(str(path), findings)
        return findings

    bare = findings_of(example.program)
    lines = example.program.splitlines()
    if place == "file":
        lines.insert(0, f"# mas: allow-file {code} the page shows it")
    else:
        found = {one.source.position(one.diagnostic.span.start).line for one in bare.sorted() if one[1].code == code}
        for line in sorted(found, reverse=True):
            if place == "behind":
                lines[line - 1] += f"  # mas: allow {code} the page shows it"
            else:
                lines.insert(line - 1, f"# mas: allow {code} the page shows it")
    text = "\n".join(lines) + "\n"
    before = findings_of(text)
    counted = {code} | ABOUT_COMMENTS
    assert not counted & {one[1].code for one in before.sorted()}, render_short(before.sorted())
    assert {one[0] for one in allowed(before)} == {code}
    source = before.suppressed[0].finding.source
    formatted = format_source(source, Findings())
    assert formatted is not None and formatted.count("# mas: allow") == text.count("# mas: allow")
    after = findings_of(formatted)
    assert not counted & {one[1].code for one in after.sorted()}, formatted
    assert allowed(after) == allowed(before)


def test_the_layout_of_long_and_broken_statements_keeps_them_allowed(tmp_path: Path) -> None:
    long = f'x = writer("{"very " * 12}long", other: "{"another " * 8}")'
    for text in (
        in_flow(f"{long}  # mas: allow MAS701 {REASON}"),
        in_flow("x = writer(", "  topic  # the topic", f")  # mas: allow MAS701 {REASON}"),
        in_flow(f"# mas: allow MAS701 {REASON}", "x =", "writer(topic)"),
        in_flow("x =", f"writer(topic)  # mas: allow MAS701 {REASON}"),
    ):
        text = text.replace("agent writer(topic)", 'agent writer(topic, other = "")')
        findings = checked(tmp_path, text)
        assert codes(findings) == []
        formatted = format_source(findings.suppressed[0].finding.source, Findings())
        assert formatted is not None
        assert codes(checked(tmp_path, formatted)) == [], formatted
