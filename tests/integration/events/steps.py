"""What clients see of concurrent steps of a workflow."""

import json
from typing import Any

from pixelbloom.events.reader import Recovered, Snapshot, TopicReader
from pixelbloom.events.topics import Keys, Topic
from pixelbloom.events.types import statuses
from tests.servers.redis import OwnRedis
from tests.servers.workflows import SomeWorkflow, as_steps


def events(reader: TopicReader, run: SomeWorkflow, since: int = 0) -> list[dict[str, Any]]:
    """Return the data of every event after that one."""
    found = reader.read(Topic.parse(run.topic), since=since)
    assert isinstance(found, Recovered)
    published = [json.loads(message.partition(b"\n")[2]) for message in found.messages]
    assert [event["seq"] for event in published] == list(range(since + 1, since + 1 + len(published)))
    return [event["data"] for event in published]


def snapshot(reader: TopicReader, run: SomeWorkflow) -> dict[str, Any]:
    found = reader.read(Topic.parse(run.topic))
    assert isinstance(found, Snapshot)
    return json.loads(found.frame)["data"]


def wipe(server: OwnRedis, run: SomeWorkflow) -> None:
    """Delete the topic from Redis."""
    keys = Keys.of(run.topic)
    server.client.delete(keys.meta, keys.log, keys.text)


def fields_of_steps(server: OwnRedis, run: SomeWorkflow) -> set[str]:
    """Return the steps with data in Redis."""
    keys = Keys.of(run.topic)
    in_meta = {field.decode().partition(":")[2] for field in server.client.hkeys(keys.meta)}
    return {*in_meta, *(step.decode() for step in server.client.hkeys(keys.text))} - {""}


class Client:
    """A client that was connected from the beginning and follows docs/realtime.md."""

    def __init__(self) -> None:
        self.seq = 0
        self.status = ""
        self.progress = 0.0
        self.steps: dict[str, str] = {}
        #: What it shows: it drops the text of a step only after a reset.
        self.shown: dict[str, str] = {}
        #: The expected texts of a snapshot: only of running steps, and in one piece.
        self.stored: dict[str, str] = {}
        self.ends: dict[str, int] = {}
        self.last = ""

    def on_message(self, data: dict[str, Any]) -> None:
        self.seq += 1
        again = self.status == "failed" and data["status"] != "failed"
        assert data["progress"] >= self.progress or again, "progress went backwards"
        self.status, self.progress = data["status"], data["progress"]
        if "delta" in data:
            self._more(data["step"], data["offset"], data["delta"], data.get("reset", False))
        else:
            self.state(dict(statuses(data["steps"])), over=data["status"] == "failed")

    def state(self, steps: dict[str, str], *, over: bool) -> None:
        self.steps = steps
        for step in list(self.ends):
            if over or steps.get(step) != "running":
                self.stored.pop(step, None)
                del self.ends[step]

    def _more(self, step: str, offset: int, delta: str, reset: bool) -> None:
        if reset:
            self.shown[step] = self.stored[step] = ""
            self.ends[step] = 0
        whole = offset == self.ends.get(step, 0)
        self.shown[step] = self.shown.get(step, "") + delta
        self.stored[step] = self.stored.get(step, "") + delta if whole else delta
        self.ends[step] = offset + len(delta)
        self.last = step

    def agrees(self, data: dict[str, Any]) -> None:
        """Check that the snapshot of a late client has the same state."""
        assert (data["status"], data["progress"]) == (self.status, self.progress)
        assert data["steps"] == as_steps(self.steps)
        if self.status != "failed":
            assert data["texts"] == {step: text for step, text in self.stored.items() if text}
            assert data["text"] == self.stored.get(self.last, "")
