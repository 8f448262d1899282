"""The playground as its user has it: a real browser, a real server, the language server behind it.

Every test fails as well when the page logs an error, asks anybody but its own server for something, or does what its
content policy forbids.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("fastapi", reason="FastAPI is not here: pip install -e '.[dev]'")
pytest.importorskip("pygls", reason="pygls is not here: pip install -e '.[dev]'")
pytest.importorskip("websockets", reason="websockets is not here: pip install -e '.[dev]'")
pytest.importorskip("playwright", reason="Playwright is not here: pip install -e '.[dev]'")

from playwright.sync_api import expect

from tests.harness import browser as chromium
from tests.harness.playground import Playground

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.slow
expect.set_options(timeout=60_000)  # other work may keep the machine busy
MAIN = """mas 1

## Write, then judge.
agent writer(topic) -> text(40) on fast temp 0
  "Write about {{ topic }}."

agent judge(draft: text(40), strict: bool) -> text(20) on fast temp 0
  "Judge{% if strict %} strictly{% endif %}: {{ draft }}"

flow main(topic = "rain", strict: bool = false) -> text(20) {
  draft = writer(topic)
  verdict = judge(draft, strict)
  return verdict
}
"""
FAILING = """mas 1

agent writer(topic) -> text(40) on fast temp 0
  "Write about {{ topic }}."

agent critic(draft: text(40), by: text(10)) -> text(20) on fast temp 0
  "As {{ by }}: {{ draft }}"

agent refuser(notes: text(20)[3]) -> text(20) on fast temp 0
  "Decide: {{ notes|join(', ') }}"

flow main(topic = "rain") -> text(20) {
  draft = writer(topic)
  notes = each by in ["poet", "editor", "reader"]: critic(draft, by)
  verdict = refuser(notes)
  return verdict
}
"""
SLOW = """mas 1

agent dawdler(topic) -> text(40) on fast temp 0
  "Write about {{ topic }}."

flow main(topic = "rain") -> text(40) {
  draft = dawdler(topic)
  rounds: loop 200 {
    draft = dawdler(draft)
  }
  return draft
}
"""
MANY = """mas 1

type Point { what: text(9), weight: int }
type Mood = calm | wild
type Answer { count: int, share: float, mood: Mood, point: Point, note: text(9)? }

agent shout(word: text(5)) -> text(5) on fast temp 0
  "Shout {{ word }}."

flow main(words: text(5)[1000]) -> text(5)[1000] {
  loud = each word in words: shout(word)
  return loud
}

flow other(count: int, share: float, mood: Mood, point: Point, note: text(9)?) -> Answer {
  return Answer(count: count, share: share, mood: mood, point: point, note: note)
}
"""
HUGE = """mas 1

agent novelist() -> text(32000)[16] on fast temp 0
  "Write."

flow main() -> text(32000)[16] {
  return novelist()
}
"""
MARKUP = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
HOSTILE = f"""mas 1

agent liar(topic) -> text(90) on fast temp 0
  "Write about {{{{ topic }}}}."

## {MARKUP}
flow main(topic = "{MARKUP}") -> text(90) {{
  return liar(topic)
}}
"""
HOSTILE_NAME = "<img src=x onerror=alert(1)>"
MISSPELT = MAIN.replace("{{ topic }}", "{{ topik }}")
PROGRAMS = {
    **dict.fromkeys(("main", "mended", "named", "bounded", "pictured", "compared"), MAIN),
    **dict.fromkeys(("misspelt", "explained"), MISSPELT),
    "thousand": MANY,
    **dict.fromkeys(("led", "laid", "annotated", "chosen", "owner"), MAIN),
    "guest": MANY,
    "long": MAIN + "\n" * 100,
    "failing": FAILING,
    "slow": SLOW,
    "many": MANY,
    "huge": HUGE,
    HOSTILE_NAME: HOSTILE,
}
REPLIES = {
    "writer": "It rains.",
    "judge": "good",
    "critic": [{"$reply": one, "$after": 0.3} for one in ("too wet", "fine", "dull")],
    "refuser": {"$fails": "refused", "$detail": "not today"},
    "dawdler": {"$reply": "at last", "$after": 0.2},
    "shout": "HO",
    "novelist": [["0123456789abcdef" * 8_000] * 16],
    "liar": MARKUP,
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium.installed()
    if path is None:
        pytest.skip("no Chromium or Chrome is installed: apt-get install chromium")
    with chromium.browsing(path) as made:
        yield made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    """A playground with all programs of this file, for those tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("programs")
    for name, text in PROGRAMS.items():
        (folder / f"{name}.mas").write_text(text, encoding="utf-8")
    (folder / "replies.json").write_text(json.dumps({"replies": REPLIES}), encoding="utf-8")
    words = (".", "--script", "replies.json", "--journal", str(folder / "runs.db"))
    with Playground(*words, cwd=folder) as made:
        yield made


Open = Callable[[str], tuple["Page", chromium.Sight]]


@pytest.fixture(scope="module")
def pages(browser: Browser, server: Playground) -> Iterator[list[chromium.Looking]]:
    """The page that the tests of this file share, as each needs a language server of its own; empty at first."""
    found: list[chromium.Looking] = []
    yield found
    for one in found:
        one.close()


@pytest.fixture
def opened(
    browser: Browser, server: Playground, pages: list[chromium.Looking], request: pytest.FixtureRequest
) -> Iterator[Open]:
    """A function that opens one of the programs, and waits until it can be worked with. No test shares its program."""
    if not pages:
        pages.append(chromium.Looking(browser, server.url))
    before = request.session.testsfailed

    def one(name: str) -> tuple[Page, chromium.Sight]:
        page = pages[0].page
        expect(page.locator("#connection")).to_have_text("Ready")
        page.get_by_role("tab", name="Flows and bounds").click()
        page.get_by_label("Program", exact=True).first.select_option(name)
        return page, pages[0].sight

    yield one
    try:
        pages[0].sight.check()
    finally:
        if request.session.testsfailed > before:
            pages.pop().close()


def _write(page: Page, text: str) -> None:
    """Put a text in place of the whole program, as somebody would who pastes it."""
    page.locator(".cm-content").click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text(text)


def _panel(page: Page, name: str) -> Locator:
    page.get_by_role("tab", name=name).click()
    return page.get_by_role("tabpanel", name=name)


# ---------------------------------------------------------------- writing


def test_an_error_is_told_with_its_fix_and_the_fix_mends_it(opened: Open) -> None:
    page, _ = opened("mended")
    problems = page.locator("#problem-list li")
    expect(page.locator("#problem-count")).to_have_text("none")
    expect(page.locator(".tok-keyword").first).to_have_text("mas")
    _write(page, MAIN.replace("{{ topic }}", "{{ topik }}"))
    expect(page.locator("#problem-count")).to_have_text("1 error")
    expect(page.locator(".cm-lintRange-error")).to_have_text("topik")
    expect(problems).to_contain_text("`topik` is not a parameter of this agent")
    problems.get_by_role("button", name="error, line 5").click()
    assert page.evaluate("getSelection().toString()") == "topik"
    problems.get_by_role("button", name=re.compile("^Fix: ")).click()
    expect(page.locator("#problem-count")).to_have_text("none")
    expect(page.locator(".cm-content")).to_contain_text("{{ topic }}")


def test_the_fix_at_the_cursor_needs_no_pointer(opened: Open) -> None:
    page, _ = opened("misspelt")
    expect(page.locator("#problem-list .fix")).to_be_visible()
    page.locator(".cm-content").focus()
    page.keyboard.press("F8")
    page.keyboard.press("ControlOrMeta+.")
    expect(page.locator("#problem-count")).to_have_text("none")


def test_names_are_completed_explained_and_renamed(opened: Open) -> None:
    page, _ = opened("named")
    page.locator(".cm-line", has_text="judge(draft, strict)").click()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.keyboard.type("other = wri")
    expect(page.locator(".cm-tooltip-autocomplete")).to_contain_text("writer")
    page.locator(".cm-tooltip-autocomplete li", has_text="agent writer").click()
    page.keyboard.type("(")
    expect(page.locator(".signature strong")).to_have_text("topic")
    page.keyboard.type("verdict")
    expect(page.locator("#problem-list")).to_contain_text("other")
    page.locator(".tok-function", has_text="main").hover()
    expect(page.locator(".cm-tooltip-hover")).to_contain_text("flow main")
    page.locator(".cm-line", has_text="writer(topic)").locator(".tok-variable").first.click()
    page.keyboard.press("F2")
    page.get_by_label("New name of draft").fill("text_of_it")
    page.keyboard.press("Enter")
    expect(page.locator(".cm-content")).to_contain_text("judge(text_of_it, strict)")
    page.keyboard.press("Shift+F12")
    places = page.locator("#references")
    expect(places).to_contain_text("text_of_it stands in 2 places")
    expect(places.locator("li")).to_have_count(2)
    places.get_by_role("button", name="line 11").click()
    expect(places).not_to_be_visible()
    assert page.evaluate("getSelection().toString()") == "text_of_it"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ControlOrMeta+Home")
    page.keyboard.press("Shift+F12")
    expect(page.locator("#notice")).to_contain_text("Nothing to list")


def _selected(page: Page) -> str:
    return str(page.evaluate("getSelection().toString()"))


def test_names_lead_to_their_declarations(opened: Open) -> None:
    page, _ = opened("led")
    page.locator(".cm-line", has_text="= writer(topic)").locator(".tok-class").click()
    page.keyboard.press("F12")
    expect(page.locator(".cm-activeLine")).to_contain_text("agent writer(topic)")
    assert _selected(page) == "writer"
    page.locator(".cm-line", has_text="= judge(draft").locator(".tok-class").click(modifiers=["ControlOrMeta"])
    expect(page.locator(".cm-activeLine")).to_contain_text("agent judge(draft")
    _write(page, "mas 1\nuse std.vote: vote\n\nflow main(x: text[3]+) -> text {\n  return vote(x)\n}\n")
    expect(page.locator("#problem-count")).to_have_text("none")
    page.locator(".cm-line", has_text="return vote(x)").locator(".tok-function").click()
    page.keyboard.press("F12")
    expect(page.locator("#notice")).to_contain_text("It is declared in vote.mas, line")
    page.keyboard.press("F2")
    expect(page.locator("#notice")).to_contain_text("This cannot be renamed")
    page.get_by_role("button", name="Close this notice").click()
    expect(page.locator("#notice")).to_be_empty()


def test_the_layout_and_all_sure_fixes_are_one_action_each(opened: Open) -> None:
    page, _ = opened("laid")
    laid = re.compile(r"  draft(: text\(40\))? = writer\(topic\)")  # with the hint, once it is there
    _write(page, MAIN.replace("draft = writer(topic)", "draft   =   writer( topic )"))
    page.get_by_role("button", name="Format").click()
    expect(page.locator(".cm-content")).to_contain_text(laid)
    _write(page, MAIN.replace("draft = writer(topic)", "draft =  writer(topic)"))
    page.keyboard.press("Shift+Alt+F")
    expect(page.locator(".cm-content")).to_contain_text(laid)
    _write(page, MAIN.replace("writer(topic)\n", "writer(topic);\n").replace("return verdict", "return verdict;"))
    expect(page.locator("#problem-count")).to_have_text("2 errors")
    page.get_by_role("button", name="error, line 13").click()
    expect(page.locator(".cm-activeLine")).to_contain_text("return verdict;")
    page.get_by_role("button", name="Apply all sure fixes").click()
    expect(page.locator("#problem-count")).to_have_text("none")
    assert ";" not in page.locator(".cm-content").inner_text()
    page.get_by_role("button", name="Download").first.scroll_into_view_if_needed()
    with page.expect_download() as loaded:
        page.get_by_role("banner").get_by_role("button", name="Download").click()
    assert loaded.value.suggested_filename == "laid.mas"
    assert Path(loaded.value.path()).read_text(encoding="utf-8") == MAIN


def test_steps_have_their_types_and_worst_cases_beside_them_and_blocks_are_folded(opened: Open) -> None:
    page, _ = opened("annotated")
    line = page.locator(".cm-line", has_text="= writer(topic)")
    expect(line.locator(".hint")).to_have_text([": text(40)", re.compile("≤ 1 call, .* tokens")])
    expect(line.locator(".hint").last).to_have_attribute("title", re.compile("main.draft: 1 call, .* s$"))
    expect(line.locator(".tok-parameter")).to_have_text("topic")
    page.locator(".cm-foldGutter [title='Fold line']").last.click()
    expect(page.locator(".cm-content")).not_to_contain_text("return verdict")


def test_the_page_of_a_code_is_shown(opened: Open) -> None:
    page, _ = opened("explained")
    page.locator("#problem-list").get_by_role("button", name="MAS602").click()
    expect(page.get_by_role("dialog")).to_contain_text("Good")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_the_cursor_stays_in_sight_when_problems_are_listed(opened: Open) -> None:
    page, _ = opened("long")
    expect(page.locator("#problem-count")).to_have_text("none")
    page.locator(".cm-content").press("ControlOrMeta+End")
    page.keyboard.type("x")
    expect(page.locator("#problem-list li").first).to_be_visible()
    last = page.locator(".cm-line", has_text=re.compile("^x$"))
    expect(last).to_be_in_viewport()
    below = "([line, editor]) => line.getBoundingClientRect().bottom <= editor.getBoundingClientRect().bottom + 1"
    page.wait_for_function(below, arg=[last.element_handle(), page.locator("#editor").element_handle()])


# ---------------------------------------------------------------- bounds and pictures


def test_the_worst_case_follows_the_text(opened: Open) -> None:
    page, _ = opened("bounded")
    calls = page.get_by_role("row", name="main").get_by_role("cell").first
    expect(calls).to_have_text("2")
    _write(page, MAIN.replace("draft = writer(topic)", "drafts = 3 of writer(topic)\n  draft = drafts[0]"))
    expect(calls).to_have_text("4")
    _write(page, "mas 1\nflow main( {")
    expect(page.locator("#flows")).to_contain_text("The program has errors")
    expect(calls).to_have_text("4")
    _write(page, "")
    expect(page.locator("#flows")).to_contain_text("No flow" if page.locator("#flows").is_hidden() else "The program")


def test_the_picture_follows_the_text(opened: Open) -> None:
    page, _ = opened("pictured")
    panel = _panel(page, "Graph")
    picture = panel.get_by_role("img", name="Picture of the program")
    page.wait_for_function("image => image.naturalHeight > 0", arg=picture.element_handle())
    before = picture.evaluate("image => [image.naturalWidth, image.naturalHeight, image.src]")
    assert before[0] > 100 and before[1] > 100
    _write(
        page,
        MAIN.replace("verdict = judge(draft, strict)", "better = writer(draft)\n  verdict = judge(better, strict)"),
    )
    expect(picture).not_to_have_attribute("src", before[2])
    page.wait_for_function(
        "([image, height]) => image.naturalHeight > height", arg=[picture.element_handle(), before[1]]
    )
    panel.get_by_role("button", name="1:1").click()
    assert picture.evaluate("image => image.clientWidth == image.naturalWidth")
    panel.get_by_role("button", name="Larger").click()
    assert picture.evaluate("image => image.clientWidth > image.naturalWidth")


# ---------------------------------------------------------------- runs


def test_a_run_is_watched_to_its_value(opened: Open) -> None:
    page, _ = opened("main")
    panel = _panel(page, "Run")
    panel.get_by_label("topic").fill("wind")
    panel.get_by_label("strict").check()
    panel.get_by_role("button", name="Run", exact=True).click()
    expect(panel.locator("#run-status")).to_have_text("ended")
    expect(panel.get_by_role("region", name="Value of the run")).to_have_text("good")
    steps = panel.get_by_role("listbox", name="Steps of the run").get_by_role("option")
    expect(steps).to_have_text(
        [re.compile("done.*main"), re.compile("done.*main.draft"), re.compile("done.*main.verdict")]
    )
    expect(panel.locator("#budget")).to_contain_text("2 of at most 2")
    steps.nth(1).click()
    details = panel.get_by_role("region", name="The chosen step")
    expect(details).to_contain_text("Write about wind.")
    expect(details.get_by_role("region", name="Reply of call 1")).to_have_text("It rains.")
    page.keyboard.press("ArrowDown")
    panel.get_by_role("listbox", name="Steps of the run").press("ArrowDown")
    expect(details).to_contain_text("Judge strictly: It rains.")
    with page.context.expect_page() as report:
        panel.get_by_role("link", name="Report").click()
    expect(report.value.locator("body")).to_contain_text("It rains.")
    report.value.close()  # a page behind another one is drawn once in a while only


def test_a_failed_run_goes_on_with_an_edited_program(opened: Open) -> None:
    page, _ = opened("failing")
    panel = _panel(page, "Run")
    panel.get_by_role("button", name="Run", exact=True).click()
    expect(panel.locator("#run-status")).to_have_text("failed")
    expect(panel.locator("#run-outcome")).to_contain_text("not today")
    page.locator(".cm-line", has_text="refuser(notes)").click()
    page.keyboard.press("End")
    page.keyboard.type(' else "none"')
    panel.get_by_role("button", name="Resume with this program").click()
    expect(panel.locator("#run-status")).to_have_text("ended")
    expect(panel.get_by_role("region", name="Value of the run")).to_have_text("none")
    expect(panel.locator("#run-patch")).to_contain_text('otherwise main.verdict = "none"')
    expect(panel.locator("#run-outcome")).to_contain_text("4 steps reused")
    expect(panel.locator(".step.reused")).to_have_count(4)
    graph = _panel(page, "Graph")
    expect(graph.get_by_label("Show what happened in the chosen run")).to_be_checked()
    expect(graph.get_by_role("img")).not_to_have_js_property("naturalWidth", 0)


def test_the_editor_itself_takes_a_click_on_a_hint(opened: Open) -> None:
    """Left to the browser, the cursor would come there some time later: behind what is typed on a busy machine."""
    page, _ = opened("failing")
    hint = page.locator(".cm-line", has_text="refuser(notes)").locator(".hint").last
    is_taken = hint.evaluate("""(hint) => {
      const { x, y } = hint.getBoundingClientRect();
      const place = { bubbles: true, cancelable: true, detail: 1, clientX: x + 5, clientY: y + 5 };
      const event = (type) => new MouseEvent(type, place);
      const isTaken = !hint.dispatchEvent(event("mousedown"));
      document.dispatchEvent(event("mouseup"));
      return isTaken;
    }""")
    assert is_taken


def test_a_run_is_stopped_and_what_may_not_change_is_refused(opened: Open) -> None:
    page, sight = opened("slow")
    panel = _panel(page, "Run")
    panel.get_by_role("button", name="Run", exact=True).click()
    expect(panel.locator(".step.running", has_text="main.").last).to_be_visible()
    expect(panel.locator("#run-status")).to_have_text("running")
    panel.get_by_role("button", name="Stop").click()
    expect(panel.locator("#run-status")).to_have_text("stopped")
    assert 1 < page.evaluate("document.querySelectorAll('.step').length") < 200
    sight.allowed.append("the server responded with a status of 422")
    _write(
        page,
        SLOW.replace('main(topic = "rain")', 'main(subject = "rain")').replace(
            "= dawdler(topic)", "= dawdler(subject)"
        ),
    )
    panel.get_by_role("button", name="Resume with this program").click()
    expect(page.get_by_role("alert").first).to_contain_text("The run cannot go on like this")
    expect(panel.locator("#run-refused li").first).to_be_visible()
    expect(panel.locator("#run-status")).to_have_text("stopped")


def test_models_are_chosen_for_one_run(opened: Open) -> None:
    page, sight = opened("chosen")
    panel = _panel(page, "Run")
    panel.get_by_text("Models", exact=True).click()
    panel.get_by_label("fast").fill("nothing/such")
    panel.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#notice")).to_contain_text("nothing/such")
    panel.get_by_label("fast").fill("smollm2")
    panel.get_by_role("button", name="Run", exact=True).click()
    expect(panel.locator("#run-status")).to_have_text("ended")
    sight.allowed.append("status of 422")


def test_a_run_belongs_to_its_program(opened: Open) -> None:
    page, _ = opened("owner")
    _write(page, FAILING)
    panel = _panel(page, "Run")
    panel.get_by_label("topic").fill("snow")
    panel.get_by_role("button", name="Run", exact=True).click()
    expect(panel.locator("#run-status")).to_have_text("failed")
    expect(panel.locator("#step-count")).to_have_text("6 steps: 2 failed, 4 done")
    panel.get_by_role("button", name="Show main.verdict").click()
    expect(panel.get_by_role("region", name="The chosen step")).to_contain_text(re.compile("Decide: .+, .+, .+"))
    lanes = panel.locator(".step .bar").evaluate_all("all => all.map((one) => [one.style.left, one.style.width])")
    begins, widths = ([float(one.removesuffix("%")) for one in part] for part in zip(*lanes, strict=True))
    assert begins == sorted(begins) and begins[0] < begins[-1] and max(widths) == widths[0] > min(widths)
    page.get_by_label("Program", exact=True).first.select_option("guest")
    expect(page.locator(".cm-content")).to_contain_text("flow other(count: int")
    panel.get_by_label("Runs").select_option(index=0)
    panel.get_by_label("Runs").select_option(index=1)
    expect(panel.locator("#resume-why")).to_contain_text("This is a run of owner")
    expect(panel.get_by_role("button", name="Resume with this program")).to_be_disabled()
    panel.get_by_label("Flow").select_option("other")
    panel.get_by_label("count").fill("7")
    panel.get_by_label("Flow").select_option("main")
    panel.get_by_label("Flow").select_option("other")
    expect(panel.get_by_label("count")).to_have_value("7")  # what was written is kept
    panel.get_by_role("button", name="Take its text").click()
    expect(page.locator(".cm-content")).to_contain_text("agent refuser")
    page.get_by_label("Program", exact=True).first.select_option("owner")
    _panel(page, "Graph")
    picture = page.locator("#graph img")
    expect(picture).to_be_visible()
    of_run = picture.get_attribute("src")
    page.get_by_label("Show what happened in the chosen run").uncheck()
    expect(picture).not_to_have_attribute("src", of_run or "")


def test_inputs_of_every_type(opened: Open) -> None:
    page, _ = opened("many")
    panel = _panel(page, "Run")
    panel.get_by_label("Flow").select_option("other")
    panel.get_by_label("count").fill("7")
    panel.get_by_label("share").fill("0.5")
    panel.get_by_label("mood").select_option("wild")
    panel.get_by_label("point").fill('{"what": "x"')
    panel.get_by_role("button", name="Run", exact=True).click()
    expect(panel.get_by_role("alert").filter(has_text="write JSON")).to_be_visible()
    expect(panel.get_by_label("point")).to_be_focused()
    panel.get_by_label("point").fill('{"what": "x", "weight": 2}')
    panel.get_by_role("button", name="Run", exact=True).click()
    value = panel.get_by_role("region", name="Value of the run")
    expect(value).to_contain_text('"mood": "wild"')
    given = {"count": 7, "share": 0.5, "mood": "wild", "point": {"what": "x", "weight": 2}, "note": None}
    assert json.loads(value.text_content() or "") == given


def test_a_thousand_steps_are_few_elements(opened: Open) -> None:
    page, _ = opened("thousand")
    panel = _panel(page, "Run")
    panel.get_by_label("words").fill(json.dumps([f"w{number}" for number in range(1000)]))
    panel.get_by_role("button", name="Run", exact=True).click()
    expect(panel.locator("#run-status")).to_have_text("ended", timeout=60_000)
    expect(panel.locator("#step-count")).to_have_text("1,001 steps: 1,001 done")
    steps = panel.get_by_role("listbox", name="Steps of the run")
    assert steps.get_by_role("option").count() < 60
    steps.focus()
    page.keyboard.press("Home")
    page.keyboard.press("End")
    expect(steps.locator("[aria-selected=true]")).to_have_attribute("aria-posinset", "1001")
    assert steps.get_by_role("option").count() < 60


def test_a_huge_value_is_shown_in_parts(opened: Open) -> None:
    page, _ = opened("huge")
    panel = _panel(page, "Run")
    panel.get_by_role("button", name="Run", exact=True).click()
    value = panel.get_by_role("region", name="Value of the run")
    expect(value).to_contain_text("0123456789abcdef")
    assert len(value.text_content() or "") == 20_000
    panel.get_by_role("button", name=re.compile("Show more")).first.click()
    assert len(value.text_content() or "") == 120_000
    panel.get_by_role("option", name="main.return").click()
    reply = panel.get_by_role("region", name="Reply of call 1")
    expect(reply).to_contain_text("0123456789abcdef")
    assert len(reply.text_content() or "") == 20_000
    with page.expect_download() as loaded:
        panel.get_by_role("button", name="Download all of it").first.click()
    assert loaded.value.path().stat().st_size > 500_000


# ---------------------------------------------------------------- comparing


def test_two_programs_are_compared(opened: Open) -> None:
    page, sight = opened("compared")
    panel = _panel(page, "Compare")
    panel.get_by_role("button", name="Compare").click()
    expect(panel).to_contain_text("Both are the same text.")
    _write(
        page,
        MAIN.replace("verdict = judge(draft, strict)", "better = writer(draft)\n  verdict = judge(better, strict)"),
    )
    panel.get_by_role("button", name="Compare").click()
    expect(panel.locator(".line.added").first).to_contain_text("better = writer(draft)")
    expect(panel.get_by_role("region", name="Patch")).to_contain_text("better = writer(draft)")
    expect(panel.get_by_role("row", name="Change").get_by_role("cell").first).to_have_text("+1")
    expect(panel.get_by_role("img", name="Picture of what the change does")).not_to_have_js_property("naturalWidth", 0)
    panel.get_by_label("After", exact=True).select_option("Pasted text")
    panel.get_by_label("Text after").fill("mas 1\nflow main( {")
    sight.allowed.append("the server responded with a status of 422")
    panel.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("alert").first).to_contain_text("The programs cannot be compared")


# ---------------------------------------------------------------- what others wrote is never markup


def test_hostile_texts_stay_texts(opened: Open) -> None:
    page, _ = opened(HOSTILE_NAME)
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    expect(page.locator("#flows")).to_contain_text(MARKUP)
    panel = _panel(page, "Run")
    panel.get_by_role("button", name="Run", exact=True).click()
    expect(panel.get_by_role("region", name="Value of the run")).to_have_text(MARKUP)
    panel.get_by_role("option", name="main.").last.click()
    expect(panel.get_by_role("region", name="Reply of call 1")).to_have_text(MARKUP)
    expect(panel.locator("#run-name")).to_contain_text(HOSTILE_NAME)
    graph = _panel(page, "Graph")
    expect(graph.get_by_role("img")).not_to_have_js_property("naturalWidth", 0)
    compare = _panel(page, "Compare")
    compare.get_by_label("After", exact=True).select_option("This program, as it is now")
    _write(page, HOSTILE.replace("text(90) on", "text(91) on"))
    compare.get_by_role("button", name="Compare").click()
    expect(compare.locator(".line").first).to_be_visible()
    _write(page, HOSTILE.replace("{{ topic }}", f"{{{{ topic.{'x' * 3} }}}} {{{{ '{MARKUP}'|nope }}}}"))
    expect(page.locator("#problem-list li").first).to_be_visible()
    page.locator(".cm-lintRange").first.hover()
    expect(page.locator(".cm-tooltip-lint")).to_be_visible()
    assert page.locator("img:not([src^=blob]), script:not([src])").count() == 0


# ---------------------------------------------------------------- files, and when things go away


Alone = Callable[..., tuple["Page", chromium.Sight, Playground]]


@pytest.fixture
def alone(browser: Browser, tmp_path: Path) -> Iterator[Alone]:
    """A function that opens a program in a playground of its own, whatever becomes of that."""
    with ExitStack() as stack:

        def one(text: str, *words: str, **environment: str) -> tuple[Page, chromium.Sight, Playground]:
            (tmp_path / "prog.mas").write_text(text, encoding="utf-8")
            given = ("prog.mas", "--journal", str(tmp_path / "runs.db"), *words)
            server = stack.enter_context(Playground(*given, cwd=tmp_path, environment=environment))
            found = stack.enter_context(closing(chromium.Looking(browser, server.url, width=800)))
            expect(found.page.locator("#connection")).to_have_text("Ready")
            return found.page, found.sight, server

        yield one


def test_a_file_is_saved_unless_it_has_changed_meanwhile(alone: Alone, tmp_path: Path) -> None:
    page, sight, _ = alone(MAIN)
    file = tmp_path / "prog.mas"
    expect(page.locator("#saved")).to_have_text("saved")
    _write(page, MAIN.replace("Write about", "Sing of"))
    expect(page.locator("#saved")).to_have_text("edited")
    page.keyboard.press("ControlOrMeta+s")
    expect(page.locator("#saved")).to_have_text("saved")
    assert "Sing of" in file.read_text(encoding="utf-8")
    file.write_text(MAIN.replace("Write about", "Dance to"), encoding="utf-8")
    _write(page, MAIN.replace("Write about", "Shout of"))
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert").first).to_contain_text("The file is not what it was")
    assert "Dance to" in file.read_text(encoding="utf-8")
    sight.allowed.append("status of 409")
    page.get_by_label("Program", exact=True).first.select_option("starter")
    expect(page.locator("#saved")).to_have_text("example")
    page.get_by_label("Program", exact=True).first.select_option("prog")
    expect(page.locator(".cm-content")).to_contain_text("Shout of")
    sight.check()
    with page.expect_event("dialog") as asked:  # the browser asks before text goes that is saved nowhere
        page.close(run_before_unload=True)
    assert asked.value.type == "beforeunload"
    asked.value.dismiss()


def test_the_text_is_kept_when_the_language_server_and_when_the_server_ends(
    alone: Alone,
) -> None:
    page, _, server = alone(MAIN)
    expect(page.locator("#problem-count")).to_have_text("none")
    for process in server.children():
        if b"lsp" in Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0"):
            os.kill(process, signal.SIGKILL)
    expect(page.locator("#connection")).to_contain_text("The language server has ended")
    _write(page, MISSPELT)
    expect(page.locator("#connection")).to_have_text("Ready")
    expect(page.locator("#problem-count")).to_have_text("1 error")
    server.end(signal.SIGKILL)
    expect(page.locator("#connection")).to_contain_text("The server does not answer")
    page.locator(".cm-content").press("ControlOrMeta+End")
    page.keyboard.type("# still here")
    expect(page.locator(".cm-content")).to_contain_text("# still here")
    _panel(page, "Compare").get_by_role("button", name="Compare").click()
    expect(page.get_by_role("alert").first).to_contain_text("your text is kept")


def test_a_model_that_is_not_here_is_told_of(alone: Alone, tmp_path: Path) -> None:
    page, sight, _ = alone(MAIN, MASDSL_CACHE=str(tmp_path / "empty"))
    panel = _panel(page, "Run")
    panel.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("body")).to_contain_text("mas models pull smollm2")
    sight.allowed.append("status of 422")
    sight.check()


@pytest.mark.local_model
def test_a_run_with_the_real_local_model(alone: Alone) -> None:
    hello = Path(__file__).parent.parent / "examples" / "hello" / "hello.mas"
    page, sight, _ = alone(hello.read_text(encoding="utf-8"))
    panel = _panel(page, "Run")
    panel.get_by_label("name").fill("Ada")
    panel.get_by_role("button", name="Run", exact=True).click()
    expect(panel.locator("#run-status")).to_have_text("ended", timeout=120_000)
    greeting = json.loads(panel.get_by_role("region", name="Value of the run").text_content() or "")
    assert greeting["words"] and greeting["mood"] in ("cheerful", "formal")
    sight.check()


def test_the_bound_of_a_run_that_began_elsewhere_is_said_to_be_its_programs(alone: Alone, tmp_path: Path) -> None:
    (tmp_path / "replies.json").write_text(json.dumps({"replies": REPLIES}), encoding="utf-8")
    page, sight, _ = alone(MAIN, "--script", "replies.json")
    panel = _panel(page, "Run")
    panel.get_by_role("button", name="Run", exact=True).click()
    expect(panel.locator("#run-status")).to_have_text("ended")
    expect(panel.locator("#run-elsewhere")).to_be_hidden()
    words = ("run", "prog.mas", "--script", "replies.json", "--journal", "runs.db")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    ran = subprocess.run([sys.executable, "-m", "masdsl", *words], cwd=tmp_path, env=environment, capture_output=True)
    assert ran.returncode == 0, ran.stderr
    page.reload()
    panel = _panel(page, "Run")
    expect(panel.locator("#runs option", has_text="ended")).to_have_count(2)
    panel.get_by_label("Runs").select_option(index=1)
    expect(panel.locator("#run-status")).to_have_text("ended")
    expect(panel.locator("#run-elsewhere")).to_contain_text("a budget that only its caller gave")
    panel.get_by_role("button", name="Take its text").click()
    expect(page.locator("#saved")).to_have_text("saved")  # it is the same program
    sight.check()


def test_all_of_it_works_by_keys_in_a_narrow_window(alone: Alone, tmp_path: Path) -> None:
    (tmp_path / "replies.json").write_text(json.dumps({"replies": REPLIES}), encoding="utf-8")
    page, sight, _ = alone(MAIN, "--script", "replies.json")
    page.get_by_role("tab", name="Flows and bounds").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Run")).to_be_focused()
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_enabled()
    page.locator(".cm-content").focus()
    page.keyboard.press("ControlOrMeta+Enter")
    expect(page.locator("#run-status")).to_have_text("ended")
    page.locator(".cm-content").focus()
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#editor') === null")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    sight.check()
