"""The playground as its user has it: a real browser, a real server, the language server behind it.

Every test fails as well when the page logs an error, asks anybody but its own server for something, or does what its
content policy forbids.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
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
PROGRAMS = {"main": MAIN, "misspelt": MAIN.replace("{{ topic }}", "{{ topik }}")}
SCRIPT = """[replies]
writer = "It rains."
judge = "good"
"""


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
    (folder / "replies.toml").write_text(SCRIPT, encoding="utf-8")
    words = (".", "--script", "replies.toml", "--journal", str(folder / "runs.db"))
    with Playground(*words, cwd=folder) as made:
        yield made


Open = Callable[..., tuple["Page", chromium.Sight]]


@pytest.fixture
def opened(browser: Browser, server: Playground) -> Iterator[Open]:
    """A function that opens one of the programs, and waits until it can be worked with."""
    with ExitStack() as stack:

        def one(name: str = "main", **options: int) -> tuple[Page, chromium.Sight]:
            page, sight = stack.enter_context(chromium.looking(browser, server.url, **options))
            expect(page.locator("#connection")).to_have_text("Ready", timeout=20_000)
            page.get_by_label("Program", exact=True).first.select_option(name)
            return page, sight

        yield one


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
    page, _ = opened()
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
    page, _ = opened()
    page.locator(".cm-line", has_text="verdict = judge").click()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.keyboard.type("other = wri")
    expect(page.locator(".cm-tooltip-autocomplete")).to_contain_text("writer")
    page.keyboard.press("Enter")
    page.keyboard.type("(")
    expect(page.locator(".signature strong")).to_have_text("topic")
    page.keyboard.type("verdict")
    expect(page.locator("#problem-list")).to_contain_text("other")
    page.locator(".tok-function", has_text="main").hover()
    expect(page.locator(".cm-tooltip-hover")).to_contain_text("flow main")
    page.locator(".cm-line", has_text="draft = writer").locator(".tok-variable").first.click()
    page.keyboard.press("F2")
    page.get_by_label("New name of draft").fill("text_of_it")
    page.keyboard.press("Enter")
    expect(page.locator(".cm-content")).to_contain_text("judge(text_of_it)")
