"""Server-sent events of a run: complete and in order, resumable, bounded, and cheap when idle."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.servers.event_streams import Event, EventStream
from tests.servers.redis import OwnRedis
from tests.servers.runs import SomeRun
from tests.servers.web import Web, token
from tests.waiting import SECONDS, background, repeat_until, until

#: Size of the system's buffers at both ends, in bytes: everything beyond them waits in the server's queue.
BUFFER_BYTES = 4096


@pytest.fixture(scope="module")
def web(server: OwnRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    limits = {
        "sockets_per_user": 3,
        "comment_seconds": 0.2,
        "close_seconds": 0.5,
        "queue_bytes": 64 * 1024,
        "send_buffer_bytes": BUFFER_BYTES,
    }
    with Web(server.url, tmp_path_factory.mktemp("web"), limits=limits) as web:
        yield web
        assert web.errors() == ""
        assert "eyJ" not in web.log.read_text(), "a token was logged"


def follow(web: Web, run: SomeRun, last_event_id: str | None = None, **options: Any) -> EventStream:
    claims = options.pop("claims", {})
    url = f"{web.base}/events/{run.id}?token={token(run.user_id, **claims)}"
    return EventStream(url, last_event_id=last_event_id, **options)


def seqs(events: list[Event]) -> list[int]:
    return [event.data["seq"] for event in events if event.type == "event"]


def text(events: list[Event]) -> str:
    return "".join(event.state.get("text") or event.state.get("delta") or "" for event in events)


def test_a_snapshot_comes_first_then_every_event_and_the_stream_ends_with_the_run(web, publisher):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    publisher.run_deltas([run.text("so ")])
    with follow(web, run) as stream:
        first = stream.next()
        publisher.run_deltas([run.text("far\nand on: \u2028")])
        publisher.run_update(run.state("completed", 1, result={"reply": "so far"}))
        events = [first, *stream.rest()]

    assert stream.status == 200
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.headers["cache-control"] == "no-store"
    assert stream.headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in stream.headers
    assert first.data["snapshot"] is True
    assert [event.type for event in events] == ["event"] * 3
    assert seqs(events) == list(range(first.data["seq"], first.data["seq"] + 3))
    assert [event.id.partition(":")[2] for event in events] == [str(seq) for seq in seqs(events)]
    assert len({event.id.partition(":")[0] for event in events}) == 1
    assert text(events) == "so far\nand on: \u2028"
    assert events[-1].state["result"] == {"reply": "so far"}
    until(lambda: web.state()["streams"] == 0, saw=web.state)


def test_an_ended_run_sends_its_snapshot_and_end_unless_already_seen(web, publisher):
    run = SomeRun(uuid4())
    run.store(web.folder, run.state("failed", 0.5, error="no model"))  # Redis does not know it
    with follow(web, run) as stream:
        [snapshot] = stream.rest()
    with follow(web, run, snapshot.id) as again:
        assert again.status == 204
        assert again.body() == b""
    with follow(web, run, f"other:{snapshot.data['seq']}") as other_epoch:
        [event] = other_epoch.rest()

    assert (snapshot.state["status"], snapshot.state["error"]) == ("failed", "no model")
    assert (event.id, event.data["snapshot"]) == (snapshot.id, True)


def test_a_retried_run_continues_for_a_client_that_saw_its_end(web, publisher):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("failed"))
    with follow(web, run) as stream:
        [snapshot] = stream.rest()
    publisher.run_update(run.state("queued"))
    with follow(web, run, snapshot.id) as again:
        assert again.next().state["status"] == "queued"
        publisher.run_update(run.state("completed", 1))
        events = again.rest()

    assert [event.state["status"] for event in events] == ["completed"]


def test_a_stream_that_is_cut_repeatedly_resumes_without_gap_or_repetition(web, publisher):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    words = [f"{n} " for n in range(2_000)]

    def write() -> None:
        for word in words:
            publisher.run_deltas([run.text(word)])
        publisher.run_update(run.state("completed", 1))

    seen: list[Event] = []
    last = None
    with background(write):
        for attempt in repeat_until(lambda: seen and seen[-1].state["status"] == "completed", saw=lambda: seen[-3:]):
            with follow(web, run, last) as stream:
                assert stream.status == 200
                for _ in range(1 + attempt * 37 % 90):  # disconnects after this many
                    event = stream.next()
                    if event is None:
                        break
                    seen.append(event)
                last = stream.last_id or last

    assert seqs(seen) == list(range(seen[0].data["seq"], seen[0].data["seq"] + len(seen)))
    assert [event.data.get("snapshot", False) for event in seen] == [True] + [False] * (len(seen) - 1)
    assert text(seen) == "".join(words)


def test_a_stream_continues_over_a_killed_and_a_stopped_process(server, publisher, tmp_path):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    seen: list[Event] = []
    with Web(server.url, tmp_path / "web") as web:
        for stop in (web.kill, web.stop):
            last = seen[-1].id if seen else None
            with follow(web, run, last) as stream:
                publisher.run_deltas([run.text("seen ")])
                seen += stream.until(delta="seen ") if seen else [stream.next(), *stream.until(delta="seen ")]
                stop()
                seen += stream.rest()
                publisher.run_deltas([run.text("missed ")])
            web.start()
        publisher.run_update(run.state("completed", 1))
        with follow(web, run, seen[-1].id) as stream:
            seen += stream.rest()

    assert seqs(seen) == list(range(seen[0].data["seq"], seen[0].data["seq"] + len(seen)))
    assert text(seen) == "seen missed seen missed "


def test_a_client_that_does_not_read_is_disconnected_and_resumes_without_a_gap(web, publisher):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    written = ""
    with follow(web, run, receive_buffer=BUFFER_BYTES) as slow, follow(web, run) as quick:
        seen = [slow.next()]
        for n in repeat_until(lambda: web.state()["streams"] == 1, saw=web.state):
            publisher.run_update(run.state("running"))  # states cannot be merged as text can
            publisher.run_deltas([run.text(f"{n} " * 500)])
            written += f"{n} " * 500
            quick.until(delta=f"{n} " * 500)
        seen += slow.rest()
        publisher.run_update(run.state("completed", 1))
        quick.rest()
    with follow(web, run, seen[-1].id) as again:
        more = again.rest()

    assert not more[0].data.get("snapshot")
    assert text(seen + more) == written
    assert seqs(seen + more) == sorted(set(seqs(seen + more)))


def test_a_client_that_disconnects_frees_its_slot(web, publisher):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    streams = [follow(web, run) for _ in range(3)]
    with follow(web, run) as refused:
        assert refused.status == 429
        assert b"3 sockets and event streams" in refused.body()
    with follow(web, SomeRun(uuid4())) as nothing:
        assert nothing.status == 404
    for stream in streams:
        stream.close()
    until(lambda: web.state()["streams"] == 0, saw=web.state)
    with follow(web, run) as stream:
        assert stream.next().data["snapshot"]
        assert web.state()["streams"] == 1
    until(lambda: web.state()["members"] == 0, saw=web.state)


def test_a_token_that_expires_ends_the_stream_with_the_reason(web, publisher):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    with follow(web, run, claims={"expires_in": 8}) as stream:
        events = stream.rest()

    assert [event.type for event in events] == ["event", "error"]
    assert (events[1].data["code"], events[1].id) == ("UNAUTHORIZED", None)
    until(lambda: web.state()["streams"] == 0, saw=web.state)


def test_heartbeat_comments_are_sent_periodically(web, publisher):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    with follow(web, run) as stream:
        stream.next()
        for _ in range(3):
            stream.comment()
        assert len(stream.events) == 1


def test_input_after_the_request_is_bounded(web, publisher):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    with follow(web, run) as stream:
        stream.send(b"GET / HTTP/1.1\r\n\r\n")
        stream.comment()
        for _ in repeat_until(lambda: web.state()["streams"] == 0, saw=web.state):
            with suppress(ConnectionError):
                stream.send(b"x" * 16384)


@pytest.mark.parametrize(
    "bad", ["7", "k3f9", "k3f9:", ":7", "k3f9:-1", "k3f9:7:8", "k3f9:99999999999999999", "k 9:1", "é:1"]
)
def test_an_invalid_event_id_is_refused(web, publisher, bad):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    with follow(web, run, bad) as stream:
        assert stream.status == 400
        assert b"Last-Event-ID" in stream.body()
    with follow(web, run, "") as stream:
        assert stream.next().data["snapshot"]


def test_idle_streams_have_no_greenlet(server, publisher, tmp_path):
    run, count = SomeRun(uuid4()), 300
    publisher.run_update(run.state("running"))
    with Web(server.url, tmp_path / "web", limits={"sockets_per_user": count}) as web:
        with follow(web, run) as stream:
            stream.next()
            before = web.state()
        streams = [follow(web, run) for _ in range(count)]
        try:
            for stream in streams:
                stream.next()
            # The last requests' own greenlets may still be ending.
            during = until(lambda: (now := web.state())["greenlets"] <= before["greenlets"] + 2 and now, saw=web.state)
            publisher.run_update(run.state("completed", 1))
            for stream in streams:
                assert [event.state["status"] for event in stream.rest()] == ["completed"]
        finally:
            for stream in streams:
                stream.close()
        until(lambda: web.state()["streams"] == 0, saw=web.state)
        until(lambda: (now := web.state())["members"] == 0 and now["files"] <= before["files"] + 2, saw=web.state)
        assert web.errors() == ""

    assert during["streams"] == during["members"] == count


def test_a_process_that_stops_ends_its_streams_and_opens_no_more(server, publisher, tmp_path):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    with Web(server.url, tmp_path / "web") as web:
        with httpx.Client(timeout=SECONDS) as client, follow(web, run) as stream:
            stream.next()
            assert client.get(f"{web.base}/state").json()["streams"] == 1
            os.kill(web.process.pid, signal.SIGTERM)
            assert stream.rest() == []
        web.process.wait(60)
        assert web.errors() == ""
