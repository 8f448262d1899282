"""The service against its own OpenAPI document: schemathesis makes requests from it and judges the answers.

In full: `python -m tests.test_serve_schema 300` (examples of each operation, of right and of wrong requests).
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="needs the extra masdsl[serve]")
pytest.importorskip("schemathesis", reason="needs schemathesis (pip install -e '.[dev]')")

import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core.result import Ok

import masdsl
from masdsl.journal import MemoryJournal
from masdsl.runtime.models.scripted import ScriptedModel
from masdsl.serve.app import Wire, application
from masdsl.serve.endpoints import served
from masdsl.serve.keys import Keys, read_keys
from masdsl.serve.ledger import Ledger
from masdsl.serve.metrics import Metrics
from masdsl.serve.service import Limits, Service
from tests.harness.serving import REPLIES, SHOP, key_file

OPERATIONS = 10  # its own document is none to schemathesis

NOTHING_WRONG = ("/healthz", "/readyz", "/metrics")
"""Operations without parameters."""


@contextmanager
def shop(folder: Path, keys: str | None = None) -> Iterator[str]:
    """Serve the shop, with runs in memory, on a free port of this machine; give its address."""
    (folder / "shop.mas").write_text(SHOP, encoding="utf-8")
    program = masdsl.load(folder / "shop.mas", models=ScriptedModel(REPLIES))
    known = Keys(None) if keys is None else read_keys(keys)
    own = Service(served([("shop", program)]), MemoryJournal(), Ledger(":memory:"), known, Limits(), Metrics())
    config = uvicorn.Config(application(own, Wire(), "0"), port=0, log_config=None, lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
        own.close()


def fuzz(folder: Path, examples: int, *, keys: bool) -> int:
    """Make requests of every operation, right ones and wrong ones; return how many. Raises what schemathesis finds."""
    count = 0

    def judge(case: Any) -> None:
        nonlocal count
        count += 1
        case.call_and_validate(headers=headers)

    headers = {"Authorization": "Bearer acme-key"} if keys else {}
    modes = list(schemathesis.GenerationMode)
    if keys:  # a wrong request may be one without its key, and `judge` gives it one
        modes = [schemathesis.GenerationMode.POSITIVE]
    with shop(folder, key_file(folder, acme="metrics = true") if keys else None) as address:
        schema = schemathesis.openapi.from_url(f"{address}/openapi.json", headers=headers)
        operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
        assert len(operations) == OPERATIONS, [one.label for one in operations]
        options = settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        for operation in operations:
            for mode in modes:
                try:
                    options(given(case=operation.as_strategy(generation_mode=mode))(judge))()
                except Unsatisfiable:  # nothing about this operation can be wrong
                    assert mode is schemathesis.GenerationMode.NEGATIVE and operation.path in NOTHING_WRONG
    return count


@pytest.mark.parametrize("keys", [False, True])
def test_the_service_keeps_to_its_own_description(keys: bool, tmp_path: Path) -> None:
    assert fuzz(tmp_path, 8, keys=keys) > 40


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        for with_keys in (False, True):
            print(fuzz(Path(name), int(sys.argv[1]), keys=with_keys), "requests", "with keys" if with_keys else "")
