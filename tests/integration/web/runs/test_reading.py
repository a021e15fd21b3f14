"""Reading runs and agents over HTTP."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.integration.http import CHAT, Api, is_error

RUN_ID = UUID("812ee4be-d17d-4004-9d1e-cdceb3401e9d")


LEAD = {"agent_type": "lead_agent", "input": {"query": "Find top prospects in SaaS"}}


@pytest.fixture(scope="module")
def web(stack: Any) -> Iterator[Api]:
    handle = stack.start("web")
    yield Api(handle.url, None, stack.settings)
    handle.kill()


@pytest.fixture
def user(web: Api) -> Api:
    return web.as_user()


def ids(page: dict[str, Any]) -> list[str]:
    return [run["request_id"] for run in page["items"]]


def test_a_run_has_the_shape_of_the_contract(user: Api) -> None:
    accepted = user.invoke({**CHAT, "metadata": {"source": "test"}}, X_Request_ID="my-own-id-1")

    run = user.get(f"/api/agents/runs/{accepted.json()['request_id']}").json()

    assert run["request_id"] == accepted.json()["request_id"]
    assert (run["kind"], run["agent_type"], run["status"]) == ("agent", "chat_agent", "queued")
    assert (run["user_id"], run["metadata"]) == (str(user.user_id), {"source": "test"})
    assert (run["result"], run["error"], run["started_at"], run["finished_at"]) == (None, None, None, None)
    assert run["correlation_id"] == "my-own-id-1"
    assert run["created_at"].endswith("Z")
    (step,) = run["steps"]
    assert {"key", "agent_type", "status", "attempt", "started_at", "finished_at", "duration_ms"} <= set(step)
    assert {"provider", "model", "tokens", "output", "error"} <= set(step)


def test_another_users_run_is_not_found(web: Api, user: Api) -> None:
    run_id = user.invoke().json()["request_id"]

    others = is_error(web.as_user().get(f"/api/agents/runs/{run_id}"), 404, "NOT_FOUND")
    nobodys = is_error(web.as_user().get(f"/api/agents/runs/{uuid4()}"), 404, "NOT_FOUND")

    assert others == nobodys


def test_a_service_and_an_administrator_see_anyones_run(web: Api, user: Api) -> None:
    path = f"/api/agents/runs/{user.invoke().json()['request_id']}"

    assert web.as_service().get(path).status_code == 200
    assert web.as_user(admin=True).get(path).status_code == 200


def test_a_profile_makes_an_administrator(web: Api, user: Api, db: psycopg.Connection) -> None:
    chief = web.as_user()
    db.execute("insert into auth.users (id) values (%s) on conflict do nothing", [chief.user_id])
    db.execute(
        "insert into public.user_profiles (user_id, role) values (%s, 'admin')"
        " on conflict (user_id) do update set role = 'admin'",
        [chief.user_id],
    )

    assert chief.get(f"/api/agents/runs/{user.invoke().json()['request_id']}").status_code == 200


@pytest.mark.parametrize(
    "run_id", ["x", "1", RUN_ID.hex, "{" + str(RUN_ID) + "}", "%00", "a%0Ab", "%ff", "..."], ids=repr
)
def test_an_id_that_is_not_a_uuid_is_not_found(user: Api, run_id: str) -> None:
    is_error(user.get(f"/api/agents/runs/{run_id}"), 404, "NOT_FOUND")


def test_a_list_has_own_runs_newest_first(web: Api, user: Api) -> None:
    first, second = (user.invoke().json()["request_id"] for _ in range(2))
    web.as_user().invoke()

    assert ids(user.get("/api/agents/runs").json()) == [second, first]


def test_pages_follow_each_other_without_gap_or_repeat(user: Api) -> None:
    made = [user.invoke().json()["request_id"] for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query: dict[str, Any] = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = user.get("/api/agents/runs", params=query).json()
        seen += ids(page)
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == made[::-1]


def test_filters_narrow_the_list(user: Api, db: psycopg.Connection) -> None:
    chat, lead = user.invoke().json()["request_id"], user.invoke(LEAD).json()["request_id"]
    db.execute("update public.runs set created_at = now() - interval '2 days' where id = %s", [chat])
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()

    def listed(**query: str) -> list[str]:
        return ids(user.get("/api/agents/runs", params=query).json())

    assert listed(agent_type="lead_agent") == [lead]
    assert listed(status="queued") == [lead, chat]
    assert listed(status="failed") == []
    assert listed(created_after=yesterday) == [lead]
    assert listed(created_before=yesterday) == [chat]
    assert ids(user.get(f"/api/agents/runs?created_before={yesterday}").json()) == [chat]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=done", "status"),
        ("status=", "status"),
        ("agent_type=nobody", "agent_type"),
        ("created_after=yesterday", "created_after"),
        ("created_before=1700000000", "created_before"),
        ("created_before=9999-99-99", "created_before"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=ten", "limit"),
        ("limit=-1", "limit"),
        ("user_id=me", "user_id"),
    ],
)
def test_an_invalid_filter_is_named(user: Api, query: str, field: str) -> None:
    details = is_error(user.get(f"/api/agents/runs?{query}"), 400, "BAD_REQUEST")["details"]

    assert [detail["field"] for detail in details] == [field]


@pytest.mark.parametrize("cursor", ["x", "%00", "%ff", "a" * 199, "MjAyNnx4", "é", "=", "fHw"])
def test_an_invalid_cursor_is_refused(user: Api, cursor: str) -> None:
    is_error(user.get(f"/api/agents/runs?cursor={cursor}"), 400, "BAD_REQUEST")


def test_only_services_and_administrators_may_choose_the_owner_of_listed_runs(web: Api, user: Api) -> None:
    run_id, query = user.invoke().json()["request_id"], {"user_id": str(user.user_id)}

    assert ids(web.as_service().get("/api/agents/runs", params=query).json()) == [run_id]
    assert ids(web.as_user(admin=True).get("/api/agents/runs", params=query).json()) == [run_id]
    assert ids(user.get("/api/agents/runs", params=query).json()) == [run_id]
    is_error(web.as_user().get("/api/agents/runs", params=query), 403, "FORBIDDEN")


def test_the_nine_agents_are_listed_with_their_schemas(user: Api) -> None:
    agents = {agent["agent_type"]: agent for agent in user.get("/api/agents").json()["items"]}

    assert set(agents) == {
        "analytics_agent",
        "brand_design_agent",
        "chat_agent",
        "content_agent",
        "digital_marketing_agent",
        "ecommerce_agent",
        "lead_agent",
        "recommendation_agent",
        "web_development_agent",
    }
    for name, agent in agents.items():
        assert agent["description"]
        assert agent["capabilities"]
        assert agent["model"]
        assert agent["input_schema"]["type"] == agent["output_schema"]["type"] == "object"
        assert user.get(f"/api/agents/{name}").json() == agent


@pytest.mark.parametrize("name", ["nobody", "%00", "a%2Fb", "x" * 5000, "LEAD_AGENT"])
def test_an_agent_that_does_not_exist_is_not_found(user: Api, name: str) -> None:
    is_error(user.get(f"/api/agents/{name}"), 404, "NOT_FOUND")


@pytest.mark.parametrize("path", ["/api/agents", "/api/agents/chat_agent", "/api/agents/runs", "/api/agents/runs/x"])
def test_reading_needs_a_token(web: Api, path: str) -> None:
    is_error(web.get(path), 401, "UNAUTHORIZED")
