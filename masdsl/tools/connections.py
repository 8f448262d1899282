"""The connections of one run to MCP servers: each server once, made when it is needed, closed with the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from masdsl.config import Grant, Server
from masdsl.tools.base import Declared, Mismatch, ToolFault, ToolUnusable

if TYPE_CHECKING:
    from masdsl.tools.mcp_connection import Connection


class Connections:
    """The servers of a configuration, and the connections to those that were needed so far."""

    def __init__(self, servers: Mapping[str, Server]) -> None:
        self._servers = servers
        self._open: dict[str, Connection] = {}

    def tool(self, grant: Grant) -> McpTool:
        """Return a tool of a server; nothing is connected yet. Raises ToolUnusable."""
        if grant.server not in self._servers:
            raise ToolUnusable(f"there is no MCP server `{grant.server}`: describe it under [mcp.{grant.server}]")
        return McpTool(self, grant)

    def connection(self, name: str) -> Connection:
        """Return the connection to a server, which need not be open yet. Raises ToolUnusable."""
        if name not in self._open:
            from masdsl.tools.mcp_connection import Connection

            self._open[name] = Connection(self._servers[name])
        return self._open[name]

    async def close(self) -> None:
        """Close all connections, and end the servers that were started for them."""
        opened, self._open = list(self._open.values()), {}
        for connection in opened:
            await connection.close()


class McpTool:
    """A tool of an MCP server, as an offer (`masdsl.tools.base.Offer`)."""

    def __init__(self, connections: Connections, grant: Grant) -> None:
        self._connections = connections
        self._grant = grant

    def __repr__(self) -> str:
        return f"<tool {self._grant.tool} of the MCP server {self._grant.server}>"

    def mismatches(self, declared: Declared) -> Iterable[Mismatch]:
        """Return nothing: what the server's tool takes is known when the server is connected."""
        return ()

    async def differences(self, declared: Declared) -> list[Mismatch]:
        """Connect the server and return how a declaration differs from its tool. Raises ToolUnusable."""
        from masdsl.tools.mcp_schema import mismatches

        tool = await self._connections.connection(self._grant.server).tool(self._grant.tool)
        return list(mismatches(tool, declared, self._grant.effect))

    async def open(self, declared: Declared) -> None:
        """Connect the server and compare its tool with the declaration. Raises ToolUnusable."""
        for found in await self.differences(declared):
            raise ToolUnusable(f"its declaration {found.problem}; {found.advice}")

    def function(self, declared: Declared) -> Callable[..., Any]:
        """Return the function that asks the server."""
        from masdsl.tools.mcp_results import value_of
        from masdsl.tools.mcp_schema import arguments_for

        async def use(**inputs: object) -> object:
            connection = self._connections.connection(self._grant.server)
            tool = await connection.tool(self._grant.tool)
            result = await connection.call(self._grant.tool, arguments_for(tool, inputs), declared.timeout)
            try:
                return value_of(result, declared.returns)
            except ToolFault as fault:
                raise ToolFault(connection.shown(str(fault))) from None

        return use
