"""The pages of the site (`.mkdocs.yml`): those of `docs/`, and those that stand elsewhere or are computed, linked.

MkDocs runs it. A link to a file of the repository becomes one to its page; a file that has no page is a fault.
"""

from __future__ import annotations

import contextlib
import io
import os
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import mkdocs_gen_files

from masdsl.cli import COMMANDS, main
from masdsl.diagnostics.catalogue import RANGES, codes_of, page

ROOT: Final = Path(__file__).resolve().parent.parent
ELSEWHERE: Final[Mapping[str, str]] = {
    "README.md": "index.md",
    "grammar/spec.md": "language.md",
    "grammar/guide.md": "guide.md",
    "grammar/mas.lark": "grammar.md",
    "tests/README.md": "contributing.md",
    "tests/bench/README.md": "benchmarks.md",
    "training/README.md": "training-commands.md",
    "examples/pool/README.md": "pool.md",
    "masdsl/meta/generator/README.md": "generator.md",
    **{f"examples/{one.parent.name}/README.md": f"examples/{one.parent.name}.md"
       for one in sorted((ROOT / "examples").glob("*/README.md")) if one.parent.name != "pool"},
}  # fmt: skip
"""Pages of the site that are files of the repository outside of `docs/`."""
FOLDERS: Final[Mapping[str, str]] = {"stdlib": "stdlib.md", "examples": "examples.md"}
"""Pages about folders that have no README."""
SHOWN: Final = {".mas": "mas", ".lark": "text", ".toml": "toml", ".py": "python", ".jinja": "jinja", ".md": "markdown"}
_LINK = re.compile(r"(?<=\]\()(?!https?://|#|mailto:)([^)\s#]*)(#[^)\s]*)?(?=\))")
_LABEL = re.compile(r"^(`{3,})(\w+) (?!title=)([\w./-]+)$", re.MULTILINE)
"""A block with the name of its file."""
_CODE = re.compile(r"(^(`{3,}).*?^\2$|`[^`\n]+`)", re.DOTALL | re.MULTILINE)


class LostLink(Exception):
    """A page links to what has no page, or is not there."""


def page_of(path: str) -> str:
    """Return the page of a file or folder of the repository. Raises LostLink."""
    for name in (path, posixpath.join(path, "README.md")):
        if name in ELSEWHERE:
            return ELSEWHERE[name]
        if name.startswith("docs/") and (ROOT / name).is_file():
            return name.removeprefix("docs/")
    if path in FOLDERS:
        return FOLDERS[path]
    whole = ROOT / path
    if whole.is_dir() or (whole.is_file() and whole.suffix in SHOWN):
        return f"files/{path}.md"
    raise LostLink(path)


def linked(text: str, source: str, target: str) -> str:
    """Return the text of a file with its links as they are from its page in the site."""
    files: set[str] = set()

    def link(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[1]))
        try:
            found = page_of(path)
        except LostLink:
            raise LostLink(f"{source} links to {match[1]}, which has no page") from None
        if found.startswith("files/"):
            files.add(path)
        return posixpath.relpath(found, posixpath.dirname(target)) + (match[2] or "")

    parts = _CODE.split(_LABEL.sub(r'\1\2 title="\3"', text))
    # The groups of the pattern make every third part a fence, and every second one code, which has no links.
    for at in range(0, len(parts), 3):
        parts[at] = _LINK.sub(link, parts[at])
    whole = "".join(part for at, part in enumerate(parts) if at % 3 != 2)
    for path in files:
        _file(path)
    return whole


def _file(path: str) -> None:
    """Write the page of a file, or of a folder: the texts that are in it."""
    whole = ROOT / path
    if whole.is_dir():
        inside = [one for one in sorted(whole.iterdir()) if one.is_file() and one.suffix in SHOWN]
        texts = [f"## {one.name}\n\n{fenced(one.read_text(encoding='utf-8'), SHOWN[one.suffix])}" for one in inside]
        put(f"files/{path}.md", "\n".join([f"# {posixpath.basename(path)}\n", *texts]))
        return
    text = (ROOT / path).read_text(encoding="utf-8")
    put(f"files/{path}.md", f"# {posixpath.basename(path)}\n\n{fenced(text, SHOWN[Path(path).suffix])}")


def fenced(text: str, language: str) -> str:
    """Return a text as a block of code."""
    fence = "`" * max(4, *(len(one) + 1 for one in re.findall(r"`+", text) or [""]))
    return f"{fence}{language}\n{text.rstrip()}\n{fence}\n"


def put(target: str, text: str) -> None:
    """Write a page of the site."""
    with mkdocs_gen_files.open(target, "w") as file:
        file.write(text)


def commands() -> str:
    """Return what every command of `mas` says about itself."""
    parts = ["# Command line\n"]
    os.environ["COLUMNS"] = "100"
    for name, about in COMMANDS.items():
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            main([name, "--help"])
        parts.append(f"## mas {name}\n\n{about.capitalize()}.\n\n{fenced(said.getvalue(), 'text')}")
    return "\n".join(parts)


def diagnostics() -> str:
    """Return the pages of all diagnostics."""
    parts = ["# Diagnostics\n", "What `mas explain CODE` says, for every code.\n"]
    for digit, (about, _) in RANGES.items():
        parts.append(f"## MAS{digit}xx: {about}\n")
        for code, kind in codes_of(digit).items():
            told = page(kind)
            parts.append(f"### {code} {kind.__name__}\n\n**{told.summary}** ({kind.severity})\n\n{told.why}\n")
            for name, example in (("Bad", told.bad), ("Good", told.good)):
                if example is not None:
                    files = [f"{named(file)}{fenced(text, 'text')}" for file, text in example.files]
                    parts.append("\n".join([f"{name}:\n", *files, fenced(example.program, "mas")]))
    return "\n".join(parts)


def named(file: str) -> str:
    """Return the line that says what a block is."""
    return f"`{file}`:\n\n"


def examples() -> str:
    """Return the list of examples."""
    parts = ["# Examples\n"]
    for source, target in ELSEWHERE.items():
        if source.startswith("examples/"):
            told = (ROOT / source).read_text(encoding="utf-8").split("\n\n")[1].replace("\n", " ")
            parts.append(f"- [{source.split('/')[1]}]({target}): {_LINK.sub('', told) if '](' not in told else ''}")
    return "\n".join(parts) + "\n"


def architecture() -> str:
    """Return the rooms of the package, as their docstrings tell of them."""
    import ast

    parts = [
        "# Architecture\n",
        "The rooms of `masdsl`, as they describe themselves; `tests/test_layers.py` says which",
    ]
    parts.append("may use which. The way from a text to an answer: [Contributing](contributing.md).\n")
    for path in sorted((ROOT / "masdsl").glob("*/__init__.py")):
        told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        head, _, rest = told.partition("\n")
        body = f"{fenced(rest.strip(chr(10)), 'text')}" if rest.strip() else ""
        parts.append(f"## {path.parent.name}\n\n{head}\n\n{body}")
    return "\n".join(parts)


for source, target in ELSEWHERE.items():
    text = (ROOT / source).read_text(encoding="utf-8")
    if not source.endswith(".md"):
        put(target, f"# {posixpath.basename(source)}\n\n{fenced(text, 'text')}")
        continue
    if source.startswith("examples/") and target != "pool.md":
        program = next((ROOT / source).parent.glob("*.mas"))
        text += f"\n## {program.name}\n\n{fenced(program.read_text(encoding='utf-8'), 'mas')}"
    put(target, linked(text, source, target))
for found in sorted((ROOT / "docs").glob("*.md")):
    source = f"docs/{found.name}"
    put(found.name, linked(found.read_text(encoding="utf-8"), source, found.name))
put("examples.md", examples())
put("commands.md", commands())
put("diagnostics.md", diagnostics())
put("architecture.md", architecture())
