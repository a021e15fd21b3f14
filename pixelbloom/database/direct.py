"""Calls the SQL functions of the hot paths over connections to Postgres (DATABASE_URL), without PostgREST.

The other calls, and all calls without DATABASE_URL, go through PostgREST. Either way the role is the same.
"""

import json
import threading
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.abc import RV, PQGen

#: The functions that are called directly, with the types of their parameters: those of each run, and those that are
#: called every few seconds. All of them are idempotent.
FUNCTIONS: Mapping[str, Mapping[str, str]] = {
    "create_runs": {"p_runs": "jsonb", "p_user_queue_limit": "integer", "p_published": "bigint[]"},
    "claim_steps": {
        "p_items": "jsonb",
        "p_worker": "text",
        "p_lease_seconds": "double precision",
        "p_published": "bigint[]",
    },
    "finish_steps": {"p_items": "jsonb", "p_user_queue_limit": "integer", "p_published": "bigint[]"},
    "renew_leases": {"p_items": "jsonb", "p_lease_seconds": "double precision"},
    "sweep_runs": {
        "p_interval_seconds": "double precision",
        "p_lease_seconds": "double precision",
        "p_lost_before": "jsonb",
        "p_user_queue_limit": "integer",
        "p_limit": "integer",
    },
    "operational_figures": {},
    "take_outbox": {
        "p_owner": "text",
        "p_published": "bigint[]",
        "p_limit": "integer",
        "p_lease_seconds": "double precision",
    },
}
STATEMENTS = {
    name: f"select public.{name}({', '.join(f'{p} => %({p})s::{kind}' for p, kind in parameters.items())})"
    for name, parameters in FUNCTIONS.items()
}
ROLE = "service_role"
#: Connections of a process; hot calls leave in bulks, so few are in use at once.
MAX_CONNECTIONS = 8
CONNECT_SECONDS = 2
CALL_SECONDS = 15.0


class _Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection whose calls end after CALL_SECONDS, also if the server does not respond."""

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        return super().wait(gen, interval, CALL_SECONDS if timeout is None else timeout)


class DirectCalls:
    """Calls functions over a few connections, opened on demand. Safe to share between threads and greenlets.

    A pool that reconnects in the background would delay the first calls after an outage by its backoff.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: list[_Connection] = []
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(MAX_CONNECTIONS)

    def call(self, function: str, params: Mapping[str, Any]) -> Any:
        """Call one of FUNCTIONS and return its JSON. Calls are idempotent: a broken connection is replaced once.

        Raises psycopg.Error, for example OperationalError if the database is unreachable or does not respond in
        CALL_SECONDS.
        """
        types = FUNCTIONS[function]
        values = {name: json.dumps(value) if types[name] == "jsonb" else value for name, value in params.items()}
        if not self._room.acquire(timeout=CALL_SECONDS):
            raise psycopg.OperationalError("all connections are in use")
        try:
            connection = self._idle_connection() or self._connect()
            try:
                return self._execute(connection, STATEMENTS[function], values)
            except psycopg.OperationalError:
                if not connection.broken:  # the server is slow, or it refused the call
                    raise
            self.close()  # the server may have closed all that were idle
            return self._execute(self._connect(), STATEMENTS[function], values)
        finally:
            self._room.release()

    def close(self) -> None:
        """Close the idle connections; the next call opens a new one."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _execute(self, connection: _Connection, statement: str, values: Mapping[str, Any]) -> Any:
        try:
            row = connection.execute(statement, values).fetchone()
        finally:
            if connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
                with self._lock:
                    self._idle.append(connection)
            elif not connection.broken:
                connection.close()
        assert row is not None
        return row[0]

    def _idle_connection(self) -> _Connection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _connect(self) -> _Connection:
        connection = _Connection.connect(
            self._url,
            autocommit=True,
            prepare_threshold=1,
            connect_timeout=CONNECT_SECONDS,
            application_name="pixelbloom",
            keepalives_idle=10,
            tcp_user_timeout=int(CALL_SECONDS * 1000),
        )
        connection.execute(f"set role {ROLE}")
        return connection
