"""Clients that do not read, or are not there any more, and a process that stops."""

from functools import partial
from uuid import uuid4

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.integration.web.realtime.stalling import BUFFER_BYTES, SMALL, fill, stalled
from tests.integration.web.realtime.stories import Story, subscribed
from tests.servers.raw import Raw, frame
from tests.servers.runs import SomeRun
from tests.servers.web import Web
from tests.waiting import SECONDS, background, repeat_until, until

#: So that only a process that ends by itself ends in time.
NO_HURRY = {"GUNICORN_CMD_ARGS": "--graceful-timeout 600"}


def test_a_client_that_reads_late_gets_every_byte_in_whole_frames(server, publisher, tmp_path):
    """The kernel takes part of a write: a missing rest would corrupt every later frame."""
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    limits = {"queue_bytes": 32 * 1024 * 1024, **SMALL}
    with Web(server.url, tmp_path / "web", limits=limits) as web, stalled(web, run) as raw:
        web.until_state(members=2)
        for n in range(150):
            publisher.run_deltas([run.text(f"{n:05d}" * 10_000)])
        publisher.run_update(run.state("completed", 1))
        until(lambda: web.state()["queued"] > 7_000_000, saw=web.state)
        story = Story()
        for event in raw.events_until("completed"):
            story.on_message(event)
        assert web.errors() == ""

    assert story.seq == 152
    assert len(story.text) == 150 * 50_000


def test_a_stalled_client_does_not_delay_others_and_is_closed_1013(server, publisher, tmp_path):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    limits = {"queue_bytes": 300_000, "close_seconds": 1, **SMALL}
    with Web(server.url, tmp_path / "web", limits=limits) as web:
        before = web.state()["memory"]
        slow = stalled(web, run)
        clients = [web.connect(run.user_id) for _ in range(10)]
        for client in clients:
            subscribed(client, run)
        web.until_state(members=22)
        for n in range(150):
            publisher.run_deltas([run.text(f"{n:05d}" * 10_000)])
            for client in clients:
                assert client.next()["seq"] == n + 2  # while the other one hangs
        state = web.until_state(sockets=10)

        assert state["closes"] == {"1013": 1}
        assert state["memory"] - before < 60_000_000
        slow.close()
        for client in clients:
            assert client.quiet() == []
            client.connection.close()
        web.until_state(sockets=0, members=0)
        assert web.errors() == ""


def test_queued_text_for_a_slow_client_is_merged_without_loss(server, publisher, tmp_path):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    limits = {"queue_bytes": 300_000, **SMALL}
    with Web(server.url, tmp_path / "web", limits=limits) as web, stalled(web, run) as raw:
        web.until_state(members=2)
        total = fill(web, run, publisher, 50_000)
        for n in range(2_000):  # as single frames 400 KB, as one text 12 KB
            total += f"{n:05d} "
            publisher.run_deltas([run.text(f"{n:05d} ")])
        publisher.run_update(run.state("completed", 1))
        received = raw.events_until("completed")
        assert web.errors() == ""

    deltas = [event for event in received if "delta" in event.get("data", {})]
    assert "".join(event["data"]["delta"] for event in deltas) == total
    assert len(deltas) < 2_000
    assert received[-1]["data"]["status"] == "completed"
    seqs = [event["seq"] for event in received]
    assert seqs == sorted(seqs)


def test_a_peer_without_pongs_is_closed_1001_and_one_with_pongs_stays(server, tmp_path):
    """Not 1008, which clients read as: do not reconnect."""
    limits = {"ping_seconds": 8, "pong_seconds": 8, "close_seconds": 0.5}
    with Web(server.url, tmp_path / "web", limits=limits) as web, web.connect(uuid4()) as good:
        with Raw(web, silent=True) as silent:
            assert silent.close_code() == 1001
        assert good.quiet() == []
        assert web.until_state(sockets=1)["closes"] == {"1001": 1}


def test_a_peer_that_vanished_frees_its_socket(server, publisher, tmp_path):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    limits = {"ping_seconds": 0.3, "pong_seconds": 0.3, "close_seconds": 0.3}
    with Web(server.url, tmp_path / "web", limits=limits) as web, stalled(web, run):
        assert web.until_state(sockets=0, members=0, topics=0)["closes"] == {"1001": 1}
        assert web.errors() == ""


def test_concurrent_frames_arrive_whole(server, publisher, tmp_path):
    """Pongs, responses, events of two topics and the server's pings, each from another greenlet."""
    user = uuid4()
    runs = [SomeRun(user) for _ in range(2)]
    limits = {"ping_seconds": 0.1, "frames_per_second": 100_000, "frames_at_once": 100_000}
    with Web(server.url, tmp_path / "web", limits=limits) as web, web.connect(user) as client:
        publisher.run_updates([run.state("running") for run in runs])
        for run in runs:
            subscribed(client, run)

        def publish_all(run: SomeRun) -> None:
            for _ in range(300):
                publisher.run_deltas([run.text("x" * 2_000)])

        with background(*(partial(publish_all, run) for run in runs)):
            pings = [client.connection.ping(f"{n}") for n in range(200)]
            client.send(type="ping")
            seqs: dict[str, list[int]] = {run.topic: [] for run in runs}
            for _ in repeat_until(lambda: all(len(received) >= 300 for received in seqs.values()), saw=lambda: seqs):
                event = client.next()
                if event["type"] == "event":
                    seqs[event["topic"]].append(event["seq"])

        assert all(received == list(range(2, 302)) for received in seqs.values())
        assert all(ping.wait(SECONDS) for ping in pings)
        assert web.errors() == ""


def test_on_sigterm_sockets_are_closed_1012_while_a_request_in_hand_ends(server, tmp_path):
    with Web(server.url, tmp_path / "web", **NO_HURRY) as web:
        clients = [web.connect(uuid4()) for _ in range(30)]
        with background(lambda: httpx.get(f"{web.base}/slow?seconds=2", timeout=SECONDS).json()) as [request]:
            web.until_state(watched=True)
            assert web.process is not None
            web.process.terminate()
            codes = [client.closed()[0] for client in clients]
            assert request.result() == {"done": True}
        web.process.wait(SECONDS)

        assert codes == [1012] * 30
        assert web.errors() == ""


def test_sockets_are_closed_for_a_restart_in_batches(server, tmp_path):
    """Closed all at once they would reconnect all at once, and running requests would wait for the closes."""
    with Web(server.url, tmp_path / "web") as web:
        raws = [Raw(web) for _ in range(170)]
        with background(lambda: httpx.get(f"{web.base}/farewells?sockets=170", timeout=SECONDS).json()) as [watching]:
            web.until_state(watched=True)
            assert web.process is not None
            web.process.terminate()
            seen = watching.result()["seen"]
        codes = [raw.close_code() for raw in raws]
        for raw in raws:
            raw.close()

    assert codes == [1012] * 170
    assert seen[0] <= 50
    assert len(seen) >= 3


def test_a_stalled_client_does_not_prevent_the_stop(server, publisher, tmp_path):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    limits = {"close_seconds": 0.5, **SMALL}
    with Web(server.url, tmp_path / "web", limits=limits, **NO_HURRY) as web, stalled(web, run):
        web.until_state(members=2)
        fill(web, run, publisher, 50_000)
        assert web.process is not None
        web.process.terminate()
        assert web.process.wait(SECONDS) == 0


def test_a_socket_opened_while_the_process_stops_is_asked_to_come_back(server, tmp_path):
    with Web(server.url, tmp_path / "web") as web:
        waiting = web.connect(uuid4())
        assert web.process is not None
        web.process.terminate()
        assert waiting.closed()[0] == 1012
        try:
            with web.connect(uuid4()) as client:
                assert client.closed()[0] == 1012
        except (OSError, EOFError, ConnectionClosed, InvalidHandshake):
            pass  # it listens no more: as good


def test_a_client_that_pings_and_reads_nothing_is_closed_1013_at_the_queues_bound(server, tmp_path):
    """Pongs wait in the same queue as events: they may not grow it past its bound."""
    bound = 16 * 1024
    limits = {"queue_bytes": bound, "frames_at_once": 1_000_000, "frames_per_second": 1_000_000.0, **SMALL}
    with Web(server.url, tmp_path / "web", limits=limits) as web:
        with Raw(web, user=uuid4(), receive_buffer=BUFFER_BYTES, silent=True) as raw:
            web.until_state(sockets=1)
            most = 0
            for _ in repeat_until(lambda: web.state()["closes"], saw=web.state):
                raw.send(frame(b"p" * 125, opcode=9) * 50)
                most = max(most, web.state()["queued"])
            assert web.state()["closes"] == {"1013": 1}
            assert most <= bound
        web.until_state(sockets=0)
        assert web.errors() == ""
