"""Reports: what is on a page, that nothing on it can do anything, and that it stays small enough to be looked at."""

from __future__ import annotations

import base64
import json
import re
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masdsl.cli import main
from masdsl.journal.base import Row
from masdsl.report import batch_page
from masdsl.report.collect import FAILED, RUNNING, UNFIT, VALUE, Address, Asked, Step, lanes, steps_of
from masdsl.report.html import LONGEST, Texts, page, plain
from masdsl.report.run_page import MOST_STEPS, Measure, RunReport, render
from tests.harness.programs import write

PAID: dict[str, Any] = {"tokens_in": 10, "tokens_out": 2, "picodollars": 5}
HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(1)>",
    "</pre></details><iframe src='https://evil.example'></iframe>",
    "<!-- <style>@import url(https://evil.example)</style>",
    "\x00\x1b[2J\u202eevil\u2066\ud800\ufffe",
    "' onclick='alert(1)' \" autofocus onfocus=\"alert(1)",
    "]]></svg><a href='javascript:alert(1)'>x</a>",
    "&lt;script&gt; &#60;b&#62;",
)


class Page(HTMLParser):
    """All elements of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def assert_is_harmless(text: str) -> Page:
    """No script, no handler, no address but places on the page and images that it holds; a policy that says so."""
    shown = Page(text)
    for tag, attributes in shown.elements:
        assert tag not in ("script", "iframe", "object", "embed", "link", "base", "form", "input", "foreignobject")
        assert not any(name.startswith("on") or name == "style" for name in attributes), attributes
        assert (attributes.get("href") or "#").startswith("#")
        assert (attributes.get("src") or "data:image/svg+xml;base64,").startswith("data:image/svg+xml;base64,")
    (policy,) = [one["content"] for tag, one in shown.elements if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None and policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy and "http" not in policy
    for style in re.findall(r"<style>(.*?)</style>", text, re.DOTALL):
        assert f"'sha256-{base64.b64encode(sha256(style.encode()).digest()).decode()}'" in policy
        assert "url(" not in style and "@import" not in style
    return shown


def row(seq: int, kind: str, path: str, indices: tuple[int, ...] = (), part: int = 0, **body: object) -> Row:
    return Row(seq, kind, path, indices, part, b"", b"", body, 0.0)


def report(steps: tuple[Step, ...] = (), value: object = "done", **more: object) -> RunReport:
    known = RunReport(
        run="r1",
        title="main of x.mas",
        status="ended",
        facts=(("run", "r1"),),
        inputs={},
        measures=(Measure("calls", 3, "3", 10, "10", 20, "20"),),
        has_value=True,
        value=value,
        ending="",
        steps=steps,
        changes=(),
        picture="",
        sources={"x.mas": "mas 1\n"},
        missing=(),
        now=2.0,
    )
    return known._replace(**more)  # type: ignore[arg-type]


# ---------------------------------------------------------------- what happened


def test_rows_become_steps_with_their_calls() -> None:
    rows = [
        row(1, "intent", "main.a", t=0.0, **PAID),
        row(2, "reply", "main.a", t=1.0, seconds=1.0, text="not json", model="m", **PAID),
        row(3, "intent", "main.a", part=1, t=1.5, **PAID),
        row(4, "reply", "main.a", part=1, t=2.0, seconds=0.5, text="{}", value={"x": 1}, model="m", **PAID),
        row(5, "tool", "main.b", value=3, by="calculator", t=2.1),
        row(6, "intent", "main.c", (1,), t=2.2, **PAID),
        row(7, "fault", "main.c", (1,), t=2.4, seconds=0.2, detail="later", **PAID),
        row(8, "done", "main.c", (1,), value="none", default=True, t=2.5),
        row(9, "failed", "main.d", reason="no", t=2.6),
        row(10, "claim", "main.e")._replace(body={"seq": 4, "from": "main.old"}),
        row(11, "intent", "main.f", t=2.7, **PAID),
        row(12, "end", ""),
    ]
    rows[6] = rows[6]._replace(body={**rows[6].body, "kind": "busy"})
    asked: dict[Address, Asked] = {("main.a", ()): Asked("agent", "writer", (("user", "Write"),), {})}
    a, b, c, d, e, f = steps_of(rows, asked)
    assert a.state == VALUE and a.value == {"x": 1} and a.asked is not None
    assert [(one.attempt, one.begin, one.end, one.reply, one.unfit) for one in a.calls] == [
        (0, 0.0, 1.0, "not json", UNFIT),
        (1, 1.5, 2.0, "{}", ""),
    ]
    assert b.value == 3 and b.by == "calculator"
    assert c.is_default and c.address == "main.c[1]" and c.calls[0].fault == "busy: later"
    assert d.state == FAILED and d.reason == "no"
    assert e.came_from == "main.old" and e.value == {"x": 1}
    assert f.state == RUNNING and f.calls[0].end is None
    bars, count = lanes((a, b, c, d, e, f), 3.0)
    assert len(bars) == 5 and count == 1
    assert bars[-1].end == 3.0


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 20)), max_size=30))
def test_no_two_bars_of_a_lane_are_at_the_same_time(spans: list[tuple[float, float]]) -> None:
    rows = []
    for number, (begin, wide) in enumerate(spans):
        rows.append(row(2 * number + 1, "intent", f"main.s{number}", t=begin, **PAID))
        rows.append(row(2 * number + 2, "reply", f"main.s{number}", t=begin + wide, value="x", **PAID))
    bars, count = lanes(steps_of(rows, {}), 200.0)
    assert len(bars) == len(spans)
    for lane in range(count):
        own = sorted((bar.begin, bar.end) for bar in bars if bar.lane == lane)
        assert own and all(one[1] <= other[0] for one, other in pairwise(own))


# ---------------------------------------------------------------- hostile texts


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text_wherever_it_stands(text: str) -> None:
    rows = [
        row(1, "reply", "main.a", value=text, text=text, model=text, **PAID),
        row(2, "fault", f"main.{text}", detail=text, **PAID),
        row(3, "failed", f"main.{text}", reason=text),
    ]
    steps = steps_of(rows, {("main.a", ()): Asked("agent", text, ((text, text),), {text: text})})
    shown = render(
        report(
            steps, text, title=text, facts=((text, text),), inputs={text: text}, sources={text: text}, missing=(text,)
        )
    )
    harmless = assert_is_harmless(shown)
    shown.encode("utf-8")
    assert plain(text) in shown
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", harmless.text)
    markdown = f"# {text}\n\n| a | b |\n|---|---:|\n| {text} | `{text}` |\n\n{text}\n"
    assert_is_harmless(batch_page.render(text, markdown, text.encode("utf-8", "replace")))


@given(st.text())
def test_any_text_is_shown_as_it_is(text: str) -> None:
    shown = Page(page("t", [Texts("").block(text)], ("",)))
    visible = "".join(one for one in text if one.isprintable() and ord(one) > 32)
    assert all(one in shown.text for one in set(visible) if ord(one) < 0xD800)
    assert [tag for tag, _ in shown.elements if tag not in ("pre", "details", "summary", "i")] == [
        *("html", "head", "meta", "meta", "meta", "meta", "meta", "title", "style", "body"),
    ]


def test_a_reply_of_five_megabytes_leaves_a_page_that_can_be_opened() -> None:
    large = "x <b>" * 1_000_000
    rows = [row(number, "reply", f"main.s{number}", value=large, text=large, **PAID) for number in range(1, 4)]
    shown = render(report(steps_of(rows, {}), large))
    assert len(shown) < 4 * 2 * 7 * LONGEST
    assert "characters are left out here" in shown
    many = [row(number, "reply", "main.s", (number,), value="x" * 5_000, **PAID) for number in range(MOST_STEPS + 9)]
    many.append(row(99_999, "failed", "main.bad", reason="no"))
    shown = render(report(steps_of(many, {})))
    assert len(shown) < 40_000_000
    assert "main.bad" in shown and f" of {MOST_STEPS + 10:,} steps are shown" in shown


def test_long_texts_are_folded_and_short_ones_are_not() -> None:
    assert "<details" not in Texts("").block("short")
    assert "<details" in Texts("").block("long " * 1_000)
    assert "<details" in Texts("").block("\n" * 40)


# ---------------------------------------------------------------- the command

PROGRAM = """mas 1

rectify tries 1
budget calls 30

agent coder(spec) -> text(90) on fast retry 1 "Write {{ spec }}"
agent critic(code: text(90)) -> (ok: bool, why: text(40)) on fast retry 2 "Criticise {{ code }}"
agent helper(part: int) -> text(40) else "no help" on fast "Help with {{ part }}"

flow main(spec) -> text(90) {
  code = coder(spec)
  note = critic(code)
  parts = each i in range(2): helper(i)
  return coder(spec + note.why + join(parts, " "))
}
"""
CONFIG = """[tiers]
fast = "one"
smart = "two"
[models.one]
kind = "scripted"
path = "one.toml"
[models.two]
kind = "scripted"
path = "two.toml"
"""
ONE = """[replies]
coder = ["</script><b>first</b>", { "$fails" = "refused", "$detail" = "<i>I will not</i>" }]
critic = ["no json", { "$reply" = '{"ok": false, "why": "bad"}' }]
helper = ["a", { "$fails" = "overloaded" }]
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write(tmp_path, PROGRAM, files={"one.toml": ONE, "two.toml": '[replies]\ncoder = "second"\n'}, config=CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MASDSL_STATE", str(tmp_path / "state"))
    return tmp_path


def kept(capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(["runs", "--json"]) == 0
    return str(json.loads(capsys.readouterr().out)[0]["id"])


def test_a_run_that_was_patched_has_all_of_it_on_its_page(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "program.mas", "spec=a <u>spec</u>"]) == 0
    run = kept(capsys)
    assert main(["report", run, "-o", "r.html"]) == 0
    text = (here / "r.html").read_text(encoding="utf-8")
    shown = assert_is_harmless(text).text
    assert "Write a <u>spec</u>" in shown  # the prompt, which the journal does not have
    assert "</script><b>first</b>" in shown and "Criticise </script><b>first</b>" in shown
    assert "no json" in shown and UNFIT in shown
    assert "overloaded" in shown and "no help" in shown
    assert "bind coder = smart" in shown and "<i>I will not</i>" in shown
    assert "second" in shown and "ended" in shown
    assert '<a href="#step-0">' in text and "budget" in shown
    assert "went on after ending" not in shown  # it went on after a patch
    if 'class="mas-graph"' in text:
        assert "~ changed by a patch" in shown
    if 'class="mas-graph"' in text:
        led = set(re.findall(r'href="#(program\.mas:\d+)"', text))
        assert led and all(f'id="{place}"' in text for place in led)


def test_a_run_that_was_resumed_says_how_often(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "two.toml").write_text('[replies]\ncoder = { "$fails" = "refused" }\n')
    assert main(["run", "program.mas", "spec=x", "--no-rectify"]) == 4
    run = kept(capsys)
    assert main(["run", "--resume", run, "--no-rectify"]) == 0
    assert main(["report", run, "-o", "-"]) == 0
    assert "went on after ending 1 time" in Page(capsys.readouterr().out).text


ACTING = """mas 1

tool look(q: text(40)) -> text(40) from "look"

agent finder(x) -> text(40) tools [look] steps 2 "Find {{ x }}"

flow main(x) -> text(40) {
  return finder(x)
}
"""


def test_the_bound_on_the_page_is_that_of_the_program_and_tools_have_their_names(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turns = """[replies]\nfinder = ['{"tool": "look", "arguments": {"q": "bees"}}', '{"answer": "done"}']\n"""
    (here / "one.toml").write_text(turns)
    (here / "mas.toml").write_text(
        '[tiers]\ndefault = "one"\n[tools]\nlook = "found:look"\n' + CONFIG[CONFIG.index("[m") :]
    )
    (here / "found.py").write_text("def look(q: str) -> str:\n    return q\n")
    (here / "acting.mas").write_text(ACTING)
    assert main(["run", "acting.mas", "x=y"]) == 0
    run = kept(capsys)
    assert main(["cost", "acting.mas", "--format", "json"]) == 0
    (flow,) = json.loads(capsys.readouterr().out)["programs"][0]["flows"]
    assert main(["report", run, "-o", "-"]) == 0
    shown = Page(capsys.readouterr().out).text
    assert f"{flow['most']['tokens']:,}" in shown
    assert "main.return.look[0] · tool look" in shown


@pytest.mark.parametrize("status", ["failed", "broken off"])
def test_a_run_without_a_value_has_a_page(
    status: str, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "two.toml").write_text('[replies]\ncoder = { "$fails" = "refused" }\n')
    assert main(["run", "program.mas", "spec=x", "--no-rectify"]) == 4
    run = kept(capsys)
    if status == "broken off":
        from masdsl.cli import report as command
        from masdsl.journal import open_journal

        journal = open_journal(None)
        header, rows = journal.read(run)
        journal.close()
        text = command.of_run(header._replace(status="running"), rows[:3])
        assert "or was broken off" in text and f"mas run --resume {run}" in text
    else:
        assert main(["report", run, "-o", "-"]) == 0
        text = capsys.readouterr().out
        assert "It failed at main.return" in Page(text).text
    assert "Write x" in assert_is_harmless(text).text


def test_a_program_that_has_errors_by_now_still_has_a_page(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "program.mas", "spec=x"]) == 0
    run = kept(capsys)
    (here / "mas.toml").write_text('[trust.effects]\n"x.y" = "model"\n[budget]\ncalls = 1\n')
    assert main(["report", run, "-o", "r.html"]) == 0
    shown = assert_is_harmless((here / "r.html").read_text(encoding="utf-8")).text
    assert "errors under the configuration of now" in shown and "first" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["nobody"], "nobody"), (["."], "no folder of a batch"), (["--journal", "none.db", "x"], "x")],
)
def test_what_there_is_no_report_on_is_said(
    arguments: list[str], said: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_a_batch_has_a_table_and_its_plot(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "good.toml").write_text(
        '[replies]\ncoder = "second"\ncritic = \'{"ok": true, "why": "x"}\'\nhelper = "a"\n'
    )
    (here / "one.toml").write_text((here / "good.toml").read_text())
    (here / "data.jsonl").write_text('{"spec": "a", "answer": "second"}\n{"spec": "b", "answer": "<b>"}\n')
    arguments = ["program.mas", "--data", "data.jsonl", "--grade", "exact", "--out", "batch", "--workers", "1"]
    code = main(["eval", *arguments])
    assert code == 0, capsys.readouterr().err
    assert main(["report", "batch", "-o", "b.html"]) == 0
    text = (here / "b.html").read_text(encoding="utf-8")
    shown = assert_is_harmless(text)
    assert "Scores" in shown.text and "0.500" in shown.text
    assert any(tag == "table" for tag, _ in shown.elements)
    if (here / "batch" / "accuracy-cost.svg").exists():
        assert any(tag == "img" for tag, _ in shown.elements)
