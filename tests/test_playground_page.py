"""The files of the playground's page: what they may hold, and that CodeMirror's bundle is that of its inputs."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "masdsl" / "playground" / "page"
EDITOR = ROOT / "editors" / "playground"
BUNDLE, LICENCES = "codemirror.js", "codemirror.LICENSE.txt"
INPUTS = ("build.mjs", "entry.mjs", "package-lock.json", "package.json")
MODULES = sorted(path for path in PAGE.glob("*.js") if path.name != BUNDLE)
ADVICE = "run: cd editors/playground && npm ci && npm run build"

IMPORT = re.compile(r'^(?:import|export) (?:\{([^}]*)\} from )?"([^"]+)";$', re.MULTILINE)
# What makes markup or code of text, or a style that the policy forbids.
SINKS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|srcdoc"
    r"|\beval\(|new Function|javascript:|import\(|setAttribute\(.style|createPolicy|importScripts"
)


def _names(part: str) -> set[str]:
    return {name.strip() for name in part.split(",") if name.strip()}


def _imports(path: Path) -> list[tuple[set[str], str]]:
    return [(_names(names), origin) for names, origin in IMPORT.findall(path.read_text(encoding="utf-8"))]


def test_there_are_modules() -> None:
    assert {"main.js", "language.js", "runs.js", "timeline.js", "compare.js"} <= {path.name for path in MODULES}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_modules_are_small_and_import_what_is_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") < 400 and text.startswith("// ")
    assert max(map(len, text.splitlines())) <= 240
    for names, origin in _imports(path):
        assert origin.startswith("./"), f"{origin} is not a file of the page"
        other = PAGE / origin.removeprefix("./")
        exported = re.findall(
            r"^export (?:async )?(?:function|class|const) (\w+)", other.read_text(encoding="utf-8"), re.M
        )
        if other.name != BUNDLE:
            assert names <= set(exported), f"{other.name} has no {names - set(exported)}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_no_module_makes_markup_of_text(path: Path) -> None:
    assert SINKS.findall(path.read_text(encoding="utf-8")) == []


def test_the_bundle_makes_no_markup_of_text() -> None:
    text = (PAGE / BUNDLE).read_text(encoding="utf-8")
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function", text)
        == []
    )


class _Html(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside.append(tag)

    def handle_data(self, data: str) -> None:
        assert not (self.inside and self.inside[-1] in ("script", "style") and data.strip())

    def handle_endtag(self, tag: str) -> None:
        self.inside.append("")


def test_the_page_loads_its_own_files_alone() -> None:
    parser = _Html()
    parser.feed((PAGE / "index.html").read_text(encoding="utf-8"))
    ids = [attributes["id"] for _, attributes in parser.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in parser.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
        for name in ("src", "href"):
            where = attributes.get(name) or ""
            if where.startswith("page/"):
                assert (PAGE / where.removeprefix("page/")).is_file()
            else:
                assert where == "" or where.startswith(("data:image/svg+xml,", "#")), where
        for name in ("for", "aria-controls", "aria-labelledby"):
            if attributes.get(name):
                assert attributes[name] in ids, attributes[name]
    assert sorted(path.name for path in PAGE.iterdir() if path.suffix not in (".js", ".txt")) == [
        "index.html",
        "style.css",
    ]
    assert not re.search(r"url\(|@import|https?:", (PAGE / "style.css").read_text(encoding="utf-8"))


def test_modules_ask_for_elements_that_are_there() -> None:
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    ids = set(re.findall(r' id="([^"]+)"', html))
    for path in MODULES:
        asked = set(re.findall(r'byId\("([^"]+)"\)', path.read_text(encoding="utf-8")))
        assert asked <= ids, f"{path.name}: {asked - ids}"


# ---------------------------------------------------------------- CodeMirror's bundle


def test_the_bundle_is_that_of_its_inputs() -> None:
    digest = hashlib.sha256()
    for name in INPUTS:
        digest.update((EDITOR / name).read_bytes())
    first = (PAGE / BUNDLE).read_text(encoding="utf-8").partition("\n")[0]
    assert f"inputs: sha256 {digest.hexdigest()};" in first, ADVICE


def test_the_bundle_has_what_the_page_uses_and_nothing_else() -> None:
    exported = set().union(*(names for names, _ in _imports(EDITOR / "entry.mjs")))
    used = set().union(*(names for path in MODULES for names, origin in _imports(path) if origin == f"./{BUNDLE}"))
    assert exported == used


def test_versions_are_exact_and_locked() -> None:
    package = json.loads((EDITOR / "package.json").read_text(encoding="utf-8"))
    lock = json.loads((EDITOR / "package-lock.json").read_text(encoding="utf-8"))
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in package["devDependencies"].values())
    assert lock["packages"][""]["devDependencies"] == package["devDependencies"]
    assert all("integrity" in one for name, one in lock["packages"].items() if name)
    assert "resolved" not in json.dumps(lock)


def test_licences_lie_beside_the_bundle() -> None:
    text = (PAGE / LICENCES).read_text(encoding="utf-8")
    packages = re.findall(r"^(\S+) (\d+\.\d+\.\d+) \((.+)\)$", text, re.MULTILINE)
    lock = json.loads((EDITOR / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert {"@codemirror/view", "@codemirror/state", "@lezer/common", "style-mod"} <= {name for name, _, _ in packages}
    for name, version, licence in packages:
        assert lock[f"node_modules/{name}"]["version"] == version and licence == "MIT"
    assert text.count("Permission is hereby granted, free of charge") == len(packages)


OFFLINE = re.compile(r"ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|ENETUNREACH|ERR_SOCKET|network")


def test_the_bundle_can_be_made_again_byte_for_byte(tmp_path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not here")
    folder = tmp_path / "editor"
    shutil.copytree(EDITOR, folder, ignore=shutil.ignore_patterns("node_modules"))
    install = [
        npm,
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--fetch-retries=0",
        "--cache",
        str(tmp_path / "npm"),
    ]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0 and OFFLINE.search(done.stderr):
        pytest.skip("npm's registry cannot be reached from here")
    assert done.returncode == 0, done.stderr
    subprocess.run(["node", "build.mjs", str(tmp_path)], cwd=folder, check=True, timeout=60)
    for name in (BUNDLE, LICENCES):
        assert (tmp_path / name).read_bytes() == (PAGE / name).read_bytes(), ADVICE
