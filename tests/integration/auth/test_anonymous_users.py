"""Users of Supabase's anonymous sign-in: visitors' limits, and no schedules, workflows or webhooks."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.integration.http import CHAT, Api, is_error
from tests.integration.web.contract import operations
from tests.stack import Stack, stop_all

CLOSED = ("/api/agents/workflows", "/api/agents/schedules", "/api/agents/webhooks", "/api/agents/approvals")
LIMITS = {"VISITOR_LEAD_LIMIT": "2/hour", "VISITOR_MESSAGE_LIMIT": "3/hour"}


@pytest.fixture(scope="module")
def web(stack: Stack) -> Iterator[Api]:
    started = [stack.start("web", env=LIMITS)]
    yield Api(started[-1].url, None, stack.settings)
    stop_all(started)


def test_schedules_workflows_and_webhooks_are_for_full_users(web: Api) -> None:
    caller, user = web.as_anonymous(), web.as_user()
    document = web.get("/api/openapi.json").json()
    closed = [name for name, _ in operations(document) if name.split(" ")[1].startswith(CLOSED)]
    assert len(closed) > 15
    for name in closed:
        method, path = name.split(" ")
        while "{" in path:
            path = path[: path.index("{")] + str(uuid4()) + path[path.index("}") + 1 :]
        sent = {"headers": {"Content-Type": "application/json"}, "content": "{}"}
        refused = caller.request(method, path, **sent)
        is_error(refused, 403, "FORBIDDEN")
        assert "Anonymous users" in refused.text
        assert "Anonymous users" not in user.request(method, path, **sent).text, name
    with_webhook = {**CHAT, "webhook_url": "https://example.com/hook"}
    is_error(caller.invoke(with_webhook), 403, "FORBIDDEN")


def test_anonymous_users_have_visitors_limits_and_own_rows(web: Api) -> None:
    caller, other, user = web.as_anonymous(), web.as_anonymous(), web.as_user()
    leads = [caller.request("POST", "/api/leads", json={"name": "Ada"}) for _ in range(3)]
    assert [response.status_code for response in leads] == [201, 201, 429]
    runs = [caller.invoke() for _ in range(4)]
    assert [response.status_code for response in runs] == [200, 200, 200, 429]
    is_error(runs[-1], 429, "RATE_LIMITED")
    begun = [caller.request("POST", "/api/conversations", json={}).status_code for _ in range(4)]
    assert begun == [201, 201, 201, 429]

    assert len(caller.get("/api/leads").json()["items"]) == 2
    assert other.get("/api/leads").json()["items"] == []
    assert [user.invoke().status_code for _ in range(4)] == [200] * 4
