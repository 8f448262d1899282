"""A playground under test: a real process, spoken to over real sockets."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import httpx
from websockets.sync.client import ClientConnection, connect

ROOT = Path(__file__).resolve().parents[2]
HELLO = """mas 1

## Greet somebody.
agent greeter(name) -> text(40) on fast temp 0
  "Greet {{ name }}."

flow main(name = "world") -> text(40) {
  words = greeter(name)
  return words
}
"""


CHAIN = """mas 1

agent echo(word: text(10)) -> text(10) on fast temp 0
  "Say {{ word }}."

flow main(word: text(10) = "hello") -> text(10)[3] {
  a = echo(word)
  b = echo(a)
  c = echo(b)
  return [a, b, c]
}
"""
LONGER = CHAIN.replace("  c = echo(b)\n", "  c = echo(b)\n  d = echo(c)\n").replace("[a, b, c]", "[a, b, d]")
"""`CHAIN` with another step at its end."""


class Raw(NamedTuple):
    """An answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes


class Playground:
    """`mas serve` in a process of its own, which is killed at the end of a `with` where it still runs."""

    def __init__(self, *arguments: str, cwd: Path, environment: Mapping[str, str] | None = None) -> None:
        words = [sys.executable, "-m", "masdsl", "serve", "--port", "0", *arguments]
        self.process = subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"} | dict(environment or {}),
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            self.process.wait(timeout=30)
            raise AssertionError(f"the playground did not begin: {''.join(self.lines)}")
        parts = urlsplit(self.url)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.token = parts.path.strip("/")
        self.port = parts.port or 0
        self.client = httpx.Client(base_url=self.url, timeout=60, headers={"Origin": self.origin}, trust_env=False)

    def _read(self) -> None:
        assert self.process.stderr is not None
        with suppress(ValueError):  # a child that outlives it keeps the pipe open; it is closed here at the end
            for line in self.process.stderr:
                self.lines.append(line)

    def until(self, holds: Callable[[], Any]) -> Any:
        """Wait until something holds, and return it."""
        for _ in range(3000):
            found = holds()
            if found:
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError(f"it never came to hold; the playground says: {''.join(self.lines)}")

    def raw(self, method: str, target: str, *headers: str, host: str | None = None, body: bytes = b"") -> Raw:
        """Return what is answered to a request that is written to a socket as it stands; "" as host: none."""
        name = f"127.0.0.1:{self.port}" if host is None else host
        lines = [
            f"{method} {target} {'HTTP/1.1' if name else 'HTTP/1.0'}",
            *([f"Host: {name}"] if name else []),
            *headers,
        ]
        lines += ["Connection: close"] if not any(one.startswith("Connection:") for one in headers) else []
        if body:
            lines.append(f"Content-Length: {len(body)}")
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as wire:
            wire.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            answer = b""
            while part := wire.recv(65_536):
                answer += part
                if answer.startswith(b"HTTP/1.1 101") and b"\r\n\r\n" in answer:
                    break
        head, _, rest = answer.partition(b"\r\n\r\n")
        first, *fields = head.decode("latin-1").split("\r\n")
        found = {name: value for name, _, value in (line.lower().partition(": ") for line in fields)}
        return Raw(int(first.split()[1]), found, rest)

    def get(self, path: str) -> Any:
        """Return what a path below the token answers."""
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, expected: int = 200, **body: Any) -> Any:
        """Return what a path answers to a body."""
        sent = {"content": json.dumps(body), "headers": {"Content-Type": "application/json"}}
        answer = self.client.post(path, **sent)  # type: ignore[arg-type]
        assert answer.status_code == expected, answer.text
        return answer.json()

    def events(self, run: str) -> list[tuple[str, Any]]:
        """Return the events of a run, up to its end."""
        found: list[tuple[str, Any]] = []
        with self.client.stream("GET", f"api/runs/{run}/events") as stream:
            assert stream.status_code == 200
            kind = ""
            for line in stream.iter_lines():
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    found.append((kind, json.loads(line.removeprefix("data: "))))
        return found

    @contextmanager
    def lsp(self, **options: Any) -> Iterator[ClientConnection]:
        """Give a connection to the language server."""
        url = f"ws://127.0.0.1:{self.port}/{self.token}/lsp"
        given: dict[str, Any] = {"origin": self.origin, "proxy": None, "open_timeout": 60, **options}
        with connect(url, **given) as socket:
            yield socket

    def children(self) -> list[int]:
        """Return the processes that it has started (Linux)."""
        return children_of(self.process.pid)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(number)
        return self.join()

    def join(self) -> int:
        """Wait for the process's end, and return its exit code."""
        code = self.process.wait(timeout=60)
        self._reader.join(timeout=5)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        self.client.close()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.end(signal.SIGKILL)
        elif not self.client.is_closed:
            self.join()


def children_of(process: int) -> list[int]:
    """Return the child processes of a process (Linux)."""
    found: list[int] = []
    for tasks in Path(f"/proc/{process}/task").glob("*/children"):
        found += map(int, tasks.read_text().split())
    return found


def is_alive(process: int) -> bool:
    """Whether a process runs; one that has ended and is still listed does not (Linux)."""
    try:
        state = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] not in ("Z", "X")


def request(identity: int, method: str, **params: Any) -> str:
    """Return a request of JSON-RPC."""
    return json.dumps({"jsonrpc": "2.0", "id": identity, "method": method, "params": params})


def notification(method: str, **params: Any) -> str:
    """Return a notification of JSON-RPC."""
    return json.dumps({"jsonrpc": "2.0", "method": method, "params": params})


def answer_to(socket: ClientConnection, identity: int) -> Any:
    """Return the answer to a request."""
    while True:
        message = json.loads(socket.recv(timeout=60))
        if message.get("id") == identity and "method" not in message:
            return message


def diagnostics_of(socket: ClientConnection, uri: str, version: int) -> list[Any]:
    """Return the diagnostics of a version of a document, once they are told."""
    while True:
        message = json.loads(socket.recv(timeout=60))
        if message.get("method") == "textDocument/publishDiagnostics":
            told = message["params"]
            if told["uri"] == uri and told.get("version") == version:
                return list(told["diagnostics"])
