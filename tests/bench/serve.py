"""The HTTP service under load, beside a bare FastAPI application that awaits the same, in turns.

    apt-get install wrk
    python -m tests.bench.serve [--seconds 5] [--connections 8 64 512] [--pause 0.02]

Each request is a run of two steps, whose model answers after `--pause` seconds, kept in a journal and a ledger in
files. The bare application reads the same body by a pydantic model, awaits two sleeps of that length, and answers the
same JSON. Both are processes of their own with one event loop; `wrk` makes the requests with one thread. What is not
answered by 200 is counted. Memory is the process's peak (VmHWM), time at the processor that of user and system.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import NamedTuple

import httpx

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = """mas 1
agent writer(question: text(20)) -> text(20) on fast "Answer. {{ question }}"
agent editor(answer: text(20)) -> text(20) on fast "Improve. {{ answer }}"
flow main(question: text(20)) -> text(20) {
  draft = writer(question)
  better = editor(draft)
  return better
}
"""
OURS = """
import asyncio
import masdsl
from masdsl.runtime.models.base import Reply
from masdsl.serve.server import Settings, serve

class Model:
    name, price = "pausing", None

    async def complete(self, request):
        await asyncio.sleep({pause})
        return Reply("better", 50, 5, "pausing")

    async def close(self):
        return None

program = masdsl.load("{folder}/p.mas", models=Model())
serve([("p", program)], Settings(port={port}, journal="{folder}/runs.db", at_once={at_once}), print)
"""
BARE = """
import asyncio, sys
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

class Inputs(BaseModel):
    question: str

app = FastAPI()

@app.post("/v1/p/main")
async def main(inputs: Inputs):
    for _ in range(2):
        await asyncio.sleep({pause})
    return {{"run": "x", "program": "p", "flow": "main", "status": "ended", "value": "better"}}

config = uvicorn.Config(app, port={port}, log_level="warning", access_log=False, backlog=2048)
uvicorn.Server(config).run()
"""
LUA = """
wrk.method = "POST"
wrk.body = '{"question": "why?"}'
wrk.headers["Content-Type"] = "application/json"
done = function(summary, latency, requests)
  io.write(string.format(
    '{"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "refused": %d, "broken": %d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"""


class Load(NamedTuple):
    """What came of some seconds of requests: answers a second, times in milliseconds, faults; peak memory in MiB."""

    rate: float
    p50: float
    p99: float
    refused: int
    broken: int
    memory: float
    cpu_ms: float


class Server:
    """A process that serves on a port of its own."""

    def __init__(self, command: list[str], port: int) -> None:
        self.port = port
        self._process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
        for _ in range(600):
            try:
                httpx.post(
                    f"http://127.0.0.1:{port}/v1/p/main", json={"question": "why?"}, timeout=10
                ).raise_for_status()
                return
            except httpx.TransportError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.05)
        raise RuntimeError(f"{command} does not answer")

    def load(self, connections: int, seconds: int, script: Path) -> Load:
        """Make requests over so many connections at once."""
        before = self._cpu()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script)]
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{self.port}/v1/p/main"], capture_output=True, text=True, check=True
        )
        told = json.loads(done.stdout.splitlines()[-1])
        cpu = self._cpu() - before
        answered = max(told["requests"], 1)
        return Load(
            told["requests"] / told["seconds"],
            told["p50"],
            told["p99"],
            told["refused"],
            told["broken"],
            self._memory(),
            cpu / answered * 1000,
        )

    def _cpu(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _memory(self) -> float:
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{self._process.pid}/status").read_text())
        assert found is not None
        return int(found[1]) / 1024

    def end(self) -> int:
        """End it in order; return its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=60)


def ours(folder: Path, pause: float, port: int, at_once: int) -> Server:
    """Start our service."""
    (folder / "p.mas").write_text(PROGRAM)
    text = OURS.format(pause=pause, port=port, folder=str(folder), at_once=at_once)
    return Server([sys.executable, "-c", text], port)


def bare(pause: float, port: int) -> Server:
    """Start the bare application."""
    return Server([sys.executable, "-c", BARE.format(pause=pause, port=port)], port)


def main() -> None:
    """Measure both in turns, and print a table."""
    parser = ArgumentParser()
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, nargs="+", default=[8, 64, 512])
    parser.add_argument("--pause", type=float, default=0.02, help="seconds of each of the two calls of a model")
    parser.add_argument("--at-once", type=int, default=10_000, help="runs that our service takes at once")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not here: apt-get install wrk")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = folder / "post.lua"
        script.write_text(LUA)
        servers: dict[str, Server] = {}
        try:
            servers["masdsl"] = ours(folder, options.pause, 8871, options.at_once)
            servers["bare"] = bare(options.pause, 8872)
            _compare(servers, options.connections, options.seconds, script)
            journal = sum(path.stat().st_size for path in folder.glob("runs.db*") if path.is_file())
            print(f"\njournal and ledger: {journal / 2**20:,.0f} MiB")
        finally:
            for server in servers.values():
                server.end()


def _compare(servers: dict[str, Server], connections: list[int], seconds: int, script: Path) -> None:
    print("| connections | | req/s | p50 ms | p99 ms | not 200 | broken | CPU ms/request | peak MiB |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for count in connections:
        loads = {}
        for who, server in servers.items():
            one = loads[who] = server.load(count, seconds, script)
            print(
                f"| {count} | {who} | {one.rate:,.0f} | {one.p50:,.0f} | {one.p99:,.0f} | {one.refused:,} "
                f"| {one.broken:,} | {one.cpu_ms:.2f} | {one.memory:,.0f} |",
                flush=True,
            )
        mine, theirs = loads["masdsl"], loads["bare"]
        ratio = f"{mine.rate / theirs.rate:.2f}" if theirs.rate else "-"
        print(f"| | ratio | {ratio} | | | | | {mine.cpu_ms / theirs.cpu_ms:.1f} | |", flush=True)


if __name__ == "__main__":
    main()
