"""What real sockets send fits the AsyncAPI document."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from pixelbloom.auth.mint import mint_user
from tests.integration.http import Api
from tests.servers.web import Client, dial
from tests.stack import Stack, stop_all


@pytest.fixture(scope="module")
def web(stack: Stack) -> Iterator[Api]:
    started = [stack.start(role) for role in ("web", "agents", "events", "maintenance", "beat")]
    yield Api(started[0].url, None, stack.settings)
    stop_all(started)


@pytest.fixture(scope="module")
def document(web: Api) -> dict[str, Any]:
    found: dict[str, Any] = web.get("/api/asyncapi.json").json()
    return found


def check(document: dict[str, Any], channel: str, frames: list[dict[str, Any]]) -> set[str]:
    """Match each frame with exactly one message of its channel. Returns the names of these messages."""
    seen: set[str] = set()
    for frame in frames:
        fits = []
        for reference in document["operations"][f"send{channel.capitalize()}"]["messages"]:
            name = reference["$ref"].rpartition("/")[2]
            if document["components"]["messages"][name]["name"] == frame["type"]:
                schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
                if jsonschema_rs.Draft202012Validator(schema).is_valid(frame):
                    fits.append(name)
        assert len(fits) == 1, (fits, frame)
        seen |= set(fits)
    return seen


def test_frames_of_the_workflows_channel_fit(web: Api, document: dict[str, Any]) -> None:
    user = web.as_user()
    address = f"{web.url.replace('http', 'ws')}/api/ws/workflows?token={user.token}"
    with Client(dial(address)) as watching, Client(dial(address)) as flat:
        run = user.invoke().json()["request_id"]
        topic = f"workflow_run:{run}"
        watching.send(type="subscribe", topic=topic)
        frames = watching.until(type="event", status="completed")
        watching.send(type="ping")
        watching.send(type="subscribe", topic="nothing")
        watching.send(type="auth", token=mint_user(web.settings, user.user_id))
        watching.send(type="unsubscribe", topic=topic)
        frames += watching.until(type="unsubscribed")
        frames += flat.until(type="workflow_status_update", status="completed")

    assert check(document, "workflows", frames) == {
        *("Subscribed", "RunEvent", "Pong", "Error", "Authenticated", "Unsubscribed", "WorkflowStatusUpdate"),
    }


def test_frames_of_the_notifications_channel_fit(web: Api, document: dict[str, Any]) -> None:
    user = web.as_user()
    address = f"{web.url.replace('http', 'ws')}/api/ws/notifications?token={user.token}"
    with Client(dial(address)) as watching, Client(dial(address)) as flat:
        watching.send(type="subscribe", topic=f"user:{user.user_id}")
        frames = [*watching.until(type="subscribed"), watching.next()]
        news = {"notification_type": "news", "title": "T", "message": "m", "user_id": str(user.user_id)}
        assert web.as_service().request("POST", "/api/notifications", json=news).status_code == 201
        frames += [watching.next(), *flat.until(type="notification_created")]

    assert check(document, "notifications", frames) == {"Subscribed", "NotificationEvent", "NotificationCreated"}


def test_frames_of_the_analytics_channel_fit(web: Api, document: dict[str, Any]) -> None:
    user = web.as_user()
    address = f"{web.url.replace('http', 'ws')}/api/ws/analytics?token={user.token}"
    frames: list[dict[str, Any]] = []
    with Client(dial(address)) as client:
        for topic in ("lead_trends", "conversation_trends", "kpis"):
            client.send(type="subscribe", topic=topic)
            frames += [*client.until(type="subscribed", topic=topic), client.next()]
        assert user.request("POST", "/api/leads", json={"name": "Ada"}).status_code == 201
        frames += client.until(type="lead_created")
        frames += client.until(type="event", topic="kpis")

    assert check(document, "analytics", frames) == {"Subscribed", "TrendEvent", "KpisEvent", "LeadCreated"}
