"""One process of a sandbox: start it, wait until it says that it is locked, send the program, collect, end it.

Nothing of a program is sent before the process has said that it is locked. A host that dies takes the process with it:
before that moment because the process finds its input closed, after it because the kernel kills it (`lockdown.py`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from masdsl.sandbox.result import Limits

if TYPE_CHECKING:
    import subprocess

START_SECONDS: Final = 15.0
"""How long a process may take until it is locked: a busy machine is no broken one."""
LONGEST_WAIT: Final = 60.0
"""How long to wait for something to happen before looking at the clock again: a deadline may be at infinity."""
END_SECONDS: Final = 5.0
"""How long a process that was killed may take to be gone."""
READ: Final = 1
WRITE: Final = 2
"""`selectors.EVENT_READ` and `EVENT_WRITE`: that module is imported when a process is started."""
CHUNK: Final = 1 << 16
REPLY_SLACK: Final = 1 << 16
"""Bytes that a reply may take beyond its value: messages and counts."""


class Command(NamedTuple):
    """How a process is started; `setup` is the first line that it reads, `answer` stands in it for a descriptor."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    setup: Mapping[str, object]


class Outcome(NamedTuple):
    """What a process did."""

    hello: bytes
    """What it said about itself before it got the program; empty if nothing."""
    reply: bytes
    stdout: bytes
    stderr: bytes
    cut: str
    """Why it was ended by us: `start`, `time`, `output`, `stopped`; empty if it ended by itself."""
    status: int
    """Exit code, or the negated number of the signal that ended it."""
    seconds: float


class Stop:
    """Ends a process from another thread."""

    def __init__(self) -> None:
        self.reading, self._writing = os.pipe()
        self.asked = False

    def ask(self) -> None:
        """End the process now, or as soon as it is started."""
        if not self.asked:
            self.asked = True
            os.write(self._writing, b"x")

    def close(self) -> None:
        """Give back what this holds; call it when nobody can ask any more."""
        os.close(self.reading)
        os.close(self._writing)


def converse(command: Command, request: bytes, limits: Limits, stop: Stop | None = None) -> Outcome:
    """Start a process, send it the request once it is locked, and return what it did. Nothing of it is left running.

    Raises:
        OSError: it cannot be started.
    """
    import json
    import subprocess

    answer_reading, answer_writing = os.pipe()
    try:
        process = subprocess.Popen(
            list(command.arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            pass_fds=(answer_writing,),
            env=dict(command.environment),
            cwd="/",
            start_new_session=True,
        )
    except BaseException:
        os.close(answer_reading)
        raise
    finally:
        os.close(answer_writing)
    setup = json.dumps({**command.setup, "answer": answer_writing}).encode() + b"\n"
    talk = _Talk(process, answer_reading, limits)
    try:
        return talk.run(setup, request, stop)
    finally:
        talk.close()


class _Talk:
    """The exchange with one process."""

    def __init__(self, process: subprocess.Popen[bytes], answer: int, limits: Limits) -> None:
        import selectors

        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        self._process = process
        self._input = process.stdin.fileno()
        self._answer = answer
        self._limits = limits
        self._sending = b""
        self._closing = False  # whether the input ends when all is sent
        self._selector = selectors.DefaultSelector()
        self._out, self._err = process.stdout.fileno(), process.stderr.fileno()
        self._got: dict[int, bytearray] = {answer: bytearray(), self._out: bytearray(), self._err: bytearray()}
        self._most = {
            answer: limits.output + REPLY_SLACK,
            self._out: limits.output,
            self._err: limits.output,
        }
        for reading in self._got:
            self._selector.register(reading, READ)
        os.set_blocking(self._input, False)

    def run(self, setup: bytes, request: bytes, stop: Stop | None) -> Outcome:
        """Talk until the process has ended or has to be ended."""
        begun = time.monotonic()
        deadline = begun + START_SECONDS
        if stop is not None:
            self._selector.register(stop.reading, READ)
        hello, cut = b"", ""
        self._send(setup)
        while not cut and len(self._readers()) > 0:
            ready = self._selector.select(min(LONGEST_WAIT, max(0.0, deadline - time.monotonic())))
            if not ready and time.monotonic() >= deadline:
                cut = "time" if hello else "start"
            for key, _ in ready:
                if stop is not None and key.fd == stop.reading:
                    cut = cut or "stopped"
                elif key.fd == self._input:
                    self._send(b"")
                elif not self._read(key.fd):
                    cut = cut or "output"
            answered = self._got[self._answer]
            if not hello and b"\n" in answered:
                line, _, rest = bytes(answered).partition(b"\n")
                hello, answered[:] = line, rest
                if hello.startswith(b'{"locked"'):
                    begun = time.monotonic()
                    deadline = begun + self._limits.seconds
                    self._closing = True
                    self._send(request)
        cut = self._end(cut, deadline, stop)
        return Outcome(
            hello,
            bytes(self._got[self._answer]),
            bytes(self._got[self._out][: self._limits.output]),
            bytes(self._got[self._err][: self._limits.output]),
            cut,
            self._process.returncode,
            time.monotonic() - begun,
        )

    def close(self) -> None:
        """End the process if it still runs, and give back all descriptors."""
        if self._process.returncode is None:
            self._kill()
            self._process.wait()
        self._selector.close()
        os.close(self._answer)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream is not None
            try:
                stream.close()
            except OSError:
                pass

    def _readers(self) -> list[int]:
        return [reading for reading in self._got if reading in self._selector.get_map()]

    def _send(self, more: bytes) -> None:
        """Send as much as the pipe takes now; the rest follows when it takes more."""
        assert self._process.stdin is not None
        if self._process.stdin.closed:
            return
        self._sending += more
        waiting = self._input in self._selector.get_map()
        try:
            while self._sending:
                self._sending = self._sending[os.write(self._input, self._sending) :]
        except BlockingIOError:
            if not waiting:
                self._selector.register(self._input, WRITE)
            return
        except OSError:  # it has gone: what it said until then tells why
            self._sending, self._closing = b"", True
        if waiting:
            self._selector.unregister(self._input)
        if self._closing:
            self._process.stdin.close()

    def _read(self, reading: int) -> bool:
        """Take what is there; return False if that is more than is allowed."""
        data = os.read(reading, CHUNK)
        if not data:
            self._selector.unregister(reading)
            return True
        kept = self._got[reading]
        kept += data
        if len(kept) <= self._most[reading]:
            return True
        del kept[self._most[reading] :]
        return False

    def _end(self, cut: str, deadline: float, stop: Stop | None) -> str:
        """Wait for the process or kill it, until nothing of it is left; return why it was cut."""
        if not cut:
            # It has closed everything; usually it is gone as well.
            while self._process.poll() is None:
                if stop is not None and stop.asked:
                    cut = "stopped"
                    break
                if time.monotonic() >= deadline:
                    cut = "time"
                    break
                time.sleep(0.001)
        if cut:
            self._kill()
        self._process.wait()
        # bubblewrap's own children hold our pipes: when these have ended, all of them have.
        for other in [key.fd for key in self._selector.get_map().values() if key.fd not in self._got]:
            self._selector.unregister(other)
        until = time.monotonic() + END_SECONDS
        while self._readers() and time.monotonic() < until:
            for key, _ in self._selector.select(max(0.0, until - time.monotonic())):
                if key.fd in self._got and not os.read(key.fd, CHUNK):
                    self._selector.unregister(key.fd)
        return cut

    def _kill(self) -> None:
        import signal

        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:  # it has ended meanwhile
            pass
