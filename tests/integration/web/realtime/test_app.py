"""The sockets of the whole application: a run submitted over HTTP, run by a worker, watched live."""

import json
from uuid import uuid4

import httpx

from pixelbloom.auth.mint import mint_user
from tests.servers.web import SECONDS, Client, dial
from tests.stack import Stack


def test_a_run_submitted_over_http_is_watched_to_its_end(running: Stack) -> None:
    web, user = running.start("web"), uuid4()
    token = mint_user(running.settings, user)
    socket = web.url.replace("http", "ws") + f"/api/ws/workflows?token={token}"
    with Client(dial(socket)) as flat, Client(dial(socket)) as watching:
        response = httpx.post(
            f"{web.url}/api/agents/invoke",
            headers={"Authorization": f"Bearer {token}"},
            json={"agent_type": "lead_agent", "input": {"name": "Ada", "budget": 5000, "message": "A shop, soon."}},
            timeout=SECONDS,
        )
        run_id = response.json()["request_id"]
        topic = f"workflow_run:{run_id}"
        watching.send(type="subscribe", topic=topic)
        watching.until(type="subscribed")
        story = [watching.next()]
        running.start("agents")
        story += watching.until(status="completed", type="event")
        received = flat.until(type="workflow_status_update", status="completed")

    assert story[0]["snapshot"] is True
    assert story[0]["data"]["status"] == "queued"
    assert [event["seq"] for event in story] == list(range(story[0]["seq"], story[0]["seq"] + len(story)))
    assert story[-1]["data"]["progress"] == 1
    assert story[-1]["data"]["result"]
    assert [event["data"]["status"] for event in received] == ["queued", "running", "completed"], json.dumps(received)
    assert {event["data"]["workflow_run_id"] for event in received} == {run_id}
    assert {event["data"]["user_id"] for event in received} == {str(user)}
