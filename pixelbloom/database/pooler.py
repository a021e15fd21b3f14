"""Detects transaction poolers, whose clients have no session of their own: no role, advisory lock or LISTEN."""

import contextlib

import psycopg
from psycopg.conninfo import conninfo_to_dict

#: Supabase's transaction pooler.
TRANSACTION_POOLER_PORT = "6543"


def pools_transactions(url: str) -> bool:
    """Return whether this is the address of Supabase's transaction pooler; an invalid address is none."""
    with contextlib.suppress(psycopg.ProgrammingError):
        return conninfo_to_dict(url).get("port") == TRANSACTION_POOLER_PORT
    return False


def share_a_session(first: psycopg.Connection, second: psycopg.Connection) -> bool:
    """Return whether two open connections in autocommit mode were served by one server process.

    A transaction pooler serves the second connection by the process that the first one has just used.
    """
    pids = [connection.execute("select pg_backend_pid()").fetchone() for connection in (first, second)]
    return pids[0] == pids[1]
