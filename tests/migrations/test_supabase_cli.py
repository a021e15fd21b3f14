"""Supabase's own command line applies the same migrations, and `migrate` reads its record of them."""

import os
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest

from pixelbloom.core.shipped import MIGRATIONS
from pixelbloom.database import migrations
from pixelbloom.errors import StackError
from tests import frontend
from tests.servers.pgbouncer import pgbouncer
from tests.stack import Stack


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with `supabase/migrations`, as a clone is."""
    shutil.copytree(MIGRATIONS, tmp_path / "supabase" / "migrations")
    return tmp_path


def push(project: Path, url: str) -> None:
    program = frontend.installed() / "node_modules" / "@supabase" / "cli-linux-x64" / "bin" / "supabase"
    if not program.exists():
        reason = "Supabase's command line is installed for Linux on x86-64 alone"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    done = subprocess.run(
        [program, "db", "push", "--yes", f"--remote={url}?sslmode=disable"],
        cwd=project,
        env={**os.environ, "HOME": str(project)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_supabase_db_push_applied_is_applied_and_edits_are_noticed(
    stack: Stack, empty: psycopg.Connection, project: Path
) -> None:
    folder = project / "supabase" / "migrations"
    with pgbouncer(stack, "session") as url:
        push(project, url.replace("/postgres", f"/{empty.info.dbname}"))
    assert migrations.missing(empty) == []
    assert migrations.migrate(empty, folder) == []

    (folder / "20990101000000_later.sql").write_text("create table public.later (id int);")
    assert migrations.migrate(empty, folder) == ["20990101000000"]
    edited = folder / "20250126000009_add_notifications.sql"
    edited.write_text(edited.read_text().replace("not null", "null", 1))
    with pytest.raises(StackError, match=r"add_notifications\.sql was changed"):
        migrations.migrate(empty, folder)
