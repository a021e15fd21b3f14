"""The published steps follow the workers' capacity, in fair shares of the users."""

from collections import deque
from collections.abc import Iterator
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import redis as redis_client

from pixelbloom.database.gateway import Gateway
from pixelbloom.runs.capacity import REPORT_SECONDS
from pixelbloom.runs.store import RunStore
from tests.integration.http import CHAT, Api
from tests.integration.runs.steps import a_run, claim, ending, submit
from tests.servers.ollama import OllamaServer
from tests.servers.script import Script
from tests.stack import Stack

THREADS = 8
#: Steps that wait in the broker for eight threads, so that no thread waits for its next one.
MARGIN = 2
#: Ids of runs, each smaller than the one before, so that the order by id is not that by age.
IDS = count(uuid4().int, -1)


@pytest.fixture
def clean(db: psycopg.Connection) -> Iterator[psycopg.Connection]:
    def clear() -> None:
        db.execute("truncate public.runs, public.event_outbox, public.agent_workers cascade")

    clear()
    yield db
    clear()


@pytest.fixture
def store(stack: Stack, clean: psycopg.Connection) -> Iterator[RunStore]:
    """The runs, with one worker that has reported eight threads."""
    gateway = Gateway(stack.settings)
    opened = RunStore(gateway, user_queue_limit=64, lease_seconds=60)
    opened.report_worker("worker", THREADS)
    yield opened
    gateway.close()


class Workers:
    """Eight threads that take messages in the order of publication. `begun` has the user queues of `runs`."""

    def __init__(self, store: RunStore, user_queues: dict[str, str]) -> None:
        self.queue: deque[str] = deque()
        self.running: deque[tuple[str, int]] = deque()
        self.runs: list[str] = []
        self.begun: list[str] = []
        self._store = store
        self._user_queues = user_queues

    def publish(self, published: list[dict[str, Any]]) -> None:
        self.queue.extend(step["run_id"] for step in published)
        while self.queue and len(self.running) < THREADS:
            run_id = self.queue.popleft()
            self.running.append((run_id, claim(self._store, UUID(run_id))["token"]))
            self.runs.append(run_id)
            self.begun.append(self._user_queues[run_id])

    def finish_one(self) -> None:
        run_id, token = self.running.popleft()
        self.publish(self._store.finish(ending(UUID(run_id), token))["publish"])


def crowd(
    store: RunStore, workers: Workers, user_queues: dict[str, str], user_queue: str, number: int, **more: Any
) -> None:
    for _ in range(number):
        run = a_run(user_queue=user_queue, **more)
        run["id"] = str(UUID(int=next(IDS)))
        user_queues[run["id"]] = user_queue
        workers.publish(store.create(run)["publish"])


def out(db: psycopg.Connection) -> dict[str, int]:
    """Return the number of published, unfinished steps by user queue."""
    rows = db.execute(
        "select user_queue, count(*) from public.run_steps where published_at is not null"
        " and status in ('pending', 'running') group by user_queue"
    ).fetchall()
    return dict(rows)


def test_another_users_single_run_begins_at_once_though_one_user_has_400(
    running: Stack, clean: psycopg.Connection, redis: redis_client.Redis
) -> None:
    with OllamaServer() as model:
        model.always(Script(hang=True))
        # However long 400 requests take on a loaded machine, the first eight steps go on until the model is stopped.
        patient = {"MODEL_TIMEOUT": "3600", "LEASE_SECONDS": "600"}
        running.start("agents", env={"AGENT_CONCURRENCY": str(THREADS), "OLLAMA_HOST": model.url, **patient})
        running.wait_for(lambda: clean.execute("select sum(slots) from public.agent_workers").fetchone() == (THREADS,))
        web = Api(running.start("web", env={"RUN_RATE_LIMIT": "off", **patient}).url, None, running.settings)
        one, other = web.as_user(), web.as_user()
        for _ in range(400):
            assert one.invoke(CHAT).status_code == 200
        running.wait_for(lambda: calls(model) == THREADS)
        running.wait_for(lambda: waiting(redis) == MARGIN)
        assert sum(out(clean).values()) == THREADS + MARGIN

        run_id = other.invoke(CHAT).json()["request_id"]
        running.wait_for(lambda: waiting(redis) == MARGIN + 1)
        model.stop()  # all eight steps end now
        running.wait_for(lambda: other.get(f"/api/agents/runs/{run_id}").json()["status"] == "completed")

    ahead = clean.execute(
        "select count(*) from public.run_steps as s, public.run_steps as o"
        " where o.run_id = %s and s.started_at > o.created_at and s.started_at < o.started_at",
        [run_id],
    ).fetchone()
    assert ahead is not None
    assert ahead[0] <= MARGIN + THREADS


def calls(model: OllamaServer) -> int:
    return sum(request["path"] == "/api/chat" for request in model.requests)


def waiting(broker: redis_client.Redis) -> int:
    """Messages of the agents' queue that no worker has taken."""
    return sum(int(broker.llen(key)) for key in broker.keys("agents*") if broker.type(key) == b"list")  # type: ignore[arg-type, union-attr]


def test_published_steps_stay_within_the_capacity_and_a_new_user_waits_only_for_the_margin(
    store: RunStore, clean: psycopg.Connection
) -> None:
    user_queues: dict[str, str] = {}
    workers = Workers(store, user_queues)
    crowd(store, workers, user_queues, "one", 400)
    assert out(clean) == {"one": THREADS + MARGIN}
    before = len(workers.begun)

    crowd(store, workers, user_queues, "other", 1)
    while "other" not in workers.begun:
        workers.finish_one()
    assert workers.begun[before:] == ["one"] * MARGIN + ["other"]


def test_two_busy_users_share_the_workers_evenly(store: RunStore, clean: psycopg.Connection) -> None:
    user_queues: dict[str, str] = {}
    workers = Workers(store, user_queues)
    crowd(store, workers, user_queues, "one", 60)
    crowd(store, workers, user_queues, "two", 60)
    for _ in range(2 * (THREADS + MARGIN)):
        workers.finish_one()

    assert out(clean) == {"one": 5, "two": 5}
    begun = len(workers.begun)
    for _ in range(20):
        workers.finish_one()
    assert workers.begun[begun:].count("one") == 10


def test_each_finished_step_admits_the_next_until_all_end(store: RunStore, clean: psycopg.Connection) -> None:
    user_queues: dict[str, str] = {}
    workers = Workers(store, user_queues)
    for name in "abcdefghij":
        crowd(store, workers, user_queues, name, 7)
    while workers.running:
        workers.finish_one()
        left = 70 - len(workers.begun)
        assert len(workers.running) == THREADS or left == 0, "no thread waits while there is something to do"

    assert len(workers.begun) == 70


def test_the_oldest_step_goes_first_within_a_user_and_between_equal_shares(
    store: RunStore, clean: psycopg.Connection
) -> None:
    user_queues: dict[str, str] = {}
    workers = Workers(store, user_queues)
    crowd(store, workers, user_queues, "one", THREADS + MARGIN + 5)
    while workers.running:
        workers.finish_one()
    for user_queue, number in (("full", THREADS + MARGIN), ("b", 1), ("a", 1), ("b", 1), ("a", 1)):
        crowd(store, workers, user_queues, user_queue, number)
    while workers.running:
        workers.finish_one()

    assert workers.runs == list(user_queues)


def test_capacity_of_an_idle_user_goes_to_others(store: RunStore, clean: psycopg.Connection) -> None:
    user_queues: dict[str, str] = {}
    workers = Workers(store, user_queues)
    crowd(store, workers, user_queues, "short", THREADS + MARGIN)
    crowd(store, workers, user_queues, "long", 40)
    while "short" in out(clean):
        workers.finish_one()

    assert out(clean) == {"long": THREADS + MARGIN}


def test_urgent_steps_go_first_but_each_user_gets_one(store: RunStore, clean: psycopg.Connection) -> None:
    user_queues: dict[str, str] = {}
    workers = Workers(store, user_queues)
    crowd(store, workers, user_queues, "batch", 20, priority=0)
    crowd(store, workers, user_queues, "urgent", 20, priority=9)
    for _ in range(THREADS + MARGIN):
        workers.finish_one()

    assert out(clean) == {"batch": 1, "urgent": THREADS + MARGIN}


def test_capacity_follows_the_live_workers(store: RunStore, clean: psycopg.Connection) -> None:
    store.report_worker("second", 20)
    for _ in range(60):
        submit(store, user_queue="one")
    assert out(clean) == {"one": 28 + 7}

    store.report_worker("second", 0)
    clean.execute("update public.agent_workers set seen_at = now() - interval '151 seconds'")
    assert clean.execute("select internal.admission_capacity()").fetchone() == (None,)
    store.report_worker("worker", THREADS)
    # One report of a worker may be lost.
    clean.execute("update public.agent_workers set seen_at = now() - make_interval(secs => %s)", [2 * REPORT_SECONDS])
    assert clean.execute("select internal.admission_capacity()").fetchone() == (THREADS + MARGIN,)


def test_only_the_users_limit_applies_before_a_worker_reports(store: RunStore, clean: psycopg.Connection) -> None:
    store.report_worker("worker", 0)
    for _ in range(70):
        submit(store, user_queue="one")

    assert out(clean) == {"one": 64}
