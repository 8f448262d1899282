"""Which workers of a database are alive: each says so every second, by the server's clock."""

from __future__ import annotations

import os
import socket
import threading
from typing import Final, NamedTuple

import psycopg

BEAT: Final = 1.0
"""Seconds between two signs of life."""
DEAD_AFTER: Final = 8.0
"""Seconds without one after which a worker counts as dead."""
_TABLE: Final = """
CREATE SCHEMA IF NOT EXISTS masdsl;
CREATE TABLE IF NOT EXISTS masdsl.worker (
    id TEXT PRIMARY KEY, host TEXT NOT NULL, pid BIGINT NOT NULL, seen TIMESTAMPTZ NOT NULL
);
"""
_LOCK: Final = 0x6D617365
_RETRY: Final = 1.0
_PATIENCE: Final = {"connect_timeout": "5", "keepalives_idle": "3", "keepalives_interval": "2", "keepalives_count": "3"}
"""What makes a client notice within seconds that the server is not to be reached any more."""


class Alive(NamedTuple):
    """A worker that has lately been seen."""

    id: str
    host: str
    pid: int


def patient(url: str) -> str:
    """Return the URL of a database with what makes a lost connection noticed soon, where it does not say so itself."""
    found = psycopg.conninfo.conninfo_to_dict(url)
    missing = {name: value for name, value in {**_PATIENCE, "tcp_user_timeout": "8000"}.items() if name not in found}
    return url + ("&" if "?" in url else "?") + "&".join(f"{name}={value}" for name, value in missing.items())


def connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    """Connect to a database of workers, and make their table where it is missing. Raises psycopg.Error."""
    connection = psycopg.connect(url, autocommit=True)
    if connection.execute("SELECT to_regclass('masdsl.worker')").fetchone() == (None,):
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            connection.execute(_TABLE)
    return connection


def shown(url: str) -> str:
    """Return the place of a database, without a password."""
    found = psycopg.conninfo.conninfo_to_dict(url)
    return f"{found.get('host') or 'this machine'}:{found.get('port') or 5432}/{found.get('dbname') or ''}"


def one_line(error: Exception) -> str:
    """Return what a server says, on one line."""
    return " ".join(str(error).split())


def alive(connection: psycopg.Connection[tuple[object, ...]]) -> dict[str, Alive]:
    """Return the workers that are alive, by their ids. Raises psycopg.Error."""
    rows = connection.execute(
        "SELECT id, host, pid FROM masdsl.worker WHERE seen > now() - make_interval(secs => %s)", (DEAD_AFTER,)
    ).fetchall()
    return {str(one): Alive(str(one), str(host), int(str(pid))) for one, host, pid in rows}


class Heartbeat:
    """Says that this process is alive, in a thread, until it is stopped; a server that is away is waited for."""

    def __init__(self, url: str, worker: str) -> None:
        self._url = url
        self._worker = worker
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop, and say that this worker is gone."""
        self._stopped.set()
        self._thread.join(2 * BEAT)

    def _beat(self) -> None:
        while not self._stopped.is_set():
            try:
                with connect(self._url) as connection:
                    while not self._stopped.is_set():
                        connection.execute(
                            "INSERT INTO masdsl.worker VALUES (%s, %s, %s, now())"
                            " ON CONFLICT (id) DO UPDATE SET seen = now()",
                            (self._worker, socket.gethostname(), os.getpid()),
                        )
                        self._stopped.wait(BEAT)
                    connection.execute("DELETE FROM masdsl.worker WHERE id = %s", (self._worker,))
                    connection.execute("DELETE FROM masdsl.worker WHERE seen < now() - interval '1 day'")
            except psycopg.Error:
                self._stopped.wait(_RETRY)
