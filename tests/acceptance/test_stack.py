"""The local stack as its operator sees it: start, stop, crash, and recovery."""

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
import redis
import requests

from pixelbloom.local.probes import responds
from pixelbloom.processes import WORKERS
from tests import ROOT
from tests.acceptance.up import RunningStack, end, start_stack
from tests.stack import Stack
from tests.waiting import SECONDS

#: Whole stacks are started and killed.
pytestmark = pytest.mark.timeout(900)

ROLES = ("gunicorn", "workers.agents", "workers.events", "workers.maintenance worker", "beat", "flower")


@pytest.fixture
def up(tmp_path: Path) -> Iterator[RunningStack]:
    """A stack that is ready."""
    with start_stack(tmp_path / "home") as running:
        yield running


def run(running: RunningStack, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """A `pixelbloom` command, next to the running stack."""
    return subprocess.run(
        [sys.executable, "-m", "pixelbloom", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PIXELBLOOM_HOME": str(running.home), **env},
        cwd=running.home.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def invoke(running: RunningStack) -> str:
    response = running.post("/api/agents/invoke", {"agent_type": "chat_agent", "input": {"message": "Hello"}})
    return str(response["request_id"])


def finished(running: RunningStack, run_id: str) -> bool:
    return bool(running.get(f"/api/agents/runs/{run_id}")["status"] == "completed")


def test_the_printed_curl_works_and_a_stop_ends_all_processes(up: RunningStack) -> None:
    found = re.search(r"^curl -s.*?'$", up.output, re.DOTALL | re.MULTILINE)
    assert found
    curl = found.group()
    response = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, timeout=300, check=True)
    assert '"status":"queued"' in response.stdout.replace(" ", "")

    for name in ("secrets.env", "stack.env"):
        assert stat.S_IMODE((up.home / name).stat().st_mode) == 0o600

    up.wait_for(lambda: run(up, "doctor").returncode == 0)
    printed = run(up, "env")
    assert f"API_URL={up.url}" in printed.stdout
    assert "SUPABASE_PUBLISHABLE_KEY=sb_publishable_" in printed.stdout
    assert "sb_secret_" not in printed.stdout
    assert "SUPABASE_SECRET_KEY=sb_secret_" in run(up, "env", "--secrets").stdout
    assert up.settings.require("api_jwt_secret") not in printed.stdout
    assert up.settings.require("supabase_service_role_key") not in printed.stdout
    assert up.settings.require("api_jwt_secret") in run(up, "env", "--secrets").stdout

    logins = re.findall(r"Sign in +(\S+ .*)", up.output)
    assert len(logins) == 2
    seeded = run(up, "seed", "--yes")
    assert [line for line in seeded.stderr.splitlines() if line.startswith("sign in as ")] == [
        f"sign in as {login}" for login in logins
    ]
    accounts = up.home / "accounts.env"
    assert stat.S_IMODE(accounts.stat().st_mode) == 0o600
    assert all(login.rpartition(" ")[2] in accounts.read_text() for login in logins)

    second = run(up, "up", PORT="1", FLOWER_PORT="2")
    assert second.returncode != 0
    assert "in use by a stack" in second.stderr

    assert up.stop(signal.SIGINT) == 0
    assert up.processes() == []
    assert run(up, "env").returncode != 0
    assert run(up, "doctor").returncode == 1


def test_flower_lists_the_workers_once_the_stack_is_ready(up: RunningStack) -> None:
    """Only the stack itself makes Flower refresh."""
    known = f"http://127.0.0.1:{up.flower_port}/api/workers"
    login = up.settings.require("flower_basic_auth").partition(":")
    auth = (login[0], login[2])
    assert f"(user {auth[0]}, password {auth[1]})" in up.output

    def names() -> set[str]:
        return {name.partition("@")[0] for name in requests.get(known, auth=auth, timeout=SECONDS).json()}

    up.wait_for(lambda: names() == set(WORKERS))


def test_a_start_prints_a_few_lines_and_a_stop_removes_the_sockets(up: RunningStack) -> None:
    before, ready, _ = up.output.partition("PixelBloom is ready")
    assert ready
    said = before.split()
    assert all(part in said for part in ("Redis,", "Postgres,", "PostgREST,", "web,", "beat"))
    assert all(line.startswith("pixelbloom  | ") for line in before.splitlines() if line)
    assert "arning" not in before
    assert [line for line in before.splitlines() if "applied" not in line][1:] == [""]
    sockets = Path(up.settings.require("redis_url").removeprefix("unix://").partition("?")[0]).parent
    assert sockets.exists()
    assert "Booting worker" in (up.home / "logs" / "web.log").read_text()
    assert up.stop() == 0
    assert not sockets.exists()


def test_a_process_that_dies_is_restarted_and_reported(up: RunningStack) -> None:
    for words in ROLES:
        up.kill_process(words)
    up.wait_for(lambda: all(up.processes(words) for words in ROLES))
    for name in ("web", "agents", "events", "maintenance", "beat", "flower"):
        up.wait_for(lambda name=name: f"{name} ended (killed by SIGKILL)" in up.output)  # type: ignore[misc]
    up.kill_process(str(up.home / "postgres"))
    up.kill_process("redis-server")
    up.kill_process("postgrest")
    up.kill_process("pixelbloom.local.supabase")
    gateway = urlsplit(up.settings.require("supabase_url")).port
    assert gateway is not None
    up.wait_for(lambda: "supabase is running again" in up.output and responds(gateway, "/auth/v1/health"))
    up.wait_for(lambda: run(up, "doctor").returncode == 0)
    run_id = invoke(up)
    up.wait_for(lambda: finished(up, run_id))


@pytest.mark.parametrize(
    "whole_group",
    [pytest.param(False, id="the supervisor alone", marks=pytest.mark.slow), pytest.param(True, id="everything")],
)
def test_after_kill_9_the_next_start_recovers_and_has_every_accepted_run(tmp_path: Path, whole_group: bool) -> None:
    with start_stack(tmp_path / "home") as up:
        before = up.settings.require("supabase_jwt_secret")
        up.kill_process("workers.agents")  # runs accepted now are not done before the end
        run_ids = [invoke(up) for _ in range(5)]
        victims = up.processes() if whole_group else []
        up.kill()
        for process in victims:
            if process.is_running():
                process.kill()
        up.start()
        up.wait_ready()
        assert up.settings.require("supabase_jwt_secret") == before
        for run_id in run_ids:
            up.wait_for(lambda run_id=run_id: finished(up, run_id))  # type: ignore[misc]


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    for name in ("PORT", "FLOWER_PORT"):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            stack = RunningStack(tmp_path / name, **{name: str(port)})
            stack.start()
            try:
                stack.wait_for(lambda: stack.exit_code() is not None)  # noqa: B023
                assert stack.exit_code() != 0
                assert f"{name}: port {port}" in stack.output
                assert stack.processes() == []
            finally:
                end(stack)


def test_an_invalid_value_stops_the_start_with_one_line_that_names_the_variable(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path / "home", OLLAMA_TEMPERATURE="hot")
    stack.start()
    stack.wait_for(lambda: stack.exit_code() is not None)
    assert stack.exit_code() != 0
    assert stack.output.count("\n") == 1
    assert "OLLAMA_TEMPERATURE" in stack.output


@pytest.mark.slow
def test_two_stacks_run_side_by_side_on_what_they_are_given(tmp_path: Path, stack: Stack) -> None:
    """The second uses the servers of the tests, and starts none."""
    given = {
        name: stack.settings.require(name.lower())
        for name in (
            "SUPABASE_URL",
            "SUPABASE_REST_URL",
            "SUPABASE_SERVICE_ROLE_KEY",
            "SUPABASE_JWT_SECRET",
            "REDIS_URL",
        )
    }
    with start_stack(tmp_path / "one") as one, start_stack(tmp_path / "two", **given) as two:
        for server in ("postgres -D", "redis-server", "postgrest", "pixelbloom.local.supabase"):
            assert two.processes(server) == []
        assert {process.pid for process in one.processes()}.isdisjoint(p.pid for p in two.processes())
        two_token = stack.settings.require("supabase_jwt_secret")
        assert two_token != one.settings.require("supabase_jwt_secret")
        first = invoke(one)
        one.wait_for(lambda: finished(one, first))
        assert " ended (" not in two.output


@pytest.mark.slow
def test_the_stack_starts_with_the_unedited_example_and_damaged_redis_data(tmp_path: Path) -> None:
    shutil.copy(ROOT / ".env.example", tmp_path / ".env")
    with start_stack(tmp_path / "home") as up:
        assert (tmp_path / ".env").exists()
        with redis.Redis.from_url(up.settings.require("redis_url")) as client:
            client.set("something", "stored")
    file = up.home / "redis" / "appendonly.aof"
    file.write_bytes(b"*1\r\n$3\r\nXX\r\ngarbage that is no command" * 10)
    up.start()
    up.wait_ready()
    try:
        assert "set aside" in up.output
        run_id = invoke(up)
        up.wait_for(lambda: finished(up, run_id))
        with psycopg.connect(up.database_url) as db:
            assert db.execute("select count(*) from public.runs").fetchone() == (1,)
    finally:
        end(up)
    assert not [process for process in up.processes() if process.status() != psutil.STATUS_ZOMBIE]
