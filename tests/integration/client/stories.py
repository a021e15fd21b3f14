"""What a scripted server sends, and what the client yields of it."""

from collections.abc import Callable

from pixelbloom.client import (
    SocketClient,
    TopicEvent,
)
from pixelbloom.core.backoff import Backoff
from tests.servers.websocket import Act, Peer, ScriptedServer

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
