"""Gives a plain Postgres what a new Supabase project has: roles, the schema `auth`, default privileges."""

from pathlib import Path

import psycopg
from psycopg import errors, sql

from pixelbloom.errors import StackError

BOOTSTRAP = Path(__file__).with_name("bootstrap.sql")


def bootstrap(connection: psycopg.Connection, *, authenticator_password: str | None = None) -> None:
    """Create what Supabase brings and is missing. Idempotent.

    PostgREST signs in as `authenticator`, which gets the password if there is one. Raises StackError for a Supabase
    project, which has all of it already, and for a user who may not create roles.
    """
    if connection.execute("select to_regrole('supabase_auth_admin')").fetchone() != (None,):
        raise StackError("this database belongs to Supabase, which has what --bootstrap adds: migrate without it")
    try:
        with connection.transaction():
            connection.execute("set local client_min_messages = warning")
            connection.execute(BOOTSTRAP.read_text(encoding="utf-8"))
            if authenticator_password is not None:
                connection.execute(
                    sql.SQL("alter role authenticator password {}").format(sql.Literal(authenticator_password))
                )
    except errors.InsufficientPrivilege:
        raise StackError(
            "--bootstrap creates roles: name a superuser of this Postgres in DATABASE_URL (usually `postgres`)"
        ) from None
