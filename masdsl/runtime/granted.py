"""What a configuration grants to programs: tools by the names that they use, and how much they may spend."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from masdsl.config import DESIGN, Config, load_config
from masdsl.diagnostics.base import Findings
from masdsl.runtime.failures import StepFailed
from masdsl.runtime.meter import Limits
from masdsl.runtime.tool import Tool, ToolFunction
from masdsl.tools.base import ToolUnusable, is_designer, is_offer
from masdsl.tools.connections import Connections
from masdsl.tools.granting import granted, mismatches


class ConfigFault(Exception):
    """The configuration has a mistake; the text says which and where."""


def current_config() -> Config:
    """Return the configuration for the working folder. Raises ConfigFault."""
    findings = Findings()
    config = load_config(os.getcwd(), findings)
    if not findings.ok:
        from masdsl.diagnostics.render import render_short

        raise ConfigFault(render_short(findings.sorted()[:1]).strip())
    return config


def ceiling_of(config: Config) -> Limits | None:
    """Return the limits that a configuration sets for every run, None where it sets none."""
    limits = Limits(**config.ceiling._asdict())
    return None if limits == Limits() else limits


class HostTools:
    """What a configuration grants, for one run.

    Without `config`, the nearest `mas.toml` upwards from the working folder counts. Connections are made when they are
    needed, and closed with `close`.
    """

    def __init__(self, config: Config | None = None) -> None:
        self._config = config
        self._connections: Connections | None = None

    def of(
        self, tools: Iterable[Tool[Any]], given: Mapping[str, ToolFunction] | None = None
    ) -> dict[str, ToolFunction]:
        """Return what is granted for those tools that the configuration grants.

        Where a caller gives tools, they are all there is, but for what designs systems, which is ours to give.

        Raises StepFailed for what cannot be used here, and for a declaration that differs from what is granted;
        ConfigFault.
        """
        found: dict[str, ToolFunction] = {} if given is None else dict(given)
        tools = tuple(tools)
        for tool in tools:
            if self._config is None:
                self._config = current_config()
            grant = self._config.tools.get(tool.granted_as)
            if grant is None or (given is not None and (grant.kind != DESIGN or tool.granted_as in given)):
                continue
            if self._connections is None:
                self._connections = Connections(self._config.servers)
            try:
                offered = found.get(tool.granted_as) or granted(grant, self._config, self._connections)
            except ToolUnusable as unusable:
                raise StepFailed(f"tool {tool.name}", str(unusable)) from unusable
            for one in mismatches(offered, tool.declared):
                raise StepFailed(f"tool {tool.name}", f"it {one.problem}; {one.advice}")
            if is_designer(offered):
                offered = offered.among(one.declared for one in tools)
            found[tool.granted_as] = offered
        return found

    async def close(self) -> None:
        """Close the connections."""
        if self._connections is not None:
            await self._connections.close()


async def open_tools(tools: Iterable[Tool[Any]], given: Mapping[str, ToolFunction]) -> None:
    """Make ready what the uses of tools need. Raises StepFailed, before anything is paid, for what cannot be used."""
    for tool in tools:
        offer = given[tool.granted_as]
        if is_offer(offer):
            try:
                await offer.open(tool.declared)
            except ToolUnusable as unusable:
                raise StepFailed(f"tool {tool.name}", f'"{tool.granted_as}": {unusable}') from None
