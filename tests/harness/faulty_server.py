"""A chat server on this machine that answers exactly as told, right or wrong.

Use `with FaultyServer() as server:`, tell it `server.will(error(500, "x"), ok("hello"))`, ask `server.url`, look at
`server.requests` and wait for `server.left`.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Self


class Received(NamedTuple):
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    body: Any


Behaviour = Callable[[socket.socket, Received], None]


class FaultyServer:
    """Answers each request with the next behaviour; keeps what it received in `requests`.

    `left` is set when a client has gone before its answer was whole.
    """

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.left = threading.Event()
        self._behaviours: list[Behaviour] = [ok("hello")]
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(5)
        self._socket.close()

    def will(self, *behaviours: Behaviour) -> None:
        """Set what the next requests are answered with; the last one repeats."""
        with self._lock:
            self._behaviours = list(behaviours)
            self.requests = []
            self.left.clear()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                received = _receive(connection)
                if received is None:
                    return
                with self._lock:
                    self.requests.append(received)
                    behaviour = self._behaviours.pop(0) if len(self._behaviours) > 1 else self._behaviours[0]
                behaviour(connection, received)
            except ConnectionError:  # the client has gone: that is what some tests are about
                self.left.set()
            except OSError:
                pass


def _receive(connection: socket.socket) -> Received | None:
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return None
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    return Received(first.split()[1], headers, json.loads(body) if body else None)


# ---------------------------------------------------------------- behaviours


def completion(
    content: object = "hello", *, usage: object = None, finish: object = "stop", model: str = "m", **more: object
) -> dict[str, Any]:
    """The body of an answer."""
    message = {"role": "assistant", "content": content, **more}
    answer: dict[str, Any] = {
        "object": "chat.completion",
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
    }
    return answer if usage is None else {**answer, "usage": usage}


def raw(data: bytes, *, status: int = 200, headers: tuple[str, ...] = (), length: int | None = None) -> Behaviour:
    """These bytes as a body; `length` is what the header claims."""

    def answer(connection: socket.socket, _: Received) -> None:
        size = len(data) if length is None else length
        lines = [f"HTTP/1.1 {status} X", "Content-Type: application/json", f"Content-Length: {size}", *headers]
        connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode() + data)

    return answer


def ok(content: object = "hello", **more: Any) -> Behaviour:
    """A right answer."""
    return raw(json.dumps(completion(content, **more)).encode())


def body(value: object, *, status: int = 200, headers: tuple[str, ...] = ()) -> Behaviour:
    """Any JSON value as a body."""
    return raw(json.dumps(value).encode(), status=status, headers=headers)


def error(status: int, message: str, *, headers: tuple[str, ...] = (), **more: object) -> Behaviour:
    """An error in the protocol's form."""
    return body({"error": {"message": message, **more}}, status=status, headers=headers)


def echo_key(connection: socket.socket, received: Received) -> None:
    """401 with the key of the request in its message."""
    key = received.headers.get("authorization", "").removeprefix("Bearer ")
    error(401, f"Incorrect API key provided: {key}. Sent as Bearer {key}")(connection, received)


def refuse(*parameters: str, status: int = 400) -> Behaviour:
    """A right answer, but 400 to a request with one of these parameters (`response_format.json_object` for a type)."""

    def answer(connection: socket.socket, received: Received) -> None:
        for parameter in parameters:
            name, _, kind = parameter.partition(".")
            sent = received.body.get(name)
            if sent is not None and (not kind or sent.get("type") == kind):
                error(status, f"Unsupported parameter: '{name}' is not supported by this model", param=name)(
                    connection, received
                )
                return
        ok("hello")(connection, received)

    return answer


def slow(connection: socket.socket, _: Received) -> None:
    """A right answer, one byte each tenth of a second, for minutes."""
    data = json.dumps(completion("hello" * 500)).encode()
    connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n".encode())
    for at in range(len(data)):
        time.sleep(0.1)
        connection.sendall(data[at : at + 1])


def silent(connection: socket.socket, _: Received) -> None:
    """No answer: wait for minutes until the client goes."""
    connection.settimeout(280)
    if not connection.recv(1):
        raise ConnectionAbortedError


def cut(connection: socket.socket, _: Received) -> None:
    """Half of the body, then the end of the connection."""
    data = json.dumps(completion()).encode()
    connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data[: len(data) // 2])


def hang_up(connection: socket.socket, _: Received) -> None:
    """The end of the connection, without a byte."""


def huge(connection: socket.socket, _: Received) -> None:
    """A body of 50 MB."""
    size = 50_000_000
    connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
    for _part in range(size // 100_000):
        connection.sendall(b" " * 100_000)


def bomb(connection: socket.socket, _: Received) -> None:
    """50 MB in a few compressed bytes."""
    import gzip

    data = gzip.compress(b" " * 50_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(data)}\r\n\r\n"
    connection.sendall(head.encode() + data)


def garbage(connection: socket.socket, _: Received) -> None:
    """Bytes that are no HTTP at all."""
    connection.sendall(b"\x00\xffno http here\r\n\r\n")


def reset(connection: socket.socket, _: Received) -> None:
    """A reset instead of an end, in the middle of the head."""
    connection.sendall(b"HTTP/1.1 200")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
