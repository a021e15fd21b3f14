"""What people do with runs of workflows: cancel, retry, replay, approve and reject."""

from datetime import UTC, datetime, timedelta

import psycopg

from tests.integration.http import Api, is_error
from tests.integration.workflows.runs import LEAD, RUNS, chat, define, do, ended, execute, show, statuses
from tests.servers.ollama import OllamaServer
from tests.servers.script import Script
from tests.waiting import SECONDS, until


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
    ollama.always(Script(pieces=["word "] * 12_000, delay=0.02))  # for longer than the test waits for anything
    workflow_id = define(service, chat("a"), chat("b", "a"))
    run_id = execute(user, workflow_id, wait=False)["workflow_run_id"]
    until(lambda: ollama.requests and show(user, run_id)["status"] == "running")
    response = do(user, run_id, "cancel")
    assert response.status_code == 200, response.text
    run = ended(user, run_id)
    assert (run["status"], statuses(run)) == ("cancelled", {"a": "cancelled", "b": "cancelled"})
    assert do(user, run_id, "cancel").status_code == 200  # again changes nothing
    # Within a second of the request; the machine's load varies, so only the order is asserted.
    assert ollama.gone.wait(SECONDS), "the model was not let go"


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


def test_another_users_run_is_not_found(user: Api, web: Api) -> None:
    run_id = execute(user, "lead_intake", LEAD)["workflow_run_id"]
    stranger = web.as_user()
    is_error(stranger.get(f"{RUNS}/{run_id}"), 404, "NOT_FOUND")
    for action in ("cancel", "retry", "replay"):
        is_error(do(stranger, run_id, action), 404, "NOT_FOUND")
    assert stranger.get(RUNS).json()["items"] == []
    is_error(stranger.get(f"{RUNS}?user_id={user.user_id}"), 403, "FORBIDDEN")
    is_error(user.get(f"/api/agents/runs/{run_id}"), 404, "NOT_FOUND")  # it is no agent's
