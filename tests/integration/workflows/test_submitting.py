"""Submitting runs of workflows: waiting, keys, refusals, delays, and fairness between users."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psutil
import psycopg
import pytest

from tests.integration.http import Api, is_error
from tests.integration.workflows.runs import LEAD, chat, define, ended, execute
from tests.rows import one
from tests.servers import freezing
from tests.servers.ollama import OllamaServer
from tests.servers.script import Script
from tests.stack import Stack
from tests.waiting import until


def test_a_slow_step_is_not_an_error(user: Api, service: Api, ollama: OllamaServer) -> None:
    ollama.always(Script(hold_after=0))
    workflow_id = define(service, chat("a"))
    response = user.request(
        "POST",
        "/api/agents/workflows/execute",
        json={"workflow_id": workflow_id},
        headers={"Prefer": "wait=1"},
    )
    assert (response.status_code, response.headers["Preference-Applied"]) == (200, "wait=1")
    assert response.json()["status"] in ("queued", "running")
    ollama.going_on.set()
    assert ended(user, response.json()["workflow_run_id"])["status"] == "completed"


def test_one_idempotency_key_gives_one_run(user: Api) -> None:
    body = {"workflow_id": "lead_intake", "inputs": LEAD, "async": True}

    def send(body: dict[str, Any]) -> Any:
        return user.request("POST", "/api/agents/workflows/execute", json=body, headers={"Idempotency-Key": "k1"})

    first, again = send(body).json(), send(body).json()
    assert first["workflow_run_id"] == again["workflow_run_id"]
    is_error(send({**body, "inputs": {**LEAD, "name": "Bob"}}), 409, "CONFLICT")


@pytest.mark.parametrize(
    ("body", "status", "names"),
    [
        ({}, 400, "workflow_id"),
        ({"workflow_id": "No Name"}, 400, "workflow_id"),
        ({"workflow_id": "lead_intake", "inputs": []}, 400, "inputs"),
        ({"workflow_id": "lead_intake", "inputs": {"message": 7}}, 400, "inputs.message"),
        ({"workflow_id": "lead_intake", "inputs": {}}, 400, "inputs"),
        ({"workflow_id": "lead_intake", "inputs": {"message": "m", "more": 1}}, 400, "inputs"),
        ({"workflow_id": "lead_intake", "inputs": LEAD, "async": "yes"}, 400, "async"),
        ({"workflow_id": "lead_intake", "inputs": LEAD, "priority": "high"}, 400, "priority"),
        ({"workflow_id": "lead_intake", "inputs": LEAD, "run_at": "soon"}, 400, "run_at"),
        ({"workflow_id": "lead_intake", "inputs": LEAD, "run_at": "2099-01-01T00:00:00Z"}, 400, "run_at"),
        ({"workflow_id": "lead_intake", "inputs": LEAD, "user_id": "me"}, 400, "user_id"),
        ({"workflow_id": "lead_intake", "inputs": LEAD, "user_id": str(uuid4())}, 403, None),
        ({"workflow_id": "no_such_workflow"}, 404, None),
        ({"workflow_id": "lead_intake@999", "inputs": LEAD}, 404, None),
        ({"workflow_id": "lead_intake@x", "inputs": LEAD}, 400, "workflow_id"),
    ],
)
def test_an_invalid_execution_is_refused_with_its_fields(user: Api, body: Any, status: int, names: str | None) -> None:
    code = {400: "BAD_REQUEST", 403: "FORBIDDEN", 404: "NOT_FOUND"}[status]
    error = is_error(user.request("POST", "/api/agents/workflows/execute", json=body), status, code)
    if names:
        assert names in json.dumps(error["details"])


def test_a_delayed_run_does_not_start_before_its_time(user: Api) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    response = execute(user, "lead_intake", LEAD, wait=False, run_at=soon)
    run = ended(user, response["workflow_run_id"])
    assert (run["status"], run["started_at"] >= run["run_at"]) == ("completed", True)


# Fairness


@contextmanager
def agents_frozen(stack: Stack) -> Iterator[None]:
    """No run begins before the last one of the block is submitted, however long that takes."""
    agents = [psutil.Process(process.pid) for process in stack.running if process.name.startswith("agents-")]
    freezing.freeze(agents)
    try:
        yield
    finally:
        freezing.thaw(agents)


def test_one_users_backlog_does_not_delay_another_users_run(web: Api, stack: Stack, db: psycopg.Connection) -> None:
    """A thousand runs of one user wait in Postgres; at most their share is at the broker."""
    crowd, other = uuid4(), web.as_user()
    step = {"key": "chat_agent", "agent_type": "chat_agent", "input": {"message": "hello"}}
    rows = [
        {
            "id": str(uuid4()),
            "kind": "agent",
            "agent_type": "chat_agent",
            "user_id": str(crowd),
            "caller": "service",
            "user_queue": str(crowd),
            "input": {"message": "hello"},
            "steps": [step],
        }
        for _ in range(1000)
    ]
    with agents_frozen(stack):
        db.execute("select public.create_runs(%s::jsonb, 8)", [json.dumps(rows)])
        run_id = execute(other, "lead_intake", LEAD, wait=False)["workflow_run_id"]
    end = ended(other, run_id)["finished_at"]
    left = "select count(*) from public.runs where user_id = %s and (finished_at is null or finished_at > %s)"
    assert one(db, left, crowd, end) > 0, "the crowd was done before the other's run"
    db.execute("delete from public.runs where user_id = %s", [crowd])


def test_interactive_runs_go_before_batch_runs_of_the_same_user(user: Api, stack: Stack) -> None:
    with agents_frozen(stack):
        body = {"agent_type": "chat_agent", "input": {"message": "hello"}}
        batch = [user.invoke({**body, "priority": "batch"}).json()["request_id"] for _ in range(30)]
        urgent = user.invoke(body).json()["request_id"]

    def started(run_id: str) -> str | None:
        found: str | None = user.get(f"/api/agents/runs/{run_id}").json()["started_at"]
        return found

    until(lambda: user.get(f"/api/agents/runs/{urgent}").json()["finished_at"])
    of_urgent = started(urgent)
    assert of_urgent is not None
    earlier = [run_id for run_id in batch if (at := started(run_id)) is not None and at < of_urgent]
    assert len(earlier) < 25


def test_a_user_who_submits_too_fast_gets_retry_after(stack: Stack, web: Api) -> None:
    narrow = stack.start("web", env={"RUN_RATE_LIMIT": "3/minute"})
    try:
        hasty = Api(narrow.url, None, stack.settings).as_user()
        responses = [hasty.invoke() for _ in range(5)]
        assert [response.status_code for response in responses] == [200, 200, 200, 429, 429]
        assert 1 <= int(responses[-1].headers["Retry-After"]) <= 61
        is_error(responses[-1], 429, "RATE_LIMITED")
        service = Api(narrow.url, None, stack.settings).as_service()
        assert [service.invoke().status_code for _ in range(5)] == [200] * 5
    finally:
        narrow.kill()
