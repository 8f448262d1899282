"""The reference of the standard library, from its sources: signatures, documentation, worst cases, a use of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from masdsl.bounds.flows import bound
from masdsl.bounds.rates import rates_of
from masdsl.check.program import Flow, Program
from masdsl.check.scope import ModuleScope
from masdsl.config import load_config
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.render import render_short
from masdsl.pipeline import check_file
from masdsl.reading import read_source
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.parse import parse_program
from masdsl.syntax.print import print_item

STDLIB = Path(__file__).parent.parent.parent / "stdlib"
Public: TypeAlias = "ast.RecordDecl | ast.EnumDecl | ast.Extern | ast.Tool | ast.Agent | ast.Variant | ast.Flow"
KINDS = (ast.RecordDecl, ast.EnumDecl, ast.Extern, ast.Tool, ast.Agent, ast.Variant, ast.Flow)


def reference() -> str:
    """Return the generated part of `docs/stdlib.md`."""
    return "\n".join(line for path in sorted(STDLIB.glob("*.mas")) for line in _module(path)).strip()


def public(path: Path) -> list[Public]:
    """Return what a module gives to others: its declarations but for those whose names begin with an underscore."""
    document = parse_program(_source(path), Findings()).document
    assert isinstance(document, ast.Program)
    return [item for item in document.items if isinstance(item, KINDS) and not item.name.text.startswith("_")]


def _source(path: Path) -> Source:
    source = read_source(str(path), Findings())
    assert source is not None
    return source


def _module(path: Path) -> Iterator[str]:
    findings = Findings()
    config = load_config(str(STDLIB), findings)
    checked = check_file(str(path), findings, config)
    assert checked.program is not None, render_short(findings.sorted())
    rates = rates_of(checked.program, config)
    bounds = bound(checked.program, {key: rate.price for key, rate in rates.items() if rate.price is not None}).flows
    source = _source(path)
    parsed = parse_program(source, Findings())
    scope = ModuleScope("", source, (), parsed.comments)
    yield f"## std.{path.stem}"
    yield ""
    for item in public(path):
        yield f"```text\n{head(item)}\n```"
        doc = scope.doc(item)
        yield f"\n{doc}\n" if doc else ""
        if isinstance(item, ast.Flow):
            made = _with_defaults(item, checked.program)
            said = f"Calls at most{_counts(item, made)}: {bounds[made.key].most.calls}"
            yield f"{said}. As in `{_use(item, source.text)}`\n"


def head(item: ast.Item) -> str:
    """Return a declaration as it is written, without its prompt or body."""
    if isinstance(item, ast.Flow):
        return print_item(item.replace(body=ast.Block(()))).removesuffix("{}").strip()
    if isinstance(item, ast.Agent):
        return print_item(item.replace(prompt=ast.StrLit(""))).removesuffix('""').strip()
    return print_item(item).strip()


def _with_defaults(item: ast.Flow, program: Program) -> Flow:
    """Return the instance of a flow that a test calls, one with the default counts if there is one."""
    defaults = {(static.name.text, str(static.default)) for static in item.statics if static.default is not None}
    made = [flow for flow in program.flows if flow.name == item.name.text and not flow.module]
    assert made, f"no test calls {item.name.text}"
    return next((flow for flow in made if defaults <= set(flow.statics)), made[0])


def _counts(item: ast.Flow, made: Flow) -> str:
    names = {static.name.text for static in item.statics if static.name.text[:1].islower()}
    counts = [f"{name} = {value}" for name, value in made.statics if (name in names and len(name) > 1) or name == "n"]
    return f" ({', '.join(counts)})" if counts else ""


def _use(item: ast.Flow, text: str) -> str:
    tests = text[text.index("\ntest ") :]
    found = re.search(rf"^ *(\w+ = {item.name.text}\((?:[^()]|\([^()]*\))*\))$", tests, re.MULTILINE)
    assert found, f"no test shows a use of {item.name.text}"
    return " ".join(found[1].split())
