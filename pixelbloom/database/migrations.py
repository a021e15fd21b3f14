"""Applies missing supabase/migrations in order, each in a transaction, recorded as Supabase's CLI does."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from pixelbloom.errors import ConfigurationError, StackError

FOLDER = Path(__file__).parents[2] / "supabase" / "migrations"
BOOTSTRAP = Path(__file__).with_name("bootstrap.sql")
#: The advisory lock that serializes concurrent migrations of a database.
LOCK_KEY = 0x70_62_6D_67

RECORDS = """
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (
    version text primary key,
    statements text[],
    name text
);
alter table supabase_migrations.schema_migrations add column if not exists checksum text;
"""


@dataclass(frozen=True)
class Migration:
    """One file: `<version>_<name>.sql`."""

    version: str
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @classmethod
    def read(cls, path: Path) -> "Migration":
        version, _, name = path.stem.partition("_")
        return cls(version, name, path.read_text(encoding="utf-8"))


def read_all(folder: Path = FOLDER) -> list[Migration]:
    """Return the files in the order of their versions. Raises StackError if there are none or two share a version."""
    found = [Migration.read(path) for path in sorted(folder.glob("*.sql"))]
    if not found:
        raise StackError(f"no migrations in {folder}: run this from a clone of the repository")
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
    """Return a connection for migrations. Raises ConfigurationError for an invalid URL, without quoting it."""
    try:
        return psycopg.connect(url, autocommit=True, connect_timeout=5)
    except psycopg.ProgrammingError:
        raise ConfigurationError(
            "DATABASE_URL is not the address of a database; write it like postgresql://user:password@host:5432/postgres"
        ) from None


def bootstrap(connection: psycopg.Connection) -> None:
    """Create the roles, the schema `auth` and the default privileges of Supabase in a bare Postgres. Idempotent."""
    with connection.transaction():
        connection.execute(BOOTSTRAP.read_text(encoding="utf-8"))


def migrate(
    connection: psycopg.Connection,
    folder: Path = FOLDER,
    say: Callable[[str], object] = lambda _: None,
) -> list[str]:
    """Apply missing migrations and return their versions. The connection must be in autocommit mode.

    Raises StackError for a file that changed after it was applied and for SQL that fails; migrations applied before
    stay applied.
    """
    migrations = read_all(folder)
    connection.execute("select pg_advisory_lock(%s)", (LOCK_KEY,))
    try:
        with connection.transaction():
            connection.execute("set local client_min_messages = warning")
            connection.execute(RECORDS)
        rows = connection.execute("select version, checksum from supabase_migrations.schema_migrations").fetchall()
        recorded: dict[str, str | None] = dict(rows)
        _refuse_changes(migrations, recorded)
        missing = [migration for migration in migrations if migration.version not in recorded]
        for migration in missing:
            _apply(connection, migration)
            say(f"applied {migration.version}_{migration.name}")
        if missing:
            connection.execute("notify pgrst, 'reload schema'")
        return [migration.version for migration in missing]
    finally:
        if not connection.closed:
            connection.execute("select pg_advisory_unlock(%s)", (LOCK_KEY,))


def _refuse_changes(migrations: list[Migration], recorded: dict[str, str | None]) -> None:
    for migration in migrations:
        checksum = recorded.get(migration.version)
        if checksum is not None and checksum != migration.checksum:
            raise StackError(
                f"{migration.version}_{migration.name}.sql was changed after it was applied: undo the change and put "
                "it into a new migration (or start the local stack with a new PIXELBLOOM_HOME)"
            )


def _apply(connection: psycopg.Connection, migration: Migration) -> None:
    try:
        with connection.transaction():
            connection.execute(migration.sql)
            connection.execute(
                "insert into supabase_migrations.schema_migrations (version, name, statements, checksum) "
                "values (%s, %s, %s, %s)",
                (migration.version, migration.name, [migration.sql], migration.checksum),
            )
    except psycopg.Error as error:
        where = ""
        if error.diag.statement_position:
            line = migration.sql.count("\n", 0, int(error.diag.statement_position)) + 1
            where = f" at line {line}"
        raise StackError(
            f"{migration.version}_{migration.name}.sql failed{where}: {str(error).splitlines()[0]}"
        ) from None
