"""Watches over all descendants of a process: `python -m tests.harness.orphans runaways|kills|cancels TIER [N]`.

A process that is a subreaper (`man 2 PR_SET_CHILD_SUBREAPER`) becomes the parent of every descendant whose own parent
has ended, whatever session or group that has chosen. So what is left over cannot hide.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from masdsl.sandbox import Limits, Result, run_python, run_python_sync

PATIENCE = 30.0
"""Seconds after which a process that should be gone counts as left over."""

RUNAWAYS = {
    "busy loop": "while True: pass",
    "no signal stops it": """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True: pass
""",
    "daemon": """
import os, time
def spawn():
    try:
        child = os.fork()
    except OSError:
        child = None
    if child == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        while True: time.sleep(1)
    return child
print(spawn())
""",
    "flood of output": "while True: print('x' * 1000)",
    "memory bomb": "kept = []\nwhile True: kept.append(bytearray(10_000_000))",
    "fork bomb": """
import os
while True:
    try:
        os.fork()
    except OSError as error:
        raise SystemExit(f"no: {error.errno}")
""",
    "thread bomb": """
import threading, time
threading.stack_size(32 * 1024)
count = 0
while True:
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    count += 1
    if count > 2000: raise SystemExit("too many")
""",
    "great number": "print(len(str(9 ** 9 ** 9)))",
    "catastrophic regular expression": "import re\nre.match(r'(a+)+$', 'a' * 60 + 'b')",
}

ENDLESS = "import time\nwhile True: time.sleep(600)"
"""Uses no processor time, so that no limit but ours would ever end it."""


def adopt() -> None:
    """Become the parent of all descendants that lose theirs."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


def left_over() -> list[str]:
    """Wait until no descendant is left; return what is, after `PATIENCE`."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.005)
        except ChildProcessError:
            return []
    children = [
        child for thread in Path("/proc/self/task").iterdir() for child in (thread / "children").read_text().split()
    ]
    for child in children:
        os.kill(int(child), signal.SIGKILL)
    return children


def runaways(tier: str) -> object:
    """Run them all; return how each ended, and what was left over by any."""
    limits = Limits(seconds=4, cpu_seconds=1)

    async def all_at_once() -> list[Result]:
        return await asyncio.gather(*(run_python(code, tier=tier, limits=limits) for code in RUNAWAYS.values()))

    results = dict(zip(RUNAWAYS, asyncio.run(all_at_once()), strict=True))
    told = {name: [one.error.kind, one.error.message] if one.error else [None, ""] for name, one in results.items()}
    return {"told": told, "left": left_over()}


HOST = """
import sys
from masdsl.sandbox.ladder import Rung, _known
from masdsl.sandbox import run_python_sync
_known[{tier!r}] = Rung({tier!r}, True, "", (), 0.0)
print("now", flush=True)
run_python_sync({code!r}, tier={tier!r})
"""


def kills(tier: str, times: int) -> object:
    """Kill hosts at moments between the start of a sandbox and the middle of its program; return what was left over."""
    source = random.Random(7)
    left = []
    for _ in range(times):
        host = subprocess.Popen([sys.executable, "-c", HOST.format(tier=tier, code=ENDLESS)], stdout=subprocess.PIPE)
        assert host.stdout is not None
        host.stdout.readline()
        time.sleep(source.random() * 0.4)
        host.kill()
        host.stdout.close()
        left += left_over()
    return {"left": left}


def cancels(tier: str, times: int) -> object:
    """Cancel coroutines that run programs, at different moments; return what was left over."""
    source = random.Random(8)

    async def cancel() -> None:
        task = asyncio.create_task(run_python(ENDLESS, tier=tier))
        await asyncio.sleep(source.random() * 0.4)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def all_at_once() -> None:
        await asyncio.gather(*(cancel() for _ in range(times)))

    asyncio.run(all_at_once())
    return {"left": left_over()}


def main() -> None:
    """Do what the arguments say and print the outcome as JSON."""
    what, tier, *rest = sys.argv[1:]
    run_python_sync("", tier=tier)  # the self-test, before anything is measured
    adopt()
    actions: dict[str, Callable[[], object]] = {
        "runaways": lambda: runaways(tier),
        "kills": lambda: kills(tier, int(rest[0])),
        "cancels": lambda: cancels(tier, int(rest[0])),
    }
    print(json.dumps(actions[what]()))


if __name__ == "__main__":
    main()
