"""Runs Python that somebody else has written, in the strongest tier that works on this machine.

A request is JSON with the keys `code`, `inputs`, `entry_point`, `arguments`, `tests` and `stdin`. A reply is JSON with
`passed`, `failed` and either `value` or `error` (`kind`, `message`, `where`, `line`). It comes from the process that
ran the program, so nothing in it is trusted to have that form.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from masdsl.sandbox.execute import NotStarted, Stopped, execute
from masdsl.sandbox.ladder import chosen
from masdsl.sandbox.result import Failure, Limits, Result, SandboxRefused

if TYPE_CHECKING:
    from masdsl.sandbox.process import Stop

CODE_BYTES: Final = 256 << 10
"""Bytes of a program, and of its tests."""
REQUEST_BYTES: Final = 2 << 20
"""Bytes of all that is sent: program, tests, inputs, arguments, standard input, as JSON."""

DEFAULT: Final = Limits()


class _Slots:
    """How many programs run at once: as many as there are processors; each of them may take much memory."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._free: int | None = None

    def take(self, stop: Stop) -> None:
        """Wait for a free slot, or until somebody asks to stop.

        Raises:
            Stopped: somebody did.
        """
        with self._changed:
            if self._free is None:
                self._free = processors()
            while not self._free and not stop.asked:
                self._changed.wait()
            if stop.asked:
                raise Stopped
            self._free -= 1

    def give(self) -> None:
        """Give a slot back."""
        with self._changed:
            assert self._free is not None
            self._free += 1
            self._changed.notify()

    def wake(self) -> None:
        """Let those who wait look whether they are to stop."""
        with self._changed:
            self._changed.notify_all()


_slots = _Slots()


def processors() -> int:
    """Return how many processors this process may use."""
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_python_sync(
    code: str,
    *,
    inputs: Mapping[str, object] | None = None,
    entry_point: str | None = None,
    arguments: Sequence[object] = (),
    tests: str | None = None,
    stdin: str = "",
    limits: Limits = DEFAULT,
    tier: str | None = None,
) -> Result:
    """Run a program and return what came of it; see `run_python`, of which this is the form that blocks."""
    from masdsl.sandbox.process import Stop

    stop = Stop()
    try:
        return _run(stop, code, inputs, entry_point, arguments, tests, stdin, limits, tier)
    finally:
        stop.close()


async def run_python(
    code: str,
    *,
    inputs: Mapping[str, object] | None = None,
    entry_point: str | None = None,
    arguments: Sequence[object] = (),
    tests: str | None = None,
    stdin: str = "",
    limits: Limits = DEFAULT,
    tier: str | None = None,
) -> Result:
    """Run a program in a process of its own that has no files, no network, no other process and no environment.

    `inputs` are global variables of the program. With `entry_point`, the function of that name is called after it with
    `arguments`, and what it returns is the value. With `tests`, these are run after the program, among its names:
    assertions, or a function `check` that is called with the entry point (which is `candidate` for them as well).
    Inputs, arguments and the value are JSON data. `stdin` is what `input()` reads. A main guard runs only where there
    is neither entry point nor test. `tier` insists on one of `TIERS`; otherwise it is the first that works.

    Whatever the texts are, there is a result. Programs wait for each other when there are more than processors. When
    the coroutine is cancelled, the process is killed at once.

    Raises:
        SandboxRefused: no tier works here, or not the one that was asked for, or it did not start; nothing was run.
        TypeError: inputs or arguments are not JSON data.
    """
    import asyncio

    from masdsl.sandbox.process import Stop

    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[Result] = loop.create_future()
    stop = Stop()

    def settle(result: Result | None, error: BaseException | None) -> None:
        if outcome.done():
            return
        if error is not None:
            outcome.set_exception(error)
        elif result is not None:
            outcome.set_result(result)

    def work() -> None:
        result, error = None, None
        try:
            result = _run(stop, code, inputs, entry_point, arguments, tests, stdin, limits, tier)
        except Exception as raised:
            error = raised
        with _ends:
            stop.close()
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:  # the loop has closed: nobody waits any more
            pass

    # A thread of its own that lives as long as the process: the kernel kills the process when this thread ends.
    threading.Thread(target=work, name="masdsl-sandbox", daemon=True).start()
    try:
        return await outcome
    except asyncio.CancelledError:
        with _ends:
            stop.ask()
        _slots.wake()
        raise


_ends = threading.Lock()
"""Held while a `Stop` is closed or asked by two threads, of which the one may have come too late."""


def _run(
    stop: Stop,
    code: str,
    inputs: Mapping[str, object] | None,
    entry_point: str | None,
    arguments: Sequence[object],
    tests: str | None,
    stdin: str,
    limits: Limits,
    tier: str | None,
) -> Result:
    request = {
        "code": code,
        "inputs": dict(inputs or {}),
        "entry_point": entry_point,
        "arguments": list(arguments),
        "tests": tests,
        "stdin": stdin,
    }
    size = _size(request)
    used = chosen(tier)
    large = _too_large(code, tests, size)
    if large is not None:
        return Result(False, None, "", "", large, 0, 0, 0.0, used)
    _slots.take(stop)
    try:
        return execute(used, request, limits, stop)
    except NotStarted as error:
        raise SandboxRefused(
            f"the tier {used} of the sandbox did not start, so the Python was not run: {error}"
        ) from None
    finally:
        _slots.give()


def _size(request: dict[str, Any]) -> int:
    import json

    try:
        return len(json.dumps(request, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"inputs and arguments of a sandboxed program are JSON data: {error}") from None


def _too_large(code: str, tests: str | None, whole: int) -> Failure | None:
    for what, text in (("the program", code), ("its tests", tests or "")):
        size = len(text.encode("utf-8", "surrogatepass"))
        if size > CODE_BYTES:
            return Failure("too_large", f"{what}: {size:,} bytes, and {CODE_BYTES:,} are allowed")
    if whole > REQUEST_BYTES:
        return Failure("too_large", f"program and inputs: {whole:,} bytes, and {REQUEST_BYTES:,} are allowed")
    return None
