"""PgBouncer before the database: migrations need a session of their own."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from pixelbloom.cli.checks import postgres
from pixelbloom.database import migrations
from pixelbloom.errors import ConfigurationError
from pixelbloom.local import account
from pixelbloom.local.postgrest import free_port
from tests.programs import debian_program
from tests.stack import Stack
from tests.waiting import until


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
        until(lambda: accepts(url) or process.poll() is not None, 60)
        assert process.poll() is None, process.stderr and process.stderr.read()
        yield url
    finally:
        process.terminate()
        process.communicate()
        settings.unlink()


def accepts(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def test_migrate_refuses_a_transaction_pooler_and_says_what_to_use(stack: Stack) -> None:
    with pgbouncer(stack, "transaction") as url, pytest.raises(ConfigurationError) as refused:
        migrations.connect(url)
    assert "transaction pooler" in refused.value.message
    assert "direct connection, or the session pooler" in refused.value.message
    assert url not in refused.value.message


def test_migrate_works_through_a_session_pooler(stack: Stack) -> None:
    with pgbouncer(stack, "session") as url, migrations.connect(url) as connection:
        assert migrations.migrate(connection) == []


def test_the_port_of_supabases_transaction_pooler_is_refused_without_a_connection() -> None:
    with pytest.raises(ConfigurationError, match="transaction pooler"):
        migrations.connect("postgresql://postgres.ref:secret@aws-0-eu-central-1.pooler.supabase.com:6543/postgres")


def test_doctor_names_a_transaction_pooler(stack: Stack) -> None:
    with pgbouncer(stack, "transaction") as url:
        found = postgres(stack.settings_with(database_url=url))
    assert found.state == "down"
    assert "transaction pooler" in found.detail
    with pgbouncer(stack, "session") as url:
        assert postgres(stack.settings_with(database_url=url)).state == "ok"
