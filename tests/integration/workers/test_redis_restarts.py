"""Redis is killed and started again under busy workers: each lives on, or ends with the documented code and a line."""

import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from celery import Celery

from pixelbloom.celery_app import broker_address
from pixelbloom.database.gateway import Gateway
from pixelbloom.events.client import connect
from pixelbloom.processes import WORKERS
from pixelbloom.runs.dispatcher import Dispatcher
from pixelbloom.runs.store import RunStore
from tests.servers.ollama import OllamaServer
from tests.servers.redis import OwnRedis
from tests.servers.workers import Supervisor, WorkerProcess
from tests.stack import Stack
from tests.waiting import until

KILLS = 6
SECONDS = 120
BROKER_LOST = 70
INPUT = {"message": "How much is a website?"}


@pytest.fixture
def redis() -> Iterator[OwnRedis]:
    with OwnRedis() as server:
        yield server


@pytest.fixture
def store(stack: Stack, db: psycopg.Connection) -> Iterator[RunStore]:
    db.execute("truncate public.runs, public.event_outbox cascade")
    gateway = Gateway(stack.settings)
    yield RunStore(gateway, user_queue_limit=100, lease_seconds=5)
    gateway.close()
    db.execute("truncate public.runs, public.event_outbox cascade")


@pytest.mark.slow
def test_workers_survive_or_exit_cleanly_when_redis_is_killed_repeatedly(
    stack: Stack, db: psycopg.Connection, redis: OwnRedis, store: RunStore, tmp_path: Path
) -> None:
    app = Celery(broker=broker_address(redis.url), set_as_current=False)
    dispatcher = Dispatcher(app, lambda _: None)
    runs: list[UUID] = []

    def submit() -> None:
        step = {"key": "chat_agent", "agent_type": "chat_agent", "input": INPUT}
        run = {"id": str(uuid4()), "kind": "agent", "agent_type": "chat_agent", "input": INPUT, "steps": [step]}
        response = store.create({**run, "caller": "service", "user_queue": "service"})
        dispatcher.publish(response["publish"])
        runs.append(UUID(response["id"]))

    def count(status: str) -> int:
        [(found,)] = db.execute("select count(*) from public.runs where status = %s", (status,)).fetchall()
        return int(found)

    with OllamaServer(delay=0.1) as ollama:
        env = {**stack.env, "OLLAMA_HOST": ollama.url, "REDIS_URL": redis.url, "LEASE_SECONDS": "5"}
        beat = WorkerProcess("beat", env, tmp_path)
        workers = Supervisor({**env, "AGENT_CONCURRENCY": "4"}, tmp_path, WORKERS, "--broker-patience=10")

        def output() -> str:
            return workers.running["agents"].output

        try:
            for kill in range(KILLS):
                for _ in range(6):
                    submit()
                until(lambda: workers.look() or count("running") >= 3, SECONDS, saw=output)
                redis.kill(wipe=kill % 2 == 1)
                time.sleep((0.0, 0.3, 2.0)[kill % 3])
                redis.start()
            until(lambda: workers.look() or count("completed") >= len(runs), SECONDS, saw=output)
        finally:
            workers.close()
            beat.end()
            app.close()

    for role, code, output in workers.ended:
        assert code == BROKER_LOST, f"{role} ended with {code}:\n{output}"
        assert "worker_lost_broker" in output or "worker_deaf" in output
    for output in workers.outputs:
        assert "Traceback" not in output, output
    assert db.execute("select distinct attempts from public.runs").fetchall() == [(1,)]
    assert connect(redis.url).ping()
