"""The pool of published systems: what its table says, from the programs and from what was measured of their originals.

A program counts as the text that `mas fmt` writes of it, without comments and without its tests: those of the originals
are not in the code that is counted there either. It is counted twice, as it is and with its prose emptied: the text of
prompts goes, their insertions stay, by the rule that `pool_python` has for f-strings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
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
from masdsl.syntax.walk import find_all
from tests.harness import gpt_tokens
from tests.harness.pool_python import FRAMEWORKS, POOL, ROOT, Count, Origin, counts, is_prose, origins

REFERENCE: Final = "openai/gpt-4o-mini"
"""The model whose price the USD of the table are for."""
STD: Final = ROOT / "stdlib"
_TAGS: Final = re.compile(r"(\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\})", re.DOTALL)
_DOC: Final = re.compile(r"(?:^##.*\n)+(?=flow main\b)", re.MULTILINE)


FAMILIES: Final = {"adas": "ADAS", "aflow": "AFlow", "gptswarm": "GPTSwarm", "maslab": "MASLab"}
"""What the first part of a program's name says of its origin."""


class Pair(NamedTuple):
    """How long a program is beside its original, with the prompts and without."""

    whole: float
    bare: float


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
        raise ValueError(f"{path}: {[finding.diagnostic.code for finding in findings.sorted()]}")
    main = next(flow for flow in report["flows"] if flow["flow"] == "main")
    text = path.read_text(encoding="utf-8")
    program = _parsed(path.name, text)
    found = _DOC.search(text)
    return System(
        name=path.stem,
        path=path,
        agents=len(report["agents"]),
        most=main["most"],
        size=Count(*map(sum, zip(*map(size, with_modules(program)), strict=True))),
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


def with_modules(program: ast.Program) -> list[ast.Program]:
    """Return a program, and of the programs of the pool that it imports, each once, what it uses of them."""
    modules: dict[str, ast.Program] = {}
    used: dict[str, set[str]] = {}
    waiting = list(_imported(program.items))
    while waiting:
        module, name = waiting.pop()
        if name not in used.setdefault(module, set()):
            used[module].add(name)
            if module not in modules:
                path = POOL / f"{module}.mas"
                modules[module] = _parsed(path.name, path.read_text(encoding="utf-8"))
            declared = _declarations(modules[module])
            mentioned = {one.text for one in find_all(declared[name], ast.Name)}
            waiting += [(module, other) for other in sorted(mentioned & declared.keys())]
            waiting += _imported(modules[module].items, mentioned)
    return [program, *(_reduced(modules[module], used[module]) for module in sorted(modules))]


def _imported(items: Iterable[ast.Item], mentioned: set[str] | None = None) -> Iterator[tuple[str, str]]:
    """Yield (module, name) for what is imported from the pool, all of it or what is mentioned."""
    for use in items:
        if isinstance(use, ast.Use) and len(use.path) == 1:
            for one in use.names:
                if mentioned is None or (one.alias or one.name).text in mentioned:
                    yield use.path[0].text, one.name.text


def _declarations(program: ast.Program) -> dict[str, ast.Item]:
    unnamed = ast.Use | ast.Budget | ast.Rectify | ast.Test
    return {item.name.text: item for item in program.items if not isinstance(item, unnamed)}


def _reduced(program: ast.Program, names: set[str]) -> ast.Program:
    return program.replace(items=tuple([item for name, item in _declarations(program).items() if name in names]))


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
    rows: list[str] = []
    ratios: dict[str, Pair] = {}
    for path in programs():
        one = system(path)
        original = measured.get(one.name)
        if original is not None:
            ratios[one.name] = Pair(one.size.whole / original.whole, one.size.bare / original.bare)
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


def _summary(ratios: Mapping[str, Pair], number: int) -> str:
    """Return the figures of all, and each family's median: how compact originals are depends on their framework."""
    bare = [ratio.bare for ratio in ratios.values()]
    families: dict[str, list[float]] = {}
    for name, ratio in ratios.items():
        families.setdefault(FAMILIES.get(name.partition("_")[0], "others"), []).append(ratio.bare)
    each = ", ".join(f"{family} {median(found):.2f} ({len(found)})" for family, found in sorted(families.items()))
    return (
        f"{number} systems, {len(bare)} of them with Python to compare: the median ratio is {median(bare):.2f}, "
        f"the least {min(bare):.2f}, the greatest {max(bare):.2f}; {sum(ratio <= 1 / 3 for ratio in bare)} are at most "
        f"a third. With the prompts the median is {median([ratio.whole for ratio in ratios.values()]):.2f}. "
        f"Medians by origin: {each}."
    )
