"""A client that uses only spec/backend-api.md: plain HTTP, plain WebSockets, tokens made by hand."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
import requests
import websocket

from tests.stack import Stack, stop_all
from tests.waiting import SECONDS, Background, until

#: Whole stacks are started and killed.
pytestmark = pytest.mark.timeout(900)

CHANNELS = ("analytics", "notifications", "workflows")
STATUSES = {"queued", "running", "completed", "failed"}


class Caller:
    """Someone with a token as the spec shows it."""

    def __init__(self, base: str, secret: str, **claims: Any) -> None:
        self.base = base
        self.sub = str(uuid4())
        now = int(time.time())
        given = {"sub": self.sub, "role": "user", "exp": now + 3600, "iat": now, **claims}
        self.token = jwt.encode({name: value for name, value in given.items() if value is not None}, secret, "HS256")

    def post(self, path: str, body: Any, token: str | None = None) -> requests.Response:
        headers = {"Authorization": f"Bearer {token or self.token}", "Content-Type": "application/json"}
        return requests.post(self.base + path, data=json.dumps(body), headers=headers, timeout=SECONDS)

    def by_query(self, channel: str) -> "Conversation":
        return Conversation(f"{self._ws(channel)}?token={self.token}")

    def by_header(self, channel: str) -> "Conversation":
        return Conversation(self._ws(channel), header=[f"Authorization: Bearer {self.token}"])

    def _ws(self, channel: str) -> str:
        return f"{self.base.replace('http', 'ws')}/api/ws/{channel}"


class Conversation:
    """A socket, and its frames."""

    def __init__(self, url: str, **options: Any) -> None:
        self.socket = websocket.create_connection(url, timeout=SECONDS, **options)
        self.socket.settimeout(None)
        self.frames: list[dict[str, Any]] = []
        self._seen = 0
        self._code: int | None = None
        self._reader = Background(self._read)
        self._reader.start()

    def send(self, **frame: Any) -> None:
        self.socket.send(json.dumps(frame))

    def _read(self) -> None:
        """Runs beside the test, so that pings get pongs whatever the test waits for."""
        try:
            while True:
                opcode, data = self.socket.recv_data()
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    self._code = int.from_bytes(data[:2], "big")
                    return
                self.frames.append(json.loads(data))
        except (OSError, websocket.WebSocketException):
            pass

    def wait(self, **wanted: Any) -> dict[str, Any]:
        """Return the next frame with these members."""

        def found() -> dict[str, Any] | None:
            while self._seen < len(self.frames):
                frame = self.frames[self._seen]
                self._seen += 1
                if all(frame.get(name) == value for name, value in wanted.items()):
                    return frame
            return None

        frame = until(found, pause=0.01, saw=lambda: (wanted, self.frames[-5:]))
        assert frame is not None
        return frame

    def close_code(self) -> int:
        return until(lambda: self._code, saw=lambda: self.frames[-5:]) or 0

    def __enter__(self) -> "Conversation":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError, websocket.WebSocketException):
            self.socket.send_close()
        with contextlib.suppress(OSError, AttributeError):
            self.socket.sock.shutdown(socket.SHUT_RDWR)
        self._reader.result()
        self.socket.shutdown()


@pytest.fixture(scope="module")
def base(stack: Stack) -> Iterator[str]:
    started = [stack.start(role) for role in ("agents", "events", "beat", "web")]
    yield started[-1].url
    stop_all(started)


@pytest.fixture
def secret(stack: Stack) -> str:
    found = stack.settings.api_jwt_secret
    assert found is not None
    return found.get_secret_value()


@pytest.fixture
def caller(base: str, secret: str) -> Caller:
    return Caller(base, secret)


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_channel_accepts_a_token_by_query_and_header_and_responds_to_pings(caller: Caller, channel: str) -> None:
    for open_socket in (caller.by_query, caller.by_header):
        with open_socket(channel) as socket:
            socket.send(type="heartbeat", timestamp="2023-06-15T12:34:56Z")
            socket.send(type="ping")
            assert socket.wait(type="pong") == {"type": "pong"}
            assert socket.frames == [{"type": "pong"}], "a heartbeat gets no pong"


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_token_that_does_not_verify_closes_with_1008(caller: Caller, channel: str) -> None:
    caller.token = jwt.encode({"sub": caller.sub, "role": "user", "exp": time.time() + 60}, "x" * 32, "HS256")

    with caller.by_query(channel) as socket:
        assert socket.close_code() == 1008


@pytest.mark.parametrize(
    ("channel", "scope"), [("analytics", "notifications:read"), ("notifications", "analytics:read")]
)
def test_a_scope_limits_the_channel(base: str, secret: str, channel: str, scope: str) -> None:
    with Caller(base, secret, scope=["analytics:read", "notifications:read"]).by_query(channel) as socket:
        socket.send(type="ping")
        socket.wait(type="pong")
    with Caller(base, secret, scope=[scope]).by_query(channel) as socket:
        assert socket.wait(type="error")["code"] == "UNAUTHORIZED"
        assert socket.close_code() == 1008


def test_error_frames_match_the_spec_and_the_socket_stays_open(caller: Caller) -> None:
    with caller.by_query("workflows") as socket:
        socket.send(type="subscribe", topic="workflow_run:abc123")
        assert socket.wait(type="error")["code"] == "INVALID_TOPIC"
        socket.send(type="dance")
        assert socket.wait(type="error")["code"] == "BAD_REQUEST"
        for error in socket.frames:
            assert {"type", "code", "message"} <= set(error)
            assert error["message"]
        socket.send(type="ping")
        socket.wait(type="pong")


def test_the_run_of_the_specs_curl_is_watched_to_its_end(base: str, secret: str, caller: Caller) -> None:
    service = Caller(base, secret, role="service", sub=None)
    body = {
        "agent_type": "lead_agent",
        "input": {"query": "Find top prospects in SaaS"},
        "metadata": {"source": "dashboard"},
        "user_id": caller.sub,
    }
    with caller.by_query("workflows") as flat, caller.by_query("workflows") as topic:
        response = service.post("/api/agents/invoke", body)
        assert response.status_code == 200
        run = response.json()
        assert {"request_id", "status", "error"} <= set(run)
        assert run["status"] in STATUSES
        topic.send(type="subscribe", topic=f"workflow_run:{run['request_id']}")
        while (event := topic.wait(type="event", channel="workflows"))["data"]["status"] != "completed":
            assert event["data"]["status"] in STATUSES
            assert 0 <= event["data"]["progress"] <= 1
        assert {"type", "channel", "topic", "data", "ts"} <= set(event)
        assert event["topic"] == f"workflow_run:{run['request_id']}"
        while (update := flat.wait(type="workflow_status_update"))["data"]["status"] != "completed":
            pass
    assert set(update["data"]) == {
        *("id", "workflow_run_id", "workflow_id", "user_id", "status", "step", "progress", "updated_at"),
    }
    assert (update["data"]["workflow_run_id"], update["data"]["user_id"]) == (run["request_id"], caller.sub)


@pytest.mark.parametrize(
    "body",
    [
        {"agent_type": "nobody", "input": {}},
        {"input": {}},
        {"agent_type": "lead_agent", "input": "text"},
        {"agent_type": "lead_agent", "input": {"query": "x"}, "user_id": "me"},
    ],
    ids=json.dumps,
)
def test_an_invalid_invocation_is_a_bad_request(caller: Caller, body: Any) -> None:
    response = caller.post("/api/agents/invoke", body)

    assert response.status_code == 400
    assert response.json()["code"] == "BAD_REQUEST"
    assert response.json()["error"]


def test_a_caller_without_permission_gets_403(caller: Caller) -> None:
    body = {"agent_type": "chat_agent", "input": {"message": "Hello"}}

    assert caller.post("/api/agents/invoke", body, token="nonsense").status_code == 401
    assert caller.post("/api/agents/invoke", {**body, "user_id": str(uuid4())}).status_code == 403


def test_a_workflow_runs_in_the_background_or_while_the_caller_waits(caller: Caller) -> None:
    workflows = requests.get(
        f"{caller.base}/api/agents/workflows", headers={"Authorization": f"Bearer {caller.token}"}, timeout=SECONDS
    ).json()["items"]
    assert "support_triage" in {one["workflow_id"] for one in workflows}
    body = {
        "workflow_id": "support_triage",
        "inputs": {"message": "The checkout page throws an error."},
        "user_id": caller.sub,
    }
    with caller.by_query("workflows") as socket:
        queued = caller.post("/api/agents/workflows/execute", {**body, "async": True})
        assert queued.status_code == 200, queued.text
        assert queued.json()["status"] in ("queued", "running")
        run_id = queued.json()["workflow_run_id"]
        assert UUID(run_id)
        while (update := socket.wait(type="workflow_status_update")["data"])["status"] not in ("completed", "failed"):
            assert update["workflow_id"] == "support_triage"
        assert update["status"] == "completed"
    waited = caller.post("/api/agents/workflows/execute", {**body, "async": False}).json()
    assert waited["status"] == "completed"
    assert waited["outputs"]
    assert waited["error"] is None
