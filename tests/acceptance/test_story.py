"""Clients that watch a run from any time see the same events: polling, the command line, and plain WebSockets."""

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection

from pixelbloom.auth.mint import mint_user
from tests.acceptance.up import RunningStack, start_stack
from tests.servers.ollama import OllamaServer
from tests.servers.script import PROSE, Script
from tests.servers.web import dial
from tests.waiting import SECONDS, Background, Deadline

#: Whole stacks are started and killed.
pytestmark = pytest.mark.timeout(900)

TERMINAL = ("completed", "failed", "cancelled")


@pytest.fixture(scope="module")
def ollama() -> Iterator[OllamaServer]:
    """A slow model: a word every 60 ms."""
    with OllamaServer(delay=0.06) as server:
        yield server


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, ollama: OllamaServer) -> Iterator[RunningStack]:
    # A reply that a test holds must not end by a timeout.
    given = {"OLLAMA_HOST": ollama.url, "MODEL_TIMEOUT": "600"}
    with start_stack(tmp_path_factory.mktemp("story") / "home", **given) as running:
        yield running


def socket(up: RunningStack) -> ClientConnection:
    token = mint_user(up.settings, up.user_id)
    return dial(f"ws://127.0.0.1:{up.port}/api/ws/workflows?token={token}")


def frames(ws: ClientConnection) -> Iterator[dict[str, Any]]:
    """Yield frames for as long as a run may take."""
    last: list[Any] = []
    deadline = Deadline(saw=lambda: last, what="the rest of a story")
    while True:
        last[:] = [json.loads(ws.recv(timeout=deadline.left))]
        yield last[0]


def subscription_of(ws: ClientConnection) -> dict[str, Any]:
    """Return the confirmation of a subscription. Earlier events of the run came in the flat form."""
    return next(frame for frame in frames(ws) if frame["type"] != "workflow_status_update")


def submit(up: RunningStack) -> str:
    response = up.post(
        "/api/agents/invoke", {"agent_type": "chat_agent", "input": {"message": "How much is a website?"}}
    )
    return str(response["request_id"])


class Watcher:
    """A client that knows only the spec: every frame it received about one run."""

    def __init__(self, up: RunningStack, run_id: str) -> None:
        self.frames: list[dict[str, Any]] = []
        self._up, self._run_id = up, run_id
        self._thread = Background(self._watch)
        self._thread.start()

    def _watch(self) -> None:
        with socket(self._up) as ws:
            ws.send(json.dumps({"type": "subscribe", "topic": f"workflow_run:{self._run_id}"}))
            for frame in frames(ws):
                if not self.frames and frame["type"] == "workflow_status_update":
                    continue  # sent before the subscription
                self.frames.append(frame)
                if frame["type"] == "event" and frame["data"]["status"] in TERMINAL:
                    return

    def story(self) -> list[dict[str, Any]]:
        """Return the frames, once the run has ended."""
        self._thread.result(2 * SECONDS)
        return self.frames


def check(story: list[dict[str, Any]], result: dict[str, Any]) -> None:
    """Check that no event is repeated or missing, progress never decreases, and the run ends."""
    response, first, *later = story
    assert response["type"] == "subscribed"
    assert first["snapshot"] is True
    assert first["seq"] == response["seq"]
    assert [frame["seq"] for frame in later] == list(range(first["seq"] + 1, first["seq"] + 1 + len(later)))
    progress = [frame["data"]["progress"] for frame in (first, *later)]
    assert progress == sorted(progress)
    end = story[-1]["data"]
    assert (end["status"], end["progress"], end["result"]) == ("completed", 1, result)
    if later:
        received = first["data"].get("text", "") + "".join(frame["data"].get("delta", "") for frame in later)
        assert received == PROSE


def test_clients_before_during_and_after_a_run_see_the_same_events(up: RunningStack, ollama: OllamaServer) -> None:
    ollama.play(Script(hold_after=10))
    with socket(up) as early:
        run_id = submit(up)
        at_once = Watcher(up, run_id)
        up.wait_for(lambda: any("delta" in frame.get("data", {}) for frame in at_once.frames))
        during = Watcher(up, run_id)
        up.wait_for(lambda: len(during.frames) >= 2)  # it has subscribed, and has the snapshot
        ollama.going_on.set()
        stories = [at_once.story(), during.story(), Watcher(up, run_id).story()]
        polled = up.get(f"/api/agents/runs/{run_id}")
        assert (polled["status"], polled["provider"], polled["result"]["reply"]) == ("completed", "ollama", PROSE)
        for story in stories:
            check(story, polled["result"])
        assert stories[1][1]["data"]["text"], "the client that subscribed during the run got no text so far"
        assert len(stories[2]) == 2

        received = []
        for frame in frames(early):
            assert frame["type"] == "workflow_status_update"
            received.append(frame["data"])
            if received[-1]["status"] in TERMINAL:
                break
        assert [data["status"] for data in received] == ["queued", "running", "completed"]
        assert {(data["workflow_run_id"], data["workflow_id"]) for data in received} == {(run_id, "chat_agent")}


def test_a_client_that_reconnects_gets_missed_events_once(up: RunningStack) -> None:
    run_id = submit(up)
    seen: list[int] = []
    with socket(up) as ws:
        ws.send(json.dumps({"type": "subscribe", "topic": f"workflow_run:{run_id}"}))
        response = subscription_of(ws)
        seen += [frame["seq"] for frame in islice(frames(ws), 5)]
    with socket(up) as ws:
        again = {"since": seen[-1], "epoch": response["epoch"]}
        ws.send(json.dumps({"type": "subscribe", "topic": f"workflow_run:{run_id}", **again}))
        assert subscription_of(ws)["recovered"] is True
        for frame in frames(ws):
            assert "snapshot" not in frame
            seen.append(frame["seq"])
            if frame["data"]["status"] in TERMINAL:
                break
    assert seen == list(range(seen[0], seen[0] + len(seen)))


def test_the_command_line_watches_a_run_and_prints_its_result(up: RunningStack, tmp_path: Path) -> None:
    def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "pixelbloom", *arguments],
            env=up.environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=90,
            check=True,
        )

    done = command("invoke", "chat_agent", "--input", '{"message": "Hello"}', "--watch")
    assert json.loads(done.stdout)["reply"] == PROSE
    assert "completed" in done.stderr
    run_id = json.loads(command("runs", "list").stdout)["items"][0]["request_id"]
    assert json.loads(command("runs", "watch", run_id).stdout)["reply"] == PROSE
    assert json.loads(command("runs", "show", run_id).stdout)["status"] == "completed"
