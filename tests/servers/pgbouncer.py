"""PgBouncer before the stack's Postgres, which itself listens on a unix socket only."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from pixelbloom.local import account
from pixelbloom.local.postgrest import free_port
from tests.programs import debian_program
from tests.stack import Stack
from tests.waiting import SECONDS, until


@contextmanager
def pgbouncer(stack: Stack, mode: str) -> Iterator[str]:
    """Start PgBouncer before the stack's Postgres, as its account. Returns the database's address through it."""
    program, port = debian_program("pgbouncer", "pgbouncer"), free_port()
    who = account.for_postgres(stack.home)
    folder = Path(stack.home.postgres_sockets)
    settings = folder / f"pgbouncer-{mode}.ini"
    settings.write_text(
        f"[databases]\n* = host={folder} user=postgres\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = any\npool_mode = {mode}\nignore_startup_parameters = extra_float_digits\n"
    )
    if who.owner is not None:
        who.own(folder)
    process = subprocess.Popen(who.wrap([program, str(settings)]), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    try:
        until(lambda: accepts(url) or process.poll() is not None)
        assert process.poll() is None, process.stderr and process.stderr.read()
        yield url
    finally:
        process.terminate()
        try:
            process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        settings.unlink()


def accepts(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=10).close()
    except psycopg.OperationalError:
        return False
    return True
