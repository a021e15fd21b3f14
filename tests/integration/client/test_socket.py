"""The client's socket against a server that behaves badly on purpose."""

import base64
import json
import threading
import time
from collections.abc import Callable
from http import HTTPStatus

import pytest

from pixelbloom.client import (
    Connected,
    FlatEvent,
    Lost,
    SocketRejected,
    Subscribed,
)
from pixelbloom.errors import Unavailable
from tests.integration.client.stories import TOPIC, all_events, client, first_story, resumed_story, seqs
from tests.servers.websocket import Act, Peer, ScriptedServer
from tests.waiting import SECONDS, background


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


def test_the_client_pings_a_silent_server_and_drops_an_unresponsive_one() -> None:
    def respond_then_hang(peer: Peer) -> None:
        peer.take("ping")
        peer.send(type="pong")
        peer.wait_until_gone()

    acts = [respond_then_hang, lambda peer: peer.close(1008)]
    with ScriptedServer(acts) as server, client(server, ping_seconds=1.0) as sockets:
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
        events = sockets.events()
        assert [next(events), next(events)] == [Connected(), FlatEvent("lead_created", {"lead_id": "l"})]


def test_close_from_another_thread_ends_a_waiting_iterator() -> None:
    begun = threading.Event()
    seen = []

    def close() -> None:
        assert begun.wait(SECONDS)
        sockets.close()

    with ScriptedServer([Peer.wait_until_gone]) as server, client(server) as sockets, background(close):
        for event in sockets.events():
            seen.append(event)
            begun.set()
    assert seen == [Connected()]
