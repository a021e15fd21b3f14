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
    started = [stack.start(role) for role in ("web", "agents")]
    yield Api(started[0].url, None, stack.settings)
    stop_all(started)


@pytest.fixture(scope="module")
def document(web: Api) -> dict[str, Any]:
    found: dict[str, Any] = web.get("/api/asyncapi.json").json()
    return found


def check(document: dict[str, Any], channel: str, frames: list[dict[str, Any]]) -> set[str]:
    """Hold each frame to the one message of its channel that it is. Returns the names of these messages."""
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
