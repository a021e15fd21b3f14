"""A user's notifications: read, marked, removed, created by events, and sent by administrators."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.integration.http import CHAT, Api, is_error
from tests.integration.web.notifications.calls import PATH, listed, notified
from tests.rows import one
from tests.stack import Stack, stop_all


@pytest.fixture(scope="module")
def web(stack: Stack) -> Iterator[Api]:
    started = [stack.start(role) for role in ("agents", "maintenance", "beat", "web")]
    yield Api(started[-1].url, None, stack.settings)
    stop_all(started)


@pytest.fixture
def user(web: Api) -> Api:
    return web.as_user()


def test_pages_show_own_unexpired_notifications_newest_first(user: Api, web: Api, db) -> None:
    ids = [str(notified(db, user, f"n{n}")) for n in range(7)]
    notified(db, web.as_user())
    db.execute(
        "insert into notifications (user_id, notification_type, title, message, expires_at)"
        " values (%s, 'news', 'old', 'x', now() - interval '1 second')",
        [user.user_id],
    )
    seen, cursor = [], None
    while True:
        page = listed(user, limit=3, **({"cursor": cursor} if cursor else {}))
        assert page["unread_count"] == 7
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == ids[::-1]
    assert set(listed(user, limit=1)["items"][0]) == {
        *("id", "notification_id", "user_id", "notification_type", "severity", "title", "message", "action_url"),
        *("created_at", "read", "metadata"),
    }


def test_a_list_is_filtered_by_unread_and_type(user: Api, db) -> None:
    read = notified(db, user, read=True)
    bill = notified(db, user, notification_type="bill")

    assert [item["id"] for item in listed(user, unread_only="true")["items"]] == [str(bill)]
    assert [item["id"] for item in listed(user, notification_type="news")["items"]] == [str(read)]
    assert listed(user, notification_type="none")["items"] == []


def test_only_own_notifications_can_be_read_marked_and_removed(user: Api, web: Api, db) -> None:
    other = web.as_user()
    mine, others = notified(db, user), notified(db, other)

    assert user.get(f"{PATH}/{mine}").json()["title"] == "Hello"
    is_error(user.get(f"{PATH}/{others}"), 404, "NOT_FOUND")
    is_error(user.get(f"{PATH}/x"), 404, "NOT_FOUND")
    marked = user.request("POST", f"{PATH}/mark-read", json={"notification_ids": [str(mine), str(others)]})
    assert marked.json() == {"marked": 1, "unread_count": 0}
    assert user.get(f"{PATH}/{mine}").json()["read"] is True
    assert other.get(f"{PATH}/unread-count").json() == {"unread_count": 1}
    is_error(user.request("DELETE", f"{PATH}/{others}"), 404, "NOT_FOUND")
    assert user.request("DELETE", f"{PATH}/{mine}").status_code == 204
    is_error(user.request("DELETE", f"{PATH}/{mine}"), 404, "NOT_FOUND")
    assert one(db, "select count(*) from notifications where id = %s", others) == 1


def test_all_may_be_marked_at_once(user: Api, web: Api, db) -> None:
    other = web.as_user()
    for owner in (user, user, other):
        notified(db, owner)

    assert user.request("POST", f"{PATH}/mark-all-read").json() == {"marked": 2, "unread_count": 0}
    assert user.request("POST", f"{PATH}/mark-all-read").json() == {"marked": 0, "unread_count": 0}
    assert other.get(f"{PATH}/unread-count").json() == {"unread_count": 1}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "201"}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"unread_only": "perhaps"}, "unread_only"),
        ({"notification_type": ""}, "notification_type"),
        ({"notification_type": "a\x00b"}, "notification_type"),
    ],
    ids=str,
)
def test_an_invalid_query_parameter_is_named(user: Api, query: dict[str, str], field: str) -> None:
    body = is_error(user.get(PATH, params=query), 400, "BAD_REQUEST")

    assert body["details"][0]["field"] == field


@pytest.mark.parametrize(
    "ids", [[], ["x"], "all", None, ["812ee4be-d17d-4004-9d1e-cdceb3401e9d"] * 1001, [1]], ids=lambda ids: str(ids)[:20]
)
def test_invalid_ids_are_refused(user: Api, ids: Any) -> None:
    is_error(user.request("POST", f"{PATH}/mark-read", json={"notification_ids": ids}), 400, "BAD_REQUEST")


def test_administrators_count_and_remove_any_notification_and_mark_only_their_own(user: Api, web: Api, db) -> None:
    admin, service = web.as_user(admin=True), web.as_service()
    mine, hers = notified(db, user), notified(db, user)

    for caller in (admin, service):
        counted = caller.get(f"{PATH}/unread-count", params={"user_id": str(user.user_id)})
        assert counted.json() == {"unread_count": 2}
        assert listed(caller, user_id=user.user_id)["unread_count"] == 2
        assert listed(caller)["unread_count"] is None
    is_error(web.as_user().get(f"{PATH}/unread-count", params={"user_id": str(user.user_id)}), 403, "FORBIDDEN")
    assert admin.get(f"{PATH}/unread-count").json() == {"unread_count": 0}
    assert admin.request("POST", f"{PATH}/mark-all-read").json()["marked"] == 0
    marked = admin.request("POST", f"{PATH}/mark-read", json={"notification_ids": [str(mine), str(hers)]})
    assert marked.json()["marked"] == 0
    for caller, row in ((admin, mine), (service, hers)):
        assert caller.request("DELETE", f"{PATH}/{row}").status_code == 204
    assert listed(user)["items"] == []


def test_a_caller_without_permission_is_refused(web: Api) -> None:
    is_error(web.get(PATH), 401, "UNAUTHORIZED")
    is_error(web.as_user(scopes=["analytics:read"]).get(PATH), 403, "FORBIDDEN")
    is_error(web.as_service().get(f"{PATH}/unread-count"), 403, "FORBIDDEN")
    is_error(web.as_service().request("POST", f"{PATH}/mark-all-read"), 403, "FORBIDDEN")
    assert web.as_user(scopes=["notifications:read"]).get(PATH).status_code == 200


def test_the_end_of_a_run_notifies_its_user_once_unless_it_is_a_chat(user: Api, web: Api, db, stack: Stack) -> None:
    lead = {"agent_type": "lead_agent", "input": {"name": "Ada", "message": "A website"}}
    run = user.invoke(lead, Prefer="wait=60").json()
    user.invoke(CHAT, Prefer="wait=60")
    user.invoke({**lead, "metadata": {"notify": False}}, Prefer="wait=60")
    web.as_service().invoke(lead, Prefer="wait=60")

    notified_items = listed(user)["items"]
    assert [(item["notification_type"], item["severity"], item["title"]) for item in notified_items] == [
        ("run_completed", "success", "Lead agent is done")
    ]
    assert notified_items[0]["metadata"]["run_id"] == run["request_id"]
    assert notified_items[0]["action_url"] == f"/runs/{run['request_id']}"


def test_a_failed_or_cancelled_run_has_its_own_notification_type(user: Api, db) -> None:
    ids = [uuid4(), uuid4()]
    for run_id in ids:
        db.execute(
            "insert into runs (id, kind, agent_type, user_id, caller, user_queue, input, status, started_at)"
            " values (%s, 'agent', 'content_agent', %s, 'x', 'x', '{}', 'running', now())",
            [run_id, user.user_id],
        )
    db.execute("update runs set status = 'failed', error = 'No.', finished_at = now() where id = %s", [ids[0]])
    db.execute("update runs set status = 'cancelled', finished_at = now() where id = %s", [ids[1]])

    notified_items = {item["notification_type"]: item for item in listed(user)["items"]}
    assert (notified_items["run_failed"]["severity"], notified_items["run_failed"]["message"]) == ("error", "No.")
    assert (notified_items["run_cancelled"]["severity"], notified_items["run_cancelled"]["title"]) == (
        "info",
        "Content agent was cancelled",
    )
    db.execute("delete from runs where id = any(%s)", [ids])


def test_a_waiting_approval_notifies_its_user(user: Api, stack: Stack) -> None:
    definition = {
        "workflow_id": f"ask_{uuid4().hex[:8]}",
        "steps": [{"key": "ask", "kind": "approval", "message": "'Shall we?'"}],
    }
    created = user.as_service().request("POST", "/api/agents/workflows", json=definition)
    assert created.status_code == 201, created.text
    body = {"workflow_id": definition["workflow_id"], "inputs": {}, "async": True}
    response = user.request("POST", "/api/agents/workflows/execute", json=body)
    assert response.status_code == 200, response.text
    stack.wait_for(lambda: listed(user)["items"])

    notified_items = listed(user)["items"][0]
    assert notified_items["notification_type"] == "approval_waiting"
    assert (notified_items["message"], notified_items["action_url"]) == ("Shall we?", "/approvals")
    run_id = response.json()["workflow_run_id"]
    [step] = user.get(f"/api/agents/workflows/runs/{run_id}").json()["steps"]
    assert notified_items["metadata"] == {
        "run_id": run_id,
        "step": "ask",
        "message": "Shall we?",
        "deadline_at": step["deadline_at"],
    }


def test_a_lead_that_becomes_hot_notifies_its_user(user: Api, db) -> None:
    lead = one(db, "insert into leads (user_id, name) values (%s, 'Ada') returning id", user.user_id)
    for score in (69, 70, 90, 10, 85):
        db.execute("update leads set score = %s where id = %s", [score, lead])

    notified_items = listed(user)["items"]
    assert [item["message"] for item in notified_items] == ["It scored 85 of 100.", "It scored 70 of 100."]
    assert {item["notification_type"] for item in notified_items} == {"lead_qualified"}


def test_administrators_notify_one_some_and_all(web: Api, db, stack: Stack) -> None:
    first, second, third = (web.as_user() for _ in range(3))
    for one_of_them in (first, second, third):
        db.execute("insert into user_profiles (user_id, role) values (%s, 'user')", [one_of_them.user_id])
    admin = web.as_user(admin=True)
    notified_items = {
        "notification_type": "news",
        "title": "T",
        "message": "m",
        "severity": "warning",
        "action_url": "/x",
    }

    def send(api: Api, **whom: Any) -> str:
        response = api.request("POST", PATH, json={**notified_items, **whom})
        assert response.status_code == 201, response.text
        return str(response.json()["broadcast_id"])

    sent = [
        send(admin, user_id=str(first.user_id)),
        send(web.as_service(), user_ids=[str(first.user_id), str(second.user_id)]),
        send(admin, all_users=True),
    ]
    for broadcast_id in sent:
        stack.wait_for(lambda which=broadcast_id: admin.get(f"{PATH}/broadcasts/{which}").json()["status"] == "sent")

    assert [len(listed(one_of_them)["items"]) for one_of_them in (first, second, third)] == [3, 2, 1]
    assert listed(third)["items"][0]["severity"] == "warning"
    for broadcast_id in sent:  # sent again, as after a worker that died before recording it
        db.execute("update broadcasts set status = 'sending', sent_up_to = null where id = %s", [broadcast_id])
        one(db, "select send_broadcast(%s, 1)", broadcast_id)
        stack.wait_for(lambda which=broadcast_id: admin.get(f"{PATH}/broadcasts/{which}").json()["status"] == "sent")
    assert [len(listed(one_of_them)["items"]) for one_of_them in (first, second, third)] == [3, 2, 1]
    is_error(first.request("POST", PATH, json={**notified_items, "all_users": True}), 403, "FORBIDDEN")
    is_error(first.get(f"{PATH}/broadcasts/{sent[0]}"), 403, "FORBIDDEN")
    is_error(admin.get(f"{PATH}/broadcasts/{uuid4()}"), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"all_users": False},
        {"all_users": True, "user_id": str(uuid4())},
        {"user_ids": []},
        {"user_id": "x"},
        {"all_users": True, "severity": "loud"},
        {"all_users": True, "title": ""},
        {"all_users": True, "action_url": "javascript:alert(1)"},
        {"all_users": True, "more": 1},
        {"all_users": "yes"},
        {"user_ids": None, "all_users": None},
    ],
    ids=lambda changes: str(sorted(changes)),
)
def test_an_invalid_notification_is_refused(web: Api, changes: dict[str, Any]) -> None:
    body = {"notification_type": "news", "title": "T", "message": "m", **changes}

    is_error(web.as_service().request("POST", PATH, json=body), 400, "BAD_REQUEST")


def test_expired_and_long_read_ones_are_removed_in_bounded_batches(user: Api, db) -> None:
    for _ in range(3):
        notified(db, user, read=True)
    notified(db, user)
    db.execute("set session_replication_role = replica")
    db.execute(
        "update notifications set read_at = now() - interval '91 days' where user_id = %s and read", [user.user_id]
    )
    db.execute("set session_replication_role = default")
    gone = [one(db, "select purge_notifications(now() - interval '90 days', 2)") for _ in range(3)]

    assert gone[:2] == [2, 1] or sum(gone) >= 3
    assert one(db, "select count(*) from notifications where user_id = %s", user.user_id) == 1
