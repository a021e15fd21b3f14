"""`migrate`: what is missing, in order, each whole or not at all, and never twice."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from pixelbloom.database import migrations
from pixelbloom.errors import StackError
from tests.stack import Stack

Dump = list[tuple[object, ...]]


@pytest.fixture
def empty(stack: Stack, db: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A database of its own with nothing in it but what Supabase brings."""
    name = f"test_{uuid4().hex}"
    db.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    url = stack.database_url.replace("/postgres?", f"/{name}?")
    with psycopg.connect(url, autocommit=True) as connection:
        migrations.bootstrap(connection)
        yield connection
    db.execute(sql.SQL("drop database {}").format(sql.Identifier(name)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the migrations that a test may change."""
    return Path(shutil.copytree(migrations.FOLDER, tmp_path / "migrations"))


def schema(connection: psycopg.Connection) -> Dump:
    """Everything that a migration could have changed: columns, constraints, policies, functions, grants."""
    rows = connection.execute(
        """
        select 'column', table_name::text, column_name::text, data_type::text, column_default::text
        from information_schema.columns where table_schema = 'public'
        union all
        select 'constraint', conrelid::regclass::text, conname::text, pg_get_constraintdef(oid), ''
        from pg_constraint where connamespace = 'public'::regnamespace
        union all
        select 'policy', tablename::text, policyname::text, coalesce(qual, ''), coalesce(with_check, '')
        from pg_policies where schemaname = 'public'
        union all
        select 'function', proname::text, prosrc, coalesce(proacl::text, ''), coalesce(proconfig::text, '')
        from pg_proc where pronamespace = any(array['public', 'internal']::regnamespace[])
        union all
        select 'table', relname::text, coalesce(relacl::text, ''), relrowsecurity::text, ''
        from pg_class where relnamespace = 'public'::regnamespace
        order by 1, 2, 3, 4
        """
    ).fetchall()
    return list(rows)


def test_all_apply_on_an_empty_database_and_a_second_time_change_nothing(empty: psycopg.Connection) -> None:
    applied = migrations.migrate(empty)
    assert applied == [migration.version for migration in migrations.read_all()]
    before = schema(empty)
    assert len(before) > 200
    migrations.bootstrap(empty)
    assert migrations.migrate(empty) == []
    assert schema(empty) == before


def test_only_missing_migrations_are_applied(empty: psycopg.Connection, folder: Path) -> None:
    last = sorted(folder.glob("*.sql"))[-1]
    original = last.read_text()
    last.unlink()
    migrations.migrate(empty, folder)
    last.write_text(original)
    assert migrations.migrate(empty, folder) == [last.name.partition("_")[0]]


def test_a_changed_file_is_refused_with_a_message_and_nothing_is_applied(
    empty: psycopg.Connection, folder: Path
) -> None:
    migrations.migrate(empty, folder)
    changed = folder / "20250126000003_add_model_metrics.sql"
    changed.write_text(changed.read_text() + "\n-- another word\n")
    (folder / "20990101000000_later.sql").write_text("create table public.later (id int);")
    with pytest.raises(StackError, match=r"20250126000003_add_model_metrics\.sql was changed"):
        migrations.migrate(empty, folder)
    assert empty.execute("select to_regclass('public.later')").fetchone() == (None,)


def test_a_failing_file_is_rolled_back(empty: psycopg.Connection, folder: Path) -> None:
    (folder / "20990101000000_broken.sql").write_text("create table public.half (id int);\nselect no_such_thing;\n")
    with pytest.raises(StackError, match=r"20990101000000_broken\.sql failed at line 2"):
        migrations.migrate(empty, folder)
    assert empty.execute("select to_regclass('public.half')").fetchone() == (None,)
    assert empty.execute("select to_regclass('public.runs')").fetchone() != (None,)


def test_migrations_applied_by_supabases_cli_are_not_applied_again(empty: psycopg.Connection, folder: Path) -> None:
    """Its record has no checksum of ours."""
    migrations.migrate(empty, folder)
    empty.execute("update supabase_migrations.schema_migrations set checksum = null")
    assert migrations.migrate(empty, folder) == []


def test_every_new_function_and_table_belongs_to_the_backend_alone(empty: psycopg.Connection) -> None:
    migrations.migrate(empty)
    migrations.bootstrap(empty)  # each start repeats it
    empty.execute("create table public.later ()")
    empty.execute("create function public.later() returns integer language sql as 'select 1'")
    empty.execute("create function internal.later() returns integer language sql as 'select 1'")

    rows = empty.execute(
        """
        select role,
            has_table_privilege(role, 'public.later', 'select, insert, update, delete'),
            has_function_privilege(role, 'public.later()', 'execute'),
            has_function_privilege(role, 'internal.later()', 'execute')
        from unnest(array['anon', 'authenticated', 'service_role']) as r (role)
        """
    ).fetchall()
    assert rows == [
        ("anon", False, False, False),
        ("authenticated", False, False, False),
        ("service_role", True, True, True),
    ]
