"""A real MCP server, for tests: `python -m tests.harness.mcp_server [PORT]`, over its standard input or over HTTP.

With PORT 0 it chooses one and prints it. `hostile` in front speaks the protocol by hand, as badly as it is told.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any, Literal

from pydantic import BaseModel

SECRET = "MCP_TEST_KEY"


class Point(BaseModel):
    """A record, for the way in and out."""

    x: int
    y: int
    name: str | None = None


def server() -> Any:
    """The server and its tools."""
    from mcp.server.mcpserver import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError
    from mcp_types import ToolAnnotations

    app = MCPServer("tests")

    @app.tool()
    def plus(a: int, b: int = 2) -> int:
        return a + b

    @app.tool()
    def greet(name: str, mood: Literal["good", "bad"] = "good") -> str:
        return f"Hello, {name}! I am {mood}."

    @app.tool()
    def mirror(point: Point, names: list[str]) -> Point:
        return Point(x=point.y, y=point.x, name=",".join(names))

    @app.tool(annotations=ToolAnnotations(read_only_hint=False))
    def order(item: str) -> bool:
        return True

    @app.tool()
    def fail(query: str) -> str:
        raise ToolError(f"no {query}, and my key is {os.environ.get(SECRET, 'unset')}")

    @app.tool()
    def big(size: int) -> str:
        return "x" * size

    @app.tool()
    def environment() -> list[str]:
        return sorted(os.environ)

    @app.tool()
    def leave_behind() -> int:
        """Start a process that outlives its parent, unless somebody ends it."""
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid

    @app.tool()
    def pid() -> int:
        return os.getpid()

    return app


def hostile(how: str) -> None:
    """Shake hands by the older protocol; then do what `how` says with the use of a tool."""

    def say(**message: Any) -> None:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()

    if how == "silent":
        time.sleep(30)
    if how == "loud":
        sys.stdout.write("Welcome to this server!\nnot json\n[1, 2\n")
    tool = {"name": "t", "inputSchema": {"type": "object", "properties": {"query": {"type": "string"}}}}
    for line in sys.stdin:
        request = json.loads(line)
        match request.get("method"):
            case "initialize":
                about = {"name": "hostile", "version": "1"}
                version = request["params"]["protocolVersion"]
                result: dict[str, Any] = {
                    "protocolVersion": version,
                    "capabilities": {"tools": {}},
                    "serverInfo": about,
                }
                say(id=request["id"], result=result)
            case "tools/list":
                say(id=request["id"], result={"tools": [tool]})
            case "tools/call" if how == "endless":
                while True:
                    sys.stdout.write("x" * 65536)
            case "tools/call" if how == "hang":
                pass
            case "tools/call" if how == "die" or (how == "mortal" and request["params"]["arguments"]["query"] == "die"):
                print(f"dying with {os.environ.get(SECRET)}", file=sys.stderr, flush=True)
                os._exit(3)
            case "tools/call" if how == "malformed":
                say(id=request["id"], result={"content": "this is no list"})
            case "tools/call" if how == "picture":
                say(id=request["id"], result={"content": [{"type": "image", "data": "AAAA", "mimeType": "image/png"}]})
            case "tools/call" if how == "number":
                say(id=request["id"], result={"content": [{"type": "text", "text": "seven"}]})
            case "tools/call":
                say(id=request["id"], result={"content": [{"type": "text", "text": "7"}]})
            case _ if "id" in request:
                say(id=request["id"], error={"code": -32601, "message": "no such method"})


if __name__ == "__main__":
    if sys.argv[1:2] == ["hostile"]:
        hostile(sys.argv[2])
    elif len(sys.argv) > 1:
        import socket

        import uvicorn

        with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as place:  # who connects from now on is kept waiting
            print(place.getsockname()[1], flush=True)
            uvicorn.Server(uvicorn.Config(server().streamable_http_app(), log_level="error")).run(sockets=[place])
    else:
        server().run()
