"""Databases of their own, which a test may migrate."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from pixelbloom.database.bootstrap import bootstrap
from tests.stack import Stack


@contextmanager
def database(stack: Stack, db: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A database of its own with nothing in it."""
    name = f"test_{uuid4().hex}"
    db.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    url = stack.database_url.replace("/postgres?", f"/{name}?")
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection
    db.execute(sql.SQL("drop database {}").format(sql.Identifier(name)))


@pytest.fixture
def empty(stack: Stack, db: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A database of its own with nothing in it but what Supabase brings."""
    with database(stack, db) as connection:
        bootstrap(connection)
        yield connection
