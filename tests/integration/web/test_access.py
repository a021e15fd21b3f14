"""One rule for all resources: administrators and services see everybody's rows, users their own."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.integration.http import Api, is_error
from tests.integration.web.contract import check_shape, operations
from tests.migrations.rows import insert
from tests.stack import Stack


@dataclass
class Rows:
    """One row of each kind of this user, or without an owner."""

    user_id: UUID | None
    ids: dict[str, str] = field(default_factory=dict)


WORKFLOW = "of_test_access"


def add_rows(db: psycopg.Connection, user_id: UUID | None) -> Rows:
    rows = Rows(user_id)

    def add(kind: str, table: str, /, **columns: Any) -> str:
        row_id = rows.ids[kind] = str(uuid4())
        insert(db, table, {"id": row_id, "user_id": user_id, **columns})
        return row_id

    run: dict[str, Any] = {"caller": "service", "user_queue": "x", "input": '{"a": 1}'}
    # With more decimals than the API shows.
    run["progress"] = 1 / 3
    run_id = add("run", "runs", kind="agent", agent_type="chat_agent", **run)
    add("workflow run", "runs", kind="workflow", workflow_id=WORKFLOW, workflow_version=1, **run)
    waiting = {"kind": "approval", "status": "waiting", "deadline_at": "2090-01-01", "input": "{}"}
    user_queue = str(user_id or "service")
    insert(db, "run_steps", {"run_id": rows.ids["workflow run"], "key": "ask", "user_queue": user_queue, **waiting})
    due = {"cron": "0 0 1 1 *", "next_run_at": "2090-01-01"}
    add("schedule", "schedules", caller="service", kind="agent", target="chat_agent", **due)
    delivery = {"url": "https://example.com", "event": "run.completed", "status": "failed", "finished_at": "2026-01-01"}
    add("delivery", "webhook_deliveries", run_id=run_id, **delivery)
    add("lead", "leads", name="Ada")
    add("conversation", "conversations")
    add("subscription", "user_subscriptions", status="active", final_price=10, start_date="now")
    if user_id is not None:
        add("notification", "notifications", notification_type="news", title="Done", message="It is done")
    return rows


#: Every list of rows that have an owner: its path, the kind of its rows, and the field that has their id.
LISTS = {
    "/api/agents/runs": ("run", "request_id"),
    "/api/agents/workflows/runs": ("workflow run", "workflow_run_id"),
    "/api/agents/approvals": ("workflow run", "workflow_run_id"),
    "/api/agents/schedules": ("schedule", "schedule_id"),
    "/api/agents/webhooks": ("delivery", "delivery_id"),
    "/api/leads": ("lead", "lead_id"),
    "/api/conversations": ("conversation", "conversation_id"),
    "/api/notifications": ("notification", "notification_id"),
    "/api/analytics/conversations/list": ("conversation", "id"),
    "/api/analytics/revenue/subscriptions/list": ("subscription", "id"),
}
#: Lists of the agency's rows: for everybody, or for administrators alone.
SHARED = {"/api/agents", "/api/agents/workflows", "/api/agents/workflows/{workflow_id}", "/api/pricing/packages"}
ADMINISTRATORS = {
    *("/api/pricing/catalogue", "/api/pricing/campaigns", "/api/pricing/redemptions", "/api/payments/events"),
    *("/api/analytics/agents/logs", "/api/analytics/agents/summary", "/api/analytics/agents/trends"),
    *("/api/analytics/models/metrics", "/metrics", "/api/notifications/broadcasts/{broadcast_id}"),
}
#: Subresources of the row in the path.
INNER = {"/api/conversations/{conversation_id}/messages": "conversation"}
#: Groups of rows; tests/integration/web/runs/test_failures.py tests their rule.
GROUPED = {"/api/agents/failures"}
#: One row by its id.
SINGLE = {
    "/api/agents/runs/{}": "run",
    "/api/agents/workflows/runs/{}": "workflow run",
    "/api/agents/schedules/{}": "schedule",
    "/api/leads/{}": "lead",
    "/api/conversations/{}": "conversation",
    "/api/conversations/{}/messages": "conversation",
    "/api/notifications/{}": "notification",
}


@pytest.fixture(scope="module")
def web(stack: Stack) -> Iterator[Api]:
    handle = stack.start("web")
    yield Api(handle.url, None, stack.settings)
    handle.kill()


@pytest.fixture(scope="module")
def everybody(stack: Stack) -> Iterator[list[Rows]]:
    """The rows of two users and of nobody."""
    with psycopg.connect(stack.database_url, autocommit=True) as db:
        insert(db, "workflows", {"workflow_id": WORKFLOW, "version": 1, "definition": "{}"})
        owners = [add_rows(db, user_id) for user_id in (uuid4(), uuid4(), None)]
        yield owners
        run_ids = [rows.ids[kind] for rows in owners for kind in ("run", "workflow run")]
        db.execute("delete from runs where id = any(%s)", (run_ids,))
        db.execute("delete from workflows where workflow_id = %s", (WORKFLOW,))
        db.execute("delete from schedules where id = any(%s)", ([rows.ids["schedule"] for rows in owners],))


def shown(api: Api, path: str, **query: Any) -> set[str]:
    _, name = LISTS[path]
    response = api.get(path, params={"limit": 200, **query})
    assert response.status_code == 200, response.text
    return {item[name] for item in response.json()["items"]}


@pytest.fixture(params=LISTS, ids=str)
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["administrator", "administrator by profile", "service"])
def sees_all(request: pytest.FixtureRequest, web: Api, db: psycopg.Connection) -> Iterator[Api]:
    if request.param == "service":
        yield web.as_service()
        return
    caller = web.as_user(admin=request.param == "administrator")
    if request.param == "administrator by profile":
        insert(db, "user_profiles", {"user_id": caller.user_id, "role": "admin"})
    yield caller
    db.execute("delete from user_profiles where user_id = %s", (caller.user_id,))


def of(path: str, owners: list[Rows]) -> list[str]:
    kind, _ = LISTS[path]
    return [rows.ids[kind] for rows in owners if kind in rows.ids]


def test_administrators_and_services_list_everybodys_rows(path: str, sees_all: Api, everybody: list[Rows]) -> None:
    assert set(of(path, everybody)) <= shown(sees_all, path)


def test_a_user_id_narrows_the_list(path: str, sees_all: Api, everybody: list[Rows]) -> None:
    for rows in everybody[:2]:
        assert shown(sees_all, path, user_id=rows.user_id) == set(of(path, [rows]))


def test_users_list_their_own_rows_and_may_not_name_another_user(path: str, web: Api, everybody: list[Rows]) -> None:
    mine, other, _ = everybody
    user = web.as_user(mine.user_id)
    assert shown(user, path) == shown(user, path, user_id=mine.user_id) == set(of(path, [mine]))
    is_error(user.get(path, params={"user_id": str(other.user_id)}), 403, "FORBIDDEN")
    is_error(web.get(path), 401, "UNAUTHORIZED")


@pytest.mark.parametrize("single", SINGLE)
def test_one_row_is_read_by_its_owner_by_administrators_and_by_services(
    single: str, web: Api, everybody: list[Rows]
) -> None:
    kind = SINGLE[single]
    for rows in (rows for rows in everybody if kind in rows.ids):
        path = single.format(rows.ids[kind])
        allowed = [web.as_user(admin=True), web.as_service()]
        if rows.user_id is not None:
            allowed.append(web.as_user(rows.user_id))
        for caller in allowed:
            assert caller.get(path).status_code == 200
        is_error(web.as_user().get(path), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/analytics/leads/summary", "total"),
        ("/api/analytics/overview", "total_leads"),
        ("/api/analytics/conversations/summary", "started"),
    ],
)
def test_figures_follow_the_same_access_rule(
    path: str, name: str, web: Api, everybody: list[Rows], sees_all: Api
) -> None:
    mine, other, _ = everybody
    user = web.as_user(mine.user_id)

    def read(api: Api, **query: Any) -> int:
        response = api.get(path, params=query)
        assert response.status_code == 200, response.text
        value: int = response.json()[name]["value"]
        return value

    assert read(sees_all) >= 3
    assert read(sees_all, user_id=other.user_id) == read(user) == 1
    is_error(user.get(path, params={"user_id": str(other.user_id)}), 403, "FORBIDDEN")


def test_lists_and_rows_have_an_id_beside_the_name_of_the_spec(web: Api, everybody: list[Rows]) -> None:
    admin = web.as_user(admin=True)
    for path, (_, name) in LISTS.items():
        for rows in everybody:
            if rows.user_id is not None:
                for item in admin.get(path, params={"user_id": str(rows.user_id)}).json()["items"]:
                    # An approval is a step, with an id of its own; all others by their own id.
                    assert item["id"] == item[name] or path == "/api/agents/approvals"
                    check_shape(item, path)
    for path, kind in SINGLE.items():
        for rows in everybody:
            if kind in rows.ids:
                found = admin.get(path.format(rows.ids[kind])).json()
                assert "items" in found or found["id"] == rows.ids[kind]
                check_shape(found, path)


def test_the_document_names_an_id_wherever_it_names_that_of_the_object(web: Api) -> None:
    shapes = web.get("/api/openapi.json").json()["components"]["schemas"]
    own = {
        *("request_id", "workflow_run_id", "lead_id", "conversation_id", "message_id", "notification_id"),
        *("schedule_id", "delivery_id", "subscription_id", "package_id", "campaign_id", "broadcast_id", "session_id"),
        *("redemption_id", "workflow_id", "agent_type"),
    }
    # These are requests, or figures about another object.
    others = re.compile("Request$|^Invoke(?!Response)|Revenue$|^Agent(Figures|Summary|Trend)|^Quote")
    first = {name: next(iter(shape.get("properties", {})), "") for name, shape in shapes.items()}
    assert {name for name, field in first.items() if field in own and not others.search(name)} == set()


def test_every_list_follows_the_access_rule(web: Api) -> None:
    document = web.get("/api/openapi.json").json()
    found = set()
    for name, operation in operations(document):
        method, path = name.split(" ", 1)
        reference = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
        shape = reference.get("schema", {}).get("$ref", "").rpartition("/")[2]
        if method == "GET" and "items" in document["components"]["schemas"].get(shape, {}).get("properties", {}):
            found.add(path)
            query = {part["name"] for part in operation.get("parameters", ()) if part["in"] == "query"}
            assert ("user_id" in query) or path in {*SHARED, *ADMINISTRATORS, *INNER}, path
    assert found <= {*LISTS, *SHARED, *ADMINISTRATORS, *INNER, *GROUPED}
    assert set(LISTS) <= found


@pytest.mark.parametrize("path", sorted(path for path in ADMINISTRATORS if "{" not in path))
def test_administrators_operations_refuse_users(path: str, web: Api) -> None:
    is_error(web.as_user().get(path), 403, "FORBIDDEN")
    for caller in (web.as_user(admin=True), web.as_service()):
        assert caller.get(path).status_code in (200, 503)


def test_retrying_by_filter_reaches_the_runs_that_the_list_shows(
    web: Api, db: psycopg.Connection, everybody: list[Rows]
) -> None:
    mine, other, nobody = everybody
    code = f"TEST_{''.join(c for c in uuid4().hex if c.isalpha()).upper()}"
    run_ids = [rows.ids["run"] for rows in everybody]
    db.execute(
        "update runs set status = 'failed', error = 'x', error_code = %s, finished_at = now() where id = any(%s)",
        (code, run_ids),
    )

    def retried(api: Api, **body: Any) -> set[str]:
        response = api.request("POST", "/api/agents/runs/retry", json={"error_code": code, **body})
        assert response.status_code == 200, response.text
        return set(response.json()["run_ids"])

    is_error(
        web.as_user().request("POST", "/api/agents/runs/retry", json={"user_id": str(other.user_id)}), 403, "FORBIDDEN"
    )
    assert retried(web.as_user(mine.user_id)) == {mine.ids["run"]}
    assert retried(web.as_user(admin=True), user_id=str(other.user_id)) == {other.ids["run"]}
    assert retried(web.as_user(admin=True)) == {nobody.ids["run"]}
