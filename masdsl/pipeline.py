"""The stages of the compiler, in order. Everything that compiles goes through here.

    text -> Source -> Parsed -> Program -> ir.Module -> PyModule -> verified

Reading and parsing, checking and bounding are one step for the callers; compiling is another, on a checked program.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from masdsl.config import Config, load_config
from masdsl.diagnostics.base import Findings
from masdsl.source import Source

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Mapping

    from masdsl.bounds.requests import Counts, Prices
    from masdsl.bounds.result import Bounds
    from masdsl.check.cursor import Watch
    from masdsl.check.modules import ModuleReader
    from masdsl.check.program import Program
    from masdsl.emit import PyModule
    from masdsl.graph.model import Graph
    from masdsl.lower.ir import Module
    from masdsl.runtime import Program as CompiledProgram


OnBounds: TypeAlias = "Callable[[Program, Bounds, Prices, Counts], None]"


class Checked(NamedTuple):
    """What checking a file gave: `source` is None where it cannot be read, `program` where it has errors."""

    source: Source | None
    program: Program | None
    config: Config


def check_file(path: str, findings: Findings, config: Config | None = None, *, priced: bool = True) -> Checked:
    """Read and check a program, under the configuration of its folder unless one is given.

    Nothing is raised for what a file may hold; faults of the file and of its configuration are added to `findings`.
    """
    from masdsl.reading import read_bytes

    if config is None:
        config = load_config(os.path.dirname(path), findings)
    data = read_bytes(path, findings)
    return Checked(None, None, config) if data is None else check_bytes(path, data, config, findings, priced=priced)


def check_bytes(
    path: str,
    data: bytes,
    config: Config,
    findings: Findings,
    read_module: ModuleReader | None = None,
    *,
    priced: bool = True,
) -> Checked:
    """Check a program whose file holds `data`; otherwise like `check_source`."""
    from masdsl.reading import decode

    source = decode(path, data, findings)
    return Checked(source, check_source(source, config, findings, read_module, priced=priced), config)


def check_source(
    source: Source,
    config: Config,
    findings: Findings,
    read_module: ModuleReader | None = None,
    *,
    priced: bool = True,
    watch: Watch | None = None,
    on_bounds: OnBounds | None = None,
) -> Program | None:
    """Parse and check a program; None where it has errors.

    Imports are read from the folder of `source.name`, unless `read_module` finds them in another way. With `priced`
    false the models are not those of the configuration, so that none of them needs a price. A `watch` is told what is
    found out on the way, `on_bounds` what a program without errors of names and types costs.
    """
    from masdsl import reading
    from masdsl.check.check import check_parsed
    from masdsl.syntax.parse import parse_program

    parsed = parse_program(source, findings)
    reader = read_module or partial(reading.read_module, library=config.library)
    program = check_parsed(parsed, config=config, read_module=reader, findings=findings, watch=watch)
    if program is not None and not priced:
        agents = tuple(agent.replace(tool_calls=None) if agent.tools else agent for agent in program.agents)
        program = program.replace(agents=agents)
    if program is not None:
        from masdsl.bounds.budgets import check_budgets
        from masdsl.bounds.flows import bound
        from masdsl.bounds.measures import counts_tokens
        from masdsl.bounds.rates import counts_of, prices_in, rates_of, tier_prices

        rates = rates_of(program, config, findings) if priced else {}
        prices = prices_in(rates)
        counts = counts_of(rates, findings) if counts_tokens(program, config.ceiling) else {}
        bounds = bound(program, prices, counts)
        if on_bounds is not None:
            on_bounds(program, bounds, prices, counts)
        check_budgets(
            program,
            bounds,
            findings,
            prices=prices,
            counts=counts,
            ceiling=config.ceiling,
            tiers=lambda: tier_prices(program, config),
        )
        if program.tools or config.trust is not None:
            from masdsl.trust.check import check_trust

            check_trust(program, bounds, config, findings, priced=priced)
    if "mas:" in source.text or findings.count:
        from masdsl.suppressions import suppress

        suppress(parsed, config, findings, complete=program is not None)
    return program if findings.ok else None


def cost_report(checked: Checked) -> dict[str, Any] | None:
    """Return what a program costs at least and at worst, at the configuration's prices; None for one with errors.

    It is plain data; `masdsl.bounds.report` says what is in it.
    """
    program, config = checked.program, checked.config
    if program is None:
        return None
    from masdsl.bounds.flows import bound
    from masdsl.bounds.rates import counts_of, prices_in, rates_of
    from masdsl.bounds.report import ModelReport, program_report

    rates = rates_of(program, config)
    counts = counts_of(rates)
    models = {key: ModelReport(rate.model, rate.price, key in counts) for key, rate in rates.items()}
    return program_report(program, bound(program, prices_in(rates), counts), models=models, ceiling=config.ceiling)


def trust_report(checked: Checked) -> dict[str, Any] | None:
    """Return how far the text of each step can be trusted; None for a program with other errors than those of trust.

    It is plain data; `masdsl.trust.table` says what is in it.
    """
    from masdsl.bounds.flows import bound
    from masdsl.bounds.rates import counts_of, prices_in, rates_of
    from masdsl.trust.policy import without_limits
    from masdsl.trust.table import labels_report

    source, program, config = checked.source, checked.program, checked.config
    if program is None and source is not None:
        program = check_source(source, without_limits(config), Findings())
    if program is None:
        return None
    rates = rates_of(program, config)
    return labels_report(program, bound(program, prices_in(rates), counts_of(rates)), config)


def graph(checked: Checked, flow: str | None = None, depth: int | None = None) -> Graph | None:
    """Return the picture of a program (`masdsl.graph`), at the configuration's prices; None for one with errors.

    `flow` and `depth` are those of `masdsl.graph.make`, whose NoFlow and TooLarge are raised.
    """
    program, config = checked.program, checked.config
    if program is None:
        return None
    from masdsl.bounds.flows import bound
    from masdsl.bounds.rates import counts_of, prices_in, rates_of
    from masdsl.graph.make import Known, make

    rates = rates_of(program, config)
    counts = counts_of(rates)
    known = Known(bound(program, prices_in(rates), counts), rates, counts, config)
    return make(program, known, flow=flow, depth=depth)


def build(program: Program) -> PyModule:
    """Compile a checked program to Python text, and verify that text independently of how it was made."""
    from masdsl.verify import verify

    module = _python(program)
    verify(module.text)
    return module


def load(program: Program, *, in_order: bool = False) -> CompiledProgram:
    """Compile a checked program in memory; tracebacks and debuggers show the lines of its `.mas` files.

    With `in_order`, steps that do not need each other follow each other as in the source, instead of running together.
    """
    from masdsl.runtime.loader import load_module

    sources = {module.name: module.source for module in program.modules}
    compiled: CompiledProgram = load_module(_python(program, in_order).text, sources).PROGRAM  # verified by the loader
    return compiled


def load_changed(program: Program, change: Callable[[Module, ast.Module], Mapping[str, Any]]) -> CompiledProgram:
    """Compile a checked program in memory as `load` does, but let its verified tree be changed before.

    `change` is given the lowered program and the tree that was made of it; it returns the names that its changes need.
    """
    from masdsl.lower import lower
    from masdsl.runtime.loader import load_module

    lowered = lower(program)
    sources = {module.name: module.source for module in program.modules}
    text = _emitted(program, lowered).text
    compiled: CompiledProgram = load_module(text, sources, change=lambda tree: change(lowered, tree)).PROGRAM
    return compiled


def _python(program: Program, in_order: bool = False) -> PyModule:
    from masdsl.lower import lower

    return _emitted(program, lower(program, in_order=in_order))


def _emitted(program: Program, lowered: Module) -> PyModule:
    from masdsl.bounds.flows import bound
    from masdsl.emit import emit
    from masdsl.version import __version__

    return emit(lowered, header=bound(program, {}).headline, version=__version__)
