"""`/api/analytics` on the running API: access to figures, ranges, pages, and refusals."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import jsonschema_rs
import psycopg
import pytest

from tests.integration.http import Api, is_error
from tests.servers.agency import Agency
from tests.stack import Stack

FOR_ALL = (
    *("overview", "leads/summary", "leads/trends", "conversations/summary", "conversations/trends"),
    *("conversations/list", "services/recommendations", "revenue/summary", "revenue/by-package"),
    *("revenue/subscription-trends", "revenue/customer-ltv", "revenue/subscriptions/list"),
)
FOR_ADMINISTRATORS = ("agents/summary", "agents/trends", "agents/logs", "models/metrics")
LISTS = ("conversations/list", "revenue/subscriptions/list", "agents/logs")
TODAY = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)


@pytest.fixture(scope="module")
def web(stack: Stack) -> Iterator[Api]:
    handle = stack.start("web")
    yield Api(handle.url, None, stack.settings)
    handle.kill()


@pytest.fixture(scope="module")
def document(web: Api) -> dict[str, Any]:
    found: dict[str, Any] = web.get("/api/openapi.json").json()
    return found


@pytest.fixture
def ada() -> UUID:
    return uuid4()


@pytest.fixture
def ben() -> UUID:
    return uuid4()


@pytest.fixture
def _rows(stack: Stack, ada: UUID, ben: UUID) -> None:
    """Three of everything of Ada's, one of Ben's, all of last week; nobody else has any."""
    owners = [ada, ada, ada, ben]
    at = [TODAY - timedelta(days=2 + number) for number in range(4)]
    # Two of the newest differ only by their ids.
    at[1] = at[0]
    ids = [uuid4() for _ in owners]
    each = [
        {"id": row_id, "user_id": owner, "created_at": moment}
        for row_id, owner, moment in zip(ids, owners, at, strict=True)
    ]
    run = {"kind": "agent", "agent_type": "chat_agent", "user_queue": "x", "input": "{}"}
    done = {"status": "completed", "output": "{}", "provider": "ollama"}
    agency = Agency(
        {
            "leads": [{**row, "name": "Eve", "status": "converted"} for row in each],
            "conversations": each,
            "messages": [
                {
                    "conversation_id": row["id"],
                    "user_id": row["user_id"],
                    "created_at": row["created_at"],
                    "role": "user",
                    "content": "Hello",
                }
                for row in each
            ],
            "service_recommendations": [{**row, "service": "seo", "confidence": 0.5} for row in each],
            "user_subscriptions": [
                {
                    "id": row["id"],
                    "user_id": row["user_id"],
                    "start_date": row["created_at"],
                    "status": "active",
                    "final_price": 49,
                    "amount_paid": 49,
                    "paid_at": row["created_at"],
                }
                for row in each
            ],
            "runs": [{**row, **run, "caller": "service", "status": "queued"} for row in each],
            "run_steps": [
                {
                    "run_id": row["id"],
                    "key": "chat_agent",
                    "started_at": row["created_at"],
                    "finished_at": row["created_at"],
                    **run,
                    **done,
                }
                for row in each
            ],
            "model_metrics": [
                {
                    "run_id": row["id"],
                    "created_at": row["created_at"],
                    "agent_type": "chat_agent",
                    "provider": "ollama",
                    "model": "llama3",
                    "outcome": "ok",
                    "latency_ms": 5,
                }
                for row in each
            ],
            "agent_logs": [{**row, "agent_type": "chat_agent", "event": "step_completed"} for row in each],
        }
    )
    with psycopg.connect(stack.database_url) as db:
        db.execute("truncate public.user_subscriptions, public.invoices cascade")
        for table in agency.tables:
            db.execute(f"truncate public.{table} cascade")
        agency.insert(db)


def ask(api: Api, path: str, **query: Any) -> Any:
    response = api.get(f"/api/analytics/{path}", params=query)
    assert response.status_code == 200, response.text
    return response.json()


def count(path: str, body: Any) -> int:
    """Return the number of rows that a response covers."""
    if "items" in body:
        return len(body["items"])
    if path == "revenue/by-package":
        return int(sum(entry["payments"] for entry in body["data"]))
    if path == "revenue/subscription-trends":
        return int(body["data"][-1]["value"])
    if path == "revenue/customer-ltv":
        return int(sum(entry["payments"] for entry in body["top"]))
    if "data" in body:
        return int(sum(entry["value"] for entry in body["data"]))
    names = {
        "overview": "total_leads",
        "leads/summary": "converted",
        "conversations/summary": "messages",
        "services/recommendations": "total",
        "revenue/summary": "new_subscriptions",
        "agents/summary": "executions",
        "models/metrics": "calls",
    }
    return int(body[names[path]]["value"])


@pytest.mark.usefixtures("_rows")
@pytest.mark.parametrize("path", [*FOR_ALL, *FOR_ADMINISTRATORS])
def test_administrators_and_services_get_all_figures_or_one_users(
    web: Api, document: dict[str, Any], path: str, ada: UUID, ben: UUID
) -> None:
    operation = document["paths"][f"/api/analytics/{path}"]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    validator = jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})
    for api in (web.as_user(admin=True), web.as_service()):
        whole = ask(api, path)

        assert validator.is_valid(whole), whole
        assert count(path, whole) == 4
        assert count(path, ask(api, path, user_id=str(ada))) == 3
        assert count(path, ask(api, path, user_id=str(ben))) == 1
        assert count(path, ask(api, path, user_id=str(uuid4()))) == 0


@pytest.mark.usefixtures("_rows")
@pytest.mark.parametrize("path", FOR_ALL)
def test_users_get_their_own_figures(web: Api, path: str, ada: UUID, ben: UUID) -> None:
    api = web.as_user(ada)

    assert count(path, ask(api, path)) == 3
    assert count(path, ask(api, path, user_id=str(ada))) == 3
    said = is_error(api.get(f"/api/analytics/{path}", params={"user_id": str(ben)}), 403, "FORBIDDEN")
    assert said["error"] == "Only an administrator or a service may name another user_id; leave user_id out."


@pytest.mark.usefixtures("_rows")
def test_an_administrator_by_profile_gets_all_figures(web: Api, db: psycopg.Connection) -> None:
    promoted = uuid4()
    db.execute("insert into public.user_profiles (user_id, role) values (%s, 'admin')", (promoted,))

    assert count("overview", ask(web.as_user(promoted), "overview")) == 4


@pytest.mark.parametrize("path", FOR_ADMINISTRATORS)
def test_agent_and_model_figures_are_for_administrators(web: Api, path: str) -> None:
    is_error(web.as_user().get(f"/api/analytics/{path}"), 403, "FORBIDDEN")


@pytest.mark.parametrize("path", [*FOR_ALL, *FOR_ADMINISTRATORS])
def test_a_token_with_another_scope_is_refused(web: Api, path: str) -> None:
    is_error(web.get(f"/api/analytics/{path}"), 401, "UNAUTHORIZED")
    narrow = web.as_user(admin=True, scopes=["notifications:read"])
    said = is_error(narrow.get(f"/api/analytics/{path}"), 403, "FORBIDDEN")
    assert "analytics:read" in said["error"]
    assert web.as_user(admin=True, scopes=["analytics:read"]).get(f"/api/analytics/{path}").status_code == 200


@pytest.mark.usefixtures("_rows")
def test_the_response_names_the_days_it_covers(web: Api, ada: UUID) -> None:
    today = datetime.now(UTC).date()
    by_default = ask(web.as_user(ada), "leads/trends")
    assert by_default["range"]["start_date"] in {(today - timedelta(days=day)).isoformat() for day in (28, 29)}
    assert len(by_default["data"]) == 30

    query = {"start_date": "2026-01-31T23:30:00Z", "end_date": "2026-02-15", "aggregation": "weekly"}
    said = ask(web.as_user(ada), "leads/trends", **query, time_zone="Europe/Vienna")
    assert said == {
        "range": {
            "start_date": "2026-02-01",
            "end_date": "2026-02-15",
            "aggregation": "weekly",
            "time_zone": "Europe/Vienna",
        },
        "data": [{"date": day, "value": 0} for day in ("2026-02-01", "2026-02-02", "2026-02-09")],
    }


@pytest.mark.usefixtures("_rows")
@pytest.mark.parametrize("path", LISTS)
def test_pages_have_each_row_once_newest_first(web: Api, path: str) -> None:
    api = web.as_service()
    whole = ask(api, path)
    assert whole["next_cursor"] is None

    found, cursor = [], {}
    while True:
        page = ask(api, path, limit=1, **cursor)
        found += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert found == whole["items"]
    moments = [(row.get("start_date") or row["created_at"], row["id"]) for row in found]
    assert moments == sorted(moments, reverse=True)


@pytest.mark.usefixtures("_rows")
def test_lists_are_filtered(web: Api) -> None:
    api = web.as_service()
    assert count("", ask(api, "conversations/list", status="closed")) == 0
    assert count("", ask(api, "conversations/list", status="active")) == 4
    assert count("", ask(api, "revenue/subscriptions/list", status="active")) == 4
    assert count("", ask(api, "revenue/subscriptions/list", status="cancelled")) == 0
    assert count("", ask(api, "agents/logs", level="error")) == 0
    assert count("", ask(api, "agents/logs", agent_type="chat_agent", level="info")) == 4
    assert count("", ask(api, "agents/trends", agent_type="lead_agent")) == 0


@pytest.mark.parametrize(
    ("path", "field", "value", "said"),
    [
        *(
            (path, *case)
            for path in (*FOR_ALL, *FOR_ADMINISTRATORS)
            for case in (
                ("start_date", "soon", "must be a date like 2026-01-31, or a time in ISO 8601"),
                ("end_date", "1999-12-31", "must be a date from 2000 to 2199"),
                ("time_zone", "Mars/Olympus", "must be a time zone of the IANA database, like Europe/Vienna"),
                ("aggregation", "hourly", "must be daily, weekly or monthly"),
                ("user_id", "me", "must be a UUID"),
            )
        ),
        *((path, "limit", "0", "must be 1 or more") for path in LISTS),
        *((path, "limit", "many", "must be a whole number from 1 to 200") for path in LISTS),
        *(
            (path, "cursor", "x", "is invalid; use `next_cursor`, or omit it to start from the newest")
            for path in LISTS
        ),
        ("conversations/list", "status", "open", "must be active or closed"),
        ("agents/logs", "level", "loud", "must be debug, info, warning or error"),
        ("agents/logs", "agent_type", "nobody", "is not known"),
        ("agents/trends", "agent_type", "nobody", "is not known"),
    ],
)
def test_an_invalid_parameter_is_named(web: Api, path: str, field: str, value: str, said: str) -> None:
    response = web.as_service().get(f"/api/analytics/{path}", params={field: value})

    body = is_error(response, 400, "BAD_REQUEST")
    assert body["details"] == [{"field": field, "message": said}]


def test_a_range_that_ends_before_it_starts_or_is_too_long_is_named(web: Api) -> None:
    for start, end in (("2026-02-01", "2026-01-31"), ("2020-01-01", "2026-01-31")):
        response = web.as_service().get("/api/analytics/overview", params={"start_date": start, "end_date": end})

        [detail] = is_error(response, 400, "BAD_REQUEST")["details"]
        assert detail["field"] == "end_date"
        assert start in detail["message"]
