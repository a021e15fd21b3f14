"""Definitions of workflows over HTTP: versions, checks, permissions and the list."""

import json
from typing import Any
from uuid import uuid4

import psycopg

from tests.integration.http import Api, is_error
from tests.integration.workflows.runs import chat, define, do, execute


def test_a_stored_version_never_changes_and_running_runs_stay_on_their_version(service: Api, user: Api) -> None:
    workflow_id = define(service, chat("a"))
    same = {"workflow_id": workflow_id, "steps": [chat("a")]}
    assert service.request("POST", "/api/agents/workflows", json=same).json()["version"] == 1
    changed = {**same, "steps": [chat("a"), chat("b", "a")]}
    assert service.request("POST", "/api/agents/workflows", json=changed).json()["version"] == 2
    shown = user.get(f"/api/agents/workflows/{workflow_id}").json()
    assert (shown["version"], [v["version"] for v in shown["versions"]]) == (2, [2, 1])
    assert shown["graph"] == [{"from": "a", "to": "b"}]
    assert set(execute(user, f"{workflow_id}@1")["outputs"]) == {"a"}
    assert set(execute(user, workflow_id)["outputs"]) == {"a", "b"}


def test_a_retired_workflow_takes_no_new_runs(service: Api, user: Api) -> None:
    workflow_id = define(service, chat("a"))
    run_id = execute(user, workflow_id)["workflow_run_id"]
    is_error(user.request("DELETE", f"/api/agents/workflows/{workflow_id}"), 403, "FORBIDDEN")
    assert service.request("DELETE", f"/api/agents/workflows/{workflow_id}").status_code == 204
    body = {"workflow_id": workflow_id}
    is_error(user.request("POST", "/api/agents/workflows/execute", json=body), 409, "CONFLICT")
    listed = [w["workflow_id"] for w in user.get("/api/agents/workflows?limit=200").json()["items"]]
    assert workflow_id not in listed
    assert {"campaign_launch", "lead_intake", "support_triage"} <= set(listed)
    assert user.get(f"/api/agents/workflows/{workflow_id}").json()["retired_at"]
    assert do(user, run_id, "replay").status_code == 201  # of the very version that it had
    is_error(service.request("DELETE", "/api/agents/workflows/no_such_workflow"), 404, "NOT_FOUND")


def test_only_administrators_and_services_define_workflows(user: Api, web: Api) -> None:
    body = {"workflow_id": f"by_{uuid4().hex[:8]}", "steps": [chat("a")]}
    is_error(user.request("POST", "/api/agents/workflows", json=body), 403, "FORBIDDEN")
    assert web.as_user(admin=True).request("POST", "/api/agents/workflows", json=body).status_code == 201


def test_an_invalid_definition_is_refused_with_its_places(service: Api) -> None:
    body = {"workflow_id": "bad", "steps": [chat("a", "b"), chat("b", "a")]}
    error = is_error(service.request("POST", "/api/agents/workflows", json=body), 400, "BAD_REQUEST")
    assert error["details"][0]["field"] == "steps.0.needs"
    assert "cycle" in error["error"]


def test_a_definition_is_checked_without_creating_a_version(service: Api, user: Api) -> None:
    def checked(definition: Any, api: Api = service) -> Any:
        return api.request("POST", "/api/agents/workflows/validate", json={"definition": definition})

    name = f"checked_{uuid4().hex[:8]}"
    good = {"workflow_id": name, "steps": [chat("a"), chat("b", "a")]}
    assert checked(good).json() == {"valid": True, "details": []}
    is_error(service.get(f"/api/agents/workflows/{name}"), 404, "NOT_FOUND")
    bad = {"workflow_id": "No Name", "steps": [chat("a", "c"), {"key": "b", "agent": "nobody", "input": {}}], "x": 1}
    response = checked(bad)
    assert response.status_code == 200
    refused = is_error(
        service.request("POST", "/api/agents/workflows", json={**good, "steps": bad["steps"]}), 400, "BAD_REQUEST"
    )
    assert not response.json()["valid"]
    assert {"workflow_id", "x"} <= {detail["field"] for detail in response.json()["details"]}
    only_steps = checked({**good, "steps": bad["steps"]}).json()["details"]
    assert only_steps == refused["details"]
    assert [detail["field"] for detail in only_steps] == ["steps.0.needs.0", "steps.1.agent"]
    assert checked({}).json()["details"][0]["field"] == "steps"
    is_error(checked([]), 400, "BAD_REQUEST")
    is_error(checked(good, user), 403, "FORBIDDEN")


def test_the_list_of_workflows_continues_at_its_cursor(user: Api) -> None:
    names: list[str] = []
    cursor = ""
    while True:
        page = user.get(f"/api/agents/workflows?limit=2{cursor}").json()
        names += [workflow["workflow_id"] for workflow in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert names == sorted(set(names))
    assert "lead_intake" in names


def test_a_workflow_with_a_missing_agent_is_shown_and_refuses_to_run(user: Api, db: psycopg.Connection) -> None:
    workflow_id = f"gone_{uuid4().hex[:8]}"
    stored = {"workflow_id": workflow_id, "steps": [{**chat("a"), "agent": "agent_of_old"}]}
    db.execute(
        "insert into public.workflows (workflow_id, version, definition) values (%s, 1, %s)",
        [workflow_id, json.dumps(stored)],
    )
    assert user.get(f"/api/agents/workflows/{workflow_id}").json()["steps"] == stored["steps"]
    assert user.get("/api/agents/workflows?limit=200").status_code == 200
    refused = user.request("POST", "/api/agents/workflows/execute", json={"workflow_id": workflow_id})
    assert "steps.0.agent" in is_error(refused, 400, "BAD_REQUEST")["error"]
