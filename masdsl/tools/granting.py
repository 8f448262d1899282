"""From what the configuration grants to what the runtime calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from masdsl.config import DESIGN, HOST, MCP, PYTHON, Config, Grant
from masdsl.tools.base import Declared, Mismatch, Offer, ToolUnusable, is_offer

if TYPE_CHECKING:
    from masdsl.tools.connections import Connections

Granted: TypeAlias = "Callable[..., Any] | Offer"
"""What stands behind a name that programs use: a function of the inputs by name, or an offer of one."""


def granted(grant: Grant, config: Config, connections: Connections) -> Granted:
    """Return what a grant gives; nothing is opened, connected or read yet but Python modules.

    `connections` are those of the run to MCP servers. Raises ToolUnusable.
    """
    match grant.kind:
        case kind if kind == PYTHON:
            from masdsl.tools.python_functions import import_function

            function: Granted = import_function(grant.function, config.folder())
            return function
        case kind if kind == HOST:
            raise ToolUnusable(
                "the configuration leaves it to the Python program around: run it from there, with `tools={..}`"
            )
        case kind if kind == MCP:
            return connections.tool(grant)
        case "calculator":
            from masdsl.tools.calculator import calculator

            return calculator()
        case "search" | "read":
            from masdsl.tools.search import reader, searcher

            return searcher(grant.path) if grant.kind == "search" else reader(grant.path)
        case "http":
            from masdsl.tools.http import http_reader

            return http_reader(grant.allow, private=grant.private, most_bytes=grant.bytes)
        case "sandbox":
            from masdsl.tools.code import code_runner

            return code_runner()
        case kind if kind == DESIGN:
            # by its name: it needs the whole compiler, which stands above this room, and so only where it is used
            designer: Granted = import_module("masdsl.meta.designing").designer(grant, config)
            return designer
    raise ToolUnusable(f"there is no kind of tool `{grant.kind}`")


def mismatches(given: Granted, declared: Declared) -> Iterator[Mismatch]:
    """Yield how a declaration differs from what is granted, as far as that is known without opening it."""
    if is_offer(given):
        yield from given.mismatches(declared)
    else:
        from masdsl.tools.python_functions import mismatches as of_function

        function: Any = given
        yield from of_function(function, declared)
