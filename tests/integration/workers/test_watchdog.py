"""A worker that loses Redis reconnects or exits; it never stays alive without consuming."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from celery import Celery

from pixelbloom.celery_app import broker_address
from pixelbloom.config import Settings
from tests import ROOT
from tests.servers.redis import OwnRedis
from tests.waiting import SECONDS, until


class Worker:
    """An agents worker on a Redis of the test's own, as an operator starts it."""

    def __init__(self, redis: OwnRedis, folder: Path, *options: str) -> None:
        self.name = f"agents-watched@{socket.gethostname()}"
        self._broker = broker_address(redis.url)
        self._lines: list[str] = []
        blank = {name.upper(): "" for name in Settings.model_fields}
        given = {"REDIS_URL": redis.url, "SUPABASE_URL": "http://127.0.0.1:9", "SUPABASE_SERVICE_ROLE_KEY": "a-key"}
        command = [sys.executable, "-m", "celery", "--quiet", "-A", "workers.agents", "worker", "-n", self.name]
        self.process = subprocess.Popen(
            [*command, "--without-mingle", "--loglevel=INFO", *options],
            env={**os.environ, **blank, "PYTHONPATH": str(ROOT), **given},
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        return "".join(self._lines)

    def replies(self) -> bool:
        app = Celery(broker=self._broker, set_as_current=False)
        with app.connection_for_write() as connection:  # not a pooled one, which may belong to the previous Redis
            return bool(app.control.ping([self.name], timeout=5, connection=connection))

    def wait_for(self, happened: Callable[[], object]) -> None:
        until(happened, saw=lambda: self.output)

    def end(self) -> None:
        self.process.kill()
        self.process.wait(SECONDS)
        self._reader.join(SECONDS)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in stream:
                self._lines.append(line)


@pytest.fixture
def redis() -> Iterator[OwnRedis]:
    with OwnRedis() as own:
        yield own


@contextmanager
def started(redis: OwnRedis, folder: Path, *options: str) -> Iterator[Worker]:
    """A worker that replies."""
    worker = Worker(redis, folder, *options)
    try:
        worker.wait_for(worker.replies)
        yield worker
    finally:
        worker.end()


def reconnects(redis: OwnRedis, folder: Path, *, wipe: bool) -> bool:
    """Returns whether a worker reconnects. Under load kombu may half close its connection, and the worker ends."""
    with started(redis, folder, "--broker-patience=600") as worker:
        redis.kill(wipe=wipe)
        worker.wait_for(lambda: "Connection to broker lost" in worker.output or worker.process.poll() is not None)
        redis.start()
        worker.wait_for(lambda: worker.process.poll() is not None or worker.replies())
        assert worker.process.poll() in (None, 70), worker.output
        return worker.process.poll() is None


@pytest.mark.parametrize("wipe", [False, True], ids=["with its data", "empty"])
def test_a_worker_reconnects_to_a_redis_that_returns(redis: OwnRedis, tmp_path: Path, wipe: bool) -> None:
    assert any(reconnects(redis, tmp_path, wipe=wipe) for _ in range(3))


def test_a_worker_exits_when_redis_stays_unreachable(redis: OwnRedis, tmp_path: Path) -> None:
    with started(redis, tmp_path, "--broker-patience=1") as worker:
        redis.kill()
        worker.wait_for(lambda: worker.process.poll() is not None)
        assert worker.process.returncode == 70
        worker.wait_for(lambda: "worker_deaf" in worker.output)


def test_an_orderly_stop_is_not_reported_as_a_lost_broker(redis: OwnRedis, tmp_path: Path) -> None:
    with started(redis, tmp_path, "--broker-patience=1") as worker:
        worker.process.terminate()
        worker.wait_for(lambda: worker.process.poll() is not None)
        assert worker.process.returncode == 0
        assert "worker_deaf" not in worker.output


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "with a message before it"])
def test_an_unrecoverable_celery_error_ends_the_worker_with_one_line(
    redis: OwnRedis, tmp_path: Path, busy: bool
) -> None:
    # As a Redis that became a read-only replica, or is out of memory, refuses the read of a queue.
    with started(redis, tmp_path) as worker:
        if busy:
            redis.client.lpush("agents", "{}")
        redis.client.set("agents", "no list")
        worker.wait_for(lambda: worker.process.poll() is not None)
        assert worker.process.returncode == 70, worker.output
        worker.wait_for(lambda: "worker_lost_broker" in worker.output)
        assert "WRONGTYPE" in worker.output
        assert "Traceback" not in worker.output
