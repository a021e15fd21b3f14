"""Runs of workflows in real workers with a stand-in for Ollama: the built-in ones, and the order of steps."""

import itertools

import psycopg
import pytest

from tests.integration.http import Api
from tests.integration.workflows.runs import LEAD, chat, define, do, ended, execute, show, statuses
from tests.servers.ollama import OllamaServer
from tests.servers.script import Script
from tests.waiting import until

CAMPAIGN = {"company": "Northwind", "product": "A scheduling app", "monthly_budget": 4000}
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
    assert rows == [(7, 0.5, 90), (3, 1, 510)]  # the last one is twice the MODEL_TIMEOUT of these tests, and 10
