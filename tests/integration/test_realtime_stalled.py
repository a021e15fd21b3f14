"""Five hundred sockets on one topic, of which one stops reading for good."""

import json
import selectors
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from pixelbloom.events.publisher import Publisher
from tests.servers.raw import Raw, first_frame, frame
from tests.servers.redis import OwnRedis
from tests.servers.runs import SomeRun
from tests.servers.web import Web

SOCKETS = 500
QUEUE_BYTES = 64 * 1024
#: Published between two looks at what the others have.
STEP = 5


class Crowd:
    """Sockets that read whatever comes, all in one thread."""

    def __init__(self, web: Web, run: SomeRun, size: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._sockets = []
        #: The numbers of each one's events, in the order in which they came.
        self.seqs: list[list[int]] = [[] for _ in range(size)]
        self._waiting = [bytearray() for _ in range(size)]
        subscribe = frame(json.dumps({"type": "subscribe", "topic": run.topic}).encode())
        for n in range(size):
            raw = Raw(web, user=run.user_id)
            raw.send(subscribe)
            self._sockets.append(raw.socket)
            self._selector.register(raw.socket, selectors.EVENT_READ, n)

    def read_until(self, seq: int) -> None:
        """Until everyone has the event of that number."""
        late = {n for n, seqs in enumerate(self.seqs) if not seqs or seqs[-1] < seq}
        while late:
            ready = self._selector.select(20)
            assert ready, f"{len(late)} wait for event {seq}"
            for key, _ in ready:
                self._read(key.fileobj, key.data)
                if self.seqs[key.data] and self.seqs[key.data][-1] >= seq:
                    late.discard(key.data)

    def _read(self, source: Any, n: int) -> None:
        data = source.recv(65536)
        assert data, "one that reads was closed"
        waiting = self._waiting[n]
        waiting += data
        while (found := first_frame(waiting)) is not None:
            opcode, payload, size = found
            del waiting[:size]
            assert opcode == 1
            told = json.loads(payload)
            if told["type"] == "event":
                self.seqs[n].append(told["seq"])

    def leave(self) -> None:
        self._selector.close()
        for one in self._sockets:
            one.close()


@pytest.fixture
def web(tmp_path: Any) -> Iterator[tuple[Web, Publisher]]:
    limits = {"queue_bytes": QUEUE_BYTES, "sockets_per_user": SOCKETS, "close_seconds": 1}
    with OwnRedis() as server, Web(server.url, tmp_path / "web", limits=limits) as web:
        yield web, Publisher(server.client)


def test_one_of_five_hundred_stops_reading_and_no_other_waits_for_it(web: tuple[Web, Publisher]) -> None:
    process, publisher = web
    run, own = SomeRun(uuid4()), SomeRun()
    own.user_id = run.user_id
    publisher.run_updates([run.state("running"), own.state("running")])
    stalled = Raw(process, user=run.user_id, receive_buffer=4096)
    for topic in (run.topic, own.topic):
        stalled.send(frame(json.dumps({"type": "subscribe", "topic": topic}).encode()))
    crowd = Crowd(process, run, SOCKETS - 1)
    crowd.read_until(1)
    # What only the stalled one follows fills the buffers of the system, so that its queue has to keep the rest.
    while process.state()["queued"] == 0:
        publisher.run_delta(own.text("x" * 40_000))
    before = process.state()

    seq, in_time, most = 1, 0, 0
    while True:
        for _ in range(STEP):
            # States: they are not put together as text is.
            publisher.run_update(run.state("running", seq / 10_000, model="y" * 1_500))
            seq += 1
        crowd.read_until(seq)
        state = process.state()
        most = max(most, state["queued"])
        if state["closes"]:
            break
        in_time = seq
    assert state["closes"] == {"1013": 1}
    after = process.settled(sockets=SOCKETS - 1)

    assert in_time >= 20, "it was closed before it held anybody up"
    assert before["queued"] <= most <= QUEUE_BYTES + 50_000
    assert after["memory"] < before["memory"] + 8_000_000
    publisher.run_update(run.state("completed", 1))
    crowd.read_until(seq + 1)
    assert all(seqs == list(range(1, seq + 2)) for seqs in crowd.seqs)
    crowd.leave()
    stalled.socket.close()
    process.settled(sockets=0, members=0, topics=0, queued=0)
    assert process.errors() == ""
