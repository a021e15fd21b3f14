"""The spec's examples, as written, in a page of a real browser."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from playwright.sync_api import Browser, Page

from pixelbloom.auth.mint import mint_user
from tests import ROOT
from tests.browser.chromium import FOREIGN
from tests.integration.http import CHAT, Api
from tests.servers.ollama import OllamaServer
from tests.stack import Stack, StartedProcess, stop_all
from tests.waiting import until

#: spec/backend-api.md, "Connecting to notifications WebSocket".
SPEC_EXAMPLE = """
const ws = new WebSocket(`${API_WS}/api/ws/notifications?token=${jwt}`);
ws.onopen = () => ws.send(JSON.stringify({ type: 'subscribe', topic: `user:${userId}` }));
ws.onmessage = (ev) => console.log('event', JSON.parse(ev.data));
"""
#: spec/backend-api.md, "Server Event Schemas": the fields of each event's data.
SPEC_FIELDS = {
    "lead_created": {"lead_id", "user_id", "created_at"},
    "lead_analyzed": {"lead_id", "user_id", "analysis_id", "completed_at"},
    "message_created": {"conversation_id", "message_id", "user_id", "created_at"},
    "conversation_deleted": {"conversation_id", "user_id", "deleted_at"},
    "subscription_created": {"subscription_id", "user_id", "plan", "created_at"},
    "subscription_updated": {"subscription_id", "user_id", "plan", "updated_at"},
    "notification_created": {
        *("notification_id", "user_id", "notification_type", "severity", "title", "message", "created_at"),
        *("read", "metadata", "action_url"),  # contracts.md adds the last
    },
    "workflow_status_update": {
        *("workflow_run_id", "workflow_id", "user_id", "status", "step", "progress", "updated_at"),
    },
}
WAIT = 60_000


@pytest.fixture(scope="module")
def ollama() -> Iterator[OllamaServer]:
    """A slow model: a word every 60 ms."""
    with OllamaServer(delay=0.06) as server:
        yield server


@pytest.fixture(scope="module")
def server(stack: Stack, ollama: OllamaServer) -> Iterator[StartedProcess]:
    env = {"OLLAMA_HOST": ollama.url}
    started = [stack.start(role, env=env) for role in ("agents", "events", "beat", "web")]
    yield started[-1]
    stop_all(started)


@pytest.fixture
def user(server: StartedProcess, stack: Stack) -> Api:
    return Api(server.url, None, stack.settings).as_user()


def names(page: Page, api: Api, **more: str) -> None:
    """Define the names that the examples use."""
    values = {"API_WS": api.url.replace("http", "ws"), "jwt": api.token, "userId": str(api.user_id), **more}
    page.evaluate("values => Object.assign(window, values)", values)


def store_frames(page: Page, api: Api, *channels: str) -> None:
    """Open sockets, and store their frames in the page."""
    names(page, api)
    page.evaluate(
        """async channels => {
          window.frames_ = [];
          await Promise.all(channels.map(channel => new Promise((open, fail) => {
            const ws = new WebSocket(`${API_WS}/api/ws/${channel}?token=${jwt}`);
            ws.onmessage = ({ data }) => frames_.push(JSON.parse(data));
            ws.onopen = open;
            ws.onerror = fail;
          })));
        }""",
        list(channels),
    )


def frames_where(page: Page, condition: str) -> list[dict[str, Any]]:
    """Return the frames, once one matches the condition."""
    page.wait_for_function(f"frames_.some(frame => {condition})", timeout=WAIT)
    frames: list[dict[str, Any]] = page.evaluate("frames_")
    return frames


def test_the_example_of_the_spec_gets_the_users_notifications(page: Page, user: Api, db: psycopg.Connection) -> None:
    names(page, user)
    logged: list[dict[str, Any]] = []
    page.on("console", lambda said: logged.append(said.args[1].json_value()) if said.text.startswith("event") else None)
    page.evaluate(f"() => {{ {SPEC_EXAMPLE}; window.ws = ws; }}")
    until(lambda: len(logged) >= 2, saw=lambda: logged, sleep=lambda seconds: page.wait_for_timeout(seconds * 1000))
    db.execute(
        "insert into notifications (user_id, notification_type, severity, title, message, action_url)"
        " values (%s, 'news', 'success', 'Hello', 'You there', '/news')",
        [user.user_id],
    )
    until(lambda: len(logged) >= 3, saw=lambda: logged, sleep=lambda seconds: page.wait_for_timeout(seconds * 1000))

    subscribed, snapshot, event = logged
    assert subscribed["type"] == "subscribed"
    assert snapshot["data"] == {"items": [], "unread_count": 0}
    assert {"type", "channel", "topic", "data", "ts"} <= set(event)
    assert (event["type"], event["channel"], event["topic"]) == ("event", "notifications", f"user:{user.user_id}")
    shown = {name: event["data"][name] for name in ("severity", "title", "message", "action_url")}
    assert shown == {"severity": "success", "title": "Hello", "message": "You there", "action_url": "/news"}
    assert UUID(event["data"]["id"])


def test_every_event_of_the_spec_arrives_with_its_fields(page: Page, user: Api, db: psycopg.Connection) -> None:
    store_frames(page, user, "analytics", "notifications", "workflows")
    lead = str(uuid4())
    values = {"user": user.user_id, "id": lead}
    for statement in (
        "insert into leads (id, user_id, name) values (%(id)s, %(user)s, 'Ada')",
        "update leads set analysis_id = %(id)s, analyzed_at = now() where id = %(id)s",
        "insert into conversations (id, user_id) values (%(id)s, %(user)s)",
        "insert into messages (conversation_id, user_id, role, content) values (%(id)s, %(user)s, 'user', 'Hello')",
        "update conversations set deleted_at = now() where id = %(id)s",
        "insert into user_subscriptions (id, user_id, status, final_price) values (%(id)s, %(user)s, 'active', 49)",
        "update user_subscriptions set status = 'cancelled' where id = %(id)s",
        "insert into notifications (user_id, notification_type, title, message) values (%(user)s, 'n', 't', 'm')",
    ):
        db.execute(statement, values)
    user.invoke(CHAT, Prefer="wait=60")
    for kind in SPEC_FIELDS:
        frames_where(page, f"frame.type === '{kind}'")
    updates = frames_where(page, "frame.type === 'workflow_status_update' && frame.data.status === 'completed'")

    fields = {frame["type"]: set(frame["data"]) for frame in updates}
    assert fields == {kind: names | {"id"} for kind, names in SPEC_FIELDS.items()}
    assert {frame["data"]["user_id"] for frame in updates} == {str(user.user_id)}


def test_topic_events_reach_a_page_in_the_envelope_of_the_spec(page: Page, user: Api, db: psycopg.Connection) -> None:
    store_frames(page, user, "analytics")
    page.evaluate(
        """() => new Promise(open => {
          const ws = new WebSocket(`${API_WS}/api/ws/analytics?token=${jwt}`);
          ws.onmessage = ({ data }) => frames_.push(JSON.parse(data));
          ws.onopen = () => {
            ws.send(JSON.stringify({
              type: "subscribe", topic: "lead_trends",
              params: { start_date: "2026-01-01", end_date: "2026-01-07", aggregation: "daily" },
            }));
            ws.send(JSON.stringify({ type: "heartbeat", timestamp: "2023-06-15T12:34:56Z" }));
            ws.send(JSON.stringify({ type: "ping" }));
            ws.send(JSON.stringify({ type: "subscribe", topic: "user:abc" }));
            open();
          };
        })"""
    )
    db.execute(
        "insert into leads (user_id, name, created_at) values (%s, 'Ada', '2026-01-03T12:00:00Z')", [user.user_id]
    )
    frames = frames_where(page, "frame.type === 'event' && !frame.snapshot")

    envelope = next(frame for frame in frames if frame["type"] == "event" and not frame.get("snapshot"))
    assert (envelope["channel"], envelope["topic"]) == ("analytics", "lead_trends")
    assert [point["value"] for point in envelope["data"]] == [0, 0, 1, 0, 0, 0, 0]
    assert envelope["data"][0] == {"date": "2026-01-01", "value": 0}
    assert {"type": "pong"} in frames
    assert [frame["code"] for frame in frames if frame["type"] == "error"] == ["INVALID_TOPIC"]


CLOSES = """
([url, protocols]) => new Promise(closed => {
  const ws = new WebSocket(url, protocols);
  let opened = false;
  ws.onopen = () => { opened = true; if (protocols.length) closed([opened, 0, ws.protocol]); };
  ws.onclose = ({ code }) => closed([opened, code, ""]);
})
"""


@pytest.mark.parametrize("channel", ["analytics", "notifications", "workflows"])
def test_a_page_sees_the_close_code_of_a_refused_token(page: Page, user: Api, channel: str) -> None:
    url = f"{user.url.replace('http', 'ws')}/api/ws/{channel}?token="

    assert page.evaluate(CLOSES, [url + "nonsense", []]) == [True, 1008, ""]
    assert page.evaluate(CLOSES, [url, []]) == [True, 1008, ""]


def test_a_token_as_a_subprotocol_is_not_repeated_to_the_page(page: Page, user: Api) -> None:
    url = f"{user.url.replace('http', 'ws')}/api/ws/workflows"

    assert page.evaluate(CLOSES, [url, ["pixelbloom", user.token]]) == [True, 0, "pixelbloom"]


def test_a_page_of_a_foreign_origin_is_refused(browser: Browser, pages: int, user: Api) -> None:
    page = browser.new_page()
    page.goto(f"http://{FOREIGN}:{pages}/")
    url = f"{user.url.replace('http', 'ws')}/api/ws/workflows?token={user.token}"

    assert page.evaluate(CLOSES, [url, []]) == [False, 1006, ""]
    page.close()


def documented() -> str:
    """The client that docs/realtime.md shows."""
    text = (Path(ROOT) / "docs" / "realtime.md").read_text()
    found = re.search(r"```js\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_documented_client_gets_every_event_over_a_restart_of_the_server(
    page: Page, user: Api, server: StartedProcess
) -> None:
    run_id = user.invoke({"agent_type": "chat_agent", "input": {"message": "How much is a website?"}}).json()[
        "request_id"
    ]
    names(page, user, topic=f"workflow_run:{run_id}")
    page.evaluate(
        documented()
        + """
        () => {
          window.story = { text: "", seqs: [], snapshots: 0, end: null };
          watch(`${API_WS}/api/ws/workflows`, topic, () => jwt, ({ data, seq, snapshot }) => {
            if (snapshot) { story.text = data.text ?? ""; story.snapshots++; story.seqs = []; }
            if (data.reset) story.text = "";
            story.text += data.delta ?? "";
            story.seqs.push(seq);
            if (data.status === "completed") story.end = data;
          });
        }""".replace("() => {", "(() => {", 1)
        + ")()"
    )
    page.wait_for_function("story.text.length > 20", timeout=WAIT)
    os.kill(server.pid, signal.SIGHUP)  # gunicorn starts a new worker and closes the old one's sockets with 1012
    page.wait_for_function("story.end", timeout=WAIT)
    story = page.evaluate("story")

    assert story["snapshots"] == 1
    assert story["seqs"] == list(range(story["seqs"][0], story["seqs"][0] + len(story["seqs"])))
    assert story["text"].strip() == story["end"]["result"]["reply"].strip()


def test_the_documented_event_source_resumes_over_a_restart_and_stops_at_the_end(
    page: Page, user: Api, server: StartedProcess
) -> None:
    text = (Path(ROOT) / "docs" / "realtime.md").read_text()
    example = next(block for block in re.findall(r"```js\n(.*?)```", text, re.DOTALL) if "EventSource" in block)
    run_id = user.invoke({"agent_type": "chat_agent", "input": {"message": "How much is a website?"}}).json()[
        "request_id"
    ]
    names(page, user, address=f"{user.url}/api/agents/runs/{run_id}/events")
    page.evaluate(
        "() => {"
        + example
        + """
          window.story = { text: "", seqs: [], snapshots: 0, end: null };
          window.source = follow(address, jwt, ({ data, seq, snapshot }) => {
            if (snapshot) { story.text = data.text ?? ""; story.snapshots++; story.seqs = []; }
            if (data.reset) story.text = "";
            story.text += data.delta ?? "";
            story.seqs.push(seq);
            if (data.status === "completed") story.end = data;
          });
        }"""
    )
    page.wait_for_function("story.text.length > 20", timeout=WAIT)
    os.kill(server.pid, signal.SIGHUP)
    page.wait_for_function("story.end", timeout=WAIT)
    page.wait_for_function("source.readyState === EventSource.CLOSED", timeout=WAIT)
    story = page.evaluate("story")

    assert story["snapshots"] == 1
    assert story["seqs"] == list(range(story["seqs"][0], story["seqs"][0] + len(story["seqs"])))
    assert story["text"].strip() == story["end"]["result"]["reply"].strip()


def test_an_expired_token_closes_the_socket_with_its_code(page: Page, user: Api, stack: Stack) -> None:
    token = mint_user(stack.settings, uuid4(), expires_in=6)
    url = f"{user.url.replace('http', 'ws')}/api/ws/notifications?token={token}"

    assert page.evaluate(CLOSES, [url, []]) == [True, 1008, ""]
