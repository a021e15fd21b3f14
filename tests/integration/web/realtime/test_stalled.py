"""Five hundred sockets on one topic, of which one stops reading for good."""

import json
import selectors
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Self
from uuid import uuid4

import pytest

from pixelbloom.events.publisher import Publisher
from tests.servers.raw import TEXT, Raw, frame
from tests.servers.redis import OwnRedis
from tests.servers.runs import SomeRun
from tests.servers.web import Web
from tests.waiting import Deadline, repeat_until

SOCKETS = 500
QUEUE_BYTES = 64 * 1024
#: Of the system's buffers, at both ends.
BUFFER_BYTES = 4096
#: Published between two looks at what the others have.
STEP = 5


class Crowd:
    """Sockets that read whatever comes, all in one thread."""

    def __init__(self, web: Web, run: SomeRun, size: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._raws: list[Raw] = []
        #: The numbers of each one's events, in the order in which they came.
        self.seqs: list[list[int]] = [[] for _ in range(size)]
        subscribe = frame(json.dumps({"type": "subscribe", "topic": run.topic}).encode())
        for n in range(size):
            raw = Raw(web, user=run.user_id)
            self._raws.append(raw)
            raw.send(subscribe)
            self._selector.register(raw.socket, selectors.EVENT_READ, n)

    def read_until(self, seq: int) -> None:
        """Until everyone has the event of that number."""
        late = {n for n, seqs in enumerate(self.seqs) if not seqs or seqs[-1] < seq}
        deadline = Deadline(saw=lambda: f"{len(late)} without it", what=f"event {seq} at everyone")
        while late:
            for key, _ in self._selector.select(deadline.left):
                self._read(key.data)
                if self.seqs[key.data] and self.seqs[key.data][-1] >= seq:
                    late.discard(key.data)

    def _read(self, n: int) -> None:
        frames = self._raws[n].read()
        assert frames is not None, "one that reads was closed"
        for opcode, payload in frames:
            assert opcode == TEXT
            received = json.loads(payload)
            if received["type"] == "event":
                self.seqs[n].append(received["seq"])

    def stop(self) -> None:
        self._selector.close()
        for raw in self._raws:
            raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@pytest.fixture
def web(tmp_path: Any) -> Iterator[tuple[Web, Publisher]]:
    limits = {
        "queue_bytes": QUEUE_BYTES,
        "send_buffer_bytes": BUFFER_BYTES,
        "sockets_per_user": SOCKETS,
        "close_seconds": 1,
        # A busy machine may take minutes: the one that does not read must not be closed for its missing pong.
        "ping_seconds": 3600,
    }
    with OwnRedis() as server, Web(server.url, tmp_path / "web", limits=limits) as web:
        yield web, Publisher(server.client)


def test_one_of_five_hundred_stops_reading_and_no_other_waits_for_it(web: tuple[Web, Publisher]) -> None:
    process, publisher = web
    run, own = SomeRun(uuid4()), SomeRun()
    own.user_id = run.user_id
    publisher.run_updates([run.state("running"), own.state("running")])
    with ExitStack() as opened:
        stalled = opened.enter_context(Raw(process, user=run.user_id, receive_buffer=BUFFER_BYTES))
        for topic in (run.topic, own.topic):
            stalled.send(frame(json.dumps({"type": "subscribe", "topic": topic}).encode()))
        crowd = opened.enter_context(Crowd(process, run, SOCKETS - 1))
        crowd.read_until(1)
        # What only the stalled one follows fills the buffers of the system, so that its queue must buffer the rest.
        for _ in repeat_until(lambda: process.state()["queued"] > 0, saw=process.state):
            publisher.run_deltas([own.text("x" * 10_000)])
        before = process.state()

        seq, in_time, most = 1, 0, 0
        for _ in repeat_until(lambda: process.state()["closes"], saw=process.state):
            in_time = seq
            for _ in range(STEP):
                # States: they are not put together as text is.
                publisher.run_update(run.state("running", seq / 10_000, model="y" * 1_500))
                seq += 1
            crowd.read_until(seq)
            most = max(most, process.state()["queued"])
        after = process.until_state(sockets=SOCKETS - 1)

        assert after["closes"] == {"1013": 1}
        assert in_time >= 20, "it was closed before it delayed anybody"
        assert before["queued"] <= most <= QUEUE_BYTES + 50_000
        assert after["memory"] < before["memory"] + 8_000_000
        publisher.run_update(run.state("completed", 1))
        crowd.read_until(seq + 1)
        assert all(seqs == list(range(1, seq + 2)) for seqs in crowd.seqs)
    process.until_state(sockets=0, members=0, topics=0, queued=0)
    assert process.errors() == ""
