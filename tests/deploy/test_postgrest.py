"""deploy/postgrest.conf, by PostgREST itself."""

import os
import subprocess
from pathlib import Path

import pytest

from pixelbloom.local import binaries
from pixelbloom.local.child import Child, Command
from pixelbloom.local.postgres import Postgres
from pixelbloom.local.postgrest import PostgREST, free_port
from tests.deploy import DEPLOY
from tests.deploy.places import compose
from tests.stack import Stack
from tests.waiting import SECONDS, until

FILE = str(DEPLOY / "postgrest.conf")


@pytest.fixture
def local(stack: Stack) -> PostgREST:
    """PostgREST as the local stack starts it."""
    env = stack.env
    secret, key = env["SUPABASE_JWT_SECRET"], env["SUPABASE_ANON_KEY"]
    return PostgREST(binaries.postgrest(stack.home.root), Postgres(stack.home), free_port(), secret, key)


def secrets(local: PostgREST) -> dict[str, str]:
    """The environment that the file asks for."""
    env = local.command().env
    return {name: env[name] for name in ("PGRST_DB_URI", "PGRST_JWT_SECRET")}


def of_port(local: PostgREST) -> dict[str, str]:
    """The file's environment with a free port: PostgREST takes its port before it shows its settings."""
    return {**secrets(local), "PGRST_SERVER_PORT": str(local.port)}


def dumped(local: PostgREST, *arguments: str, **env: str) -> dict[str, str]:
    """Return the settings that PostgREST would use."""
    done = subprocess.run(
        [local.program, "--dump-config", *arguments],
        env={"PATH": os.environ["PATH"], **env},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split(" = ", 1) for line in done.stdout.splitlines() if " = " in line)


def test_its_settings_are_those_of_the_local_stack(local: PostgREST) -> None:
    usual = dumped(local, **local.command().env)
    of_file = dumped(local, FILE, **of_port(local))
    assert of_file == usual
    assert "server-port = 3000\n" in Path(FILE).read_text()


def test_what_compose_overrides_are_settings_of_it(local: PostgREST) -> None:
    known = dumped(local, FILE, **of_port(local))
    names = compose()["services"]["postgrest"]["environment"]
    assert {name.removeprefix("PGRST_").lower().replace("_", "-") for name in names} <= set(known)


def test_postgrest_serves_with_it(local: PostgREST, stack: Stack, tmp_path: Path) -> None:
    env = of_port(local)
    child = Child(Command("postgrest-of-file", [str(local.program), FILE], env=env), stack.home.records, stack.output)
    child.start()
    try:
        until(local.ready, saw=child.last_words)
    finally:
        child.stop(SECONDS)
