"""The client's socket over TLS, as it is behind a proxy."""

import sys
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from pixelbloom.client import FlatEvent, SocketClient
from pixelbloom.client.frames import Event
from tests.servers.tls import Authority
from tests.servers.websocket import RepeatingServer
from tests.waiting import SECONDS, background

#: One in about 2,000 requests met a read and broke the connection.
REQUESTS = 12_000
REQUESTS_AT_ONCE = 4
#: So long that TLS has something to do.
PARAMS = {"text": "x" * 16_000}


@pytest.fixture
def threads_alternate_often() -> Iterator[None]:
    """Let the interpreter switch between threads as soon as it can, so that they meet."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("threads_alternate_often")
def test_one_thread_subscribes_while_another_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path, "ours")
    monkeypatch.setenv("WEBSOCKET_CLIENT_CA_BUNDLE", str(authority.ca))
    response = {"type": "lead_created", "data": {"lead_id": "l"}}
    events: SimpleQueue[Event] = SimpleQueue()
    with (
        RepeatingServer(authority.issue("127.0.0.1"), response) as server,
        SocketClient(server.url, "workflows", "a-token") as client,
    ):
        for n in range(REQUESTS_AT_ONCE):
            client.subscribe(f"workflow_run:{n}", PARAMS)

        def read() -> None:
            for event in client.events():
                events.put(event)

        with background(read):
            try:
                connected = events.get(timeout=SECONDS)
                for _ in range(REQUESTS):
                    event = events.get(timeout=SECONDS)
                    assert event == FlatEvent("lead_created", {"lead_id": "l"}), (connected, event)
                    client.subscribe("workflow_run:0", PARAMS)
            finally:
                client.close()
