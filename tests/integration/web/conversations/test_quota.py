"""The quota of messages a user may have: what is refused past it, and what is not."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.integration.http import Api, is_error
from tests.integration.web.conversations.calls import PATH, begun, read, said


@pytest.fixture
def three_messages(db: psycopg.Connection) -> Iterator[None]:
    """A user may have three messages."""
    [quota] = db.execute("select rows_per_user from public.row_quotas where table_name = 'messages'").fetchone() or [0]
    db.execute("update public.row_quotas set rows_per_user = 3 where table_name = 'messages'")
    yield
    db.execute("update public.row_quotas set rows_per_user = %s where table_name = 'messages'", [quota])


@pytest.mark.usefixtures("three_messages")
def test_past_the_quota_of_messages_runs_are_refused_before_they_are_accepted(
    user: Api, web: Api, db: psycopg.Connection
) -> None:
    conversation = begun(user)
    path = f"{PATH}/{conversation['conversation_id']}/messages"
    name = f"talk_{uuid4().hex[:8]}"
    ask = {"conversation_id": "inputs.id", "message": "'Hello'"}
    definition = {"workflow_id": name, "steps": [{"key": "one", "agent": "chat_agent", "input": ask}]}
    assert web.as_service().request("POST", "/api/agents/workflows", json=definition).status_code == 201
    execution = {"workflow_id": name, "inputs": {"id": conversation["conversation_id"]}}

    def executed(api: Api) -> Any:
        return api.request("POST", "/api/agents/workflows/execute", json=execution, headers={"Prefer": "wait=60"})

    # Two messages, then two more: what was accepted below the quota is completed, also past it.
    assert executed(user).json()["status"] == "completed"
    third = said(user, conversation, "The third", **{"Idempotency-Key": "third"})
    assert third["status"] == "completed"
    assert len(read(user, conversation)["messages"]) == 4

    chat = {"agent_type": "chat_agent", "input": {**execution["inputs"], "message": "Hello"}}
    chat["input"]["conversation_id"] = chat["input"].pop("id")
    service = web.as_service()
    for refused in (
        user.request("POST", path, json={"content": "The fifth"}),
        service.request("POST", path, json={"content": "The fifth"}),
        user.invoke(chat),
        executed(user),
        user.request("POST", f"/api/agents/runs/{third['request_id']}/replay"),
    ):
        assert "3 rows in messages" in is_error(refused, 409, "CONFLICT")["error"]
    counted = db.execute("select count(*) from public.runs where user_id = %s", [user.user_id]).fetchone()
    assert counted == (2,)
    assert len(read(user, conversation)["messages"]) == 4

    # Runs that add no message of this user continue.
    again = said(user, conversation, "The third", **{"Idempotency-Key": "third"})
    assert again["request_id"] == third["request_id"]
    assert user.invoke({"agent_type": "chat_agent", "input": {"message": "Hello"}}).status_code == 200
    other = web.as_user()
    assert said(other, begun(other), "Hello")["status"] == "completed"


@pytest.mark.usefixtures("three_messages")
def test_a_run_past_the_quota_does_not_fail_others_of_the_same_statement(
    user: Api, web: Api, db: psycopg.Connection
) -> None:
    full, spoken = begun(user), [web.as_user() for _ in range(8)]
    for content in ("One", "Two"):
        said(user, full, content)
    others = [(api, begun(api)) for api in spoken]

    def say(api: Api, conversation: dict[str, Any]) -> int:
        path = f"{PATH}/{conversation['conversation_id']}/messages"
        return api.request("POST", path, json={"content": "Three"}).status_code

    with ThreadPoolExecutor(16) as pool:
        codes = [pool.submit(say, api, one) for pair in others for api, one in (pair, (user, full))]

    assert [code.result() for code in codes] == [201, 409] * 8


@pytest.mark.usefixtures("three_messages")
def test_exactly_at_the_quota_of_messages_no_workflow_is_accepted(user: Api, web: Api, db: psycopg.Connection) -> None:
    conversation = begun(user)
    name = f"talk_{uuid4().hex[:8]}"
    ask = {"conversation_id": "inputs.id", "message": "'Hello'"}
    definition = {"workflow_id": name, "steps": [{"key": "one", "agent": "chat_agent", "input": ask}]}
    assert web.as_service().request("POST", "/api/agents/workflows", json=definition).status_code == 201
    for _ in range(3):
        db.execute(
            "insert into public.messages (user_id, conversation_id, role, content) values (%s, %s, 'user', 'Hello')",
            [user.user_id, conversation["conversation_id"]],
        )

    execution = {"workflow_id": name, "inputs": {"id": conversation["conversation_id"]}}
    is_error(user.request("POST", "/api/agents/workflows/execute", json=execution), 409, "CONFLICT")


@pytest.mark.usefixtures("three_messages")
def test_the_items_of_a_map_that_was_accepted_are_not_refused(user: Api, web: Api) -> None:
    conversation = begun(user)
    name = f"talk_{uuid4().hex[:8]}"
    ask = {"conversation_id": "inputs.id", "message": "'Hello'"}
    each = {"key": "each", "agent": "chat_agent", "kind": "map", "over": "`[1, 2]`", "max_parallel": 1, "input": ask}
    steps = [
        {"key": "one", "agent": "chat_agent", "input": ask},
        {"key": "two", "agent": "chat_agent", "input": ask, "needs": ["one"]},
        {**each, "needs": ["two"]},
    ]
    definition = {"workflow_id": name, "steps": steps}
    added = web.as_service().request("POST", "/api/agents/workflows", json=definition)
    assert added.status_code == 201, added.text

    run = user.request(
        "POST",
        "/api/agents/workflows/execute",
        json={"workflow_id": name, "inputs": {"id": conversation["conversation_id"]}},
        headers={"Prefer": "wait=60"},
    )

    # Past the quota of three when the map begins.
    assert run.json()["status"] == "completed", run.text
    assert len(read(user, conversation)["messages"]) == 8
