"""A real browser, looking at a playground under test: Chromium that is installed here, through Playwright."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS: Final = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def installed() -> str | None:
    """Return the path of a Chromium or Chrome of this machine that starts; some only tell how to install one."""
    for path in filter(None, map(shutil.which, NAMES)):
        if subprocess.run([path, "--version"], capture_output=True, check=False, timeout=60).returncode == 0:
            return path
    return None


@contextmanager
def browsing(path: str) -> Iterator[Browser]:
    """Give a browser. Root has no sandbox of Chromium's."""
    flags = [*FLAGS, *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else [])]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=flags)
        try:
            yield browser
        finally:
            browser.close()


class Sight:
    """What a page did that it must not do: errors on its console, requests to anybody else, refusals of its policy."""

    def __init__(self, page: Page, url: str) -> None:
        self.faults: list[str] = []
        self.allowed: list[str] = []
        """Parts of what may stand on the console: Chromium reports each answer of 4xx there."""
        self._home = urlsplit(url)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", lambda request: self._asked(request.url))
        page.on("websocket", lambda socket: self._asked(socket.url))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"{message.text} ({message.location.get('url', '')})")

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        is_home = parts.netloc == self._home.netloc and parts.path.startswith(self._home.path)
        if parts.scheme not in ("data", "blob") and not is_home:
            self.faults.append(f"a request to {url}")

    def check(self) -> None:
        """Assert that there was nothing that the test has not allowed."""
        left = [
            fault
            for fault in self.faults
            if not (_is_too_busy_to_look(fault) or any(part in fault for part in self.allowed))
        ]
        self.faults, self.allowed = [], []
        if left:
            raise AssertionError("the page did what it must not do:\n" + "\n".join(left))


def _is_too_busy_to_look(fault: str) -> bool:
    """Whether a machine had no time for a look at a program: the page asks again. Any other refusal is a fault."""
    return "the server responded with a status of 503 " in fault and fault.endswith("/api/look)")


class Looking:
    """A page of a browser, at an address."""

    def __init__(self, browser: Browser, url: str, *, width: int = 1280, height: int = 800) -> None:
        self._context = browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce")
        self._context.set_default_timeout(60_000)
        self.page = self._context.new_page()
        self.sight = Sight(self.page, url)
        self.page.goto(url)

    def close(self) -> None:
        """Close it, whatever is written there."""
        self._context.close()
