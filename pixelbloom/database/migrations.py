"""Applies missing supabase/migrations in order, each in a transaction, recorded as Supabase's CLI does."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import errors
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from pixelbloom.core.shipped import MIGRATIONS
from pixelbloom.database.pooler import pools_transactions, share_a_session
from pixelbloom.errors import ConfigurationError, StackError

#: The advisory lock that serializes concurrent migrations of a database.
LOCK_KEY = 0x70_62_6D_67
#: A statement waits this long for a table's lock, so that what queues behind it does not wait longer.
LOCK_SECONDS = 5.0
LOCK_ATTEMPTS = 6
#: The errors of a table that others use; the same file may succeed a moment later.
LOCKED = (errors.LockNotAvailable, errors.DeadlockDetected)

RECORDS = """
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (
    version text primary key,
    statements text[],
    name text
);
alter table supabase_migrations.schema_migrations add column if not exists checksum text;
"""
#: What a transaction pooler lacks, and what to use instead.
POOLER = (
    "DATABASE_URL goes through a transaction pooler, which gives migrations no session of their own: "
    "use the direct connection, or the session pooler (of Supabase: port 5432 of the pooler's host)"
)


@dataclass(frozen=True)
class Migration:
    """One file: `<version>_<name>.sql`."""

    version: str
    name: str
    sql: str

    @property
    def file(self) -> str:
        return f"{self.version}_{self.name}.sql"

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @classmethod
    def read(cls, path: Path) -> "Migration":
        version, _, name = path.stem.partition("_")
        return cls(version, name, path.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Record:
    """A migration that was applied. Supabase's CLI records the statements alone."""

    checksum: str | None
    statements: Sequence[str] | None

    def is_of(self, migration: Migration) -> bool:
        """Return whether this is what the file has now. Without any record of its content it is."""
        if self.checksum is not None:
            return self.checksum == migration.checksum
        return self.statements is None or _squeezed("".join(self.statements)) == _squeezed(migration.sql)


def read_all(folder: Path = MIGRATIONS) -> list[Migration]:
    """Return the files in the order of their versions. Raises StackError if there are none or two share a version."""
    found = [Migration.read(path) for path in sorted(folder.glob("*.sql"))]
    if not found:
        raise StackError(f"no migrations in {folder}: install PixelBloom again, or use a whole clone")
    versions = [migration.version for migration in found]
    for version in versions:
        if versions.count(version) > 1:
            raise StackError(f"two migrations have the version {version}")
    return found


def missing(connection: psycopg.Connection) -> list[str]:
    """Return the versions of the files that are not applied. Changes nothing."""
    wanted = [migration.version for migration in read_all()]
    known = connection.execute("select to_regclass('supabase_migrations.schema_migrations')").fetchone()
    if known is None or known[0] is None:
        return wanted
    rows = connection.execute("select version from supabase_migrations.schema_migrations").fetchall()
    return [version for version in wanted if (version,) not in rows]


def connect(url: str) -> psycopg.Connection:
    """Return a connection for migrations.

    Raises ConfigurationError for an invalid URL, without quoting it, and for a transaction pooler.
    """
    if pools_transactions(url):
        raise ConfigurationError(POOLER)
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=5)
    except psycopg.ProgrammingError:
        raise ConfigurationError(
            "DATABASE_URL is not the address of a database; write it like postgresql://user:password@host:5432/postgres"
        ) from None
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as second:
        pooled = share_a_session(connection, second)
    if pooled:
        connection.close()
        raise ConfigurationError(POOLER)
    return connection


def migrate(
    connection: psycopg.Connection,
    folder: Path = MIGRATIONS,
    say: Callable[[str], object] = lambda _: None,
    *,
    lock_seconds: float = LOCK_SECONDS,
    include_all: bool = False,
) -> list[str]:
    """Apply missing migrations and return their versions. The connection must be in autocommit mode.

    A statement waits `lock_seconds` for a lock; then its migration is rolled back and tried again, LOCK_ATTEMPTS times.
    A missing file that is older than an applied one is refused, except with `include_all`.

    Raises StackError for a database without Supabase's roles, a file that changed after it was applied, a late file and
    SQL that fails; migrations applied before stay applied.
    """
    migrations = read_all(folder)
    _hold_lock(connection, say)
    try:
        _check_roles(connection)
        with connection.transaction():
            connection.execute("set local client_min_messages = warning")
            connection.execute(RECORDS)
        recorded = _recorded(connection)
        _refuse_changes(migrations, recorded)
        missing = [migration for migration in migrations if migration.version not in recorded]
        if not include_all:
            _refuse_late(migrations, missing)
        for migration in missing:
            _apply_unlocked(connection, migration, lock_seconds, say)
            say(f"applied {migration.file.removesuffix('.sql')}")
        if missing:
            connection.execute("notify pgrst, 'reload schema'")
        return [migration.version for migration in missing]
    finally:
        if not connection.closed:
            connection.execute("select pg_advisory_unlock(%s)", (LOCK_KEY,))


def _hold_lock(connection: psycopg.Connection, say: Callable[[str], object]) -> None:
    connection.execute("set statement_timeout = 0")
    connection.execute("set lock_timeout = 0")
    if connection.execute("select pg_try_advisory_lock(%s)", (LOCK_KEY,)).fetchone() == (True,):
        return
    say("another migrate works on this database: waiting for its end")
    connection.execute("select pg_advisory_lock(%s)", (LOCK_KEY,))


def _check_roles(connection: psycopg.Connection) -> None:
    found = connection.execute(
        "select to_regrole('anon') is not null and to_regrole('authenticated') is not null "
        "and to_regrole('service_role') is not null and to_regclass('auth.users') is not null"
    ).fetchone()
    if found != (True,):
        raise StackError(
            "this Postgres lacks the roles and the schema `auth` of Supabase: run `pixelbloom migrate --bootstrap`"
        )


def _recorded(connection: psycopg.Connection) -> dict[str, Record]:
    rows = connection.execute(
        "select version, checksum, case when checksum is null then statements end "
        "from supabase_migrations.schema_migrations"
    )
    return {version: Record(checksum, statements) for version, checksum, statements in rows}


def _refuse_changes(migrations: list[Migration], recorded: Mapping[str, Record]) -> None:
    for migration in migrations:
        record = recorded.get(migration.version)
        if record is not None and not record.is_of(migration):
            raise StackError(
                f"{migration.file} was changed after it was applied: undo the change and put "
                "it into a new migration (or start the local stack with a new PIXELBLOOM_HOME)"
            )


def _refuse_late(migrations: list[Migration], missing: list[Migration]) -> None:
    """Refuse files that sort before an applied one: in a new database they would be applied in another order."""
    applied = [migration for migration in migrations if migration not in missing]
    if applied and missing and missing[0].version < applied[-1].version:
        raise StackError(
            f"{missing[0].file} is older than {applied[-1].file}, which is applied: give it a later version, "
            "or apply it now with --include-all"
        )


def _apply_unlocked(
    connection: psycopg.Connection, migration: Migration, lock_seconds: float, say: Callable[[str], object]
) -> None:
    """Apply it, and try again where a table is locked for too long."""

    def say_locked(_state: RetryCallState) -> None:
        say(f"{migration.file}: a table is locked, trying again")

    attempts = Retrying(
        retry=retry_if_exception_type(LOCKED),
        stop=stop_after_attempt(LOCK_ATTEMPTS),
        wait=wait_random_exponential(max=10),
        before_sleep=say_locked,
        reraise=True,
    )
    try:
        attempts(_apply, connection, migration, lock_seconds)
    except LOCKED:
        oldest = connection.execute(
            "select pid, extract(epoch from now() - xact_start)::int from pg_stat_activity "
            "where pid <> pg_backend_pid() and xact_start is not null order by xact_start limit 1"
        ).fetchone()
        whose = "" if oldest is None else f" (the oldest one is {oldest[1]} s old, pid {oldest[0]})"
        raise StackError(
            f"{migration.file}: a table stayed locked for {LOCK_ATTEMPTS} times {lock_seconds:g} s. Wait for the end "
            f"of long transactions{whose}, or end them, and run migrate again"
        ) from None


def _apply(connection: psycopg.Connection, migration: Migration, lock_seconds: float) -> None:
    try:
        with connection.transaction():
            connection.execute("select set_config('lock_timeout', %s, true)", (f"{round(lock_seconds * 1000)}ms",))
            connection.execute(migration.sql)
            connection.execute(
                "insert into supabase_migrations.schema_migrations (version, name, statements, checksum) "
                "values (%s, %s, %s, %s)",
                (migration.version, migration.name, [migration.sql], migration.checksum),
            )
    except LOCKED:
        raise
    except psycopg.Error as error:
        where = ""
        if error.diag.statement_position:
            line = migration.sql.count("\n", 0, int(error.diag.statement_position)) + 1
            where = f" at line {line}"
        raise StackError(f"{migration.file} failed{where}: {str(error).splitlines()[0]}") from None


def _squeezed(sql: str) -> str:
    """Return the text without white space and semicolons, which Supabase's CLI drops between statements."""
    return re.sub(r"[\s;]+", "", sql)
