"""The playground as a process: who is answered, and what its endpoints do. Over real sockets throughout."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="needs the extra masdsl[playground]")
pytest.importorskip("websockets", reason="needs the extra masdsl[playground]")
pytest.importorskip("pygls", reason="needs the extra masdsl[playground]")

from tests.harness.playground import (
    HELLO,
    Playground,
    answer_to,
    diagnostics_of,
    is_alive,
    notification,
    request,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGTERM and SIGKILL")
linux = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks at processes by /proc")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("play")
    (place / "hello.mas").write_text(HELLO)
    return place


# ---------------------------------------------------------------- the language server


@linux
def test_the_language_server_speaks_over_the_connection_and_ends_with_it(folder: Path) -> None:
    with Playground("hello.mas", cwd=folder) as one:
        started = one.get("api/start")
        uri = started["document"]["uri"]
        with one.lsp() as socket:
            socket.send(request(1, "initialize", processId=None, rootUri=started["root"], capabilities={}))
            assert answer_to(socket, 1)["result"]["serverInfo"]["name"] == "masdsl"
            (child,) = one.children()
            socket.send(notification("initialized"))
            wrong = HELLO.replace("greeter(name)\n", "greter(name)\n")
            document = {"uri": uri, "languageId": "mas", "version": 1, "text": wrong}
            socket.send(notification("textDocument/didOpen", textDocument=document))
            assert [one["code"] for one in diagnostics_of(socket, uri, 1)] == ["MAS102"]
            changed = {"uri": uri, "version": 2}
            socket.send(notification("textDocument/didChange", textDocument=changed, contentChanges=[{"text": HELLO}]))
            assert diagnostics_of(socket, uri, 2) == []
        one.until(lambda: not is_alive(child))
        assert not one.children()
        with one.lsp() as socket:
            (child,) = one.until(one.children)
            one.end(signal.SIGKILL)
        for _ in range(3000):
            if not is_alive(child):
                break
            signal.sigtimedwait([], 0.01)
        assert not is_alive(child)
