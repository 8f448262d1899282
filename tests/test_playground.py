"""The playground: who is answered, and what its endpoints do. Real processes and real sockets throughout."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

pytest.importorskip("uvicorn", reason="needs the extra masdsl[playground]")
pytest.importorskip("websockets", reason="needs the extra masdsl[playground]")
pytest.importorskip("pygls", reason="needs the extra masdsl[playground]")
pytest.importorskip("fast_sugiyama", reason="needs the extra masdsl[playground]")

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from masdsl import limits
from masdsl.cli import main
from masdsl.cli.writing import replace_text
from masdsl.journal import open_journal
from masdsl.playground import choices, workers
from masdsl.playground.choices import Choices
from masdsl.playground.desk import Desk
from masdsl.playground.door import MOST_STRANGERS
from masdsl.playground.language import MOST_CONNECTIONS, MOST_RECEIVED
from masdsl.playground.refusals import Refusal
from tests.harness.playground import (
    CHAIN,
    HELLO,
    LONGER,
    ROOT,
    Playground,
    Raw,
    answer_to,
    diagnostics_of,
    is_alive,
    notification,
    request,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGTERM and SIGKILL")
linux = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks at processes by /proc")
as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be another user")
NOBODY = 65_534


def scripted(place: Path, seconds: float) -> Path:
    """Write the programs of a folder, and a script whose replies take so long."""
    (place / "chain.mas").write_text(CHAIN)
    (place / "script.toml").write_text(f'[replies]\necho = {{ "$reply" = "hi", "$after" = {seconds} }}\n')
    return place


def in_turn(place: Path) -> Path:
    """Write the same, with a script whose first reply comes at once, and each further one after a second."""
    scripted(place, 0)
    slow = '{ "$reply" = "hi", "$after" = 1.0 }'
    (place / "script.toml").write_text(f'[replies]\necho = ["hi", {slow}]\n')
    return place


def opened(place: Path, *more: str, program: str = "chain.mas", **options: Any) -> Playground:
    return Playground(program, "--script", "script.toml", "--journal", "runs.db", *more, cwd=place, **options)


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    """Give a playground whose runs end at once."""
    place = tmp_path_factory.mktemp("play") / "a (b) \u00fc%41"  # what URIs write in another way
    place.mkdir()
    with opened(scripted(place, 0)) as one:
        yield one


@pytest.fixture(scope="module")
def uri(play: Playground) -> str:
    return str(play.get("api/start")["document"]["uri"])


# ---------------------------------------------------------------- who is answered


def is_nothing(answer: Raw) -> bool:
    """Whether an answer says that there is nothing, and says no more."""
    kept = answer.headers.get("cache-control") == "no-store" and "set-cookie" not in answer.headers
    shared = any("access-control" in name for name in answer.headers)
    return (answer.status, answer.body) == (404, b"") and kept and not shared


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/page/main.js",
        "/api/start",
        "/lsp",
        "/enter",
        "/favicon.ico",
        "/robots.txt",
        "/TOKEN",
        "//TOKEN/",
        "/./TOKEN/",
        "/%2e/TOKEN/",
        "/x/TOKEN/",
        "/TOKENx/",
        "/TOKEN%00/",
        "/TOKEN%20/",
        "/SHORT/",
        "/LOWER/",
        "/?token=TOKEN",
        "/%ff%fe/",
        f"/{'x' * 4000}/",
        "http://127.0.0.1/TOKEN/",
        "*",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "DELETE"])
def test_without_the_token_there_is_nothing(play: Playground, method: str, target: str) -> None:
    named = target.replace("SHORT", play.token[:-1]).replace("LOWER", play.token.swapcase())
    answer = play.raw(method, named.replace("TOKEN", play.token), f"Origin: {play.origin}")
    assert is_nothing(answer), answer


def test_tokens_are_long_and_new_each_time(play: Playground, tmp_path: Path) -> None:
    with opened(scripted(tmp_path, 0)) as other:
        assert other.token != play.token
        assert min(len(other.token), len(play.token)) * 6 >= 128
        assert is_nothing(other.raw("GET", f"/{play.token}/"))


FOREIGN = [
    ("HOST", "evil.example"),
    ("HOST", "evil.example:PORT"),
    ("HOST", "localhost:PORT"),
    ("HOST", "127.0.0.1"),
    ("HOST", "127.0.0.1:1"),
    ("HOST", "[::1]:PORT"),
    ("HOST", "127.0.0.1:PORT.evil.example"),
    ("Origin", "null"),
    ("Origin", "http://evil.example"),
    ("Origin", "http://127.0.0.1:1"),
    ("Origin", "http://localhost:PORT"),
    ("Origin", "https://127.0.0.1:PORT"),
    ("Origin", "http://127.0.0.1:PORT.evil.example"),
    ("Sec-Fetch-Site", "cross-site"),
    ("Sec-Fetch-Site", "same-site"),
    ("Sec-Fetch-Site", "SAME-ORIGIN, cross-site"),
]


@pytest.mark.parametrize(("name", "value"), FOREIGN)
def test_other_names_origins_and_sites_get_nothing(play: Playground, uri: str, name: str, value: str) -> None:
    said = value.replace("PORT", str(play.port))
    host = said if name == "HOST" else None
    more = [] if name == "HOST" else [f"{name}: {said}"]
    own = [] if name == "Origin" else [f"Origin: {play.origin}"]
    for target in ("", "page/main.js", "api/start", "api/runs"):
        assert is_nothing(play.raw("GET", f"/{play.token}/{target}", *more, host=host))
    body = json.dumps({"uri": uri, "text": "mas 1\n"}).encode()
    sent = ["Content-Type: application/json", *own, *more]
    assert is_nothing(play.raw("POST", f"/{play.token}/api/look", *sent, host=host, body=body))
    handshake = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
    handshake += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", *own, *more]
    answer = play.raw("GET", f"/{play.token}/lsp", *handshake, host=host)
    assert (answer.status, answer.body) == (404, b"")


def test_what_changes_something_has_to_say_its_origin(play: Playground, uri: str) -> None:
    body = json.dumps({"uri": uri, "text": CHAIN}).encode()
    target, kind = f"/{play.token}/api/look", "Content-Type: application/json"
    assert is_nothing(play.raw("POST", target, kind, body=body))
    assert is_nothing(play.raw("POST", target, kind, f"Origin: {play.origin}", f"Origin: {play.origin}", body=body))
    assert play.raw("POST", target, kind, f"Origin: {play.origin}", body=body).status == 200
    assert is_nothing(play.raw("GET", f"/{play.token}/", host=""))


def test_a_websocket_needs_the_token_and_the_origin(play: Playground) -> None:
    right = f"ws://127.0.0.1:{play.port}/{play.token}/lsp"
    wrong = f"ws://127.0.0.1:{play.port}/{play.token[:-1]}/lsp"
    for url, origin in ((wrong, play.origin), (right, None), (right, "null"), (right, "http://evil.example")):
        with pytest.raises(InvalidStatus) as refused, connect(url, origin=origin, proxy=None):  # type: ignore[arg-type]
            raise AssertionError("it was let in")
        answer = refused.value.response
        assert (answer.status_code, answer.body or b"") == (404, b"")
    assert len(play.lines) == 1  # strangers do not fill the terminal


NAVIGATION = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"]


def test_elsewhere_leads_to_the_page_by_its_entrance_alone(play: Playground) -> None:
    entrance = f"/{play.token}/enter"
    answer = play.raw("GET", entrance, *NAVIGATION)
    assert answer.status == 200 and b'content="0; url=./"' in answer.body and play.token.encode() not in answer.body
    assert is_nothing(play.raw("GET", f"/{play.token}/", *NAVIGATION))
    for at, said in enumerate(("", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: iframe")):
        others = [one for number, one in enumerate(NAVIGATION) if number != at or not at]
        assert is_nothing(play.raw("GET", entrance, *others, said or "Sec-Fetch-Mode: cors"))
    assert is_nothing(play.raw("POST", entrance, f"Origin: {play.origin}", *NAVIGATION))


def test_every_answer_forbids_what_it_can(play: Playground, uri: str) -> None:
    run = play.post("api/runs", 202, uri=uri, text=CHAIN, flow="main", inputs={})["run"]
    play.events(run)
    kinds = {
        "": ("text/html", "script-src 'self'"),
        "enter": ("text/html", "default-src 'none'"),
        "page/main.js": ("text/javascript", "default-src 'none'"),
        "page/style.css": ("text/css", "default-src 'none'"),
        "api/start": ("application/json", "default-src 'none'"),
        "api/none": ("application/problem+json", "default-src 'none'"),
        f"api/runs/{run}/events": ("text/event-stream", "default-src 'none'"),
        f"api/runs/{run}/report": ("text/html", "sandbox; default-src 'none'"),
    }
    for path, (kind, policy) in kinds.items():
        headers = play.client.get(path).headers
        assert headers["content-type"].startswith(kind), path
        told = headers["content-security-policy"]
        assert policy in told and "frame-ancestors 'none'" in told and "form-action 'none'" in told, path
        assert "unsafe-eval" not in told and ("unsafe-inline" not in told or "sandbox;" in told), path
        assert headers["referrer-policy"] == "no-referrer" and headers["x-content-type-options"] == "nosniff", path
        assert headers["cache-control"] == "no-store" and headers["cross-origin-resource-policy"] == "same-origin", path
        opener = "unsafe-none" if path.endswith("report") else "same-origin"
        assert headers["cross-origin-opener-policy"] == opener, path
        assert not {"set-cookie", "server", "access-control-allow-origin"} & set(headers), path


def test_each_page_has_a_nonce_of_its_own(play: Playground) -> None:
    answers = [play.client.get("") for _ in range(2)]
    nonces = [one.headers["content-security-policy"].partition("'nonce-")[2].partition("'")[0] for one in answers]
    assert len(set(nonces)) == 2 and all(
        f'content="{nonce}"' in one.text for one, nonce in zip(answers, nonces, strict=True)
    )


# ---------------------------------------------------------------- files


@pytest.mark.parametrize(
    "path",
    [
        "page/..%2fdesk.py",
        "page/%2e%2e/desk.py",
        "page/..%5cdesk.py",
        "page/%2fetc%2fpasswd",
        "page/index.html",
        "page/.",
        "page/%00.js",
        "page/main.js%00",
        "page/MAIN.JS",
        "page/",
        "page/x/../main.js",
        "api/programs/..%2fchain",
        "api/programs/%2fetc%2fpasswd",
        "api/programs/script.toml",
        "api/programs/chain.mas",
        "api/runs/..%2f..%2fruns.db",
        "api/runs/none",
        "api/runs/none/events",
        "api/runs/none/report",
    ],
)
def test_a_name_leads_nowhere_else(play: Playground, path: str) -> None:
    answer = play.raw("GET", f"/{play.token}/{path}")
    assert answer.status == 404 and json.loads(answer.body)["next"]
    assert play.token.encode() not in answer.body


@pytest.mark.parametrize(
    "name", ["other.mas", "../chain.mas", "sub/../../x.mas", "script.toml", "chain.mas?x", "CHAIN.mas"]
)
def test_a_uri_that_was_not_handed_out_is_refused(play: Playground, uri: str, name: str) -> None:
    folder = uri.rpartition("/")[0]
    (Path(unquote(folder.removeprefix("file://"))) / "other.mas").write_text(HELLO)
    for one in (f"{folder}/{name}", f"/{name}", name, uri.replace("file://", ""), uri.replace("file:", "FILE:")):
        for path, more in (
            ("look", {"text": CHAIN}),
            ("graph", {"text": CHAIN}),
            ("diff", {"before": CHAIN, "after": CHAIN}),
            ("save", {"text": CHAIN, "hash": ""}),
            ("runs", {"text": CHAIN, "flow": "main", "inputs": {}}),
        ):
            told = play.post(f"api/{path}", 403, uri=one, **more)
            assert told["title"] and told["next"]


def test_saving_writes_the_given_file_and_tells_when_somebody_else_did(tmp_path: Path) -> None:
    path = scripted(tmp_path, 0) / "chain.mas"
    path.write_bytes(b"\xef\xbb\xbf" + CHAIN.replace("\n", "\r\n").encode())
    path.chmod(0o640)
    with opened(tmp_path) as one:
        document = one.get("api/start")["document"]
        assert document["text"] == CHAIN and document["can_save"]
        saved = one.post("api/save", uri=document["uri"], text=LONGER, hash=document["hash"])
        assert path.read_text() == LONGER and stat.S_IMODE(path.stat().st_mode) == 0o640
        assert one.get("api/programs/chain") == {**document, "text": LONGER, "hash": saved["hash"]}
        path.write_text(HELLO)
        told = one.post("api/save", 409, uri=document["uri"], text=CHAIN, hash=saved["hash"])
        assert "changed" in told["detail"] and path.read_text() == HELLO
        now = one.get("api/programs/chain")["hash"]
        for text, status in (("x" * (limits.SOURCE_BYTES + 1), 413), ("\ud800", 400)):
            one.post("api/save", status, uri=document["uri"], text=text, hash=now)
        path.unlink()
        for seen in (now, ""):
            one.post("api/save", 409, uri=document["uri"], text=CHAIN, hash=seen)
        assert not path.exists() and not [name for name in os.listdir(tmp_path) if name.startswith(".mas")]
        example = one.get("api/programs/starter")
        assert not example["can_save"]
        one.post("api/save", 403, uri=example["uri"], text=CHAIN, hash=example["hash"])
        assert not [name for name in os.listdir(tmp_path) if name.startswith("example")]


def test_links_lead_out_of_no_folder(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    secret = outside / "secret.mas"
    secret.write_text(HELLO)
    path = scripted(inside, 0) / "chain.mas"
    (inside / "linked.mas").symlink_to(secret)
    (inside / "folder").symlink_to(outside)
    (inside / "again.mas").symlink_to(path)
    with opened(inside, program=".") as one:
        assert [each["name"] for each in one.get("api/start")["programs"]] == ["again", "chain"]
        document = one.get("api/programs/chain")
        for module in ("linked", "folder.secret"):
            text = CHAIN.replace("mas 1\n", f"mas 1\nuse {module}: main as other\n")
            seen = one.post("api/look", uri=document["uri"], text=text)
            assert not seen["ok"] and "Greet" not in json.dumps(seen)
        path.unlink()
        path.symlink_to(secret)  # somebody put another file in its place
        told = one.post("api/save", 409, uri=document["uri"], text=CHAIN, hash=document["hash"])
        assert "link" in told["detail"] and secret.read_text() == HELLO
        assert one.client.get("api/programs/chain").status_code == 409


def test_modules_are_found_beside_the_program(tmp_path: Path) -> None:
    scripted(tmp_path, 0)
    (tmp_path / "echoes.mas").write_text(CHAIN)
    with opened(tmp_path) as one:
        start = one.get("api/start")
        text = 'mas 1\nuse echoes: main as chain\n\nflow main() -> text(10)[3] {\n  a = chain("a")\n  return a\n}\n'
        assert one.post("api/look", uri=start["document"]["uri"], text=text)["ok"]
        run = one.post("api/runs", 202, uri=start["document"]["uri"], text=text, flow="main", inputs={})["run"]
        assert one.events(run)[-1][1]["value"] == ["hi"] * 3


# ---------------------------------------------------------------- sizes, and what takes long


def test_bodies_and_messages_have_a_size(play: Playground, uri: str) -> None:
    large = {"uri": uri, "text": "x" * (5 << 20)}
    assert play.client.post("api/look", json=large).status_code == 413
    for body, kind in ((b"{", "application/json"), (b"[]", "application/json"), (b"{}", "text/plain")):
        answer = play.client.post("api/look", content=body, headers={"Content-Type": kind})
        assert answer.status_code in (400, 415) and answer.json()["next"]
    play.post("api/look", 400, uri=uri, text=CHAIN, more=1)
    play.post("api/look", 400, uri=uri, text=["x"])
    play.post("api/look", 400, uri=uri)
    with play.lsp() as socket, pytest.raises(ConnectionClosed) as closed:
        socket.send("x" * (MOST_RECEIVED + 1))
        while True:
            socket.recv(timeout=60)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009


def test_a_hostile_text_is_refused_and_holds_nobody_up(play: Playground, uri: str) -> None:
    texts = [
        "(" * 1_000_000,
        "mas 1\n" + "flow f() -> int { return 1 }\n" * 40_000,
        "\0" * 500_000,
        "\ud800",
        "é" * 300_000,
    ]
    nested = "mas 1\nflow main() -> int { return " + "(" * 20_000 + "1" + ")" * 20_000 + " }\n"
    answers: list[Any] = []

    def ask(text: str) -> None:
        data = json.dumps({"uri": uri, "text": text})
        answers.append(play.client.post("api/look", content=data, headers={"Content-Type": "application/json"}))

    threads = [threading.Thread(target=ask, args=(text,)) for text in (*texts, nested)]
    for thread in threads:
        thread.start()
    assert play.get("api/programs/chain")["text"] == CHAIN
    for thread in threads:
        thread.join()
    assert len(answers) == len(threads)
    for answer in answers:
        assert answer.status_code in (200, 422), answer.text
        assert not answer.json().get("ok") and answer.json()["diagnostics"], answer.text


def test_a_worker_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(workers, "WAIT_SECONDS", 60.0)
    monkeypatch.setattr(workers, "MOST_WORKERS", 1)
    monkeypatch.setattr(workers, "MOST_WAITING", 1)

    async def ask() -> None:
        pool = workers.Workers("tests.harness.slow_worker", str(tmp_path), {"fast": "a"})
        first = await pool.ask("work", {"smart": "b"})
        assert first["tiers"] == {"fast": "a", "smart": "b"}
        assert (await pool.ask("work"))["pid"] == first["pid"]
        with monkeypatch.context() as hurried, pytest.raises(Refusal, match="too busy"):
            hurried.setattr(workers, "WAIT_SECONDS", 1.0)
            await pool.ask("hang")
        with pytest.raises(Refusal, match="too much"):
            await pool.ask("die")
        assert not is_alive(first["pid"])
        second = await pool.ask("work")
        assert second["pid"] != first["pid"]
        waiting = [asyncio.ensure_future(pool.ask("work")) for _ in range(3)]
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert [isinstance(one, Refusal) and one.status == 503 for one in answers] == [False, False, True]
        gone = asyncio.ensure_future(pool.ask("hang"))
        while pool._idle:
            await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        third = await pool.ask("work")
        assert third["pid"] != second["pid"] and not is_alive(second["pid"])
        await pool.close()
        assert not is_alive(third["pid"])

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    asyncio.run(ask())


def test_a_job_may_take_so_much_work_however_long_it_has_to_wait(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    path = str(tmp_path / "program.mas")
    large = "mas 1\n" + "flow f() -> int { return 1 }\n" * 9_000

    async def ask() -> None:
        pool = workers.Workers("masdsl.cli.playground_jobs", str(tmp_path), {})
        assert (await pool.ask("look", path=path, text=HELLO))["ok"]
        monkeypatch.setattr(workers, "JOB_SECONDS", 0.05)
        with pytest.raises(Refusal, match="0.05 seconds of work") as refused:
            await pool.ask("look", path=path, text=large)
        assert refused.value.status == 422
        monkeypatch.setattr(workers, "JOB_SECONDS", 20.0)
        monkeypatch.setattr(workers, "WAIT_SECONDS", 0.0)
        with pytest.raises(Refusal, match="too busy") as busy:
            await pool.ask("look", path=path, text=HELLO)
        assert busy.value.status == 503
        await pool.close()

    asyncio.run(ask())


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    place = tmp_path / "here"
    place.mkdir()
    scripted(place, 0)
    with Playground("chain.mas", "--journal", str(tmp_path / "runs.db"), cwd=place) as one:
        uri = one.get("api/start")["document"]["uri"]
        for path in place.iterdir():
            path.unlink()
        place.rmdir()
        assert "cannot be started" in one.post("api/look", 503, uri=uri, text=CHAIN)["detail"]
        with one.lsp() as wire, pytest.raises(ConnectionClosed) as closed:
            wire.recv(timeout=60)
        assert closed.value.rcvd is not None and "cannot be started" in closed.value.rcvd.reason
        one.post("api/save", 409, uri=uri, text=CHAIN, hash="")
        assert one.client.get("api/start").status_code == 409


# ---------------------------------------------------------------- the language server


@linux
def test_the_language_server_speaks_over_the_connection_and_ends_with_it(tmp_path: Path) -> None:
    (tmp_path / "hello.mas").write_text(HELLO)
    with Playground("hello.mas", cwd=tmp_path) as one:
        started = one.get("api/start")
        uri = started["document"]["uri"]
        with one.lsp() as wire:
            wire.send(request(1, "initialize", processId=None, rootUri=started["root"], capabilities={}))
            assert answer_to(wire, 1)["result"]["serverInfo"]["name"] == "masdsl"
            (child,) = one.children()
            wire.send(notification("initialized"))
            wrong = HELLO.replace("greeter(name)\n", "greter(name)\n")
            document = {"uri": uri, "languageId": "mas", "version": 1, "text": wrong}
            wire.send(notification("textDocument/didOpen", textDocument=document))
            assert [one["code"] for one in diagnostics_of(wire, uri, 1)] == ["MAS102"]
            changed = {"uri": uri, "version": 2}
            wire.send(notification("textDocument/didChange", textDocument=changed, contentChanges=[{"text": HELLO}]))
            assert diagnostics_of(wire, uri, 2) == []
        one.until(lambda: not is_alive(child))
        with one.lsp() as wire:
            (child,) = one.until(one.children)
            one.end(signal.SIGKILL)
            until(lambda: not is_alive(child))


def until(holds: Any) -> None:
    for _ in range(3000):
        if holds():
            return
        signal.sigtimedwait([], 0.01)
    raise AssertionError("it never came to hold")


@pytest.mark.parametrize(
    "place",
    [
        "file:///etc/passwd",
        "file:///",
        "FOLDER/../x.mas",
        "FOLDER/%2e%2e/x.mas",
        "FOLDER/a%2f..%2f..%2fx.mas",
        "FOLDER%2f..%2fx.mas",
        "FOLDERx/y.mas",
        "FOLDER//etc/x.mas",
        "untitled:1",
        "",
    ],
)
def test_the_language_server_is_shown_its_own_folder_alone(play: Playground, uri: str, place: str) -> None:
    root = uri.rpartition("/")[0]
    named = place.replace("FOLDER", root)
    with play.lsp() as wire:
        folders = [{"uri": named, "name": "x"}]
        begins: list[dict[str, Any]] = [
            {"rootUri": named},
            {"rootUri": root, "workspaceFolders": folders},
            {"rootUri": root, "rootPath": "/"},
        ]
        for number, begin in enumerate(begins):
            wire.send(request(number, "initialize", processId=None, capabilities={}, **begin))
            assert "own folder" in (told := answer_to(wire, number)["error"]["message"]) or "by its URI" in told
        wire.send(request(7, "initialize", processId=None, rootUri=root, capabilities={}))
        assert "result" in answer_to(wire, 7)
        wire.send(notification("initialized"))
        document = {"uri": named, "languageId": "mas", "version": 1, "text": "mas 1\nx"}
        wire.send(notification("textDocument/didOpen", textDocument=document))
        wire.send(request(8, "textDocument/documentSymbol", textDocument={"uri": named}))
        assert "error" in answer_to(wire, 8)
        own = {"uri": uri, "languageId": "mas", "version": 3, "text": CHAIN}
        wire.send(notification("textDocument/didOpen", textDocument=own))
        assert diagnostics_of(wire, uri, 3) == []  # and what was dropped has told nothing before


@pytest.mark.parametrize("sent", ["no json", "[]", "{}", '{"jsonrpc": "2.0", "x": NaN}', "[" * 100_000, b"\x00\x01"])
def test_what_is_no_message_closes_the_connection(play: Playground, sent: str | bytes) -> None:
    with play.lsp() as wire, pytest.raises(ConnectionClosed):
        wire.send(sent)
        wire.recv(timeout=60)


@linux
def test_connections_are_few(play: Playground) -> None:
    def servers() -> list[int]:
        found = []
        for one in play.children():
            with suppress(FileNotFoundError):  # it has ended since it was listed
                if b"lsp" in Path(f"/proc/{one}/cmdline").read_bytes():
                    found.append(one)
        return found

    play.until(lambda: not servers())  # those of earlier tests take a moment to end
    with ExitStack() as stack:
        for _ in range(MOST_CONNECTIONS):
            wire = stack.enter_context(play.lsp())
            wire.ping().wait(60)
        with play.lsp() as one_more, pytest.raises(ConnectionClosed) as closed:
            one_more.recv(timeout=60)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1013
    play.until(lambda: not servers())
    with play.lsp() as wire:
        wire.send(request(1, "initialize", processId=None, capabilities={}))
        assert "result" in answer_to(wire, 1)


def test_strangers_do_not_take_the_place_of_the_page(play: Playground) -> None:
    """Any process of the machine may connect, and say nothing."""
    with ExitStack() as stack, play.lsp() as wire:
        strangers = [
            stack.enter_context(socket.create_connection(("127.0.0.1", play.port), timeout=60)) for _ in range(300)
        ]
        for one in strangers[MOST_STRANGERS:]:
            one.sendall(b"GET /nothing HTTP/1.1\r\nX-Slow: ")
        assert play.get("api/start")["version"]
        assert play.raw("GET", f"/{play.token}/api/start").status == 200
        for one in (strangers[0], strangers[-1]):  # the first at once, the last after a while
            with suppress(ConnectionResetError):
                assert one.recv(1) == b""
        wire.ping().wait(60)
        wire.send(request(1, "initialize", processId=None, capabilities={}))
        assert "result" in answer_to(wire, 1)


# ---------------------------------------------------------------- where the token is


@linux
def test_the_token_is_on_no_command_line_and_in_no_log(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    browser = tmp_path / "browser"
    browser.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {seen}.part\nmv {seen}.part {seen}\nsleep 2\n")
    browser.chmod(0o700)
    scripted(tmp_path, 0)
    with opened(tmp_path, "--open", environment={"BROWSER": f"{browser} %s"}) as one:
        one.until(seen.exists)
        target = Path(seen.read_text().strip().removeprefix("file://"))
        assert one.token not in seen.read_text() and f"{one.url}enter" in target.read_text()
        assert stat.S_IMODE(target.stat().st_mode) == 0o600 and stat.S_IMODE(target.parent.stat().st_mode) == 0o700
        assert os.listdir(target.parent) == [target.name]
        uri = one.get("api/start")["document"]["uri"]
        with one.lsp() as wire:
            one.post("api/look", uri=uri, text=CHAIN)
            processes = [one.process.pid, *one.until(one.children)]
            assert len(processes) >= 3
            for process in processes:
                for file in ("cmdline", "environ"):
                    assert one.token.encode() not in Path(f"/proc/{process}/{file}").read_bytes()
            wire.send("no json")
        one.client.get("api/runs/none")
        one.client.post("api/look", content=b"{")
        one.raw("GET", f"/{one.token}/ HTTP/9.9\r\nbroken")
        assert one.end() == 0
        assert one.lines and one.token not in "".join(one.lines)
        assert not target.parent.exists()


@linux
def test_it_listens_on_this_machine_alone(play: Playground) -> None:
    listening = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{play.process.pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == play.port:
                listening.append(fields[1].rpartition(":")[0])
    assert listening == ["0100007F"]


ANOTHER_USER = """
import http.client, sys
port, target = int(sys.argv[1]), sys.argv[2]
for path in ("/", "/page/main.js", "/api/start", "/lsp", "/enter"):
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    wire.request("GET", path)
    answer = wire.getresponse()
    assert (answer.status, answer.read()) == (404, b""), path
try:
    open(target)
except PermissionError:
    print("nothing")
"""


@as_root
@linux
def test_another_user_who_knows_the_port_gets_nothing(tmp_path: Path) -> None:
    seen, browser = tmp_path / "seen", tmp_path / "browser"
    browser.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {seen}.part\nmv {seen}.part {seen}\n")
    browser.chmod(0o700)
    scripted(tmp_path, 0)
    with opened(tmp_path, "--open", environment={"BROWSER": f"{browser} %s"}) as one:
        one.until(seen.exists)
        target = seen.read_text().strip().removeprefix("file://")
        for python in (sys.executable, "/usr/bin/python3"):
            words = [python, "-I", "-c", ANOTHER_USER, str(one.port), target]
            try:
                done = as_nobody(words)
            except OSError:  # it lies where another user may not go
                continue
            assert done.stdout == "nothing\n", done.stderr
            return
    pytest.skip("there is no Python here that another user may run")


def as_nobody(words: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command as a user who may nothing."""
    who: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    return subprocess.run(words, **who, cwd="/", capture_output=True, text=True, check=False)


# ---------------------------------------------------------------- what the page asks about programs


def test_the_start_says_all_that_the_page_needs(play: Playground, uri: str) -> None:
    start = play.get("api/start")
    names = [one["name"] for one in start["programs"]]
    assert names[:2] == ["chain", "starter"] and start["tiers"]["fast"] and start["journal"].endswith("runs.db")
    assert start["document"]["text"] == CHAIN and uri == f"{start['root']}/chain.mas"
    for name in names:
        example = play.get(f"api/programs/{name}")
        seen = play.post("api/look", uri=example["uri"], text=example["text"])
        assert seen["ok"] and seen["flows"], name
        assert all(one["severity"] == "warning" for one in seen["diagnostics"])


def test_a_look_says_what_is_wrong_and_what_flows_take_and_cost(play: Playground, uri: str) -> None:
    typed = """mas 1

type Mood = good | bad
type Note { title: text(5), moods: Mood[3] }

agent judge(note: Note) -> Mood on fast temp 0
  "Judge {{ note.title }}."

## Judge a note.
flow main(note: Note, times: int = 2) -> Mood {
  mood = judge(note)
  return mood
}
"""
    seen = play.post("api/look", uri=uri, text=typed)
    (flow,) = seen["flows"]
    assert (flow["name"], flow["doc"], flow["bound"]["calls"]) == ("main", "Judge a note.", 1)
    assert "$ref" not in json.dumps(flow)
    note, times = flow["parameters"]
    assert note["schema"]["properties"]["moods"]["items"]["enum"] == ["good", "bad"] and "default" not in note
    assert (times["type"], times["default"]) == ("int", 2)
    broken = play.post("api/look", uri=uri, text=typed.replace("judge(note)\n", "juge(note)\n"))
    assert not broken["ok"] and broken["flows"] == []
    (found,) = broken["diagnostics"]
    assert (found["code"], found["line"], found["fix"]["replacements"][0]["text"]) == ("MAS102", 11, "judge")


def test_pictures_and_differences(play: Playground, uri: str) -> None:
    assert play.post("api/graph", uri=uri, text=CHAIN)["svg"].count('href="#L7"') == 1
    told = play.post("api/graph", 422, uri=uri, text="mas 1\nflow")
    assert told["diagnostics"] and told["next"]
    play.post("api/graph", 422, uri=uri, text="mas 1\n")
    found = play.post("api/diff", uri=uri, before=CHAIN, after=LONGER)
    assert found["patch"].startswith("patch 1 on") and "<svg" in found["svg"]
    assert {"sign": "+", "text": "main.return: d = echo(c)"} in found["lines"]
    assert [found["bound"][which]["calls"] for which in ("before", "after")] == [3, 4]
    same = play.post("api/diff", uri=uri, before=CHAIN, after=CHAIN.replace("  a", "      a"))
    assert (same["patch"], same["lines"]) == ("", []) and "svg" not in same
    faulty = play.post("api/diff", uri=uri, before=CHAIN, after=CHAIN.replace("echo(b)", "eco(b)"))
    assert faulty["patch"] and faulty["bound"]["after"] is None and "svg" not in faulty
    twice = CHAIN + CHAIN.partition("\n")[2]
    for after in ("mas 1\nflow {", twice):
        assert play.post("api/diff", 422, uri=uri, before=CHAIN, after=after)["detail"]


# ---------------------------------------------------------------- runs


def kinds(events: list[tuple[str, Any]]) -> list[str]:
    return [data["kind"] for kind, data in events if kind == "step"]


def test_a_run_tells_what_it_does_and_is_kept_like_any_other(
    play: Playground, uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = play.post("api/runs", 202, uri=uri, text=CHAIN, flow="main", inputs={"word": "moin"})["run"]
    events = play.events(run)
    assert events[0][0] == "run" and kinds(events).count("called") == 3
    assert [data["value"] for _, data in events if data.get("kind") == "finished"][:3] == ["hi"] * 3
    assert events[-1][0] == "ended" and events[-1][1]["value"] == ["hi"] * 3
    shown = play.get(f"api/runs/{run}")
    assert (shown["status"], shown["value"], shown["inputs"]) == ("ended", ["hi"] * 3, {"word": "moin"})
    assert shown["text"] == CHAIN and shown["bound"]["calls"] == 3 and shown["usage"]["calls"] == 3
    assert shown["usage"]["seconds"] > 0 and play.lines[1:] == []
    assert play.get("api/runs")[0] == {key: shown[key] for key in play.get("api/runs")[0]} | {
        "usage": play.get("api/runs")[0]["usage"]
    }
    folder = unquote(uri.removeprefix("file://")).rpartition("/")[0]
    assert main(["runs", "--json", "--journal", f"{folder}/runs.db"]) == 0
    assert run in [one["id"] for one in json.loads(capsys.readouterr().out)]
    assert "<svg" in play.post("api/graph", uri=uri, text=CHAIN, run=run)["svg"]
    report = play.client.get(f"api/runs/{run}/report").text
    assert "moin" in report and "<script" not in report
    for path, status in (("stop", 409), ("resume", 409)):
        assert play.post(f"api/runs/{run}/{path}", status)["next"]
    again = play.client.get(f"api/runs/{run}/events", headers={"Last-Event-ID": "1-3"}).text
    assert "id: 1-4\n" in again and "id: 1-3\n" not in again


def test_a_step_says_what_it_was_asked(play: Playground, uri: str) -> None:
    run = play.post("api/runs", 202, uri=uri, text=CHAIN, flow="main", inputs={"word": "moin"})["run"]
    assert play.events(run)[-1][0] == "ended"
    step = play.get(f"api/runs/{run}/step?at=main.a")
    (call,) = step["calls"]
    assert call["messages"] == [{"role": "user", "text": "Say moin."}] and call["reply"] == "hi" and not call["fault"]
    assert (step["value"], step["state"]) == ("hi", "value") and call["tokens_in"] > 0
    for at in ("main.x", "", "../../x"):
        assert play.client.get(f"api/runs/{run}/step", params={"at": at}).status_code == 404


def test_a_code_is_explained(play: Playground) -> None:
    assert "UndefinedCallee" in play.get("api/explain/MAS102")["text"]
    assert play.client.get("api/explain/MAS1").status_code == 404


def test_a_run_is_called_like_the_program_that_can_be_chosen(play: Playground) -> None:
    example = play.get("api/programs/adas_cot")
    ask = {"uri": example["uri"], "text": CHAIN, "flow": "main", "inputs": {}}
    run = play.post("api/runs", 202, **ask)["run"]
    assert play.events(run)[-1][1]["program"] == play.get(f"api/runs/{run}")["program"] == "adas_cot"
    assert play.get("api/runs")[0]["program"] == "adas_cot"


def test_what_cannot_be_run_is_told(play: Playground, uri: str) -> None:
    before = len(play.get("api/runs"))
    ask = {"uri": uri, "flow": "main", "inputs": {}}
    assert play.post("api/runs", 422, **ask, text="mas 1\nflow")["diagnostics"]
    assert "main" in play.post("api/runs", 422, **{**ask, "flow": "none"}, text=CHAIN)["next"]
    faults = play.post("api/runs", 422, **{**ask, "inputs": {"word": 3, "x": 1}}, text=CHAIN)["faults"]
    assert [one["pointer"] for one in faults] == ["/word", "/x"]
    play.post("api/runs", 400, **ask, text=CHAIN, models={"fast": 3})
    play.post("api/runs", 400, **{**ask, "inputs": []}, text=CHAIN)
    body = json.dumps({**ask, "text": CHAIN}).replace("{}", '{"word": 1e999}')
    assert play.client.post("api/runs", content=body, headers={"Content-Type": "application/json"}).status_code == 422
    assert play.post("api/runs", 422, **ask, text=CHAIN, models={"fast": "nothing/such"})["diagnostics"]
    assert len(play.get("api/runs")) == before


def test_a_run_without_a_value_says_why(tmp_path: Path) -> None:
    scripted(tmp_path, 0)
    (tmp_path / "script.toml").write_text('[replies]\necho = ["hi", { "$fails" = "refused", "$detail" = "no" }]\n')
    with opened(tmp_path) as one:
        uri = one.get("api/start")["document"]["uri"]
        run = one.post("api/runs", 202, uri=uri, text=CHAIN, flow="main", inputs={})["run"]
        kind, data = one.events(run)[-1]
        assert kind == "failed" and data["problem"]["step"] == "main.b" and "no" in data["problem"]["detail"]
        assert one.get(f"api/runs/{run}")["problem"] == data["problem"]
        mended = CHAIN.replace("  b = echo(a)\n", '  b = "said"\n')
        begun = one.post(f"api/runs/{run}/resume", 202, text=mended)
        assert begun["reused"] == 1
        assert one.events(run)[-1][1]["value"][:2] == ["hi", "said"]


def test_a_stopped_run_goes_on_as_the_changed_program_says(tmp_path: Path) -> None:
    with opened(in_turn(tmp_path)) as one:
        uri = one.get("api/start")["document"]["uri"]
        run = one.post("api/runs", 202, uri=uri, text=CHAIN, flow="main", inputs={})["run"]
        one.until(lambda: (shown := one.get(f"api/runs/{run}"))["usage"]["calls"] >= 2 and shown)
        one.post(f"api/runs/{run}/resume", 409)
        one.post(f"api/runs/{run}/stop", 202)
        kind, data = one.events(run)[-1]
        assert (kind, data["status"]) == ("stopped", "stopped")
        paid = one.get(f"api/runs/{run}")["usage"]["calls"]
        assert 1 <= paid < 3
        for text in (
            CHAIN.replace("flow main(word: text(10)", "flow main(word: text(20)"),  # another signature
            CHAIN.replace("echo(b)", "eco(b)"),
            "mas 1\nflow",
        ):
            told = one.post(f"api/runs/{run}/resume", 422, text=text)
            assert told["diagnostics"] and told["next"]
        one.post(f"api/runs/{run}/resume", 422, patch='patch 1 on "000000000000"\ndrop main.c\n')
        one.post(f"api/runs/{run}/resume", 400, patch="", text="")
        assert one.get(f"api/runs/{run}")["interventions"] == [] and one.get(f"api/runs/{run}")["status"] == "stopped"
        begun = one.post(f"api/runs/{run}/resume", 202, text=LONGER)
        assert begun["reused"] == paid and "echo(c)" in begun["patch"]
        events = one.events(run)
        assert kinds(events).count("reused") == paid and kinds(events).count("called") == 4 - paid
        shown = one.get(f"api/runs/{run}")
        assert (shown["status"], shown["usage"]["calls"], shown["bound"]["calls"]) == ("ended", 4, 4)
        assert shown["text"] == LONGER
        (change,) = shown["interventions"]
        assert (change["who"], change["accepted"], change["patch"]) == ("user", True, begun["patch"])


def test_models_chosen_for_a_run_are_remembered_for_it(tmp_path: Path) -> None:
    """By the playground that begins it, and by the next one; what `mas run` began is told apart."""
    program, options = "chain.mas", ("--journal", "runs.db")
    (tmp_path / program).write_text(CHAIN)
    entry = '[models.{0}]\nkind = "openai"\nurl = "http://127.0.0.1:{1}/v1"\nmodel = "{0}"\n'
    entry += "input_price = 0\noutput_price = 0\n"
    tiers = '[tiers]\nfast = "usual"\n'
    (tmp_path / "mas.toml").write_text(tiers + entry.format("usual", 9) + entry.format("chosen", 10))

    def asked(one: Playground, run: str) -> list[str]:
        """Return the ports of the models that were called, where nobody listens."""
        assert one.events(run)[-1][0] == "failed"
        faults = [call["fault"] for call in one.get(f"api/runs/{run}/step?at=main.a")["calls"]]
        return [fault.partition("127.0.0.1:")[2].partition(":")[0] for fault in faults]

    with Playground(program, *options, cwd=tmp_path) as one:
        begin = {"uri": one.get("api/start")["document"]["uri"], "text": CHAIN, "flow": "main", "inputs": {}}
        usual = one.post("api/runs", 202, **begin)["run"]
        chosen = one.post("api/runs", 202, **begin, models={"fast": "chosen"})["run"]
        assert set(asked(one, usual)) == {"9"} and set(asked(one, chosen)) == {"10"}
        one.end()
    command = [sys.executable, "-m", "masdsl", "run", program, *options]
    subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=False)
    with Playground(program, *options, cwd=tmp_path) as one:
        before = len(asked(one, chosen))
        one.post(f"api/runs/{chosen}/resume", 202)
        again = asked(one, chosen)
        assert len(again) > before and set(again) == {"10"}
        began = {run["run"]: one.get(f"api/runs/{run['run']}")["began_here"] for run in one.get("api/runs")}
        assert len(began) == 3 and {run for run, is_here in began.items() if is_here} == {usual, chosen}


@pytest.mark.parametrize("said", ["", "[]", "{", '{"a": 3, "b": {"fast": 1}}', "[" * 100_000, None])
def test_a_memory_that_cannot_be_read_says_nothing(tmp_path: Path, said: str | None) -> None:
    file = tmp_path / "choices.json"
    if said is not None:
        file.write_text(said)
    first = Choices(str(file), replace_text)
    assert "a" not in first and "b" not in first
    first.begins("run", {"fast": "other"})
    again = Choices(str(file), replace_text)
    assert again.models_of("run") == {"fast": "other"} and again.models_of("a") == {}
    Choices(str(tmp_path / "none" / "choices.json"), replace_text).begins("run", {})  # a folder that is not there


def test_the_memory_is_of_the_newest_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(choices, "MOST_RUNS", 3)
    kept, other = (Choices(str(tmp_path / "choices.json"), replace_text) for _ in range(2))
    for number in range(5):
        (kept, other)[number % 2].begins(f"run{number}", {})
    assert [run for run in range(5) if f"run{run}" in Choices(str(tmp_path / "choices.json"), replace_text)] == [
        2,
        3,
        4,
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_runs_under_way_outlive_the_playground(tmp_path: Path, number: int) -> None:
    with opened(in_turn(tmp_path)) as one:
        uri = one.get("api/start")["document"]["uri"]
        run = one.post("api/runs", 202, uri=uri, text=CHAIN, flow="main", inputs={})["run"]
        with one.lsp(), one.client.stream("GET", f"api/runs/{run}/events"):
            one.until(lambda: (shown := one.get(f"api/runs/{run}"))["usage"]["calls"] >= 2 and shown)
            code = one.end(number)
        assert code == (-number if number == signal.SIGKILL else 0)
        assert not any("Traceback" in line for line in one.lines)
        if number != signal.SIGKILL:
            assert any(f"mas run --resume {run} --journal runs.db" in line for line in one.lines)
    scripted(tmp_path, 0)
    with opened(tmp_path) as again:
        (listed,) = again.get("api/runs")
        assert listed["status"] == ("interrupted" if number == signal.SIGKILL else "stopped")
        finished = 1 if number == signal.SIGKILL else 2
        begun = again.post(f"api/runs/{run}/resume", 202, text=LONGER)
        assert begun["reused"] >= finished
        events = again.events(run)
        assert kinds(events).count("reused") == begun["reused"] and kinds(events).count("called") == 4 - begun["reused"]
        assert events[-1][1]["value"] == ["hi"] * 3


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with opened(scripted(tmp_path, 1000)) as one:
        uri = one.get("api/start")["document"]["uri"]
        run = one.post("api/runs", 202, uri=uri, text=CHAIN, flow="main", inputs={})["run"]
        one.until(lambda: one.get("api/runs"))
        one.process.send_signal(signal.SIGINT)
        ask = {"uri": uri, "text": CHAIN, "flow": "none", "inputs": {}}
        until(lambda: one.client.post("api/runs", json=ask).status_code == 503)  # it takes no new runs
        assert one.end(signal.SIGINT) == 0
        assert any(run in line for line in one.lines) and not any("Traceback" in line for line in one.lines)


def test_runs_of_other_programs_are_nobodys_business_here(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for place in (here, there):
        place.mkdir()
        scripted(place, 0)
    journal = str(tmp_path / "all.db")
    arguments = ["run", str(there / "chain.mas"), "--script", str(there / "script.toml"), "--journal", journal]
    assert main(arguments) == 0
    with open_journal(journal) as kept:
        (foreign,) = [one.id for one in kept.list()]
    with Playground("chain.mas", "--journal", journal, cwd=here) as one:
        uri = one.get("api/start")["document"]["uri"]
        assert one.get("api/runs") == []
        for path in ("", "/events", "/report"):
            assert one.client.get(f"api/runs/{foreign}{path}").status_code == 404
        one.post(f"api/runs/{foreign}/resume", 404)
        one.post("api/graph", 404, uri=uri, text=CHAIN, run=foreign)


# ---------------------------------------------------------------- how it begins


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["serve", *arguments]) == 2
    found = capsys.readouterr()
    assert "Traceback" not in found.err and not found.out
    return found.err


def test_what_cannot_be_opened_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scripted(tmp_path, 0)
    Path("binary.mas").write_bytes(bytes(range(256)))
    Path("large.mas").write_text("#" * (limits.SOURCE_BYTES + 1))
    Path("bad.toml").write_text("[[")
    Path("empty").mkdir()
    os.mkfifo("pipe.mas")
    assert "no text" in told(capsys, "binary.mas")
    assert "bytes" in told(capsys, "large.mas")
    assert "regular file" in told(capsys, "pipe.mas")
    assert "mas init" in told(capsys, "empty")
    assert "did you mean `chain.mas`" in told(capsys, "chian.mas")
    assert "one program" in told(capsys, "chain.mas", "chain.mas")
    assert "--journal PATH" in told(capsys, "chain.mas", "--journal", ":memory:")
    assert "empty" in told(capsys, "chain.mas", "--journal", "empty", "--port", "0")
    assert "bad.toml" in told(capsys, "chain.mas", "--script", "bad.toml")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"cannot listen on 127.0.0.1 port {port}" in told(capsys, "chain.mas", "--port", port)


@pytest.mark.parametrize("missing", ["starlette", "websockets"])
def test_without_the_extra_the_command_says_what_to_install(tmp_path: Path, missing: str) -> None:
    scripted(tmp_path, 0)
    code = f"import sys; sys.modules['{missing}'] = None\nfrom masdsl.cli import main\n"
    code += "sys.exit(main(['serve', 'chain.mas']))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == 2 and "pip install 'masdsl[playground]'" in done.stderr


def test_a_program_with_errors_is_opened_and_so_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "wrong.mas").write_text("mas 1\nflow main( {")
    with Playground("wrong.mas", "--journal", "runs.db", cwd=tmp_path) as one:
        document = one.get("api/start")["document"]
        assert document["can_save"] and not one.post("api/look", uri=document["uri"], text=document["text"])["ok"]
    with Playground("--journal", "runs.db", cwd=tmp_path) as one:
        document = one.get("api/start")["document"]
        assert document["name"] == "starter" and not document["can_save"]
        assert one.post("api/look", uri=document["uri"], text=document["text"])["ok"]


def test_a_program_comes_before_an_example_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "starter.mas").write_text(HELLO)
    (tmp_path / "example-adas_cot.mas").write_text(HELLO)

    def refused(path: str, text: str) -> None:
        raise AssertionError("nothing is written")

    for name in ("starter", "example-adas_cot"):
        desk = Desk(str(tmp_path / f"{name}.mas"), CHAIN, refused)
        assert desk.first.file and desk.opened(desk.named(name))["text"] == HELLO
        assert desk.path_of(desk.first.uri) == str(tmp_path / f"{name}.mas")
        names = [one["name"] for one in desk.listed()]
        assert len({desk.named(one).uri for one in names}) == len(names)
    with pytest.raises(Refusal):
        desk.path_of(Path("/etc/passwd").as_uri())
