"""The documentation site builds, its links lead somewhere, and it asks for nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from masdsl.cli import COMMANDS
from masdsl.diagnostics.catalogue import all_codes

ROOT = Path(__file__).parent.parent

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(find_spec(name) is None for name in ("material", "mkdocs", "mkdocs_gen_files")),
        reason="MkDocs Material is not installed: pip install 'masdsl[site]'",
    ),
]


class Found(HTMLParser):
    """The links of a page, its anchors, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.anchors.add(str(given["id"]))
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        if tag in ("script", "img", "iframe") and given.get("src"):
            self.loaded.append(str(given["src"]))
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(str(given["href"]))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "site"
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "-q",
        "-f",
        str(ROOT / ".mkdocs.yml"),
        "-d",
        str(out),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_every_link_and_anchor_is_there_and_nothing_is_fetched(site: Path) -> None:
    pages = {path: Found(path.read_text(encoding="utf-8")) for path in site.rglob("*.html") if path.name != "404.html"}
    faults = []
    for path, page in pages.items():
        faults += [f"{path}: loads {one}" for one in page.loaded if urlsplit(one).netloc]
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists():
                faults.append(f"{path}: {link} is not there")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                faults.append(f"{path}: {link} has no such anchor")
    assert not faults, "\n".join(faults[:20])
    assert len(pages) > 25


def test_commands_and_diagnostics_are_all_there(site: Path) -> None:
    commands = (site / "commands.html").read_text(encoding="utf-8")
    assert all(f'id="mas-{name}"' in commands for name in COMMANDS)
    codes = set(re.findall(r"MAS\d{3}", (site / "diagnostics.html").read_text(encoding="utf-8")))
    assert set(all_codes()) <= codes


def test_programs_are_highlighted(site: Path) -> None:
    tutorial = (site / "tutorial.html").read_text(encoding="utf-8")
    assert re.search(r'<span class="k\w*">agent</span>', tutorial)
    assert 'class="filename">support.mas' in tutorial
