"""An idle worker hardly talks to Redis, takes a message at once, and does not delay its own end."""

import time
from pathlib import Path

import pytest
from celery import Celery
from redis import Redis

from pixelbloom.celery_app import broker_address
from pixelbloom.periodic.pulses import Pulses
from tests.servers.redis import OwnRedis
from tests.servers.workers import WorkerProcess
from tests.stack import Stack
from tests.waiting import until
from workers.transport import WAIT_SECONDS

WATCH_SECONDS = 12


def commands(redis: Redis) -> dict[str, int]:
    found = redis.info("commandstats")
    assert isinstance(found, dict)
    return {name.removeprefix("cmdstat_"): int(values["calls"]) for name, values in found.items()}


@pytest.mark.usefixtures("redis")
def test_an_idle_worker_waits_for_messages_and_ends_its_wait(stack: Stack, own_redis: OwnRedis, tmp_path: Path) -> None:
    redis = own_redis.client
    worker = WorkerProcess("events", {**stack.env, "REDIS_URL": own_redis.url}, tmp_path)
    try:
        until(lambda: commands(redis).get("brpop"), saw=lambda: worker.output)
        before = commands(redis)
        time.sleep(WATCH_SECONDS)
        after = commands(redis)
        # kombu's own wait ends each second, and Celery's heartbeats come every other one.
        assert after["brpop"] - before["brpop"] <= 2
        assert after.get("publish", 0) - before.get("publish", 0) <= 3

        with Celery(broker=broker_address(own_redis.url), set_as_current=False) as app:
            app.send_task("pixelbloom.pulse", ("events",), queue="events", ignore_result=True)
        until(lambda: "events" in Pulses(redis).ages(), WAIT_SECONDS * 0.8, saw=lambda: worker.output)

        until(lambda: any(client["cmd"] == "brpop" for client in redis.client_list()))
        began = time.monotonic()
        worker.stop()
        assert time.monotonic() - began < WAIT_SECONDS * 0.8
        assert "Traceback" not in worker.output
    finally:
        worker.end()
