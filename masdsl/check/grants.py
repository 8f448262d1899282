"""Tools and what the host grants: every tool has a grant, and is declared as what is granted takes and gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from masdsl.check.context import Frame
from masdsl.check.modules import STANDARD, use_that_leads_to
from masdsl.check.program import Program, Tool
from masdsl.config import CONFIG_NAME, HOST, PROJECT_NAME, Config, Grant, shown_path
from masdsl.diagnostics.base import ERROR, Diagnostic, Finding, Findings
from masdsl.diagnostics.suggest import nearest
from masdsl.diagnostics.tools import HiddenEffect, ToolCannotBeUsed, ToolDiffers, ToolNotGranted
from masdsl.node import Span
from masdsl.sizes import TOOL_SECONDS
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.tools.base import Declared, Mismatch, ToolUnusable
from masdsl.tools.signatures import SIGNATURES, mismatches


def check_grant(home: Frame, node: ast.Tool, tool: Tool) -> None:
    """Report a tool that is not granted, that hides an effect, or that differs from the built-in tool it stands for."""
    config, place = home.context.config, node.source.span
    grant = config.tools.get(tool.granted_as)
    use = use_that_leads_to(home.context.loaded, tool.module, tool.name) if tool.module.startswith(STANDARD) else None
    name = tool.name if use is None else f"{tool.module}.{tool.name}"

    def report(diagnostic: Diagnostic) -> None:
        if use is None:
            home.report(diagnostic)
        else:  # it cannot be mended in the standard library
            home.context.findings.add(use[0].source, diagnostic.replace(span=use[1]))

    if grant is None and _has_told_entry(config, tool.granted_as, home.context.findings):
        return
    if grant is None:
        near, by = (nearest(tool.granted_as, config.tools), "") if use is None else (None, name)
        report(ToolNotGranted(tool.granted_as, tuple(config.tools), near, tools_table(config), by, span=place))
        return
    if grant.effect and not tool.effect:
        report(HiddenEffect(name, tool.granted_as, span=place))
    if grant.kind in SIGNATURES:
        for one in mismatches(grant.kind, declared_tool(tool)):
            span = node.output.span if one.where == "" else _span(tool, one) or node.name.span
            if use is not None:
                one = one._replace(advice=f'grant a tool as "{tool.granted_as}" that is like `{name}`')
            report(_differs(name, grant, one, span))


def _has_told_entry(config: Config, name: str, findings: Findings) -> bool:
    """Whether a tool has an entry after all, with a mistake that is among the findings: saying it once is enough."""
    if name not in config.mistaken or config.path is None:
        return False
    place = shown_path(config.path)
    return any(one.source.name == place and one.diagnostic.severity == ERROR for one in findings.since(0))


def compare_with_host(
    program: Program, config: Config, tools: Mapping[str, Any] | None, findings: Findings, *, alone: bool = False
) -> None:
    """Add what is wrong between the tools that a program declares and the functions that its host gives.

    Those of the configuration are imported for that; `tools` are given instead of them. MCP servers are not connected.
    With `alone`, what the configuration leaves to the Python program around is let be.
    """
    from masdsl.tools.connections import Connections
    from masdsl.tools.granting import granted, mismatches

    for tool in program.tools:
        grant = config.tools[tool.granted_as]
        if alone and grant.kind == HOST:
            continue
        try:
            if tools is None:
                given = granted(grant, config, Connections(config.servers))
            elif tool.granted_as in tools:
                given = tools[tool.granted_as]
            else:
                continue
        except ToolUnusable as fault:
            findings.add(*unusable(program, config, tool, str(fault)))
            continue
        for source, diagnostic in differences(program, tool, grant, mismatches(given, declared_tool(tool))):
            findings.add(source, diagnostic)


def unusable(program: Program, config: Config, tool: Tool, reason: str) -> Finding:
    """Return what is to be said where a tool cannot be used, for a reason that names it or not."""
    source, grant = home_of(program, tool), config.tools.get(tool.granted_as)
    target = "nothing" if grant is None else target_of(grant)
    reason = reason.removeprefix(f'"{tool.granted_as}": ')
    return Finding(source, ToolCannotBeUsed(tool.name, target, reason, span=first_line(source, tool.span)))


def declared_tool(tool: Tool) -> Declared:
    """Return a checked tool as what it is compared with knows it."""
    return Declared(
        name=tool.name,
        granted_as=tool.granted_as,
        inputs={param.name: param.type for param in tool.params},
        optional=frozenset(param.name for param in tool.params if param.optional),
        returns=tool.returns,
        effect=tool.effect,
        timeout=TOOL_SECONDS if tool.timeout is None else tool.timeout,
    )


def differences(
    program: Program, tool: Tool, grant: Grant, found: Iterable[Mismatch]
) -> Iterator[tuple[Source, Diagnostic]]:
    """Yield the diagnostics about a tool of a checked program that differs from what is granted."""
    source = home_of(program, tool)
    for one in found:
        yield source, _differs(tool.name, grant, one, _span(tool, one) or first_line(source, tool.span))


def home_of(program: Program, tool: Tool) -> Source:
    """Return the source of the module that declares a tool."""
    return next(module.source for module in program.modules if module.name == tool.module)


def first_line(source: Source, span: Span) -> Span:
    """Return the part of a span that lies on its first line."""
    end = source.text.find("\n", span.start, span.end)
    return span if end < 0 else Span(span.start, end)


def _differs(name: str, grant: Grant, one: Mismatch, span: Span) -> ToolDiffers:
    return ToolDiffers(name, target_of(grant), one.problem, one.advice, span=span)


def _span(tool: Tool, one: Mismatch) -> Span | None:
    return next((param.span for param in tool.params if param.name == one.where), None)


def target_of(grant: Grant) -> str:
    """Return what is granted, in a few words."""
    match grant.kind:
        case "python":
            return f"the Python function `{grant.function}`"
        case "mcp":
            return f"the tool `{grant.tool}` of the MCP server `{grant.server}`"
        case "host":
            return "what the Python program around passes"
    return f"the built-in `{grant.kind}`"


def tools_table(config: Config) -> str:
    """Return the table of tools of the file that counts: `[tools] in mas.toml`."""
    if config.path is None:
        return f"[tools] in a {CONFIG_NAME} beside the program"
    table = "[tool.masdsl.tools]" if config.path.endswith(PROJECT_NAME) else "[tools]"
    return f"{table} in {shown_path(config.path)}"
