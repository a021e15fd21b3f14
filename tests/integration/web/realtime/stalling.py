"""Clients that read nothing."""

import json

from pixelbloom.events.publisher import Publisher
from tests.servers.raw import Raw, frame
from tests.servers.runs import SomeRun
from tests.servers.web import Web
from tests.waiting import repeat_until

#: Size of the system's buffers at both ends, in bytes: everything beyond them waits in the server's queue.
BUFFER_BYTES = 4096
#: A client that reads nothing answers no pings: without any it is not closed for that, however slow the machine is.
PATIENT = {"ping_seconds": 3600}
SMALL = {"send_buffer_bytes": BUFFER_BYTES, **PATIENT}


def stalled(web: Web, run: SomeRun) -> Raw:
    """A client with a small buffer that subscribes and then reads nothing."""
    raw = Raw(web, user=run.user_id, receive_buffer=BUFFER_BYTES)
    raw.send(frame(json.dumps({"type": "subscribe", "topic": run.topic}).encode()))
    return raw


def fill(web: Web, run: SomeRun, publisher: Publisher, queued: int) -> str:
    """Publish text until the system's buffers are full and so many bytes wait in the queue. Returns the text."""
    filler = "x" * 10_000
    total = ""
    for _ in repeat_until(lambda: web.state()["queued"] >= queued, saw=web.state):
        publisher.run_deltas([run.text(filler)])
        total += filler
    return total
