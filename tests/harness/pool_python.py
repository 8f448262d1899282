"""Measures the Python of the pool's originals: `python -m tests.harness.pool_python --sources FOLDER [--check]`.

`examples/pool/origins.toml` says which lines of which file, at which commit, a system was published as, and
`frameworks.toml` what families of them rest on. This script
reads them below FOLDER, counts their tokens, and writes the counts to `examples/pool/python_tokens.json`. Nothing of
the originals is kept: neither their code nor their prompts are in this repository.

FOLDER holds, for each repository `owner/name`, either `owner+name/repo`, a git directory, or the files themselves, as
`owner+name/<commit>/<path>`. Entries whose sources are not there stay as they are; `--check` writes nothing, and exits
1 where a count that can be made is another one.

What is counted is the code as `ast.unparse` lays it out, without comments and docstrings: twice, as it is (`whole`),
and with its prose emptied (`bare`): of string literals that hold white space only the insertions of an f-string stay.
"""

from __future__ import annotations

import argparse
import ast
import json
import platform
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.harness import gpt_tokens

ROOT: Final = Path(__file__).resolve().parents[2]
POOL: Final = ROOT / "examples" / "pool"
ORIGINS: Final = POOL / "origins.toml"
FRAMEWORKS: Final = POOL / "frameworks.toml"
COUNTS: Final = POOL / "python_tokens.json"


class Origin(NamedTuple):
    """Where a system was published.

    `python` are its parts: `path` of a whole file, `path:first-last,first-last` lines of one, `path#index` the `code`
    of an entry of a JSON archive. Empty where there is only a paper. `left_out` says what else is not counted.
    """

    title: str
    paper: str
    repository: str
    commit: str
    python: tuple[str, ...]
    left_out: str = ""


class Count(NamedTuple):
    """Tokens of the original's Python, as it is and with its prose emptied."""

    whole: int
    bare: int


class MissingSource(LookupError):
    """A file of an original is not below the folder of sources."""


def origins(path: Path = ORIGINS) -> dict[str, Origin]:
    """Return the origins of all systems by the names of their programs, or those of the frameworks."""
    with path.open("rb") as file:
        found = tomllib.load(file)
    return {
        name: Origin(
            title=one["title"],
            paper=one["paper"],
            repository=one.get("repository", ""),
            commit=one.get("commit", ""),
            python=tuple(one.get("python", ())),
            left_out=one.get("left_out", ""),
        )
        for name, one in found.items()
    }


def counts(kind: str = "systems") -> dict[str, Count]:
    """Return the counts that were measured last, by the names of the programs, or those of the `frameworks`."""
    found = json.loads(COUNTS.read_text(encoding="utf-8"))
    assert found["tokenizer"] == gpt_tokens.NAME
    return {name: Count(one["whole"], one["bare"]) for name, one in found[kind].items()}


def measured(code: Sequence[str]) -> Count:
    """Return the counts of the parts of a system."""
    trees = [_without_docstrings(ast.parse(textwrap.dedent(part))) for part in code]
    whole = "\n".join(map(ast.unparse, trees))
    bare = "\n".join([ast.unparse(_Emptied().visit(tree)) for tree in trees])
    return Count(gpt_tokens.count(whole), gpt_tokens.count(bare))


# ---------------------------------------------------------------- what counts


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            rest = [one for one in node.body if not _is_text(one)]
            node.body = rest if rest or isinstance(node, ast.Module) else [ast.Pass()]
    return tree


def _is_text(node: ast.stmt) -> bool:
    """Return whether a statement is only a string, which is a comment by another name."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


class _Emptied(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.Constant("") if isinstance(node.value, str) and is_prose(node.value) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.JoinedStr:
        pieces = [self.visit(piece) for piece in node.values]
        node.values = [piece for piece in pieces if not (isinstance(piece, ast.Constant) and piece.value == "")]
        return node


def is_prose(text: str) -> bool:
    """Return whether a text counts as prose: it holds white space. Names, keys and words do not."""
    return any(map(str.isspace, text))


# ---------------------------------------------------------------- the sources


def parts(origin: Origin, sources: Path) -> list[str]:
    """Return the Python text of each part of a system; raise MissingSource."""
    return [_part(origin, part, sources) for part in origin.python]


def _part(origin: Origin, part: str, sources: Path) -> str:
    path, _, index = part.partition("#")
    if index:
        return _entry(json.loads(_text(origin, path, sources)), int(index))
    path, _, lines = part.partition(":")
    text = _text(origin, path, sources)
    if not lines:
        return text
    all_lines = text.splitlines()
    taken: list[str] = []
    for run in lines.split(","):
        first, last = map(int, run.split("-"))
        taken += all_lines[first - 1 : last]
    return "\n".join(taken)


def _entry(archive: Any, index: int) -> str:
    if isinstance(archive, dict):
        return "".join(archive["cells"][index]["source"])
    code: str = archive[index]["code"]
    return code


def _text(origin: Origin, path: str, sources: Path) -> str:
    folder = sources / origin.repository.replace("/", "+")
    plain = folder / origin.commit / path
    if plain.is_file():
        return plain.read_text(encoding="utf-8")
    repository = folder / "repo"
    if repository.is_dir():
        shown = subprocess.run(
            ["git", f"--git-dir={repository}", "show", f"{origin.commit}:{path}"], capture_output=True, check=False
        )
        if shown.returncode == 0:
            return shown.stdout.decode("utf-8")
    raise MissingSource(f"{origin.repository} at {origin.commit[:12]}: {path}")


# ---------------------------------------------------------------- the command


def _document(found: Mapping[str, Mapping[str, Count]]) -> str:
    document: dict[str, Any] = {
        "about": "tokens of the originals' Python, measured by `python -m tests.harness.pool_python`",
        "tokenizer": gpt_tokens.NAME,
        "python": ".".join(platform.python_version_tuple()[:2]),
    }
    for kind, ones in found.items():
        document[kind] = {name: ones[name]._asdict() for name in sorted(ones)}
    return json.dumps(document, indent=2) + "\n"


def _measured_again(known: Mapping[str, Origin], before: Mapping[str, Count], sources: Path) -> dict[str, Count]:
    """Return the counts of all originals with Python; those whose sources are not there keep theirs."""
    found = {name: count for name, count in before.items() if name in known and known[name].python}
    for name, origin in known.items():
        if origin.python:
            try:
                found[name] = measured(parts(origin, sources))
            except MissingSource as missing:
                print(f"{name}: not measured, not there: {missing}", file=sys.stderr)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what can be measured; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--sources", type=Path, required=True, help="the folder with the fetched repositories")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a count is another one")
    options = parser.parse_args(arguments)
    found, changed = {}, []
    for kind, path in (("frameworks", FRAMEWORKS), ("systems", ORIGINS)):
        before = counts(kind)
        found[kind] = _measured_again(origins(path), before, options.sources)
        changed += [name for name in sorted({*before, *found[kind]}) if before.get(name) != found[kind].get(name)]
    print(f"{len(found['systems'])} originals; changed: {', '.join(changed) or 'none'}")
    if not options.check:
        COUNTS.write_text(_document(found), encoding="utf-8")
    return int(options.check and bool(changed))


if __name__ == "__main__":
    raise SystemExit(main())
