"""The client's subscriptions: snapshots, history, new epochs and errors of a topic."""

import pytest

from pixelbloom.client import (
    Problem,
    SocketRejected,
    Subscribed,
    TopicEvent,
)
from tests.integration.client.stories import TOPIC, client, first_story, seqs
from tests.servers.websocket import Peer, ScriptedServer

#: Requested after the refused topic, if that were requested again.
ANOTHER = "workflow_run:another"


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


def test_a_refused_topic_is_not_requested_again() -> None:
    def refuse(peer: Peer) -> None:
        peer.take("subscribe")
        peer.send(type="error", code="INVALID_TOPIC", message="No such topic.", topic=TOPIC)
        peer.drop()

    def hear_of_another_only(peer: Peer) -> None:
        assert peer.take("subscribe")["topic"] == ANOTHER
        peer.close(1008)

    with ScriptedServer([refuse, hear_of_another_only]) as server, client(server) as sockets:
        sockets.subscribe(TOPIC)
        events = sockets.events()
        assert next(event for event in events if isinstance(event, Problem)).code == "INVALID_TOPIC"
        sockets.subscribe(ANOTHER)
        with pytest.raises(SocketRejected):
            list(events)


def test_the_client_resubscribes_after_a_temporary_error() -> None:
    def not_now(peer: Peer) -> None:
        peer.take("subscribe")
        peer.send(type="error", code="UNAVAILABLE", message="Try again.", topic=TOPIC)
        peer.wait_until_gone()

    with ScriptedServer([not_now, first_story(Peer.wait_until_gone)]) as server:
        assert seqs(server, until=3) == [2, 3]


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
            if event == Subscribed(TOPIC, 1, "e1", recovered=True):
                sockets.subscribe("workflow_run:other")
                sockets.unsubscribe(TOPIC)
            if isinstance(event, TopicEvent):
                break
    assert [event.topic for event in seen if isinstance(event, TopicEvent)] == ["workflow_run:other"]
