"""Workflows over HTTP, in real workers with a stand-in for Ollama."""

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.integration.http import Api, is_error
from tests.integration.workflows.runs import RUNS, chat, define, do, ended, execute, show, statuses
from tests.servers.ollama import OllamaServer
from tests.servers.script import Script
from tests.stack import Stack, stop_all
from tests.waiting import until

LEAD = {"name": "Ada Mills", "company": "Northwind", "message": "We need a new website with a blog."}
CAMPAIGN = {"company": "Northwind", "product": "A scheduling app", "monthly_budget": 4000}


@pytest.fixture(scope="module")
def ollama() -> Iterator[OllamaServer]:
    with OllamaServer() as server:
        yield server


@pytest.fixture(scope="module")
def web(stack: Stack, ollama: OllamaServer) -> Iterator[Api]:
    env = {"OLLAMA_HOST": ollama.url, "LEASE_SECONDS": "3"}
    started = [stack.start(role, env=env) for role in ("agents", "events", "maintenance", "beat", "web")]
    yield Api(started[-1].url, None, stack.settings)
    stop_all(started)


@pytest.fixture
def user(web: Api, ollama: OllamaServer) -> Iterator[Api]:
    ollama.reset()
    yield web.as_user()
    ollama.reset()


@pytest.fixture
def service(web: Api) -> Api:
    return web.as_service()


#: Its input is not text, which the agent refuses: it fails, and a retry cannot fix it.
INVALID_INPUT = {"message": "`1`"}


# The built-in ones


def test_lead_intake_runs_as_a_chain_and_returns_its_outputs(user: Api) -> None:
    response = execute(user, "lead_intake", LEAD)
    assert response["status"] == "completed", response
    assert set(response["outputs"]) == {"qualify", "recommend", "reply"}
    assert 0 <= response["outputs"]["qualify"]["score"] <= 100
    assert response["outputs"]["reply"]["body"]
    run = show(user, response["workflow_run_id"])
    assert (run["kind"], run["workflow_id"], run["workflow_version"]) == ("workflow", "lead_intake", 1)
    assert (run["status"], run["progress"], run["outputs"]) == ("completed", 1, response["outputs"])
    assert [step["key"] for step in run["steps"]] == ["qualify", "recommend", "reply"]
    assert all(step["duration_ms"] is not None and step["attempt"] == 1 for step in run["steps"])


def test_campaign_launch_joins_and_waits_for_an_approval(user: Api) -> None:
    run_id = execute(user, "campaign_launch", CAMPAIGN, wait=False)["workflow_run_id"]
    waiting = until(lambda: (run := show(user, run_id))["steps"][4]["status"] == "waiting" and run)
    assert waiting["status"] == "running"
    approval = waiting["steps"][4]
    assert "Northwind" in approval["message"]
    assert approval["deadline_at"] > waiting["created_at"]
    decided = do(user, run_id, "steps/approve/approve", {"comment": "Go ahead"})
    assert decided.status_code == 200, decided.text
    run = ended(user, run_id)
    assert run["status"] == "completed"
    assert run["outputs"]["approve"]["approved"] is True
    assert run["outputs"]["approve"]["comment"] == "Go ahead"
    assert run["outputs"]["publish"]["body"]


@pytest.mark.parametrize(
    ("message", "route"),
    [("What does an online shop cost?", "sales"), ("My page is broken, please help", "technical"), ("Hm.", "other")],
)
def test_support_triage_takes_the_matching_route(user: Api, message: str, route: str) -> None:
    response = execute(user, "support_triage", {"message": message})
    run = show(user, response["workflow_run_id"])
    routes = {key: status for key, status in statuses(run).items() if key in ("sales", "technical", "other")}
    assert routes == {key: "completed" if key == route else "skipped" for key in routes}
    assert run["status"] == "completed"
    assert response["outputs"]["answer"]["body"]


# How steps go on from each other


def test_each_step_of_a_linear_segment_is_published_once(service: Api, db: psycopg.Connection) -> None:
    workflow_id = define(service, chat("a"), chat("b", "a"), chat("c", "b"))
    run_id = execute(service, workflow_id)["workflow_run_id"]
    rows = db.execute(
        "select key, publications, attempt from public.run_steps where run_id = %s order by position", [run_id]
    ).fetchall()
    assert rows == [("a", 1, 1), ("b", 1, 1), ("c", 1, 1)]


def test_a_join_waits_for_all_and_sees_their_outputs(service: Api) -> None:
    workflow_id = define(
        service,
        chat("a"),
        chat("left", "a", input={"message": "inputs.left"}),
        chat("right", "a", input={"message": "inputs.right"}),
        chat("join", "left", "right", input={"message": "join(' ', [outputs.left.intent, outputs.right.intent])"}),
    )
    response = execute(service, workflow_id, {"left": "What does it cost?", "right": "Hello"})
    assert response["status"] == "completed", response
    run = show(service, response["workflow_run_id"])
    by_key = {step["key"]: step for step in run["steps"]}
    assert by_key["join"]["started_at"] >= max(by_key["left"]["finished_at"], by_key["right"]["finished_at"])


def test_a_map_runs_a_few_items_at_a_time_and_preserves_their_order(service: Api, ollama: OllamaServer) -> None:
    ollama.always(Script(delay=0.005))
    workflow_id = define(
        service,
        chat("m", kind="map", over="inputs.items", max_parallel=2, input={"message": "item", "history": "`[]`"}),
    )
    items = ["What does it cost?", "Hello", "Thank you", "How long does it take?", "I want to talk to a person"]
    response = execute(service, workflow_id, {"items": items})
    assert response["status"] == "completed", response
    intents = [output["intent"] for output in response["outputs"]["m"]]
    assert intents == ["pricing", "greeting", "thanks", "timeline", "human"]
    [step] = show(service, response["workflow_run_id"])["steps"]
    assert [item["key"] for item in step["items"]] == [f"m[{n}]" for n in range(5)]
    begun = [(item["started_at"], 1) for item in step["items"]] + [(i["finished_at"], -1) for i in step["items"]]
    assert max(itertools.accumulate(change for _, change in sorted(begun))) <= 2


def test_a_map_over_an_empty_list_gives_an_empty_list(service: Api) -> None:
    workflow_id = define(service, chat("m", kind="map", over="inputs.items"), chat("z", "m"))
    response = execute(service, workflow_id, {"items": []})
    assert (response["status"], response["outputs"]["m"]) == ("completed", [])


def test_a_map_over_another_value_than_a_list_fails_and_names_it(service: Api) -> None:
    response = execute(service, define(service, chat("m", kind="map", over="inputs.items")), {"items": "no"})
    assert (response["status"], response["error"]) == ("failed", "m.over did not return a list of at most 1000 items.")


def test_a_step_that_may_fail_does_not_fail_the_run(service: Api) -> None:
    workflow_id = define(
        service,
        chat("a", input=INVALID_INPUT, on_error="continue"),
        chat("b", "a", when="steps.a.status == 'failed'", input={"message": "steps.a.error"}),
        chat("c", "a", when="steps.a.status == 'completed'"),
    )
    response = execute(service, workflow_id)
    run = show(service, response["workflow_run_id"])
    assert statuses(run) == {"a": "failed", "b": "completed", "c": "skipped"}
    assert (run["status"], set(run["outputs"])) == ("completed", {"b"})


def test_a_failed_step_fails_the_run_and_cancels_pending_steps(service: Api) -> None:
    response = execute(service, define(service, chat("a"), chat("b", "a", input=INVALID_INPUT), chat("c", "b")))
    assert (response["status"], response.get("outputs")) == ("failed", None)
    assert response["error"]
    run = show(service, response["workflow_run_id"])
    assert statuses(run) == {"a": "completed", "b": "failed", "c": "cancelled"}
    assert (run["step"], run["error_code"]) == ("b", "BAD_REQUEST")
    assert [error["attempt"] for error in run["steps"][1]["errors"]] == [1]


def test_a_step_has_its_own_attempts_backoff_and_timeout(service: Api, db: psycopg.Connection) -> None:
    workflow_id = define(service, chat("a", retry={"attempts": 7, "backoff": 0.5}, timeout=90), chat("b"))
    run_id = execute(service, workflow_id)["workflow_run_id"]
    rows = db.execute(
        "select max_attempts, backoff_seconds, timeout_seconds from public.run_steps where run_id = %s order by key",
        [run_id],
    ).fetchall()
    assert rows == [(7, 0.5, 90), (3, 1, 150)]


# What people do


def test_a_retry_of_ten_steps_that_failed_at_the_seventh_runs_the_last_four_only(service: Api) -> None:
    steps = [chat("s1")] + [chat(f"s{n}", f"s{n - 1}") for n in range(2, 11)]
    steps[6]["input"] = {"message": "inputs.message"}
    workflow_id = define(service, *steps)
    # Its message is corrected while the run is stopped, as a person would fix its cause.
    response = execute(service, workflow_id, {"message": 7})
    run_id = response["workflow_run_id"]
    failed = show(service, run_id)
    assert (failed["status"], failed["step"], failed["progress"]) == ("failed", "s7", 0.6)
    with psycopg.connect(service.settings.require("database_url"), autocommit=True) as db:
        db.execute("""update public.runs set input = '{"message": "hello"}' where id = %s""", [run_id])
    retried = do(service, run_id, "retry")
    assert retried.status_code == 200, retried.text
    assert (retried.json()["status"], retried.json()["retries"]) in {("queued", 1), ("running", 1)}
    run = ended(service, run_id)
    assert (run["status"], run["progress"]) == ("completed", 1)
    assert [step["attempt"] for step in run["steps"]] == [1] * 6 + [2] + [1] * 3
    before = {step["key"]: step["finished_at"] for step in failed["steps"][:6]}
    assert {step["key"]: step["finished_at"] for step in run["steps"][:6]} == before


def test_a_cancelled_run_stops_while_a_model_is_streaming(service: Api, ollama: OllamaServer, user: Api) -> None:
    ollama.always(Script(pieces=["word "] * 3000, delay=0.02))
    workflow_id = define(service, chat("a"), chat("b", "a"))
    run_id = execute(user, workflow_id, wait=False)["workflow_run_id"]
    until(lambda: ollama.requests and show(user, run_id)["status"] == "running")
    response = do(user, run_id, "cancel")
    assert response.status_code == 200, response.text
    run = ended(user, run_id)
    assert (run["status"], statuses(run)) == ("cancelled", {"a": "cancelled", "b": "cancelled"})
    assert do(user, run_id, "cancel").status_code == 200  # again changes nothing
    # Within a second of the request; the machine's load varies, so only the order is asserted.
    assert ollama.gone.wait(30), "the model was not let go"


def test_a_completed_run_can_be_neither_cancelled_nor_retried_but_replayed(user: Api) -> None:
    run_id = execute(user, "lead_intake", LEAD)["workflow_run_id"]
    assert "only a queued or running" in is_error(do(user, run_id, "cancel"), 409, "CONFLICT")["error"]
    assert "Replay makes a new run" in is_error(do(user, run_id, "retry"), 409, "CONFLICT")["error"]
    response = do(user, run_id, "replay")
    assert response.status_code == 201, response.text
    assert response.json()["replay_of"] == run_id
    again = ended(user, response.json()["workflow_run_id"])
    assert (again["status"], again["replay_of"]) == ("completed", run_id)
    assert again["outputs"].keys() == show(user, run_id)["outputs"].keys()


def test_agent_runs_are_cancelled_retried_and_replayed(user: Api, service: Api) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    body = {"agent_type": "chat_agent", "input": {"message": "hello"}, "run_at": later}
    run_id = user.invoke(body).json()["request_id"]
    path = f"/api/agents/runs/{run_id}"
    assert user.get(path).json()["status"] == "queued"
    assert user.request("POST", f"{path}/cancel").json()["status"] == "cancelled"
    retried = user.request("POST", f"{path}/retry")
    assert retried.status_code == 200, retried.text
    assert until(lambda: (run := user.get(path).json())["finished_at"] and run)["status"] == "completed"
    is_error(user.request("POST", f"{path}/cancel"), 409, "CONFLICT")
    replay = user.request("POST", f"{path}/replay")
    assert (replay.status_code, replay.json()["replay_of"]) == (201, run_id)
    for action in ("cancel", "retry", "replay"):
        is_error(user.request("POST", f"{RUNS}/{run_id}/{action}"), 404, "NOT_FOUND")  # it is no workflow's
        is_error(service.as_user().request("POST", f"{path}/{action}"), 404, "NOT_FOUND")


def test_failed_runs_are_listed_with_each_attempts_error_and_retried_by_filter(service: Api, user: Api) -> None:
    workflow_id = define(service, chat("a", input={"message": "inputs.message"}))
    ids = {execute(user, workflow_id, {"message": 1})["workflow_run_id"] for _ in range(3)}
    listed = user.get(f"{RUNS}?status=failed&workflow_id={workflow_id}&error_code=BAD_REQUEST").json()["items"]
    assert {run["workflow_run_id"] for run in listed} == ids
    assert all(run["error"] and run["steps"][0]["errors"][0]["error"] for run in listed)
    two = do(user, "retry", "", {"workflow_id": workflow_id, "limit": 2})
    assert two.status_code in (404, 405)  # that is no address of a filter
    response = user.request("POST", f"{RUNS}/retry", json={"workflow_id": workflow_id, "limit": 2})
    assert response.status_code == 200, response.text
    assert (response.json()["retried"], response.json()["more"]) == (2, True)
    assert set(response.json()["run_ids"]) < ids
    nothing = service.as_user().request("POST", f"{RUNS}/retry", json={"workflow_id": workflow_id})
    assert nothing.json() == {"retried": 0, "run_ids": [], "more": False}


def test_a_rejected_step_fails_the_run_unless_it_may_fail(user: Api, service: Api) -> None:
    strict = define(service, {"key": "ask", "kind": "approval", "message": "'May I?'"}, chat("z", "ask"))
    lenient = define(
        service,
        {"key": "ask", "kind": "approval", "message": "'May I?'", "on_error": "continue"},
        chat("yes", "ask", when="outputs.ask.approved"),
        chat("no", "ask", when="!(outputs.ask.approved)"),
    )
    for workflow_id, status in ((strict, "failed"), (lenient, "completed")):
        run_id = execute(user, workflow_id, wait=False)["workflow_run_id"]
        until(lambda run_id=run_id: show(user, run_id)["steps"][0]["status"] == "waiting")
        assert do(user, run_id, "steps/ask/reject", {"comment": "Not now"}).status_code == 200
        run = ended(user, run_id)
        assert (run["status"], run["steps"][0]["error"]) == (status, "Rejected: Not now")
        is_error(do(user, run_id, "steps/ask/approve", {}), 409, "CONFLICT")
    assert statuses(run) == {"ask": "failed", "yes": "skipped", "no": "completed"}


def test_only_permitted_callers_decide(user: Api, web: Api, service: Api) -> None:
    workflow_id = define(service, {"key": "ask", "kind": "approval", "message": "'May I?'", "approvers": "admin"})
    run_id = execute(user, workflow_id, wait=False)["workflow_run_id"]
    until(lambda: show(user, run_id)["steps"][0]["status"] == "waiting")
    is_error(do(user, run_id, "steps/ask/approve", {}), 403, "FORBIDDEN")
    is_error(do(web.as_user(), run_id, "steps/ask/approve", {}), 404, "NOT_FOUND")
    is_error(do(user, run_id, "steps/other/approve", {}), 404, "NOT_FOUND")
    is_error(do(user, run_id, "steps/ask/approve", {"comment": 7}), 400, "BAD_REQUEST")
    admin = web.as_user(admin=True)
    assert do(admin, run_id, "steps/ask/approve", {}).status_code == 200
    assert ended(user, run_id)["steps"][0]["output"]["decided_by"] == f"user:{admin.user_id}"


def test_a_step_without_a_decision_in_time_fails(user: Api, service: Api) -> None:
    workflow_id = define(service, {"key": "ask", "kind": "approval", "message": "'May I?'", "timeout": 0.5})
    run = ended(user, execute(user, workflow_id)["workflow_run_id"])
    assert (run["status"], run["error_code"], run["error"]) == ("failed", "TIMEOUT", "Nobody decided in time.")


# Submitting


def test_a_slow_step_is_not_an_error(user: Api, service: Api, ollama: OllamaServer) -> None:
    ollama.always(Script(first_delay=3))
    workflow_id = define(service, chat("a"))
    response = user.request(
        "POST",
        "/api/agents/workflows/execute",
        json={"workflow_id": workflow_id},
        headers={"Prefer": "wait=1"},
    )
    assert (response.status_code, response.headers["Preference-Applied"]) == (200, "wait=1")
    assert response.json()["status"] in ("queued", "running")
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


# Definitions


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


def test_another_users_run_is_not_found(user: Api, web: Api) -> None:
    run_id = execute(user, "lead_intake", LEAD)["workflow_run_id"]
    stranger = web.as_user()
    is_error(stranger.get(f"{RUNS}/{run_id}"), 404, "NOT_FOUND")
    for action in ("cancel", "retry", "replay"):
        is_error(do(stranger, run_id, action), 404, "NOT_FOUND")
    assert stranger.get(RUNS).json()["items"] == []
    is_error(stranger.get(f"{RUNS}?user_id={user.user_id}"), 403, "FORBIDDEN")
    is_error(user.get(f"/api/agents/runs/{run_id}"), 404, "NOT_FOUND")  # it is no agent's


# Fairness


def test_one_users_backlog_does_not_delay_another_users_run(web: Api, service: Api, db: psycopg.Connection) -> None:
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
    db.execute("select public.create_runs(%s::jsonb, 8)", [json.dumps(rows)])
    execute(other, "lead_intake", LEAD)
    left = db.execute("select count(*) from public.runs where user_id = %s and finished_at is null", [crowd]).fetchone()
    assert left is not None
    assert left[0] > 0, "the crowd was done before the other's run"
    db.execute("delete from public.runs where user_id = %s", [crowd])


def test_interactive_runs_go_before_batch_runs_of_the_same_user(user: Api, ollama: OllamaServer) -> None:
    ollama.always(Script(first_delay=4))  # all threads are busy until the last one is submitted
    body = {"agent_type": "chat_agent", "input": {"message": "hello"}}
    batch = [user.invoke({**body, "priority": "batch"}).json()["request_id"] for _ in range(30)]
    urgent = user.invoke(body).json()["request_id"]
    ollama.always(Script())

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
        narrow.stop()


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
