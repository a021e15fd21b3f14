"""Random invalid conversations: each ends as RFC 6455 says, and the process is idle afterwards.

FUZZ_SEED and FUZZ_CASES play others, and more of them.
"""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from pixelbloom.events.publisher import Publisher
from tests.integration.web.realtime.conversations import converse
from tests.integration.web.realtime.endings import MESSAGE_BYTES
from tests.integration.web.realtime.handshakes import handshake
from tests.integration.web.realtime.stories import subscribed
from tests.servers.redis import OwnRedis
from tests.servers.runs import SomeRun
from tests.servers.web import Web
from tests.waiting import SECONDS, repeat_until, until

SEED = int(os.environ.get("FUZZ_SEED", "4"))
CASES = int(os.environ.get("FUZZ_CASES", "500"))
#: Sockets at once, each with its own responses.
THREADS = 6


@pytest.fixture(scope="module")
def web(server: OwnRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    limits = {"close_seconds": 0.5, "message_bytes": MESSAGE_BYTES, "sockets_per_user": 1_000}
    with Web(server.url, tmp_path_factory.mktemp("web"), limits=limits) as web:
        yield web


def attack(web: Web, run: SomeRun, cases: range) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        work = [
            pool.submit(handshake if case % 4 == 3 else converse, web, run, SEED * 1_000_003 + case) for case in cases
        ]
        for one in work:
            one.result(SECONDS)


def test_random_conversations_end_by_the_rfc_and_the_process_is_idle_afterwards(web, server):
    publisher = Publisher(server.client)
    attacked, watched = SomeRun(uuid4()), SomeRun(uuid4())
    publisher.run_updates([attacked.state("running"), watched.state("running")])
    attack(web, attacked, range(60))  # one-time initialization happens now
    rest = web.until_state(sockets=0, members=0, topics=0)

    with web.connect(watched.user_id) as witness, ThreadPoolExecutor(1) as pool:
        subscribed(witness, watched)
        under_way = pool.submit(attack, web, attacked, range(60, 60 + CASES))
        published = 1
        for _ in repeat_until(under_way.done, 2 * SECONDS, saw=web.state):
            publisher.run_deltas([watched.text("x")])
            published += 1
            assert witness.next()["seq"] == published  # served meanwhile
            time.sleep(0.005)
        under_way.result(SECONDS)
        assert witness.quiet() == []

    web.until_state(sockets=0, members=0, topics=0)

    def at_rest() -> bool:
        now = web.state()
        # A busy moment adds connections to the pool to Redis, which stay.
        return now["greenlets"] <= rest["greenlets"] and now["files"] <= rest["files"] + THREADS

    until(at_rest, saw=lambda: (rest, web.state()))
    until(lambda: not server.client.pubsub_channels(), saw=server.client.pubsub_channels)
    after = web.state()
    assert after["memory"] < rest["memory"] + 20_000_000
    assert after["queued"] == 0
    assert server.client.pubsub_numpat() == 0
    assert web.errors() == "", f"seed {SEED}"
