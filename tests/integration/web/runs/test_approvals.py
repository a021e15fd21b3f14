"""`GET /api/agents/approvals`: the steps that wait for a decision of the caller."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from websockets.sync.client import connect

from tests.integration.http import Api, is_error
from tests.integration.web.contract import check_shape
from tests.servers.web import SECONDS, Client
from tests.stack import Stack, stop_all
from tests.waiting import until

PATH = "/api/agents/approvals"


@pytest.fixture(scope="module")
def web(stack: Stack) -> Iterator[Api]:
    started = [stack.start(role) for role in ("agents", "web")]
    yield Api(started[-1].url, None, stack.settings)
    stop_all(started)


@pytest.fixture(scope="module")
def workflow_id(web: Api) -> str:
    """Two steps that the owner decides, one after the other, and beside them one that an administrator decides."""
    name = f"ask_{uuid4().hex[:8]}"
    steps = [
        {"key": "first", "kind": "approval", "message": "'Send it?'"},
        {"key": "second", "kind": "approval", "message": "'Really?'", "needs": ["first"]},
        {"key": "chief", "kind": "approval", "message": "'Pay it?'", "approvers": "admin", "timeout": 3600},
    ]
    body = {"workflow_id": name, "steps": steps}
    assert web.as_service().request("POST", "/api/agents/workflows", json=body).status_code == 201
    return name


def listed(api: Api, **query: Any) -> list[dict[str, Any]]:
    response = api.get(PATH, params=query)
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


def begin(api: Api, workflow_id: str, waiting: int = 2) -> str:
    body = {"workflow_id": workflow_id, "inputs": {}, "async": True}
    response = api.request("POST", "/api/agents/workflows/execute", json=body)
    assert response.status_code == 200, response.text
    run_id: str = response.json()["workflow_run_id"]

    def asked() -> bool:
        steps = api.get(f"/api/agents/workflows/runs/{run_id}").json()["steps"]
        return [step["status"] for step in steps].count("waiting") == waiting

    until(asked)
    return run_id


def decide(api: Api, item: dict[str, Any], verb: str = "approve") -> None:
    path = f"/api/agents/workflows/runs/{item['workflow_run_id']}/steps/{item['key']}/{verb}"
    assert api.request("POST", path, json={}).status_code == 200


def test_a_user_lists_own_waiting_steps_until_they_are_decided(web: Api, workflow_id: str) -> None:
    user = web.as_user()
    assert listed(user) == []
    run_id = begin(user, workflow_id)

    [first] = listed(user)
    step = user.get(f"/api/agents/workflows/runs/{run_id}").json()["steps"][0]
    assert first == {
        "id": first["id"],
        "workflow_run_id": run_id,
        "workflow_id": workflow_id,
        "workflow_version": 1,
        "user_id": str(user.user_id),
        "key": "first",
        "message": "Send it?",
        "approvers": "owner",
        "requested_at": first["requested_at"],
        "deadline_at": step["deadline_at"],
    }
    assert UUID(first["id"])
    assert first["requested_at"] < first["deadline_at"]

    decide(user, first)
    second = until(lambda: [item for item in listed(user) if item["key"] == "second"])[0]
    decide(user, second, "reject")
    assert listed(user) == []


def test_administrators_and_services_list_all_that_they_may_decide(web: Api, workflow_id: str) -> None:
    user, other, admin = web.as_user(), web.as_user(), web.as_user(admin=True)
    run_id, other_run_id = begin(user, workflow_id), begin(other, workflow_id)
    nobodys_run_id = begin(web.as_service(), workflow_id)

    for caller in (admin, web.as_service()):
        found = {(item["workflow_run_id"], item["key"]) for item in listed(caller, limit=200)}
        expected = {(each, key) for each in (run_id, other_run_id, nobodys_run_id) for key in ("first", "chief")}
        assert expected <= found
        assert {item["workflow_run_id"] for item in listed(caller, user_id=user.user_id)} == {run_id}
    # The step with the earlier deadline comes first, whenever it was asked for.
    assert [item["key"] for item in listed(admin, user_id=user.user_id)] == ["chief", "first"]

    is_error(user.get(PATH, params={"user_id": str(other.user_id)}), 403, "FORBIDDEN")
    assert listed(web.as_user()) == []
    narrow = web.as_user(user.user_id, admin=True, scopes=["analytics:read"])
    assert [item["key"] for item in listed(narrow)] == ["first"]
    for each in (run_id, other_run_id, nobodys_run_id):
        web.as_service().request("POST", f"/api/agents/workflows/runs/{each}/cancel")
    assert listed(admin, user_id=user.user_id) == []


def test_run_events_have_ordered_steps_and_the_message_of_the_waiting_one(web: Api, workflow_id: str) -> None:
    user = web.as_user()
    assert user.token is not None
    run_id = begin(user, workflow_id)
    socket_url = f"{web.url.replace('http', 'ws', 1)}/api/ws/workflows?token={user.token}"
    with Client(connect(socket_url, open_timeout=SECONDS)) as client, Client(connect(socket_url)) as flat:
        client.send(type="subscribe", topic=f"workflow_run:{run_id}")
        snapshot = client.until(type="event")[-1]["data"]
        steps = {step["key"]: step for step in snapshot["steps"]}
        assert list(steps) == ["first", "second", "chief"]
        assert steps["second"] == {"key": "second", "status": "pending"}
        shown = user.get(f"/api/agents/workflows/runs/{run_id}").json()["steps"]
        for key, index in (("first", 0), ("chief", 2)):
            asked = {name: shown[index][name] for name in ("message", "approvers", "deadline_at")}
            assert steps[key] == {"key": key, "status": "waiting", **asked}
        assert snapshot["message"] == steps[snapshot["step"]]["message"]

        decide(user, listed(user)[0])
        update = flat.until(type="workflow_status_update", message="Really?")[-1]["data"]
        assert (update["id"], update["step"], update["message"]) == (run_id, "second", "Really?")
        web.as_service().request("POST", f"/api/agents/workflows/runs/{run_id}/cancel")
        last = client.until(status="cancelled")
    for frame in [snapshot, update, *(frame["data"] for frame in last if frame["type"] == "event")]:
        check_shape(frame, "event")
        assert frame["id"] == run_id


def test_pages_show_each_step_once(web: Api, workflow_id: str, db: psycopg.Connection) -> None:
    user, admin = web.as_user(), web.as_user(admin=True)
    run_ids = [begin(user, workflow_id) for _ in range(3)]
    # Equal deadlines are ordered by the id.
    db.execute(
        "update run_steps set deadline_at = '2090-01-01' where run_id = any(%s) and status = 'waiting'", [run_ids]
    )
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"limit": 2, "user_id": str(user.user_id), **({"cursor": cursor} if cursor else {})}
        body = admin.get(PATH, params=query).json()
        seen += [item["id"] for item in body["items"]]
        cursor = body["next_cursor"]
        if cursor is None:
            break

    assert len(seen) == 6
    assert seen == sorted(set(seen))
    assert seen == [item["id"] for item in listed(admin, user_id=user.user_id)]
    for run_id in run_ids:
        user.request("POST", f"/api/agents/workflows/runs/{run_id}/cancel")


@pytest.mark.parametrize("user_id", ["null", "'00000000-0000-0000-0000-000000000001'"])
def test_the_list_reads_an_index(db: psycopg.Connection, user_id: str) -> None:
    """The plan of the function's own text, with its parameters in place."""
    row = db.execute("select prosrc from pg_proc where proname = 'list_approvals'").fetchone()
    assert row is not None
    text = row[0]
    for name, value in {
        "p_user_id": f"{user_id}::uuid",
        "p_admin": "true",
        "p_limit": "50",
        "p_after_id": "null::uuid",
        "p_after": "null::timestamptz",
    }.items():
        text = text.replace(name, value)
    with db.transaction(force_rollback=True):
        db.execute("set local enable_seqscan = off")
        plan = "\n".join(line for (line,) in db.execute(f"explain {text}").fetchall())
    # Both indexes hold waiting steps alone; the list of everybody may read either.
    indexes = {"run_steps_waiting"} if user_id != "null" else {"run_steps_waiting", "run_steps_deadlines"}
    assert any(index in plan for index in indexes), plan
    assert "Seq Scan on run_steps" not in plan
