"""An idle worker hardly talks to Redis, takes a message at once, and does not delay its own end."""

import math
import time
from collections.abc import Callable
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


def within_a_wait(act: Callable[[], None]) -> bool:
    """Do this. Returns whether it took less than a wait; on a busy machine a single try may take longer."""
    began = time.monotonic()
    act()
    return time.monotonic() - began < WAIT_SECONDS * 0.8


@pytest.mark.usefixtures("redis")
def test_an_idle_worker_waits_for_messages_and_ends_its_wait(stack: Stack, own_redis: OwnRedis, tmp_path: Path) -> None:
    redis = own_redis.client
    env = {**stack.env, "REDIS_URL": own_redis.url}
    worker = WorkerProcess("events", env, tmp_path)
    try:
        until(lambda: commands(redis).get("brpop"), saw=lambda: worker.output)
        began, before = time.monotonic(), commands(redis)
        time.sleep(WATCH_SECONDS)
        after = commands(redis)
        longer = (time.monotonic() - began) / WATCH_SECONDS  # than on a machine that does not pause
        # kombu's own wait ends each second, and Celery's heartbeats come every other one.
        assert after["brpop"] - before["brpop"] <= 2 * longer
        assert after.get("publish", 0) - before.get("publish", 0) <= 3 * longer

        with Celery(broker=broker_address(own_redis.url), set_as_current=False) as app:

            def take() -> None:
                age = Pulses(redis).ages().get("events", math.inf)
                app.send_task("pixelbloom.pulse", ("events",), queue="events", ignore_result=True)
                until(lambda: Pulses(redis).ages().get("events", math.inf) < age, saw=lambda: worker.output)

            until(lambda: within_a_wait(take))

        def end() -> None:
            worker.stop()
            assert "Traceback" not in worker.output

        def ends_at_once() -> bool:
            nonlocal worker
            if worker.process.poll() is not None:
                worker.end()
                worker = WorkerProcess("events", env, tmp_path)
            until(lambda: any(client["cmd"] == "brpop" for client in redis.client_list()), saw=lambda: worker.output)
            return within_a_wait(end)

        until(ends_at_once)
    finally:
        worker.end()
