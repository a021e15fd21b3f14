"""The Python client on a real server that restarts and loses its Redis."""

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from pixelbloom.client import Lost, Problem, SocketClient, TopicEvent
from pixelbloom.core.backoff import Backoff
from pixelbloom.errors import Unavailable
from pixelbloom.events.client import connect
from pixelbloom.events.publisher import Publisher
from tests.servers.redis import OwnRedis
from tests.servers.runs import SomeRun
from tests.servers.web import Web, token
from tests.waiting import SECONDS, Background, until

TEXTS = 400


def restart_web(web: Web, server: OwnRedis) -> None:
    web.stop()
    web.start()


def kill_web(web: Web, server: OwnRedis) -> None:
    web.kill()
    web.start()


def restart_redis(web: Web, server: OwnRedis) -> None:
    server.kill()
    server.start()


def cut_pubsub(web: Web, server: OwnRedis) -> None:
    server.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")


@pytest.mark.parametrize(
    "mishap", [pytest.param(restart_web, marks=pytest.mark.slow), kill_web, restart_redis, cut_pubsub]
)
def test_the_client_gets_every_event_once_over_restarts(
    mishap: Callable[[Web, OwnRedis], None], tmp_path: Path
) -> None:
    run = SomeRun(uuid4())
    with OwnRedis() as server, Web(server.url, tmp_path / "web") as web:
        publisher = Publisher(connect(server.url))
        publisher.run_update(run.state("running"))
        begun, over = threading.Event(), threading.Event()

        def publish() -> None:
            """Publish as a worker does, which buffers a text until Redis has accepted it."""
            for n in range(TEXTS):
                piece = run.text(f"{n} ")
                _until_taken(partial(publisher.run_deltas, [piece]))
                time.sleep(0.005)
                if n == 20:
                    begun.set()
            assert over.wait(SECONDS)
            end = run.state("completed", 1)
            _until_taken(partial(publisher.run_update, end))

        def harm() -> None:
            assert begun.wait(SECONDS)
            for _ in range(2):
                mishap(web, server)
                time.sleep(0.3)
            over.set()

        seqs: list[int] = []
        text, snapshots, lost = "", 0, 0
        with SocketClient(web.base, "workflows", token(run.user_id), backoff=Backoff(0.05, 0.2)) as client:
            others = [Background(_or_close(client, harm)), Background(_or_close(client, publish))]
            client.subscribe(run.topic)
            for event in client.events():
                assert not isinstance(event, Problem), event
                lost += isinstance(event, Lost)
                if not isinstance(event, TopicEvent):
                    continue
                if not seqs:
                    for other in others:
                        other.start()
                seqs.append(event.seq or 0)
                snapshots += event.snapshot
                text += event.data.get("delta", "")
                if event.data["status"] == "completed":
                    break
        for other in others:
            other.result()
        assert web.errors() == ""

    assert seqs == list(range(1, TEXTS + 3))
    assert text == "".join(f"{n} " for n in range(TEXTS))
    assert snapshots == 1
    assert (lost > 0) is (mishap in (restart_web, kill_web))


def _or_close(client: SocketClient, function: Callable[[], None]) -> Callable[[], None]:
    """Close the client if the function fails: the test would wait for events that nobody publishes."""

    def run() -> None:
        try:
            function()
        except BaseException:
            client.close()
            raise

    return run


def _until_taken(publish: Callable[[], object]) -> None:
    def taken() -> bool:
        try:
            publish()
        except Unavailable:
            return False
        return True

    until(taken)
