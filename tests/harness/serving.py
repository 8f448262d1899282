"""Services under test: in this process behind httpx, or as processes of their own with models that leave their marks.

    python -m tests.harness.serving FOLDER [--option value ...]    # what `Process` starts

The process serves `FOLDER/shop.mas` under the options of `mas serve`; each call of a model writes a line to
`FOLDER/calls` before it is answered, and takes `FOLDER/pace` seconds.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import httpx

import masdsl
from masdsl.journal import open_journal
from masdsl.runtime.models.base import Price, Reply, Request
from masdsl.runtime.models.scripted import ScriptedModel
from masdsl.serve.app import Wire, application
from masdsl.serve.endpoints import served
from masdsl.serve.keys import Keys, read_keys
from masdsl.serve.ledger import Ledger
from masdsl.serve.metrics import Metrics
from masdsl.serve.service import Limits, Service

ROOT = Path(__file__).resolve().parent.parent.parent
SHOP = """mas 1

## How much haste there is.
type Haste = none_at_all | soon | now

## What a customer wrote.
type Ticket {
  title: text(20),
  haste: Haste,
  tags: text(4)[3],
  weight: float,
  count: int,
  note: text(10)?
}

type Answer { words: text(20), haste: Haste, sure: bool, score: float? }

agent triage(ticket: Ticket, limit: int) -> Answer on fast temp 0 retry 1
  "Answer {{ ticket.title }} within {{ limit }}."

agent echo(word: text(10)) -> text(10) on fast temp 0
  "Say {{ word }}."

## Answer a ticket.
## It takes one call.
flow answer(ticket: Ticket, limit: int = 3, polite: bool = true) -> Answer {
  found = triage(ticket, limit)
  return found
}

## Say a word four times.
flow slow(word: text(10) = "hello") -> text(10)[4] {
  a = echo(word)
  b = echo(a)
  c = echo(b)
  d = echo(c)
  return [a, b, c, d]
}

flow nothing() -> int {
  return 7
}
"""
ANSWER = {"words": "Right away.", "haste": "now", "sure": True, "score": 0.5}
TICKET = {"title": "help", "haste": "soon", "tags": ["a"], "weight": 1.5, "count": 2, "note": None}
CONFIGURED = object()
"""In the place of a model: those of the configuration."""
REPLIES: Mapping[str, Any] = {"triage": ANSWER, "echo": "hello"}


def key_file(folder: Path, **keys: str) -> str:
    """Write a file of keys: the key of `acme` is `acme-key`, its settings are the lines given for it."""
    path = folder / "keys.toml"
    path.write_text(
        "".join(
            f'[keys.{name}]\nsha256 = "{hashlib.sha256(f"{name}-key".encode()).hexdigest()}"\n{lines}\n'
            for name, lines in keys.items()
        )
    )
    return str(path)


def bearer(name: str) -> dict[str, str]:
    """Return the header of a key."""
    return {"Authorization": f"Bearer {name}-key"}


@asynccontextmanager
async def service(
    folder: Path,
    model: Any = None,
    *,
    keys: str | None = None,
    at_once: int = 256,
    wire: Wire | None = None,
    text: str = SHOP,
) -> AsyncIterator[tuple[httpx.AsyncClient, Service]]:
    """Give a client of a service in this process, whose journal and ledger are in `folder`."""
    path = folder / "shop.mas"
    path.write_text(text, encoding="utf-8")
    models = None if model is CONFIGURED else model or ScriptedModel(REPLIES)
    program = masdsl.load(path, models=models)
    journal = open_journal(str(folder / "runs.db"))
    own = Service(
        served([("shop", program)]),
        journal,
        Ledger(str(folder / "runs.db.serve")),
        Keys(None) if keys is None else read_keys(keys),
        Limits(at_once),
        Metrics(),
    )
    try:
        own.recover()
        app = application(own, wire or Wire(heartbeat=0.05), "0")
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=30) as client:
            yield client, own
        await own.drain(0.0, 0.0)
    finally:
        own.close()


def serving(folder: Path, test: Callable[[httpx.AsyncClient, Service], Any], model: Any = None, **options: Any) -> Any:
    """Run a test of a service in an event loop of its own."""

    async def run() -> Any:
        async with service(folder, model, **options) as (client, own):
            return await test(client, own)

    return asyncio.run(run())


class Gate:
    """A model that says what a script says, once it may: `open` lets all calls go on."""

    name = "gate"
    price: Price | None = Price(1.0, 1.0)

    def __init__(self, replies: Mapping[str, Any] = REPLIES) -> None:
        self.script = ScriptedModel(replies, price=Price(1.0, 1.0))
        self.gate = asyncio.Event()
        self.asked = 0

    def open(self) -> None:
        """Let every call go on from now on."""
        self.gate.set()

    async def complete(self, request: Request) -> Reply:
        """Wait, and say it."""
        self.asked += 1
        await self.gate.wait()
        return await self.script.complete(request)

    async def close(self) -> None:
        """Do nothing."""


# ---------------------------------------------------------------- processes


class Process:
    """A service in a process of its own, in `folder`."""

    def __init__(self, folder: Path, *options: str, pace: float = 0.1) -> None:
        self.folder = folder
        (folder / "shop.mas").write_text(SHOP, encoding="utf-8")
        (folder / "pace").write_text(str(pace))
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.harness.serving", str(folder), *options],
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._until(lambda: any(" on http://" in line for line in self.lines))
        line = next(line for line in self.lines if " on http://" in line)
        self.client = httpx.Client(base_url=line.rpartition(" on ")[2].strip(), timeout=30)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)

    def _until(self, holds: Callable[[], bool]) -> None:
        for _ in range(6000):
            if holds():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError(f"the service ended or did not begin: {''.join(self.lines)}")

    def until_calls(self, count: int) -> None:
        """Wait until so many calls of models have been made in this folder."""
        self._until(lambda: calls(self.folder) >= count)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(number)
        return self.join()

    def join(self) -> int:
        """Wait for the process's end, and return its exit code."""
        code = self.process.wait(timeout=30)
        self._reader.join(timeout=5)
        assert self.process.stderr is not None
        self.process.stderr.close()
        self.client.close()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.end(signal.SIGKILL)


def calls(folder: Path) -> int:
    """Return how many calls of models were made."""
    path = folder / "calls"
    return len(path.read_text().splitlines()) if path.exists() else 0


class _Marking:
    """The model of a process."""

    name = "marking"
    price: Price | None = Price(1.0, 1.0)

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "calls", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._pace = float((folder / "pace").read_text())
        self._script = ScriptedModel(REPLIES, price=Price(1.0, 1.0))

    async def complete(self, request: Request) -> Reply:
        os.write(self._file, f"{request.step}\n".encode())
        await asyncio.sleep(self._pace)
        return await self._script.complete(request)

    async def close(self) -> None:
        return None


def main(arguments: list[str]) -> None:
    """Serve the program of a folder under the options of `mas serve`."""
    from masdsl.cli.serve import _fits, _parser, _say, _settings
    from masdsl.serve.server import Settings, serve

    folder = Path(arguments[0])
    options = _parser().parse_args(["--api", *arguments[1:], "--port", "0", "--journal", str(folder / "runs.db")])
    _fits(options)
    program = masdsl.load(folder / "shop.mas", models=_Marking(folder))
    serve([("shop", program)], _settings(options, Settings()), _say)


if __name__ == "__main__":
    main(sys.argv[1:])
