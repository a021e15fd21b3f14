"""A worker gives pulses while it reaches the database, and none while it does not."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from celery import Celery

from pixelbloom.celery_app import broker_address
from pixelbloom.core.queues import MAINTENANCE, WEBHOOKS
from pixelbloom.periodic.pulses import Pulses
from tests.servers.redis import OwnRedis
from tests.servers.workers import WorkerProcess
from tests.stack import Stack
from tests.waiting import until

NOWHERE = "http://127.0.0.1:9"


@contextmanager
def asked_for_a_pulse(redis: OwnRedis, env: Mapping[str, str], folder: Path) -> Iterator[WorkerProcess]:
    """A worker on this Redis that beat has asked for a pulse."""
    beat = Celery(broker=broker_address(redis.url), set_as_current=False)
    worker = WorkerProcess(MAINTENANCE, {**env, "REDIS_URL": redis.url, "BROKER_URL": ""}, folder)
    try:
        beat.send_task("pixelbloom.pulse", args=(WEBHOOKS,), queue=MAINTENANCE, ignore_result=True)
        yield worker
    finally:
        worker.end()


def test_a_worker_that_reaches_its_database_gives_a_pulse(stack: Stack, own_redis: OwnRedis, tmp_path: Path) -> None:
    with asked_for_a_pulse(own_redis, stack.env, tmp_path) as worker:
        until(lambda: WEBHOOKS in Pulses(own_redis.client).ages(), saw=lambda: worker.output)


def test_a_worker_without_its_database_gives_none(stack: Stack, own_redis: OwnRedis, tmp_path: Path) -> None:
    env = {**stack.env, "SUPABASE_URL": NOWHERE, "SUPABASE_REST_URL": NOWHERE, "DATABASE_URL": ""}
    with asked_for_a_pulse(own_redis, env, tmp_path) as worker:
        until(lambda: "Unavailable" in worker.output, saw=lambda: worker.output)
        assert Pulses(own_redis.client).ages() == {}
