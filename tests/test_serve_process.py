"""The service as a process: signals, `kill -9`, restarts, what may listen where."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="needs the extra masdsl[serve]")

import httpx

from masdsl.cli import main
from masdsl.serve.endpoints import Bound
from masdsl.serve.keys import BadKeys, read_keys
from masdsl.serve.ledger import Ledger
from tests.harness.serving import ROOT, Process, calls, key_file
from tests.test_serve_api import events, problem

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGTERM and SIGKILL")


def later(ask: Any) -> tuple[threading.Thread, list[Any]]:
    """Ask in a thread; the answer, or the error, is what the list gets."""
    got: list[Any] = []

    def work() -> None:
        try:
            got.append(ask())
        except httpx.HTTPError as error:
            got.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread, got


def test_sigterm_lets_a_run_end_and_answers_it(tmp_path: Path) -> None:
    with Process(tmp_path, "--grace", "20", pace=0.2) as first:
        thread, got = later(lambda: first.client.post("/v1/shop/slow"))
        first.until_calls(1)
        assert first.end(signal.SIGTERM) == 0
        thread.join()
        assert got[0].status_code == 200 and got[0].json()["value"] == ["hello"] * 4


def test_sigterm_stops_what_takes_longer_and_nothing_is_paid_twice(tmp_path: Path) -> None:
    headers = {"Idempotency-Key": "k"}
    with Process(tmp_path, "--grace", "0", "--stop-within", "20", pace=0.5) as first:
        thread, got = later(lambda: first.client.post("/v1/shop/slow", headers=headers))
        streams, streamed = later(
            lambda: first.client.post("/v1/shop/slow", headers=headers | {"Accept": "text/event-stream"})
        )
        first.until_calls(1)
        assert first.end(signal.SIGTERM) == 0
        thread.join()
        streams.join()
        told = problem(got[0], 503, "run-interrupted")
        assert events(streamed[0].text)[-1][0] == "failed"
        assert any("was broken off" in line for line in first.lines)
        paid = calls(tmp_path)
        assert 1 <= paid < 4  # a call that was under way has ended
    with Process(tmp_path, pace=0.0) as second:
        assert any(told["run"] in line for line in second.lines)
        status = second.client.get(f"/v1/runs/{told['run']}").json()
        assert status["status"] == "interrupted" and status["usage"]["calls"] == paid
        done = second.client.post("/v1/shop/slow", headers=headers).json()
        assert done["run"] == told["run"] and done["value"] == ["hello"] * 4
        assert done["usage"]["calls"] == 4 and calls(tmp_path) == 4


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with Process(tmp_path, "--grace", "1000", pace=1000) as first:
        thread, _ = later(lambda: first.client.post("/v1/shop/slow"))
        first.until_calls(1)
        first.process.send_signal(signal.SIGTERM)
        first._until(lambda: not _accepts(first))
        assert first.end(signal.SIGTERM) == 0
        thread.join()
        assert not any("Traceback" in line for line in first.lines)


def _accepts(one: Process) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", one.client.base_url.port or 0), timeout=1):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("resumes", [False, True])
def test_kill_9_loses_nothing_that_was_paid(resumes: bool, tmp_path: Path) -> None:
    keys = key_file(tmp_path, acme="calls = 13")
    headers = {"Idempotency-Key": "k", "Authorization": "Bearer acme-key"}
    with Process(tmp_path, "--keys", keys, pace=0.3) as first:
        accepted = first.client.post("/v1/shop/slow", headers=headers | {"Prefer": "respond-async"})
        assert accepted.status_code == 202
        where = accepted.headers["location"]
        first.until_calls(3)
        first.end(signal.SIGKILL)
    ledger = Ledger(f"{tmp_path}/runs.db.serve")  # and one that was accepted, and killed before it began
    acme = read_keys(keys).named("acme")
    assert acme is not None
    ledger.begin("early", acme, "shop/slow", "digest", {"word": "hi"}, Bound(4, 1, 1, 1, 1, 1.0))
    ledger.close()
    with Process(tmp_path, "--keys", keys, *(["--resume-runs"] if resumes else []), pace=0.0) as second:

        def done(run: str) -> Any:
            while (shown := second.client.get(run, headers=headers).json())["status"] == "running":
                pass
            return shown

        if not resumes:
            assert done(where)["status"] == "interrupted"
            assert second.client.post("/v1/shop/slow", headers=headers).json() == done(where)
            assert second.client.post("/v1/runs/early/resume", headers=headers).status_code == 200
        assert done("/v1/runs/early")["value"] == done(where)["value"] == ["hello"] * 4
        # two calls are kept, the third was under way and may be paid for twice, and that counts in the budget
        assert calls(tmp_path) == 5 + 4 and done(where)["usage"]["calls"] == 5
        fits = second.client.post("/v1/shop/slow", headers=headers | {"Idempotency-Key": "2"})
        assert fits.status_code == 200  # 9 of 13 are spent: room for 4
        over = second.client.post("/v1/shop/slow", headers=headers | {"Idempotency-Key": "3"})
        problem(over, 429, "budget-exhausted")


def test_slow_readers_and_callers_that_go_away_hold_nobody_up(tmp_path: Path) -> None:
    request = b"POST /v1/shop/slow HTTP/1.1\r\nHost: localhost\r\n%bContent-Length: 0\r\n\r\n"
    with Process(tmp_path, pace=0.3) as one:
        address = ("127.0.0.1", one.client.base_url.port or 0)
        with socket.create_connection(address) as slow:
            slow.sendall(request % b"Accept: text/event-stream\r\nIdempotency-Key: k\r\n")  # and reads nothing
            one.until_calls(1)
            assert one.client.post("/v1/shop/slow", headers={"Idempotency-Key": "k"}).status_code == 200
            assert one.client.post("/v1/shop/nothing").status_code == 200
        assert calls(tmp_path) == 4
        for kind in (b"", b"Accept: text/event-stream\r\n"):
            before = calls(tmp_path)
            with socket.create_connection(address) as caller:
                caller.sendall(request % kind)
                one.until_calls(before + 1)
            while "mas_runs_in_flight 0.0" not in one.client.get("/metrics").text:
                pass
            assert calls(tmp_path) < before + 4  # nobody could have asked for it again
        assert 'mas_runs_total{flow="slow",program="shop",status="stopped"} 2.0' in one.client.get("/metrics").text


# ---------------------------------------------------------------- the command


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(["serve", *arguments])
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["x.mas"], "there is no such file"),
        (["shop.mas", "--host", "0.0.0.0"], "mas serve --api PROGRAM --host"),
        (["shop.mas", "--keys", "none.toml"], "listens on this machine alone"),
        (["shop.mas", "--grace", "3"], "--grace belongs to the service for programs"),
        (["--api", "shop.mas", "--open"], "--api has no page"),
        (["--api", "shop.mas", "--port", "70000"], "--port is 70000"),
        (["--api"], "no program is given"),
        (["--api", "shop.mas", "--host", "0.0.0.0"], "without keys only this machine may call"),
        (["--api", "shop.mas", "--host", "::"], "give --keys FILE, or listen on 127.0.0.1"),
        (["--api", "shop.mas", "--port", "TAKEN"], "cannot listen on 127.0.0.1"),
        (["--api", "shop.mas", "--keys", "none.toml"], "cannot be read"),
        (["--api", "shop.mas", "shop.mas"], "two programs are called `shop`"),
        (["--api", "runs.mas"], "that name is taken"),
        (["--api", "shop.mas", "--grace", "-1"], "--grace is -1"),
    ],
)
def test_what_cannot_be_served_is_told(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("shop.mas", "runs.mas"):
        Path(name).write_text("mas 1\nflow main() -> int { return 1 }\n")
    key_file(tmp_path, acme="")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        given = [str(taken.getsockname()[1]) if one == "TAKEN" else one for one in arguments]
        code, text = run(capsys, *given)
    assert code == 2 and told in text and "Traceback" not in text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "entries such as [keys.acme]"),
        ("[keys", "is no TOML"),
        ("[keys.a]\n", "`sha256` is the SHA-256"),
        (f"[keys.a]\nsha256 = '{'0' * 64}'\ntoken = 3", "did you mean `tokens`?"),
        (f"[keys.a]\nsha256 = '{'0' * 64}'\ncalls = -3", "`calls` is a whole number"),
        (f"[keys.a]\nsha256 = '{'0' * 64}'\nusd = nan", "`usd`"),
        (f"[keys.a]\nsha256 = '{'0' * 64}'\nwindow = 'year'", "one of hour, day"),
        (f"[keys.a]\nsha256 = '{'0' * 64}'\n[keys.b]\nsha256 = '{'0' * 64}'", "twice"),
    ],
)
def test_a_wrong_file_of_keys_is_refused(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(text)
    with pytest.raises(BadKeys, match=told.replace("[", r"\[").replace("?", r"\?")):
        read_keys(str(path))


def test_a_program_with_errors_is_not_served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.mas"
    path.write_text("mas 1\nflow main() -> int { return x }\n")
    code, text = run(capsys, "--api", str(path))
    assert code == 1 and "MAS" in text


def test_without_the_extra_the_command_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "one.mas").write_text("mas 1\nflow main() -> int { return 1 }\n")
    code = "import sys; sys.modules['fastapi'] = None; sys.modules['starlette'] = None\nfrom masdsl.cli import main\n"
    code += f"sys.exit(main(['serve', '--api', {json.dumps(str(tmp_path / 'one.mas'))}]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2 and "pip install 'masdsl[serve]'" in done.stderr
