"""`GET /api/agents/failures`: failed runs, grouped by agent or workflow and error code."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.integration.http import Api, is_error
from tests.migrations.rows import insert
from tests.stack import Stack

PATH = "/api/agents/failures"
WORKFLOW = "of_test_failures"


@pytest.fixture(scope="module")
def web(stack: Stack) -> Iterator[Api]:
    handle = stack.start("web")
    yield Api(handle.url, None, stack.settings)
    handle.kill()


@pytest.fixture
def failed(db: psycopg.Connection) -> Iterator[Any]:
    """Makes failed runs of a user; returns their ids."""
    made: list[str] = []
    insert(db, "workflows", {"workflow_id": WORKFLOW, "version": 1, "definition": "{}"})

    def make(user_id: UUID | None, code: str, at: str, **columns: Any) -> str:
        run = {"kind": "agent", "agent_type": "lead_agent", "caller": "service", "user_queue": "x", "input": "{}"}
        ended = {"status": "failed", "error": f"It failed at {at}.", "finished_at": at}
        made.append(str(uuid4()))
        row = {"id": made[-1], "user_id": user_id, "error_code": code, "created_at": at, **run, **ended, **columns}
        insert(db, "runs", row)
        return made[-1]

    yield make
    db.execute("delete from runs where id = any(%s)", (made,))
    db.execute("delete from workflows where workflow_id = %s", (WORKFLOW,))


def listed(api: Api, **query: Any) -> dict[str, Any]:
    response = api.get(PATH, params=query)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def test_failed_runs_are_grouped_by_what_failed_and_why(web: Api, failed: Any) -> None:
    user = web.as_user()
    of_workflow = {"kind": "workflow", "agent_type": None, "workflow_id": WORKFLOW, "workflow_version": 1}
    failed(user.user_id, "TIMEOUT", "2026-01-01T10:00:00Z")
    newest = failed(user.user_id, "TIMEOUT", "2026-01-03T10:00:00Z")
    failed(user.user_id, "TIMEOUT", "2026-01-02T10:00:00Z", agent_type="chat_agent")
    failed(user.user_id, "REJECTED", "2026-01-02T11:00:00Z")
    failed(user.user_id, "TIMEOUT", "2026-01-02T12:00:00Z", **of_workflow)
    failed(user.user_id, "TIMEOUT", "2026-01-02T12:00:00Z", status="cancelled", error=None, error_code=None)

    found = listed(user)
    assert (found["counted"], found["more"]) == (5, False)
    first = found["items"][0]
    assert first == {
        "id": first["id"],
        "kind": "agent",
        "agent_type": "lead_agent",
        "workflow_id": None,
        "error_code": "TIMEOUT",
        "count": 2,
        "first_at": "2026-01-01T10:00:00.000000Z",
        "last_at": "2026-01-03T10:00:00.000000Z",
        "last_run_id": newest,
        "last_error": "It failed at 2026-01-03T10:00:00Z.",
    }
    assert [(item["agent_type"], item["workflow_id"], item["error_code"]) for item in found["items"][1:]] == [
        (None, WORKFLOW, "TIMEOUT"),
        ("lead_agent", None, "REJECTED"),
        ("chat_agent", None, "TIMEOUT"),
    ]
    assert len({item["id"] for item in found["items"]}) == 4
    between = listed(user, created_after="2026-01-02T10:30:00Z", created_before="2026-01-02T11:30:00Z")
    assert [item["error_code"] for item in between["items"]] == ["REJECTED"]


def test_users_see_groups_of_their_own_runs_and_administrators_of_everybodys(web: Api, failed: Any) -> None:
    code = f"TEST_{''.join(c for c in uuid4().hex if c.isalpha()).upper()}"
    mine, other = web.as_user(), web.as_user()
    for owner in (mine.user_id, other.user_id, other.user_id, None):
        failed(owner, code, "2026-01-01T10:00:00Z")

    def counts(api: Api, **query: Any) -> list[int]:
        return [item["count"] for item in listed(api, **query)["items"] if item["error_code"] == code]

    assert counts(mine) == counts(mine, user_id=mine.user_id) == [1]
    assert counts(other) == [2]
    for caller in (web.as_user(admin=True), web.as_service()):
        assert counts(caller) == [4]
        assert counts(caller, user_id=other.user_id) == [2]
    is_error(mine.get(PATH, params={"user_id": str(other.user_id)}), 403, "FORBIDDEN")
    is_error(web.get(PATH), 401, "UNAUTHORIZED")


def test_counting_failed_runs_is_bounded(failed: Any, db: psycopg.Connection) -> None:
    user_id = uuid4()
    for day in (1, 2, 3):
        failed(user_id, "TIMEOUT", f"2026-01-0{day}T10:00:00Z")
    row = db.execute("select count_failures(%s, null, null, 2)", (user_id,)).fetchone()
    assert row is not None
    assert (row[0]["counted"], row[0]["more"], row[0]["items"][0]["count"]) == (2, True, 2)
    assert row[0]["items"][0]["first_at"].startswith("2026-01-02")
