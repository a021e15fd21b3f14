"""Watching runs over HTTP, on the whole application: who may, with which token, and the run's events."""

import json
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.integration.http import CHAT, Api, is_error
from tests.servers.event_streams import EventStream
from tests.stack import Stack, stop_all

WORKFLOW = {"workflow_id": "lead_intake", "inputs": {"name": "Ada", "message": "A shop, soon."}}


@pytest.fixture(scope="module")
def web(stack: Stack) -> Iterator[Api]:
    started = [stack.start("agents"), stack.start("web", env={"VISITOR_SESSION_LIMIT": "off"})]
    yield Api(started[-1].url, None, stack.settings)
    stop_all(started)


def path(run_id: str) -> str:
    return f"/api/agents/runs/{run_id}/events"


def invoked(api: Api) -> str:
    run_id: str = api.invoke(CHAT).json()["request_id"]
    return run_id


def test_a_run_is_watched_to_its_end_with_a_token_in_the_header_or_the_query(web: Api) -> None:
    user = web.as_user()
    url = web.url + path(invoked(user))
    origin = {"Origin": "http://localhost:5173", "X-Request-ID": "trace-7"}
    with EventStream(url, token=user.token, **origin) as stream:
        events = stream.rest()
    with EventStream(f"{url}?token={user.token}") as late:
        [snapshot] = late.rest()
    with EventStream(url, token=user.token, last_event_id=snapshot.id) as over:
        assert over.status == 204

    assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert stream.headers["access-control-allow-origin"] == origin["Origin"]
    assert stream.headers["x-request-id"] == "trace-7"
    assert events[0].data["snapshot"] is True
    assert events[-1].state["status"] == "completed"
    assert events[-1].state["result"]["reply"]
    assert snapshot.id == events[-1].id
    assert snapshot.state["result"] == events[-1].state["result"]


def test_a_workflow_run_is_watched_step_by_step(web: Api) -> None:
    user = web.as_user()
    document = {**WORKFLOW, "async": True}
    accepted = user.request("POST", "/api/agents/workflows/execute", json=document)
    assert accepted.status_code == 200, accepted.text
    run_id = accepted.json()["workflow_run_id"]
    with EventStream(f"{web.url}/api/agents/workflows/runs/{run_id}/events", token=user.token) as stream:
        events = stream.rest()

    assert events[-1].state["status"] in ("completed", "failed"), events[-1]
    assert {event.data["topic"] for event in events} == {f"workflow_run:{run_id}"}
    # Each kind of run has its own address.
    is_error(user.get(path(run_id)), 404, "NOT_FOUND")
    is_error(user.get(f"/api/agents/workflows/runs/{invoked(user)}/events"), 404, "NOT_FOUND")


def test_only_callers_who_may_see_a_run_may_watch_it(web: Api) -> None:
    run_id = invoked(web.as_user())
    for stranger in (web.as_user(), web.as_user(scopes=["leads:read"]), web.as_user(admin=True, scopes=["leads:read"])):
        is_error(stranger.get(path(run_id)), 404, "NOT_FOUND")
    for unknown in (str(uuid4()), "nonsense"):
        is_error(web.as_service().get(path(unknown)), 404, "NOT_FOUND")
    for api in (web.as_user(admin=True), web.as_service()):
        with EventStream(web.url + path(run_id), token=api.token) as stream:
            assert stream.rest()[-1].state["status"] == "completed"
    is_error(web.as_user(scopes=[]).get(path(run_id)), 403, "FORBIDDEN")


def test_a_valid_token_is_required(web: Api) -> None:
    for target in (path(str(uuid4())), f"/api/agents/workflows/runs/{uuid4()}/events"):
        is_error(web.get(target), 401, "UNAUTHORIZED")
        is_error(web.get(f"{target}?token=nonsense"), 401, "UNAUTHORIZED")
        is_error(web.as_user(expires_in=-60).get(target), 401, "UNAUTHORIZED")
        is_error(web.as_user().get(f"{target}?tokn=x"), 400, "BAD_REQUEST")


def test_a_bad_last_event_id_is_named(web: Api) -> None:
    user = web.as_user()
    response = user.get(path(invoked(user)), headers={"Last-Event-ID": "seven"})

    assert is_error(response, 400, "BAD_REQUEST")["details"][0]["field"] == "Last-Event-ID"


def test_head_opens_no_stream(web: Api) -> None:
    user = web.as_user()
    response = user.request("HEAD", path(invoked(user)))

    assert (response.status_code, response.headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")


def test_a_visitor_watches_the_reply_to_its_own_message(web: Api) -> None:
    def visitor() -> Api:
        return web.with_token(web.request("POST", "/api/visitors/sessions").json()["token"])

    anybody, other = visitor(), visitor()
    conversation = anybody.request("POST", "/api/conversations", json={"title": "Hello"}).json()["conversation_id"]
    message = anybody.request("POST", f"/api/conversations/{conversation}/messages", json={"content": "Hello"})
    run_id = message.json()["request_id"]
    with EventStream(f"{web.url}{path(run_id)}?token={anybody.token}") as stream:
        events = stream.rest()

    assert events[0].data["snapshot"] is True
    assert events[-1].state["status"] == "completed", json.dumps(events[-1].data)
    assert events[-1].state["result"]["reply"]
    for stranger in (other, web.as_user()):
        is_error(stranger.get(path(run_id)), 404, "NOT_FOUND")
    is_error(anybody.get(path(invoked(web.as_user()))), 404, "NOT_FOUND")
    is_error(anybody.get(f"/api/agents/workflows/runs/{run_id}/events"), 401, "UNAUTHORIZED")
    with EventStream(web.url + path(run_id), token=web.as_service().token) as stream:
        assert stream.rest()[-1].state["status"] == "completed"
