"""Clients that do not read, or are not there any more, and a process that stops."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from pixelbloom.events.publisher import Publisher
from tests.integration.test_realtime_topics import Story, subscribed
from tests.servers.raw import Raw, frame
from tests.servers.redis import OwnRedis
from tests.servers.runs import SomeRun
from tests.servers.web import Web


@pytest.fixture(scope="module")
def server() -> Iterator[OwnRedis]:
    with OwnRedis() as server:
        yield server


@pytest.fixture
def publisher(server: OwnRedis) -> Publisher:
    return Publisher(server.client)


def stalled(web: Web, run: SomeRun) -> Raw:
    """A client with a small buffer that subscribes and then reads nothing."""
    raw = Raw(web, user=run.user_id, receive_buffer=4096)
    raw.send(frame(json.dumps({"type": "subscribe", "topic": run.topic}).encode()))
    return raw


def test_a_client_that_reads_late_gets_every_byte_in_whole_frames(server, publisher, tmp_path):
    """The kernel takes part of a write: what is left out would corrupt every later frame."""
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    with Web(server.url, tmp_path / "web", limits={"queue_bytes": 32 * 1024 * 1024}) as web:
        raw = stalled(web, run)
        web.settled(members=2)
        for n in range(150):
            publisher.run_delta(run.text(f"{n:05d}" * 10_000))
        publisher.run_update(run.state("completed", 1))
        time.sleep(0.5)
        story = Story()
        for event in raw.told("completed"):
            story.hear(event)
        raw.socket.close()
        assert web.errors() == ""

    assert story.seq == 152
    assert len(story.text) == 150 * 50_000


def test_one_stalled_client_costs_the_others_nothing_and_is_closed_1013(server, publisher, tmp_path):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    with Web(server.url, tmp_path / "web", limits={"queue_bytes": 300_000, "close_seconds": 1}) as web:
        before = web.state()["memory"]
        slow = stalled(web, run)
        clients = [web.connect(run.user_id) for _ in range(10)]
        for client in clients:
            subscribed(client, run)
        web.settled(members=22)
        for n in range(150):
            publisher.run_delta(run.text(f"{n:05d}" * 10_000))
            for client in clients:
                assert client.next()["seq"] == n + 2  # while the other one hangs
        state = web.settled(sockets=10)

        assert state["closes"] == {"1013": 1}
        assert state["memory"] - before < 60_000_000
        slow.socket.close()
        for client in clients:
            assert client.quiet() == []
            client.connection.close()
        web.settled(sockets=0, members=0)
        assert web.errors() == ""


def test_text_that_waits_for_a_slow_client_is_put_together_and_none_is_lost(server, publisher, tmp_path):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    with Web(server.url, tmp_path / "web", limits={"queue_bytes": 300_000}) as web:
        raw = stalled(web, run)
        web.settled(members=2)
        filler = "x" * 60_000
        total = ""
        while web.state()["queued"] < 50_000:  # fill what the kernel takes
            total += filler
            publisher.run_delta(run.text(filler))
        for n in range(2_000):  # as single frames 400 KB, as one text 12 KB
            total += f"{n:05d} "
            publisher.run_delta(run.text(f"{n:05d} "))
        publisher.run_update(run.state("completed", 1))
        told = raw.told("completed")
        raw.socket.close()
        assert web.errors() == ""

    deltas = [event for event in told if "delta" in event.get("data", {})]
    assert "".join(event["data"]["delta"] for event in deltas) == total
    assert len(deltas) < 2_000
    assert told[-1]["data"]["status"] == "completed"
    seqs = [event["seq"] for event in told]
    assert seqs == sorted(seqs)


def test_a_peer_that_does_not_answer_pings_is_closed_1001_and_one_that_does_stays(server, tmp_path):
    """Not 1008, which clients read as: do not come back."""
    limits = {"ping_seconds": 0.5, "pong_seconds": 0.5, "close_seconds": 0.5}
    with Web(server.url, tmp_path / "web", limits=limits) as web, web.connect(uuid4()) as good:
        silent = Raw(web)
        assert silent.close_code() == 1001
        silent.socket.close()
        assert good.quiet() == []
        assert web.settled(sockets=1)["closes"] == {"1001": 1}


def test_a_peer_that_vanished_without_a_word_frees_its_socket(server, publisher, tmp_path):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    limits = {"ping_seconds": 0.3, "pong_seconds": 0.3, "close_seconds": 0.3}
    with Web(server.url, tmp_path / "web", limits=limits) as web:
        raw = stalled(web, run)
        web.settled(members=2)
        web.settled(sockets=0, members=0, topics=0)
        raw.socket.close()
        assert web.errors() == ""


def test_frames_pushed_from_all_sides_at_once_come_whole(server, publisher, tmp_path):
    """Pongs, answers, events of two topics and pings of our own, each from another greenlet."""
    user = uuid4()
    runs = [SomeRun(user) for _ in range(2)]
    limits = {"ping_seconds": 0.1, "frames_per_second": 100_000, "frames_at_once": 100_000}
    with Web(server.url, tmp_path / "web", limits=limits) as web, web.connect(user) as client:
        publisher.run_updates([run.state("running") for run in runs])
        for run in runs:
            subscribed(client, run)

        def tell(run: SomeRun) -> None:
            for _ in range(300):
                publisher.run_delta(run.text("x" * 2_000))

        tellers = [threading.Thread(target=tell, args=(run,)) for run in runs]
        for teller in tellers:
            teller.start()
        pings = [client.connection.ping(f"{n}") for n in range(200)]
        client.send(type="ping")
        seqs: dict[str, list[int]] = {run.topic: [] for run in runs}
        while any(len(told) < 300 for told in seqs.values()):
            event = client.next()
            if event["type"] == "event":
                seqs[event["topic"]].append(event["seq"])
        for teller in tellers:
            teller.join()

        assert all(told == list(range(2, 302)) for told in seqs.values())
        assert all(ping.wait(10) for ping in pings)
        assert web.errors() == ""


def test_on_sigterm_sockets_are_closed_1012_while_a_request_in_hand_ends(server, tmp_path):
    with Web(server.url, tmp_path / "web") as web:
        clients = [web.connect(uuid4()) for _ in range(30)]
        answers: list[Any] = []
        request = threading.Thread(
            target=lambda: answers.append(httpx.get(f"{web.base}/slow?seconds=2", timeout=20).json())
        )
        request.start()
        time.sleep(0.3)
        assert web.process is not None
        began = time.monotonic()
        web.process.terminate()
        codes = [client.closed()[0] for client in clients]
        request.join()
        web.process.wait(20)
        took = time.monotonic() - began

        assert codes == [1012] * 30
        assert answers == [{"done": True}]
        assert took < 8  # graceful_timeout: nobody had to be dropped
        assert web.errors() == ""


def test_sockets_are_told_of_a_restart_in_batches(server, tmp_path):
    """All at once they would come back all at once, and the requests in hand would wait for their farewells."""
    with Web(server.url, tmp_path / "web") as web:
        raws = [Raw(web) for _ in range(170)]
        answers: list[Any] = []
        watching = threading.Thread(
            target=lambda: answers.append(httpx.get(f"{web.base}/farewells?sockets=170", timeout=20).json())
        )
        watching.start()
        web.settled(watched=True)
        assert web.process is not None
        web.process.terminate()
        watching.join()
        codes = [raw.close_code() for raw in raws]
        for raw in raws:
            raw.socket.close()

    assert codes == [1012] * 170
    assert answers[0]["seen"][0] <= 50
    assert len(answers[0]["seen"]) >= 3


def test_a_stalled_client_does_not_keep_the_process_from_stopping(server, publisher, tmp_path):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    with Web(server.url, tmp_path / "web", limits={"close_seconds": 0.5}) as web:
        raw = stalled(web, run)
        web.settled(members=2)
        for _ in range(100):
            publisher.run_delta(run.text("x" * 50_000))
        assert web.process is not None
        web.process.terminate()
        assert web.process.wait(7) == 0
        raw.socket.close()


def test_a_socket_opened_while_the_process_stops_is_asked_to_come_back(server, tmp_path):
    with Web(server.url, tmp_path / "web") as web:
        held = web.connect(uuid4())
        assert web.process is not None
        web.process.terminate()
        assert held.closed()[0] == 1012
        try:
            with web.connect(uuid4()) as client:
                assert client.closed()[0] == 1012
        except (OSError, EOFError):
            pass  # it listens no more: as good
