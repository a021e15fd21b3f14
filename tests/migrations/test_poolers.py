"""PgBouncer before the database: migrations need a session of their own."""

import pytest

from pixelbloom.cli.checks import postgres
from pixelbloom.database import migrations
from pixelbloom.errors import ConfigurationError
from tests.servers.pgbouncer import pgbouncer
from tests.stack import Stack


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
