"""`migrate`: what is missing, in order, each whole or not at all, and never twice."""

import shutil
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from pixelbloom.core.shipped import MIGRATIONS
from pixelbloom.database import migrations
from pixelbloom.database.bootstrap import bootstrap
from pixelbloom.errors import StackError
from tests.migrations.conftest import database
from tests.stack import Stack

Dump = list[tuple[object, ...]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the migrations that a test may change."""
    return Path(shutil.copytree(MIGRATIONS, tmp_path / "migrations"))


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
    bootstrap(empty)
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


def test_an_edit_is_noticed_in_what_supabases_cli_recorded(empty: psycopg.Connection, folder: Path) -> None:
    """It records the statements, without the white space and semicolons between them."""
    migrations.migrate(empty, folder)
    rows = empty.execute("select version, statements from supabase_migrations.schema_migrations").fetchall()
    for version, (text,) in rows:
        statements = [f"  {part}\n" for part in text.split(";\n\n")]
        empty.execute(
            "update supabase_migrations.schema_migrations set checksum = null, statements = %s where version = %s",
            (statements, version),
        )
    assert migrations.migrate(empty, folder) == []

    edited = folder / "20250126000005_add_user_roles.sql"
    edited.write_text(edited.read_text() + "grant select on public.user_profiles to anon;\n")
    with pytest.raises(StackError, match=r"20250126000005_add_user_roles\.sql was changed"):
        migrations.migrate(empty, folder)


def test_a_late_file_is_refused_unless_it_is_asked_for(empty: psycopg.Connection, folder: Path) -> None:
    migrations.migrate(empty, folder)
    (folder / "20250126000005.5_late.sql").write_text("create table public.late (id int);")
    (folder / "20990101000000_later.sql").write_text("create table public.later (id int);")
    with pytest.raises(StackError, match=r"20250126000005\.5_late\.sql is older than .*--include-all"):
        migrations.migrate(empty, folder)
    assert empty.execute("select to_regclass('public.late'), to_regclass('public.later')").fetchone() == (None, None)
    assert migrations.migrate(empty, folder, include_all=True) == ["20250126000005.5", "20990101000000"]


def test_migrations_of_others_in_the_same_project_make_ours_not_late(empty: psycopg.Connection, folder: Path) -> None:
    migrations.migrate(empty, folder)
    empty.execute("insert into supabase_migrations.schema_migrations (version, name) values ('20980101000000', 'shop')")
    (folder / "20970101000000_ours.sql").write_text("create table public.ours (id int);")
    assert migrations.migrate(empty, folder) == ["20970101000000"]


def test_a_migration_waits_for_a_locked_table_in_bounded_attempts(
    empty: psycopg.Connection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrations.migrate(empty, folder)
    (folder / "20990101000000_slow.sql").write_text("alter table public.runs add column slow int;")
    monkeypatch.setattr(migrations, "LOCK_ATTEMPTS", 2)
    said: list[str] = []
    with psycopg.connect(empty.info.dsn) as reader:
        reader.execute("select count(*) from public.runs")  # its transaction stays open
        with pytest.raises(StackError, match=rf"slow\.sql: a table stayed locked .* pid {reader.info.backend_pid}"):
            migrations.migrate(empty, folder, said.append, lock_seconds=0.1)
        assert said == ["20990101000000_slow.sql: a table is locked, trying again"]

        def unlock(line: str) -> None:
            said.append(line)
            if "locked" in line:
                reader.rollback()

        assert migrations.migrate(empty, folder, unlock, lock_seconds=0.1) == ["20990101000000"]


def test_two_at_once_wait_for_each_other(empty: psycopg.Connection, folder: Path) -> None:
    said: list[str] = []
    waiting = threading.Event()

    def second_says(line: str) -> None:
        said.append(line)
        waiting.set()

    with psycopg.connect(empty.info.dsn, autocommit=True) as other, ThreadPoolExecutor() as pool:
        second: list[Future[list[str]]] = []

        def first_says(_line: str) -> None:
            if not second:
                second.append(pool.submit(migrations.migrate, other, folder, second_says))
                assert waiting.wait(60)

        applied = migrations.migrate(empty, folder, first_says)
        assert len(applied) == len(list(folder.glob("*.sql")))
        assert second[0].result(60) == []
    assert said == ["another migrate works on this database: waiting for its end"]


def test_a_plain_postgres_needs_bootstrap_first(stack: Stack, db: psycopg.Connection) -> None:
    with database(stack, db) as bare, pytest.raises(StackError, match="migrate --bootstrap"):
        migrations.migrate(bare)


def test_bootstrap_sets_the_password_of_the_role_that_postgrest_signs_in_as(empty: psycopg.Connection) -> None:
    def password() -> object:
        return empty.execute("select rolpassword from pg_authid where rolname = 'authenticator'").fetchone()

    try:
        bootstrap(empty, authenticator_password="it's a 'quoted' password")
        first = password()
        assert first != (None,)
        bootstrap(empty)
        assert password() == first
    finally:
        empty.execute("alter role authenticator password null")


def test_bootstrap_refuses_a_supabase_project_and_a_user_without_rights(empty: psycopg.Connection) -> None:
    name = f"test_{uuid4().hex}"
    empty.execute(sql.SQL("create role {}").format(sql.Identifier(name)))
    try:
        with empty.transaction(force_rollback=True):
            empty.execute(sql.SQL("set local role {}").format(sql.Identifier(name)))
            with pytest.raises(StackError, match="superuser"):
                bootstrap(empty)
        with empty.transaction(force_rollback=True):
            empty.execute("create role supabase_auth_admin")
            with pytest.raises(StackError, match="belongs to Supabase"):
                bootstrap(empty)
    finally:
        empty.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def test_every_new_function_and_table_belongs_to_the_backend_alone(empty: psycopg.Connection) -> None:
    migrations.migrate(empty)
    bootstrap(empty)  # each start repeats it
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


def test_a_deadlock_with_others_is_tried_again(empty: psycopg.Connection, folder: Path) -> None:
    """As Postgres reports one to whichever of the two it chooses."""
    migrations.migrate(empty, folder)
    empty.execute("create sequence public.attempts")
    (folder / "20990101000000_unlucky.sql").write_text(
        "do $$ begin if nextval('public.attempts') = 1 then raise exception sqlstate '40P01'; end if; end $$;"
    )
    said: list[str] = []
    assert migrations.migrate(empty, folder, said.append) == ["20990101000000"]
    assert said == ["20990101000000_unlucky.sql: a table is locked, trying again", "applied 20990101000000_unlucky"]
