"""`?count=exact`: lists say how many there are, under the same filters, to those who see them."""

from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.integration.http import Api, is_error
from tests.stack import Stack

LISTS = {
    "/api/leads": ({"status": "new"}, 2),
    "/api/agents/runs": ({"status": "completed"}, 2),
    "/api/agents/workflows/runs": ({"status": "completed"}, 2),
    "/api/conversations": ({"q": "blue"}, 2),
    "/api/notifications": ({"unread_only": "true"}, 2),
}


def add(db: psycopg.Connection, table: str, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
        db.execute(f"insert into {table} ({names}) values ({marks})", list(row.values()))  # noqa: S608


@pytest.fixture(scope="module")
def owner(stack: Stack) -> UUID:
    """A user with three rows in each list, two of which fit the filter; and more that none of the lists shows."""
    user_id = uuid4()
    past = "2026-01-01T00:00:00Z"
    with psycopg.connect(stack.database_url, autocommit=True) as db:
        db.execute(
            "insert into workflows (workflow_id, version, definition, retired_at) values ('counted', 1, '{}', now())"
            " on conflict do nothing"
        )
        add(db, "leads", [{"name": "x", "user_id": user_id, "status": s} for s in ("new", "new", "lost")])
        add(db, "leads", [{"name": "x", "user_id": user_id, "status": "new", "deleted_at": past}])
        for kind in ("agent", "workflow"):
            named = (
                {"agent_type": "chat_agent"} if kind == "agent" else {"workflow_id": "counted", "workflow_version": 1}
            )
            for status in ("completed", "completed", "failed"):
                run = {
                    "id": uuid4(),
                    "user_id": user_id,
                    "kind": kind,
                    "caller": "service",
                    "user_queue": "x",
                    "input": "{}",
                }
                ended = {"status": status, "finished_at": past, "result": "{}", "progress": 1, "error": "e"}
                add(db, "runs", [{**run, **ended, **named}])
        titles = [{"user_id": user_id, "title": title} for title in ("blue sky", "a blue one", "red")]
        add(db, "conversations", titles)
        add(db, "conversations", [{"user_id": user_id, "title": "blue", "deleted_at": past}])
        notification = {"user_id": user_id, "notification_type": "t", "title": "T", "message": "m"}
        add(db, "notifications", [notification, notification, {**notification, "read": True, "read_at": past}])
        add(db, "notifications", [{**notification, "expires_at": past}])
    return user_id


@pytest.mark.parametrize("path", LISTS)
def test_a_list_counts_what_it_shows_under_its_filters(web: Api, owner: UUID, path: str) -> None:
    narrowed, fitting = LISTS[path]
    user = web.as_user(owner)
    assert "total" not in user.get(path).json()
    whole = user.get(path, params={"count": "exact"}).json()
    assert (len(whole["items"]), whole["total"]) == (3, 3)
    found = user.get(path, params={"count": "exact", **narrowed}).json()
    assert (len(found["items"]), found["total"]) == (fitting, fitting)
    first = user.get(path, params={"count": "exact", "limit": 1}).json()
    rest = user.get(path, params={"count": "exact", "limit": 1, "cursor": first["next_cursor"]}).json()
    assert [(len(page["items"]), page["total"]) for page in (first, rest)] == [(1, 3), (1, 3)]

    assert web.as_user().get(path, params={"count": "exact"}).json()["total"] == 0
    admin = web.as_user(admin=True)
    assert admin.get(path, params={"count": "exact", "user_id": str(owner)}).json()["total"] == 3
    assert admin.get(path, params={"count": "exact"}).json()["total"] >= 3
    is_error(user.get(path, params={"count": "planned"}), 400, "BAD_REQUEST")
