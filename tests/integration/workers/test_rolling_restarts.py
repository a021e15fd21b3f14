"""A deploy costs no run an attempt: workers are restarted again and again under steps longer than their grace."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from celery import Celery
from redis import Redis

from pixelbloom.celery_app import broker_address
from pixelbloom.database.gateway import Gateway
from pixelbloom.events.reader import Recovered, TopicReader
from pixelbloom.events.topics import Topic, run_topic
from pixelbloom.runs.dispatcher import Dispatcher
from pixelbloom.runs.store import RunStore
from tests.servers.ollama import OllamaServer
from tests.servers.script import PROSE, Script
from tests.servers.workers import WorkerProcess
from tests.stack import Stack
from tests.waiting import until

RESTARTS = 10
GRACE = 0.5
#: Between two pieces of the model's text: a step takes some five seconds, or thirty.
PIECE_SECONDS = 0.15
LONG_PIECE_SECONDS = 0.9
SECONDS = 240
MOST_OPEN = 12
#: Of an agents worker by default (`--stop-grace`).
GRACE_SECONDS = 6.0
INPUT = {"message": "How much is a website?"}


class Deploy:
    """Runs, and the workers that are rolled under them."""

    def __init__(
        self, db: psycopg.Connection, store: RunStore, env: dict[str, str], folder: Path, grace: float = GRACE
    ) -> None:
        self.db = db
        self.grace = grace
        self.runs: list[UUID] = []
        self._store = store
        self._env, self._folder = env, folder
        self._celery = Celery(broker=broker_address(env["REDIS_URL"]), set_as_current=False)
        self._dispatcher = Dispatcher(self._celery, lambda _: None)
        self.workers = [self.start(), self.start()]

    def start(self) -> WorkerProcess:
        return WorkerProcess("agents", self._env, self._folder, f"--stop-grace={self.grace}")

    def submit(self) -> None:
        step = {"key": "chat_agent", "agent_type": "chat_agent", "input": INPUT}
        run = {"id": str(uuid4()), "kind": "agent", "agent_type": "chat_agent", "input": INPUT, "steps": [step]}
        response = self._store.create({**run, "caller": "service", "user_queue": "service"})
        self._dispatcher.publish(response["publish"])
        self.runs.append(UUID(response["id"]))

    def submit_some(self) -> None:
        """Submit a run, unless many wait: a worker may take long to start."""
        if sum(self.statuses().get(status, 0) for status in ("queued", "running")) < MOST_OPEN:
            self.submit()

    def holds_steps(self, worker: WorkerProcess) -> int:
        query = "select count(*) from public.run_steps where status = 'running' and lease_owner like %s"
        [(count,)] = self.db.execute(query, (f"%:{worker.process.pid}:%",)).fetchall()
        return int(count)

    def restart(self, index: int) -> None:
        """Start a worker in place of one that has a step in hand."""
        old = self.workers[index]
        until(lambda: self.holds_steps(old) or self.submit_some(), pause=0.5, saw=lambda: old.output)
        self.workers[index] = self.start()
        old.stop()
        assert "Traceback" not in old.output
        old.end()

    def statuses(self) -> dict[str, int]:
        return dict(self.db.execute("select status, count(*)::int from public.runs group by 1").fetchall())

    def close(self) -> None:
        for worker in self.workers:
            worker.end()
        self._celery.close()


@contextmanager
def deployed(
    stack: Stack, db: psycopg.Connection, folder: Path, *, piece_seconds: float, grace: float
) -> Iterator[Deploy]:
    db.execute("truncate public.runs, public.event_outbox cascade")
    gateway = Gateway(stack.settings)
    store = RunStore(gateway, user_queue_limit=100, lease_seconds=15)
    with OllamaServer(delay=piece_seconds) as ollama:
        # Each execution of a step gets another reply, so that texts of two cannot be mistaken for one.
        ollama.play(*[Script(text=f"Reply {n}: {n} {PROSE}") for n in range(400)])
        env = {**stack.env, "OLLAMA_HOST": ollama.url, "AGENT_CONCURRENCY": "4", "MODEL_TIMEOUT": "90"}
        running = Deploy(db, store, env, folder, grace)
        yield running
        running.close()
    gateway.close()
    db.execute("truncate public.runs, public.event_outbox cascade")


@pytest.fixture
def deploy(stack: Stack, db: psycopg.Connection, redis: Redis, tmp_path: Path) -> Iterator[Deploy]:
    with deployed(stack, db, tmp_path, piece_seconds=PIECE_SECONDS, grace=GRACE) as running:
        yield running


@pytest.fixture
def slow_deploy(stack: Stack, db: psycopg.Connection, redis: Redis, tmp_path: Path) -> Iterator[Deploy]:
    """Steps of thirty seconds, and workers with the grace that they have by default."""
    with deployed(stack, db, tmp_path, piece_seconds=LONG_PIECE_SECONDS, grace=GRACE_SECONDS) as running:
        yield running


def text_of(redis: Redis, run_id: UUID) -> str:
    """The final text of a client that follows the rules: a reset discards the text, offsets have no gap."""
    found = TopicReader(redis).read(Topic.parse(run_topic(run_id)), since=0)
    assert isinstance(found, Recovered)
    whole = ""
    for message in found.messages:
        data = json.loads(message.partition(b"\n")[2])["data"]
        if "delta" in data:
            whole = "" if data.get("reset") else whole
            assert data["offset"] == len(whole)
            whole += data["delta"]
    return whole


@pytest.mark.timeout(900)
def test_ten_rolling_restarts_use_up_no_attempt(deploy: Deploy, redis: Redis) -> None:
    # No sweep runs here: a stopping worker must return all its steps itself.
    for _ in range(4):
        deploy.submit()
    for number in range(RESTARTS):
        deploy.restart(number % 2)

    until(lambda: deploy.statuses() == {"completed": len(deploy.runs)}, SECONDS, saw=lambda: deploy.workers[0].output)

    steps = deploy.db.execute("select attempt, interruptions, provider from public.run_steps").fetchall()
    assert {(attempt, provider) for attempt, _, provider in steps} == {(1, "ollama")}
    assert sum(interruptions for _, interruptions, _ in steps) >= RESTARTS / 2
    assert deploy.db.execute("select distinct attempts from public.runs").fetchall() == [(1,)]
    recorded = (
        "select count(*) from public.agent_logs where event = 'step_completed'"
        " and run_id in (select id from public.runs) group by run_id"
    )
    assert deploy.db.execute(recorded).fetchall() == [(1,)] * len(deploy.runs)
    replies = dict(deploy.db.execute("select id, result ->> 'reply' from public.runs").fetchall())
    assert {run_id: text_of(redis, run_id) for run_id in deploy.runs} == replies


@pytest.mark.slow
def test_a_deploy_under_steps_of_thirty_seconds_uses_up_no_attempt(slow_deploy: Deploy, running: Stack) -> None:
    """Each agents worker is replaced once, as a deploy does, while the sweep runs."""
    for role in ("maintenance", "beat"):
        running.start(role)
    for _ in range(8):
        slow_deploy.submit()
    for index in range(2):
        slow_deploy.restart(index)

    done = {"completed": len(slow_deploy.runs)}
    until(lambda: slow_deploy.statuses() == done, 3 * SECONDS, saw=lambda: slow_deploy.workers[0].output)
    steps = slow_deploy.db.execute("select attempt, interruptions, provider from public.run_steps").fetchall()
    assert {(attempt, provider) for attempt, _, provider in steps} == {(1, "ollama")}
    assert sum(interruptions for _, interruptions, _ in steps) >= 2
