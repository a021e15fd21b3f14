"""What a client knows of a run that it is subscribed to."""

from typing import Any

from tests.servers.runs import SomeRun
from tests.servers.web import Client
from tests.waiting import repeat_until


class Story:
    """What a client that follows contracts.md knows of a run from the frames it got."""

    def __init__(self) -> None:
        self.seq: int | None = None
        self.epoch = ""
        self.text = ""
        self.statuses: list[str] = []
        self.snapshots = 0

    def on_message(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "subscribed":
            self.epoch = frame["epoch"]
            if frame["recovered"]:
                assert frame["seq"] == self.seq
            return
        if frame["type"] == "workflow_status_update":
            assert not self.epoch, "the topic covers it"
            return
        data = frame["data"]
        if frame.get("snapshot"):
            self.snapshots += 1
            self.text = data.get("text", "")
        else:
            assert frame["seq"] == (self.seq or 0) + 1, "a gap or a repetition"
            if data.get("reset"):
                self.text = ""
            if "delta" in data:
                assert data["offset"] == len(self.text)
                self.text += data["delta"]
        self.seq = frame["seq"]
        self.statuses.append(data["status"])

    def listen(self, client: Client, until: str = "completed") -> "Story":
        for _ in repeat_until(lambda: self.statuses[-1:] == [until], saw=lambda: (self.seq, self.text[-80:])):
            self.on_message(client.next())
        return self


def subscribed(client: Client, run: SomeRun, **options: Any) -> list[dict[str, Any]]:
    """Subscribe. Returns the confirmation and the snapshot, if any."""
    client.send(type="subscribe", topic=run.topic, **options)
    response = client.until(type="subscribed")
    if not response[-1]["recovered"]:
        response.append(client.next())
    return response
