"""Workflows as a client of the API creates, runs and reads them."""

from typing import Any
from uuid import uuid4

from tests.integration.http import Api
from tests.waiting import until

RUNS = "/api/agents/workflows/runs"
LEAD = {"name": "Ada Mills", "company": "Northwind", "message": "We need a new website with a blog."}


def chat(key: str, *needs: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "agent": "chat_agent", "needs": list(needs), "input": {"message": "'hello'"}, **more}


def define(service: Api, *steps: dict[str, Any], **more: Any) -> str:
    """Create a workflow of these steps. Returns its name."""
    workflow_id = f"test_{uuid4().hex[:8]}"
    response = service.request(
        "POST", "/api/agents/workflows", json={"workflow_id": workflow_id, "steps": list(steps), **more}
    )
    assert response.status_code == 201, response.text
    return workflow_id


def execute(api: Api, workflow_id: str, inputs: Any = None, *, wait: bool = True, **more: Any) -> dict[str, Any]:
    body = {"workflow_id": workflow_id, "inputs": inputs or {}, "async": not wait, **more}
    response = api.request("POST", "/api/agents/workflows/execute", json=body)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    # The API itself waits for half a minute.
    return ended(api, found["workflow_run_id"]) if wait and found["status"] in ("queued", "running") else found


def show(api: Api, run_id: str) -> dict[str, Any]:
    response = api.get(f"{RUNS}/{run_id}")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def do(api: Api, run_id: str, action: str, body: Any = None) -> Any:
    return api.request("POST", f"{RUNS}/{run_id}/{action}", json=body)


def ended(api: Api, run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = until(lambda: (run := show(api, run_id))["finished_at"] and run)
    return found


def statuses(run: dict[str, Any]) -> dict[str, str]:
    return {step["key"]: step["status"] for step in run["steps"]}
