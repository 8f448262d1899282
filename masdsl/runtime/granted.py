"""What a configuration grants to programs: Python functions by the names that they use, and how much they may spend."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable
from typing import Any

from masdsl.config import Config, load_config
from masdsl.diagnostics.base import Findings
from masdsl.runtime.failures import StepFailed
from masdsl.runtime.meter import Limits
from masdsl.runtime.tool import Tool, ToolFunction


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


class ToolMissing(Exception):
    """What a configuration names as a tool cannot be imported, or is no function; the text says why."""


def configured_tools(tools: Iterable[Tool[Any]], config: Config | None = None) -> dict[str, ToolFunction]:
    """Return the granted functions of those tools that the configuration grants.

    Without `config`, the nearest `mas.toml` upwards from the working folder counts. Raises StepFailed for a function
    that cannot be imported, ConfigFault.
    """
    if config is None:
        config = current_config()
    granted: dict[str, ToolFunction] = {}
    for tool in tools:
        target = config.tools.get(tool.granted_as)
        if target is not None:
            try:
                granted[tool.granted_as] = import_tool(target, config.folder())
            except ToolMissing as error:
                raise StepFailed(f"tool {tool.name}", str(error)) from error
    return granted


def import_tool(target: str, folder: str | None = None) -> ToolFunction:
    """Return the function that `package.module:function` names.

    Modules are looked for in `folder` first, if there is one, then where Python looks for them. Raises ToolMissing.
    """
    module_name, _, name = target.partition(":")
    if folder is not None and folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        found: Any = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:  # a module may raise anything while it is imported
        raise ToolMissing(f"`{target}` cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise ToolMissing(f"`{target}` is a {type(found).__name__}, not a function")
    function: ToolFunction = found
    return function
