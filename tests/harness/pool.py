"""The pool of published systems: what its table says, from the programs and from what was measured of their originals.

A program counts as the text that `mas fmt` writes of it, without comments and without its tests: those of the originals
are not in the code that is counted there either. It is counted twice, as it is and with its prose emptied: the text of
prompts goes, their insertions stay, by the rule that `pool_python` has for f-strings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from masdsl.config import Config, load_config
from masdsl.diagnostics.base import Findings
from masdsl.node import Node
from masdsl.pipeline import check_file, cost_report
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.canonical import program_hash
from masdsl.syntax.parse import parse_program
from masdsl.syntax.print import print_program
from tests.harness import gpt_tokens
from tests.harness.pool_python import FRAMEWORKS, POOL, ROOT, Count, Origin, counts, is_prose, origins

REFERENCE: Final = "openai/gpt-4o-mini"
"""The model whose price the USD of the table are for."""
STD: Final = ROOT / "stdlib"
_TAGS: Final = re.compile(r"(\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\})", re.DOTALL)
_DOC: Final = re.compile(r"(?:^##.*\n)+(?=flow main\b)", re.MULTILINE)


class System(NamedTuple):
    """A program of the pool: its worst case, its size, its hash, and the documentation of its flow `main`."""

    name: str
    path: Path
    agents: int
    most: Mapping[str, Any]
    size: Count
    hash: str
    documentation: str


def programs() -> list[Path]:
    """Return the programs of the pool, by name."""
    return sorted(POOL.glob("*.mas"))


@cache
def system(path: Path) -> System:
    """Return what the table says about a program; raise ValueError for one with errors."""
    findings = Findings()
    config = _at_reference_price(load_config(str(path.parent), findings))
    report = cost_report(check_file(str(path), findings, config))
    if report is None:
        raise ValueError(f"{path}: {[finding.code for finding in findings]}")
    main = next(flow for flow in report["flows"] if flow["flow"] == "main")
    text = path.read_text(encoding="utf-8")
    program = _parsed(path.name, text)
    found = _DOC.search(text)
    return System(
        name=path.stem,
        path=path,
        agents=len(report["agents"]),
        most=main["most"],
        size=Count(*map(sum, zip(*map(size, _with_modules(program, set())), strict=True))),
        hash=program_hash(program),
        documentation="" if found is None else found.group(),
    )


def _at_reference_price(config: Config) -> Config:
    return config._replace(tiers=dict.fromkeys(config.tiers, REFERENCE))


def _parsed(name: str, text: str) -> ast.Program:
    parsed = parse_program(Source(name, text), Findings())
    assert isinstance(parsed.document, ast.Program)
    return parsed.document


# ---------------------------------------------------------------- what counts


def size(program: ast.Program) -> Count:
    """Return the tokens of a program without tests and comments: as it is, and with its prose emptied."""
    untested = program.replace(items=tuple([item for item in program.items if not isinstance(item, ast.Test)]))
    return Count(gpt_tokens.count(print_program(untested)), gpt_tokens.count(print_program(_emptied(untested))))


def _with_modules(program: ast.Program, seen: set[str]) -> list[ast.Program]:
    """Return a program and those of the pool that it imports, each once."""
    found = [program]
    for use in program.items:
        if isinstance(use, ast.Use) and len(use.path) == 1 and use.path[0].text not in seen:
            seen.add(use.path[0].text)
            path = POOL / f"{use.path[0].text}.mas"
            found += _with_modules(_parsed(path.name, path.read_text(encoding="utf-8")), seen)
    return found


def _emptied(node: Any) -> Any:
    if isinstance(node, tuple):
        return tuple([_emptied(one) for one in node])
    if not isinstance(node, Node):
        return node
    if isinstance(node, ast.StrLit):
        return node.replace(value="".join([piece for piece in _TAGS.split(node.value) if _stays(piece)]))
    return node.replace(**{name: _emptied(getattr(node, name)) for name in node._fields})


def _stays(piece: str) -> bool:
    return _TAGS.fullmatch(piece) is not None or not is_prose(piece)


# ---------------------------------------------------------------- the table


def table() -> str:
    """Return the table of the README, in Markdown, and the figures below it."""
    known, measured = origins(), counts()
    rows, ratios = [], []
    for path in programs():
        one = system(path)
        original = measured.get(one.name)
        ratios += [] if original is None else [one.size.bare / original.bare]
        rows.append(_row(one, known[one.name], original))
    head = "| system | origin | agents | calls | tokens | USD | mas | Python | ratio | mas, whole | Python, whole |"
    line = f"| --- | --- |{' ---: |' * 9}"
    notes = [f"- {name}: {one.left_out}" for name, one in sorted(known.items()) if one.left_out]
    below = ["", "Not counted either, as nothing here stands for it:", "", *notes] if notes else []
    return "\n".join([head, line, *rows, "", _summary(ratios, len(rows)), *below])


def frameworks() -> str:
    """Return the table of what both sides rest on, in Markdown: the standard library, and the originals' frameworks."""
    known, measured = origins(FRAMEWORKS), counts("frameworks")
    std = [size(_parsed(path.name, path.read_text(encoding="utf-8"))) for path in sorted(STD.glob("*.mas"))]
    rows = [f"| masdsl: the standard library, {len(std)} modules | {sum(one.bare for one in std):,} |"]
    rows += [f"| {known[name].title} | {measured[name].bare:,} |" for name in sorted(known)]
    return "\n".join(["| below the programs | tokens |", "| --- | ---: |", *rows])


def _row(one: System, origin: Origin, original: Count | None) -> str:
    most = one.most
    cells = [
        f"[{one.name}]({one.name}.mas)",
        f"{origin.title}: {_source(origin)}",
        f"{one.agents}",
        f"{most['calls']}",
        f"{most['tokens']:,}",
        f"{most['usd']:.4f}",
        f"{one.size.bare}",
        "" if original is None else f"{original.bare:,}",
        "" if original is None else f"{one.size.bare / original.bare:.2f}",
        f"{one.size.whole}",
        "" if original is None else f"{original.whole:,}",
    ]
    return f"| {' | '.join(cells)} |"


def _source(origin: Origin) -> str:
    if not origin.repository:
        return origin.paper
    return f"{origin.paper}, [{origin.repository}](https://github.com/{origin.repository}/tree/{origin.commit})"


def _summary(ratios: list[float], number: int) -> str:
    third = sum(1 for ratio in ratios if ratio <= 1 / 3)
    return (
        f"{number} systems, {len(ratios)} of them with Python to compare: the median ratio is {median(ratios):.2f}, "
        f"the least {min(ratios):.2f}, the greatest {max(ratios):.2f}; {third} are at most a third."
    )
