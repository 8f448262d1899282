"""`mas tools`: what the configuration grants to programs, whether it can be used here, and what MCP servers offer."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from masdsl.cli import FINE, FOUND
from masdsl.cli.boundary import UsageError
from masdsl.cli.terminal import exit_code, print_findings, say
from masdsl.config import CONFIG_NAME, DESIGN, HOST, MCP, PYTHON, Config, Grant, load_config, shown_path
from masdsl.diagnostics.base import ERROR, Finding, Findings
from masdsl.diagnostics.suggest import did_you_mean

if TYPE_CHECKING:
    from masdsl.check.program import Program
    from masdsl.tools.connections import Connections


def run(arguments: Sequence[str]) -> int:
    """List the grants; with `--check` try each, and hold the programs against them; with `--server`, list its tools.

    Returns 1 where a tool cannot be used or a program declares one otherwise.
    """
    parser = ArgumentParser(
        prog="mas tools",
        description="List the tools that the configuration grants, and what stands behind each.",
        epilog="Nothing is connected, imported or read without --check or --server.",
    )
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help="list only the tools that these declare")
    parser.add_argument("--check", action="store_true", help="try every tool, and compare it with its declarations")
    parser.add_argument("--server", metavar="NAME", help="show the tools of an MCP server, as declarations to copy")
    options = parser.parse_args(arguments)
    findings = Findings()
    folder = os.path.dirname(options.programs[0]) if options.programs else os.getcwd()
    config = load_config(folder, findings)
    if not findings.ok:
        print_findings(findings.sorted())
        return exit_code(findings.sorted())
    if options.server is not None:
        return _show_server(config, options.server)
    programs = [program for path in options.programs if (program := _checked(path, config, findings)) is not None]
    if errors := _errors(findings):
        print_findings(errors)
        return exit_code(errors)
    declared = {tool.granted_as for program in programs for tool in program.tools}
    grants = {name: one for name, one in config.tools.items() if name in declared or not options.programs}
    faults = _list(config, grants, tried=options.check)
    if options.check:
        for program in programs:
            _compare(program, config, findings)
    print_findings(_errors(findings))
    return max(exit_code(findings.sorted()), FOUND if faults else FINE)


def _errors(findings: Findings) -> list[Finding]:
    """Return what is wrong; for warnings there is `mas check`."""
    return [one for one in findings.sorted() if one.diagnostic.severity == ERROR]


def _checked(path: str, config: Config, findings: Findings) -> Program | None:
    from masdsl.pipeline import check_file

    return check_file(path, findings, config).program


def _list(config: Config, grants: dict[str, Grant], *, tried: bool) -> int:
    """Print a line for each grant; return how many cannot be used."""
    from masdsl.check.grants import target_of

    if not grants:
        where = shown_path(config.path) if config.path else f"no {CONFIG_NAME} here"
        say(f"no tools are granted ({where})")
        return 0
    width = max(map(len, grants))
    outcomes = _try_all(config, grants) if tried else {}
    for name, grant in grants.items():
        about = f"{target_of(grant)}{_details(grant)}{', with an effect' if grant.effect else ''}"
        state = f"{outcomes[name].partition(':')[0]:7}  " if tried else ""
        say(f"{name.ljust(width)}  {state}{about}")
        reason = outcomes.get(name, "").partition(":")[2]
        if reason:
            say(f"{' ' * width}  {reason.strip()}")
    return sum(outcome.startswith("fails") for outcome in outcomes.values())


def _details(grant: Grant) -> str:
    if grant.path:
        return f" of {shown_path(grant.path)}"
    if grant.kind == DESIGN:
        return f", {grant.depth} level{'s' * (grant.depth > 1)} deep{grant.tier and f', on {grant.tier}'}"
    return f" for {', '.join(grant.allow)}" if grant.allow else ""


# ---------------------------------------------------------------- trying


def _try_all(config: Config, grants: dict[str, Grant]) -> dict[str, str]:
    """Return what came of trying each grant: `works: signature`, `fails: reason` or `is left`."""
    import asyncio

    from masdsl.tools.connections import Connections

    async def all_of_them() -> dict[str, str]:
        connections = Connections(config.servers)
        try:
            return {name: await _try(grant, config, connections) for name, grant in grants.items()}
        finally:
            await connections.close()

    return asyncio.run(all_of_them())


async def _try(grant: Grant, config: Config, connections: Connections) -> str:
    from masdsl.tools.base import ToolUnusable
    from masdsl.tools.granting import granted
    from masdsl.tools.signatures import SIGNATURES

    if grant.kind == HOST:
        return "left: to the Python program around"
    try:
        if grant.kind == MCP:
            await connections.connection(grant.server).tool(grant.tool)
            return "works"
        given: Any = granted(grant, config, connections)
        if grant.kind == PYTHON:
            return f"works: {_signature(given)}"
        given.check()
    except ToolUnusable as unusable:
        return f"fails: {unusable}"
    return f"works: {SIGNATURES[grant.kind].shown()}"


def _signature(function: Any) -> str:
    import inspect

    try:
        return str(inspect.signature(function))
    except (TypeError, ValueError):  # a function of C need not say what it takes
        return ""


def _compare(program: Program, config: Config, findings: Findings) -> None:
    """Hold the declarations of a program against what is granted."""
    import asyncio

    from masdsl.check.grants import compare_with_host, declared_tool, differences
    from masdsl.tools.base import ToolUnusable
    from masdsl.tools.connections import Connections

    compare_with_host(program, config, None, findings, alone=True)

    async def with_servers() -> None:
        connections = Connections(config.servers)
        try:
            for tool in program.tools:
                grant = config.tools[tool.granted_as]
                if grant.kind != MCP:
                    continue
                try:
                    found = await connections.tool(grant).differences(declared_tool(tool))
                except ToolUnusable:  # which was said where it was tried
                    continue
                for source, diagnostic in differences(program, tool, grant, found):
                    findings.add(source, diagnostic)
        finally:
            await connections.close()

    if any(config.tools[tool.granted_as].kind == MCP for tool in program.tools):
        asyncio.run(with_servers())


# ---------------------------------------------------------------- a server


def _show_server(config: Config, name: str) -> int:
    """Print the tools of an MCP server, as declarations and grants."""
    import asyncio

    from masdsl.tools.base import ToolUnusable
    from masdsl.tools.connections import Connections

    if name not in config.servers:
        otherwise = f"there are {', '.join(config.servers)}" if config.servers else f"describe it under [mcp.{name}]"
        raise UsageError(f"there is no MCP server `{name}`", did_you_mean(name, config.servers, otherwise))

    async def listed() -> list[str]:
        connections = Connections(config.servers)
        try:
            tools = await connections.connection(name).tools()
        finally:
            await connections.close()
        return list(_declarations(name, tools))

    try:
        lines = asyncio.run(listed())
    except ToolUnusable as unusable:
        raise UsageError(str(unusable), f"mend [mcp.{name}], or what it names") from None
    for line in lines:
        say(line)
    return FINE


def _declarations(server: str, tools: Iterable[Any]) -> Iterable[str]:
    from masdsl.syntax.grammar import reserved_words
    from masdsl.tools.mcp_schema import declaration

    grants = []
    reserved = reserved_words()
    for tool in tools:
        name = "".join(letter if letter.isalnum() else "_" for letter in tool.name.lower()).lstrip("0123456789")
        name = f"{name}_" if name in reserved else name
        yield declaration(tool, name, f"{server}.{tool.name}")
        grants.append(f'"{server}.{tool.name}" = {{ kind = "mcp", server = "{server}", tool = "{tool.name}" }}')
    yield ""
    yield "[tools]"
    yield from grants
