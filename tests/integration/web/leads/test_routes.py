"""Leads over HTTP, and what agents find out about them."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.integration.http import Api, is_error
from tests.rows import one
from tests.stack import Stack, stop_all

PATH = "/api/leads"
ADA = {"name": "Ada Mills", "company": "Northwind", "budget": 18000.5, "message": "A website", "source": "website"}


@pytest.fixture(scope="module")
def web(stack: Stack) -> Iterator[Api]:
    started = [stack.start(role) for role in ("agents", "web")]
    yield Api(started[-1].url, None, stack.settings)
    stop_all(started)


@pytest.fixture
def user(web: Api) -> Api:
    return web.as_user()


def added(api: Api, **changes: Any) -> dict[str, Any]:
    response = api.request("POST", PATH, json={**ADA, **changes})
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


def listed(api: Api, **query: Any) -> list[str]:
    response = api.get(PATH, params=query)
    assert response.status_code == 200, response.text
    return [item["name"] for item in response.json()["items"]]


def test_a_lead_is_created_read_changed_and_removed(user: Api, db: psycopg.Connection) -> None:
    lead = added(user)
    path = f"{PATH}/{lead['lead_id']}"

    assert (lead["budget"], lead["status"], lead["version"]) == (18000.5, "new", 1)
    assert lead["user_id"] == str(user.user_id)
    seen = user.get(path)
    assert (seen.json(), seen.headers["ETag"]) == (lead, '"1"')
    changed = user.request("PATCH", path, json={"status": "contacted", "budget": None})
    assert (changed.json()["status"], changed.json()["budget"], changed.json()["version"]) == ("contacted", None, 2)
    assert changed.json()["company"] == "Northwind"
    assert user.request("PATCH", path, json={}).json()["version"] == 2
    assert user.request("DELETE", path).status_code == 204
    is_error(user.get(path), 404, "NOT_FOUND")
    is_error(user.request("DELETE", path), 404, "NOT_FOUND")
    assert listed(user) == []
    assert one(db, "select deleted_at is not null from leads where id = %s", lead["lead_id"])


def test_a_change_of_an_old_version_is_a_conflict(user: Api) -> None:
    path = f"{PATH}/{added(user)['lead_id']}"
    first = user.request("PATCH", path, json={"company": "A"}, headers={"If-Match": '"1"'})
    second = user.request("PATCH", path, json={"company": "B"}, headers={"If-Match": '"1"'})

    assert (first.status_code, first.headers["ETag"]) == (200, '"2"')
    is_error(second, 409, "CONFLICT")
    is_error(user.request("DELETE", path, headers={"If-Match": '"1"'}), 409, "CONFLICT")
    is_error(user.request("PATCH", path, json={"company": "B"}, headers={"If-Match": "x"}), 400, "BAD_REQUEST")
    assert user.get(path).json()["company"] == "A"
    assert user.request("DELETE", path, headers={"If-Match": '"2"'}).status_code == 204


def test_another_users_lead_is_not_found_and_administrators_and_services_see_all(user: Api, web: Api) -> None:
    lead = added(user, name=f"N{uuid4().hex}")
    path, other = f"{PATH}/{lead['lead_id']}", web.as_user()

    for response in (
        other.get(path),
        other.request("PATCH", path, json={"name": "x"}),
        other.request("DELETE", path),
        other.request("POST", f"{path}/analyze"),
        user.get(f"{PATH}/x"),
    ):
        is_error(response, 404, "NOT_FOUND")
    is_error(web.get(path), 401, "UNAUTHORIZED")
    is_error(other.get(PATH, params={"user_id": str(user.user_id)}), 403, "FORBIDDEN")
    is_error(other.request("POST", PATH, json={**ADA, "user_id": str(user.user_id)}), 403, "FORBIDDEN")
    for everybody in (web.as_service(), web.as_user(admin=True)):
        assert everybody.get(path).json() == lead
        assert lead["name"] in listed(everybody)
        assert listed(everybody, user_id=str(user.user_id)) == [lead["name"]]
    assert added(web.as_service(), user_id=str(other.user_id))["user_id"] == str(other.user_id)
    assert added(web.as_service())["user_id"] is None


def test_a_list_is_filtered_searched_and_paged(user: Api, db: psycopg.Connection) -> None:
    for name, source, message in (("a", "web", "100% sure"), ("b", "fair", "Blue_berry"), ("c", "web", "blueXberry *")):
        added(user, name=name, source=source, message=message, company=None)
    db.execute("update leads set score = 50, status = 'qualified' where user_id = %s and name = 'b'", [user.user_id])

    assert listed(user) == ["c", "b", "a"]
    assert listed(user, source="web") == ["c", "a"]
    assert listed(user, status="qualified") == ["b"]
    assert listed(user, min_score=50, max_score=50) == ["b"]
    assert listed(user, min_score=51) == []
    assert listed(user, q="BLUE_") == ["b"]
    assert listed(user, q="0%") == ["a"]
    assert listed(user, q="nothing,or.this)") == []
    assert listed(user, created_after="2999-01-01T00:00:00Z") == []
    assert listed(user, created_before="2999-01-01T00:00:00Z", created_after="2020-01-01T00:00:00Z") == ["c", "b", "a"]
    first = user.get(PATH, params={"limit": 2}).json()
    assert [item["name"] for item in first["items"]] == ["c", "b"]
    assert listed(user, limit=2, cursor=first["next_cursor"]) == ["a"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x" * 201},
        {"name": "a\x00b"},
        {"name": "A", "email": "nobody"},
        {"name": "A", "budget": -1},
        {"name": "A", "budget": "1"},
        {"name": "A", "budget": 1e11},
        {"name": "A", "currency": "US"},
        {"name": "A", "score": 100},
        {"name": "A", "metadata": []},
        {"name": "A", "user_id": "me"},
    ],
    ids=lambda body: str(body)[:40],
)
def test_an_invalid_lead_is_refused(user: Api, body: dict[str, Any]) -> None:
    is_error(user.request("POST", PATH, json=body), 400, "BAD_REQUEST")


@pytest.mark.parametrize(
    "query", [{"status": "hot"}, {"min_score": "x"}, {"max_score": 101}, {"cursor": "x"}, {"q": ""}, {"user_id": "me"}]
)
def test_an_invalid_query_parameter_is_named(user: Api, query: dict[str, Any]) -> None:
    body = is_error(user.get(PATH, params=query), 400, "BAD_REQUEST")

    assert body["details"][0]["field"] in query


def test_an_analysis_is_stored_on_the_lead_and_published(user: Api, web: Api, db: psycopg.Connection) -> None:
    lead = added(user, industry="SaaS", timeline="within 2 months", email="ada@northwind.example")
    response = user.request("POST", f"{PATH}/{lead['lead_id']}/analyze", headers={"Prefer": "wait=60"})
    assert response.json()["status"] == "completed", response.text
    now = user.get(f"{PATH}/{lead['lead_id']}").json()

    result = response.json()["result"]
    assert (now["score"], now["analysis"], now["analysis_id"]) == (
        result["score"],
        result,
        response.json()["request_id"],
    )
    assert now["status"] == ("unqualified" if result["tier"] == "cold" else "qualified")
    assert now["analyzed_at"] is not None
    outbox = "select count(*) from event_outbox where type = 'lead_analyzed' and payload ->> 'lead_id' = %s"
    assert one(db, outbox, lead["lead_id"]) == 1
    by_admin = web.as_user(admin=True).request(
        "POST", f"{PATH}/{lead['lead_id']}/analyze", headers={"Prefer": "wait=60"}
    )
    assert by_admin.json()["status"] == "completed"


def test_an_analysis_changes_no_lead_of_another_user_and_no_won_lead(user: Api, web: Api, db) -> None:
    other_lead = added(web.as_user())
    invoked = user.invoke({"agent_type": "lead_agent", "input": {"lead_id": other_lead["lead_id"]}}, Prefer="wait=60")
    assert invoked.json()["status"] == "failed"
    won = added(user)
    db.execute("update leads set status = 'converted' where id = %s", [won["lead_id"]])
    user.request("POST", f"{PATH}/{won['lead_id']}/analyze", headers={"Prefer": "wait=60"})

    assert one(db, "select score from leads where id = %s", other_lead["lead_id"]) is None
    assert one(db, "select status from leads where id = %s", won["lead_id"]) == "converted"
    assert one(db, "select score from leads where id = %s", won["lead_id"]) is not None


def test_recommendations_and_texts_are_stored_for_their_user(user: Api, db: psycopg.Connection) -> None:
    advice = user.invoke(
        {"agent_type": "recommendation_agent", "input": {"goals": ["more leads", "a new website"]}}, Prefer="wait=60"
    ).json()
    text = user.invoke({"agent_type": "content_agent", "input": {"topic": "Dental clinics"}}, Prefer="wait=60").json()
    written = db.execute(
        "select service, priority, confidence from service_recommendations where run_id = %s and user_id = %s"
        " order by priority",
        [advice["request_id"], user.user_id],
    ).fetchall()

    wanted = advice["result"]["recommendations"]
    assert wanted
    assert [(row[0], row[1], float(row[2])) for row in written] == [
        (one["service"], one["rank"], one["score"] / 100) for one in wanted
    ]
    stored = db.execute(
        "select kind, title, body from generated_content where run_id = %s and user_id = %s",
        [text["request_id"], user.user_id],
    ).fetchall()
    assert stored == [("content_agent", text["result"]["title"], text["result"])]


def test_notes_and_the_user_who_works_on_a_lead_are_set_changed_and_cleared(web: Api) -> None:
    user, colleague = web.as_user(), str(uuid4())
    added = user.request("POST", "/api/leads", json={"name": "Ada", "notes": "Met at a fair", "assigned_to": colleague})
    assert added.status_code == 201, added.text
    lead = added.json()
    assert (lead["notes"], lead["assigned_to"]) == ("Met at a fair", colleague)
    path = f"/api/leads/{lead['lead_id']}"

    # Whom a lead is assigned to does not decide who sees it.
    is_error(web.as_user(UUID(colleague)).get(path), 404, "NOT_FOUND")
    changed = user.request("PATCH", path, json={"notes": "Call on Monday"}).json()
    assert (changed["notes"], changed["assigned_to"]) == ("Call on Monday", colleague)
    cleared = user.request("PATCH", path, json={"notes": None, "assigned_to": None}).json()
    assert (cleared["notes"], cleared["assigned_to"]) == (None, None)
    [listed] = user.get("/api/leads").json()["items"]
    assert (listed["notes"], listed["assigned_to"]) == (None, None)


@pytest.mark.parametrize(
    ("field", "value"), [("assigned_to", "somebody"), ("assigned_to", 7), ("notes", ""), ("notes", "x" * 10_001)]
)
def test_notes_and_assigned_to_are_validated(field: str, value: Any, web: Api) -> None:
    refused = is_error(
        web.as_user().request("POST", "/api/leads", json={"name": "Ada", field: value}), 400, "BAD_REQUEST"
    )
    assert [detail["field"] for detail in refused["details"]] == [field]


@pytest.mark.parametrize("extra", [{"notes": "x"}, {"assigned_to": "0b9f1a0e-5f8c-4c0b-8a54-6a1f6c1d2e3f"}], ids=str)
def test_a_visitor_cannot_set_notes_or_assigned_to(extra: dict[str, str], web: Api) -> None:
    session = web.request("POST", "/api/visitors/sessions").json()
    visitor = web.with_token(session["token"])
    is_error(visitor.request("POST", "/api/leads", json={"name": "Ada", **extra}), 403, "FORBIDDEN")
    assert visitor.request("POST", "/api/leads", json={"name": "Ada"}).status_code == 201
