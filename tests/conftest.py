"""What every test runs under: no network but this machine, caches of its own, warnings as errors (`pyproject.toml`)."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from masdsl.resources import cache_directory
from masdsl.runtime.models.store import where

ROOT = Path(__file__).resolve().parent.parent

# The laws are tried on the same values in every run, and a busy machine is no counterexample: a test that fails does so
# because of the change. `--hypothesis-profile default` looks for new counterexamples.
settings.register_profile(
    "same", derandomize=True, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("same")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update", action="store_true", help="rewrite the generated sections of tests/cases (never SOURCE, EXPECTED)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Give the session folders of its own for caches and kept runs, in which only the weights are those of the user."""
    if hasattr(config, "workerinput"):
        return  # a worker of xdist inherits the folder
    models = os.path.join(cache_directory() or os.devnull, "models")
    folder = tempfile.mkdtemp(prefix="masdsl-tests-")
    if os.path.isdir(models):
        os.symlink(models, os.path.join(folder, "models"), target_is_directory=True)
    os.environ["MASDSL_CACHE"] = folder
    os.environ["MASDSL_STATE"] = os.path.join(folder, "state")
    os.environ["MASDSL_DATA"] = os.path.join(folder, "data")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs the local model where it is missing; in CI its absence is a failure."""
    if item.get_closest_marker("local_model") is None:
        return
    lacking = "xllamacpp" if importlib.util.find_spec("xllamacpp") is None else None
    if lacking is None and where("smollm2") is None:
        lacking = "the weights of smollm2"
    if lacking and os.environ.get("CI"):
        pytest.fail(f"{lacking} is not here, and in CI it has to be: mas models pull smollm2", pytrace=False)
    if lacking:
        pytest.skip(f"{lacking} is not here: pip install -e '.[local]' && mas models pull smollm2")


class NetworkUsed(RuntimeError):
    """A test reached for another machine. Not an OSError, so that no code under test takes it for an outage."""


def _is_here(host: object) -> bool:
    if host in ("", "localhost", None):
        return True
    text = host.decode() if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _guarded(real: Callable[..., Any], address_at: int) -> Callable[..., Any]:
    def guard(self: socket.socket, *args: Any) -> Any:
        address = args[address_at]
        if self.family != getattr(socket, "AF_UNIX", None) and not _is_here(address[0]):
            raise NetworkUsed(f"this test reached for {address[0]}: tests may only use addresses of this machine")
        return real(self, *args)

    return guard


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Refuse every connection, datagram and name look-up that leaves this machine."""
    look_up = socket.getaddrinfo

    def guarded_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not _is_here(host):
            raise NetworkUsed(f"this test looked up {host}: tests may only use addresses of this machine")
        return look_up(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", _guarded(socket.socket.connect, 0))
        patch.setattr(socket.socket, "connect_ex", _guarded(socket.socket.connect_ex, 0))
        patch.setattr(socket.socket, "sendto", _guarded(socket.socket.sendto, -1))
        patch.setattr(socket, "getaddrinfo", guarded_look_up)
        yield


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT
