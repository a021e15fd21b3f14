"""The client's socket against a server that behaves badly on purpose."""

import base64
import json
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from uuid import uuid4

import pytest

from pixelbloom.client import (
    FlatEvent,
    Lost,
    Problem,
    RunEnded,
    RunProgress,
    RunText,
    RunWatcher,
    SocketClient,
    SocketRejected,
    Subscribed,
    TopicEvent,
)
from pixelbloom.client.backoff import Backoff
from pixelbloom.errors import NotFound, Unavailable
from tests.servers.websocket import Act, Peer, ScriptedServer
from tests.servers.workflows import as_steps

TOPIC = "workflow_run:r"


def client(server: ScriptedServer, **options: object) -> SocketClient:
    options = {"token": "a-token", "backoff": Backoff(first=0.01, maximum=0.02), **options}
    return SocketClient(server.url, "workflows", **options)


def seqs(server: ScriptedServer, until: int, **options: object) -> list[int | None]:
    """Return the seqs that a client yields up to one."""
    seen = []
    with client(server, **options) as sockets:
        sockets.subscribe(TOPIC)
        for event in sockets.events():
            if isinstance(event, TopicEvent):
                seen.append(event.seq)
                if event.seq == until:
                    break
    return seen


def all_events(server: ScriptedServer, **options: object) -> list[object]:
    with client(server, **options) as sockets:
        return list(sockets.events())


def first_story(end: Callable[[Peer], None]) -> Act:
    """A server that sends events up to seq 3 and then ends the connection in some way."""

    def play(peer: Peer) -> None:
        assert "since" not in peer.take("subscribe")
        peer.subscribed(TOPIC, 2)
        peer.event(TOPIC, 2, snapshot=True, status="running")
        peer.event(TOPIC, 3, status="running")
        end(peer)

    return play


def resumed_story(peer: Peer) -> None:
    request = peer.take("subscribe")
    assert (request["since"], request["epoch"]) == (3, "e1")
    peer.subscribed(TOPIC, 4)
    peer.event(TOPIC, 4, status="completed")
    peer.wait_until_gone()


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda peer: peer.close(1012, "restart"), id="1012"),
        pytest.param(lambda peer: peer.close(1013), id="1013"),
        pytest.param(lambda peer: peer.close(1001), id="1001"),
        pytest.param(lambda peer: peer.close(1011), id="1011"),
        pytest.param(lambda peer: peer.drop(), id="cut"),
        pytest.param(lambda peer: peer.send_raw("{not json"), id="garbage"),
    ],
)
def test_the_client_reconnects_and_resumes_by_seq_and_epoch(end: Callable[[Peer], None]) -> None:
    with ScriptedServer([first_story(end), resumed_story]) as server:
        assert seqs(server, until=4) == [2, 3, 4]


def test_the_client_reports_a_lost_connection_and_the_next_attempt() -> None:
    with ScriptedServer([first_story(lambda peer: peer.close(1012, "restart")), resumed_story]) as server:
        with client(server) as sockets:
            sockets.subscribe(TOPIC)
            events = sockets.events()
            lost = next(event for event in events if isinstance(event, Lost))
            back = next(event for event in events if isinstance(event, Subscribed))
        assert (lost.close_code, lost.reason) == (1012, "restart")
        assert 0 < lost.retry_in <= 0.01
        assert back.recovered


@pytest.mark.parametrize(("code", "words"), [(1008, "refuses this token"), (1009, "1009"), (1003, "1003")])
def test_the_client_does_not_reconnect_after_a_final_close(code: int, words: str) -> None:
    with ScriptedServer([lambda peer: peer.close(code)]) as server, client(server) as sockets:
        with pytest.raises(SocketRejected, match=words) as caught:
            list(sockets.events())
        assert caught.value.close_code == code


def test_a_rejection_has_the_message_of_the_error_before_the_close() -> None:
    def refuse(peer: Peer) -> None:
        peer.send(type="error", code="UNAUTHORIZED", message="The token has expired.")
        peer.close(1008)

    with ScriptedServer([refuse]) as server, pytest.raises(SocketRejected, match="The token has expired"):
        all_events(server)


def test_the_client_does_not_retry_a_refused_upgrade() -> None:
    with ScriptedServer([HTTPStatus.FORBIDDEN]) as server, pytest.raises(SocketRejected, match="403"):
        all_events(server)


def test_the_client_retries_while_the_server_is_not_ready() -> None:
    acts: list[Act] = [HTTPStatus.BAD_GATEWAY, HTTPStatus.TOO_MANY_REQUESTS, first_story(Peer.wait_until_gone)]
    with ScriptedServer(acts) as server:
        assert seqs(server, until=3) == [2, 3]


def test_the_client_gives_up_after_the_given_time() -> None:
    with ScriptedServer([]) as server:
        pass
    with pytest.raises(Unavailable, match="No connection"):
        all_events(server, give_up_after=0.05)


def test_events_seen_before_are_dropped() -> None:
    def repeat(peer: Peer) -> None:
        peer.take("subscribe")
        peer.subscribed(TOPIC, 3)
        for seq in (2, 3, 4, 4, 3, 5):
            peer.event(TOPIC, seq, status="running")
        peer.wait_until_gone()

    with ScriptedServer([first_story(Peer.drop), repeat]) as server:
        assert seqs(server, until=5) == [2, 3, 4, 5]


def test_the_client_starts_from_a_snapshot_where_history_is_too_short() -> None:
    def anew(peer: Peer) -> None:
        assert peer.take("subscribe")["since"] == 3
        peer.subscribed(TOPIC, 1, epoch="e2", recovered=False)
        peer.event(TOPIC, 1, snapshot=True, status="running")
        peer.event(TOPIC, 2, status="running")
        peer.drop()

    def resumed(peer: Peer) -> None:
        request = peer.take("subscribe")
        assert (request["since"], request["epoch"]) == (2, "e2")
        peer.subscribed(TOPIC, 4, epoch="e2")
        peer.event(TOPIC, 4, status="completed")
        peer.wait_until_gone()

    with ScriptedServer([first_story(Peer.drop), anew, resumed]) as server:
        assert seqs(server, until=4) == [2, 3, 1, 2, 4]


def test_the_client_requests_a_snapshot_again_if_the_connection_is_lost_before_it() -> None:
    def cut_short(peer: Peer) -> None:
        peer.take("subscribe")
        peer.subscribed(TOPIC, 9, epoch="e2", recovered=False)
        peer.drop()

    def anew(peer: Peer) -> None:
        assert "since" not in peer.take("subscribe")
        peer.subscribed(TOPIC, 9, epoch="e2", recovered=False)
        peer.event(TOPIC, 9, snapshot=True, status="completed")
        peer.wait_until_gone()

    with ScriptedServer([first_story(Peer.drop), cut_short, anew]) as server:
        assert seqs(server, until=9) == [2, 3, 9]


def test_the_client_follows_a_topic_with_a_new_epoch() -> None:
    def restart(peer: Peer) -> None:
        peer.subscribed(TOPIC, 1, epoch="e2", recovered=False)
        peer.event(TOPIC, 1, snapshot=True, status="running")
        peer.event(TOPIC, 2, status="completed")
        peer.wait_until_gone()

    with ScriptedServer([first_story(restart)]) as server, client(server) as sockets:
        sockets.subscribe(TOPIC)
        seen = []
        for event in sockets.events():
            if isinstance(event, TopicEvent):
                seen.append(event.seq)
                if event.data["status"] == "completed":
                    break
    assert seen == [2, 3, 1, 2]


def test_the_client_pings_a_silent_server_and_drops_an_unresponsive_one() -> None:
    def respond_then_hang(peer: Peer) -> None:
        peer.take("ping")
        peer.send(type="pong")
        peer.take("ping")
        peer.hold_still(0.5)

    acts = [respond_then_hang, lambda peer: peer.close(1008)]
    with ScriptedServer(acts) as server, client(server, ping_seconds=0.1) as sockets:
        events = sockets.events()
        assert next(event for event in events if isinstance(event, Lost)).reason == "the server is silent"
        with pytest.raises(SocketRejected):
            list(events)


def test_the_token_is_sent_in_a_header_and_never_in_the_address() -> None:
    seen: list[dict[str, str]] = []

    def look(peer: Peer) -> None:
        seen.append(peer.headers)
        peer.close(1008)

    with ScriptedServer([look]) as server, client(server) as sockets, pytest.raises(SocketRejected):
        list(sockets.events())
    assert seen[0]["authorization"] == "Bearer a-token"
    assert "origin" not in seen[0]


def jwt_that_lives(seconds: float) -> str:
    payload = base64.urlsafe_b64encode(json.dumps({"exp": time.time() + seconds}).encode()).decode().rstrip("=")
    return f"e30.{payload}.sig"


def test_a_fresh_token_is_sent_before_the_old_one_expires() -> None:
    tokens = iter([jwt_that_lives(2.1), jwt_that_lives(2.1), jwt_that_lives(3600), jwt_that_lives(3600)])
    sent = []

    def listen(peer: Peer) -> None:
        sent.append(peer.take("auth")["token"])
        peer.close(1008)

    with ScriptedServer([listen]) as server, pytest.raises(SocketRejected):
        all_events(server, token=lambda: next(tokens))
    assert len(sent) == 1


def test_flat_events_are_yielded_and_unknown_types_ignored() -> None:
    def play_frames(peer: Peer) -> None:
        peer.send(type="from_the_future", payload=1)
        peer.send_raw(b"\x00\x01")
        peer.send_raw("[1]")
        peer.send(type="lead_created", data={"lead_id": "l"})
        peer.wait_until_gone()

    with ScriptedServer([play_frames]) as server, client(server) as sockets:
        assert next(sockets.events()) == FlatEvent("lead_created", {"lead_id": "l"})


def test_a_refused_topic_is_not_requested_again() -> None:
    def refuse(peer: Peer) -> None:
        peer.take("subscribe")
        peer.send(type="error", code="INVALID_TOPIC", message="No such topic.", topic=TOPIC)
        peer.drop()

    def ask_nothing(peer: Peer) -> None:
        peer.take("ping")
        peer.close(1008)

    with ScriptedServer([refuse, ask_nothing]) as server, client(server, ping_seconds=0.05) as sockets:
        sockets.subscribe(TOPIC)
        events = sockets.events()
        assert next(event for event in events if isinstance(event, Problem)).code == "INVALID_TOPIC"
        with pytest.raises(SocketRejected):
            list(events)


def test_the_client_resubscribes_after_a_temporary_error() -> None:
    def not_now(peer: Peer) -> None:
        peer.take("subscribe")
        peer.send(type="error", code="UNAVAILABLE", message="Try again.", topic=TOPIC)
        peer.wait_until_gone()

    with ScriptedServer([not_now, first_story(Peer.wait_until_gone)]) as server:
        assert seqs(server, until=3) == [2, 3]


def test_close_from_another_thread_ends_a_waiting_iterator() -> None:
    with ScriptedServer([Peer.wait_until_gone]) as server, client(server) as sockets:
        threading.Timer(0.1, sockets.close).start()
        assert list(sockets.events()) == []


def test_topics_can_be_subscribed_and_unsubscribed_while_connected() -> None:
    def play(peer: Peer) -> None:
        assert peer.take("subscribe")["topic"] == TOPIC
        peer.subscribed(TOPIC, 1)
        assert peer.take("subscribe")["topic"] == "workflow_run:other"
        assert peer.take("unsubscribe")["topic"] == TOPIC
        peer.event(TOPIC, 2, status="running")
        peer.send(type="unsubscribed", topic=TOPIC)
        peer.event("workflow_run:other", 1, status="running")
        peer.wait_until_gone()

    with ScriptedServer([play]) as server, client(server) as sockets:
        sockets.subscribe(TOPIC)
        seen = []
        for event in sockets.events():
            seen.append(event)
            if len(seen) == 1:
                sockets.subscribe("workflow_run:other")
                sockets.unsubscribe(TOPIC)
            if isinstance(event, TopicEvent):
                break
    assert [event.topic for event in seen if isinstance(event, TopicEvent)] == ["workflow_run:other"]


# A run, watched


def watch(acts: list[Act]) -> tuple[RunWatcher, ScriptedServer, str]:
    run_id = uuid4()
    server = ScriptedServer(acts)
    return (
        RunWatcher(server.url, "t", run_id, backoff=Backoff(0.01, 0.02)),
        server,
        f"workflow_run:{run_id}",
    )


def test_a_watched_run_yields_its_progress_its_text_and_its_end() -> None:
    def play(peer: Peer) -> None:
        topic = peer.take("subscribe")["topic"]
        peer.subscribed(topic, 3)
        peer.event(topic, 3, snapshot=True, status="running", progress=0.1, step="s", text="Hel")
        peer.event(topic, 4, status="running", progress=0.2, step="s", delta="lo", offset=3)
        peer.event(topic, 5, status="completed", progress=1, step="s", result={"a": 1})
        peer.wait_until_gone()

    watcher, server, _ = watch([play])
    with server, watcher:
        assert list(watcher) == [
            RunText("Hel", 0, restart=False, step="s"),
            RunProgress("running", 0.1, "s"),
            RunText("lo", 3, restart=False, step="s"),
            RunProgress("running", 0.2, "s"),
            RunProgress("completed", 1.0, "s"),
            RunEnded(
                "completed",
                {"a": 1},
                None,
                {"status": "completed", "progress": 1, "step": "s", "result": {"a": 1}},
            ),
        ]


def texts(acts: list[Act]) -> list[tuple[str, int, bool]]:
    watcher, server, _ = watch(acts)
    with server, watcher:
        return [(e.text, e.offset, e.restart) for e in watcher if isinstance(e, RunText)]


def test_text_is_not_repeated_when_a_snapshot_follows_a_lost_connection() -> None:
    def first(peer: Peer) -> None:
        topic = peer.take("subscribe")["topic"]
        peer.subscribed(topic, 1)
        peer.event(topic, 1, snapshot=True, status="running", text="")
        peer.event(topic, 2, status="running", delta="one ", offset=0)
        peer.drop()

    def second(peer: Peer) -> None:
        topic = peer.take("subscribe")["topic"]
        peer.subscribed(topic, 1, epoch="e2", recovered=False)
        peer.event(topic, 1, snapshot=True, status="running", text="one two ")
        peer.event(topic, 2, status="running", delta="three", offset=8)
        peer.event(topic, 3, status="completed", result={})
        peer.wait_until_gone()

    assert texts([first, second]) == [("one ", 0, False), ("two ", 4, False), ("three", 8, False)]


def test_discarded_text_is_yielded_as_a_restart() -> None:
    def play(peer: Peer) -> None:
        topic = peer.take("subscribe")["topic"]
        peer.subscribed(topic, 1)
        peer.event(topic, 1, snapshot=True, status="running", text="wrong")
        peer.event(topic, 2, status="running", delta="right", offset=0, reset=True)
        peer.subscribed(topic, 1, epoch="e2", recovered=False)
        peer.event(topic, 1, snapshot=True, status="running", text="better")
        peer.event(topic, 2, status="completed", result={})
        peer.wait_until_gone()

    assert texts([play]) == [("wrong", 0, False), ("right", 0, True), ("better", 0, True)]


def test_a_hole_in_the_text_shows_in_the_offset() -> None:
    def play(peer: Peer) -> None:
        topic = peer.take("subscribe")["topic"]
        peer.subscribed(topic, 1)
        peer.event(topic, 1, snapshot=True, status="running", text="ab")
        peer.event(topic, 5, status="running", delta="yz", offset=24)
        peer.event(topic, 6, status="completed", result={})
        peer.wait_until_gone()

    assert texts([play]) == [("ab", 0, False), ("yz", 24, False)]


def test_concurrent_steps_have_separate_texts() -> None:
    both = {"a": "running", "b": "running"}

    def play(peer: Peer) -> None:
        topic = peer.take("subscribe")["topic"]
        peer.subscribed(topic, 1)
        peer.event(
            topic, 1, snapshot=True, status="running", steps=as_steps(both), text="xy", texts={"a": "one", "b": "xy"}
        )
        peer.event(topic, 2, status="running", step="a", delta=" two", offset=3)
        peer.event(topic, 3, status="running", step="b", delta="new", offset=0, reset=True)
        peer.event(topic, 4, status="running", step="a", delta=" three", offset=7)
        peer.event(topic, 5, status="running", step="a", steps=as_steps({"a": "completed", "b": "running"}))
        peer.event(topic, 6, status="completed", outputs={"a": 1}, steps=as_steps({"a": "completed", "b": "completed"}))
        peer.wait_until_gone()

    watcher, server, _ = watch([play])
    with server, watcher:
        yielded = list(watcher)
    assert [(e.step, e.text, e.offset, e.restart) for e in yielded if isinstance(e, RunText)] == [
        ("a", "one", 0, False),
        ("b", "xy", 0, False),
        ("a", " two", 3, False),
        ("b", "new", 0, True),
        ("a", " three", 7, False),
    ]
    steps = [e.steps for e in yielded if isinstance(e, RunProgress)]
    assert steps[0] == steps[1] == both
    assert steps[-1] == {"a": "completed", "b": "completed"}
    assert isinstance(yielded[-1], RunEnded)
    assert yielded[-1].result == {"a": 1}


def test_a_step_that_restarted_during_a_lost_connection_is_yielded_from_its_beginning() -> None:
    """Another step ended meanwhile: its text stays."""

    def play(peer: Peer) -> None:
        topic = peer.take("subscribe")["topic"]
        steps = {"a": "running", "b": "running"}
        peer.subscribed(topic, 1)
        peer.event(
            topic,
            1,
            snapshot=True,
            status="running",
            steps=as_steps(steps),
            text="",
            texts={"a": "wrong", "b": "right"},
        )
        peer.subscribed(topic, 1, epoch="e2", recovered=False)
        steps = {"a": "running", "b": "completed"}
        peer.event(topic, 1, snapshot=True, status="running", steps=as_steps(steps), text="", texts={})
        peer.event(topic, 2, status="running", step="a", delta="better", offset=0)
        peer.event(topic, 3, status="completed", outputs={})
        peer.wait_until_gone()

    watcher, server, _ = watch([play])
    with server, watcher:
        assert [(e.step, e.text, e.restart) for e in watcher if isinstance(e, RunText)] == [
            ("a", "wrong", False),
            ("b", "right", False),
            ("a", "", True),
            ("a", "better", False),
        ]


def test_a_run_that_does_not_exist_is_not_found() -> None:
    def refuse(peer: Peer) -> None:
        topic = peer.take("subscribe")["topic"]
        peer.send(type="error", code="INVALID_TOPIC", message="No such run.", topic=topic)
        peer.wait_until_gone()

    watcher, server, _ = watch([refuse])
    with server, watcher, pytest.raises(NotFound, match="was not found"):
        list(watcher)


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_wait_returns_the_end_of_a_failed_run(status: str) -> None:
    def play(peer: Peer) -> None:
        topic = peer.take("subscribe")["topic"]
        peer.subscribed(topic, 1)
        peer.event(topic, 1, snapshot=True, status=status, progress=0.5, error="It broke.")
        peer.wait_until_gone()

    watcher, server, _ = watch([play])
    with server, watcher:
        end = watcher.wait()
    assert (end.status, end.result, end.error, end.completed) == (status, None, "It broke.", False)
