"""No accepted run is lost: 500 runs, while workers and Redis are killed."""

import collections
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from tests.acceptance.up import RunningStack, start_stack
from tests.servers import freezing
from tests.servers.ollama import OllamaServer
from tests.servers.script import Script
from tests.waiting import until

#: Whole stacks are started and killed.
pytestmark = pytest.mark.timeout(1200)

RUNS = 500
DEADLINE_SECONDS = 600


@pytest.fixture
def ollama() -> Iterator[OllamaServer]:
    with OllamaServer(delay=0.02) as server:
        server.always(Script(hold_after=1))
        yield server


@pytest.fixture
def up(tmp_path: Path, ollama: OllamaServer) -> Any:
    with start_stack(tmp_path / "home", OLLAMA_HOST=ollama.url, LEASE_SECONDS="4", MODEL_TIMEOUT="600") as running:
        yield running


def completed(db: psycopg.Connection) -> int:
    row = db.execute("select count(*) from public.runs where status = 'completed'").fetchone()
    assert row is not None
    return int(row[0])


def wait_until_completed(db: psycopg.Connection, wanted: int) -> int:
    """Wait for so many completed runs. Returns their number."""
    until(lambda: completed(db) >= wanted, DEADLINE_SECONDS, saw=lambda: states(db), pause=0.2)
    return completed(db)


def states(db: psycopg.Connection) -> collections.Counter[str]:
    rows = db.execute("select status from public.runs").fetchall()
    return collections.Counter(status for (status,) in rows)


def lose_redis(up: RunningStack) -> None:
    """Kill Redis and delete its data, before the supervisor can start it again."""
    supervisor = psutil.Process(up.pid)
    freezing.freeze([supervisor])
    try:
        up.kill_process("redis-server")
        shutil.rmtree(up.home / "redis")
    finally:
        freezing.thaw([supervisor])


def test_500_runs_survive_two_worker_deaths_and_the_loss_of_redis(up: RunningStack, ollama: OllamaServer) -> None:
    def submit(n: int) -> str:
        response = up.post("/api/agents/invoke", {"agent_type": "chat_agent", "input": {"message": f"Hello {n}"}})
        assert response["status"] == "queued"
        return str(response["request_id"])

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(submit, range(RUNS)))
    assert len(set(ids)) == RUNS
    ollama.going_on.set()  # none has ended before the last one was submitted

    with psycopg.connect(up.database_url, autocommit=True) as db:
        assert wait_until_completed(db, 20) < RUNS, "the runs ended before anything could be killed"
        up.kill_process("workers.agents")
        at = wait_until_completed(db, completed(db) + 60)
        assert at < RUNS
        lose_redis(up)
        at = wait_until_completed(db, completed(db) + 60)
        assert at < RUNS
        up.kill_process("workers.agents")

        wait_until_completed(db, RUNS)
        assert states(db) == {"completed": RUNS}
        steps = db.execute(
            "select count(*), count(distinct run_id), count(*) filter (where output is not null) from public.run_steps"
        ).fetchone()
        assert steps == (RUNS, RUNS, RUNS)
        assert db.execute("select count(*) from public.run_steps where lease_expires_at is not null").fetchone() == (0,)

    polled = up.get(f"/api/agents/runs/{ids[0]}")
    assert polled["status"] == "completed"
    assert polled["result"]
