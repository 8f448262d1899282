"""What the process of a sandbox does: lock itself, say so, read a program, run it, answer.

`boot` is called by the few lines of `masdsl/sandbox/start.py`. The order is the point: the host sends the program only
when this process has said that it is locked, and a host that is gone by then sends nothing.
"""

from __future__ import annotations

import json
import os
import sys

from masdsl.sandbox.inside.lockdown import NotLocked, Wanted, lock
from masdsl.sandbox.inside.program import encoded, failure, run, texts_of

NOT_LOCKED = 3
"""Exit code of a process that could not be locked."""


def boot(mode: str) -> None:
    """Be a sandbox for one program; never returns.

    `mode` is `strict`; `within`, where bubblewrap keeps files out of sight and Landlock may be missing; or `monty`. The
    first line of the input is what the host decided, with the names of `masdsl.sandbox.start.command_of`; what
    follows when this process has said that it is locked is the request.
    """
    stream = sys.stdin.buffer
    setup = json.loads(stream.readline())
    answer = setup["answer"]
    try:
        os.chdir("/")
        if mode == "monty":
            from masdsl.sandbox.inside.monty import become_monty, lock_for_monty

            done = lock_for_monty(setup)
        else:
            wanted = Wanted(setup["readable"], setup["folders"], setup["memory"], setup["cpu_seconds"], setup["tasks"])
            done = lock(wanted, landlock_required=mode == "strict")
    except (NotLocked, OSError, ValueError) as error:
        _write(answer, json.dumps({"refused": f"{error}"}).encode() + b"\n")
        os._exit(NOT_LOCKED)
    _write(answer, json.dumps({"locked": done}).encode() + b"\n")
    text = stream.read()
    if not text:  # nobody waits for an answer any more
        os._exit(0)
    request = json.loads(text)
    sys.dont_write_bytecode = True
    os.environ.clear()
    sys.orig_argv = []
    try:
        if mode == "monty":
            become_monty(request, setup)
        reply = encoded(run(request, _forget), setup["output"])
    except BaseException as error:  # such as too little memory to tell about it
        reply = json.dumps(failure(error, texts_of(request)) | {"passed": 0, "failed": 0}).encode()
    _write(answer, reply + b"\n")
    os._exit(0)


def _forget() -> None:
    """Take the modules of masdsl out of the program's sight; what runs keeps them alive."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "masdsl"]:
        del sys.modules[name]


def _write(answer: int, data: bytes) -> None:
    while data:
        data = data[os.write(answer, data) :]
