"""The examples about workflows that the OpenAPI document shows."""

from typing import Any

from pixelbloom.web.examples import LISTED_RUN, RUN

_RUN_ID = "3b7d4c1e-8a55-4b8c-9a53-2f1f0f7d8c21"
_INPUTS = {"name": "Ada Mills", "company": "Northwind", "message": "We need a new website with a blog."}

EXECUTE: dict[str, Any] = {"workflow_id": "lead_intake", "inputs": _INPUTS, "async": True}

EXECUTED: dict[str, Any] = {"workflow_run_id": _RUN_ID, "status": "queued", "error": None}

RUN_OF_WORKFLOW: dict[str, Any] = {
    **{name: value for name, value in RUN.items() if name not in ("request_id", "agent_type", "result")},
    "workflow_run_id": _RUN_ID,
    "kind": "workflow",
    "workflow_id": "lead_intake",
    "workflow_version": 1,
    "outputs": {"qualify": {"score": 72, "tier": "hot"}},
    "step": "qualify",
}

LISTED_RUN_OF_WORKFLOW: dict[str, Any] = {
    **{name: value for name, value in RUN_OF_WORKFLOW.items() if name != "outputs"},
    "steps": LISTED_RUN["steps"],
}

RETRY: dict[str, Any] = {"workflow_id": "lead_intake"}

RETRIED: dict[str, Any] = {"retried": 1, "run_ids": [_RUN_ID], "more": False}

REPLAYED: dict[str, Any] = {
    "workflow_run_id": "0f6d0a3a-54d6-4be7-8a7e-2f4f4c0f2a10",
    "status": "queued",
    "replay_of": _RUN_ID,
}

DECISION: dict[str, Any] = {"comment": "Looks good; go ahead."}

DEFINITION: dict[str, Any] = {
    "workflow_id": "greet_lead",
    "description": "Qualifies a lead and drafts a reply to the good ones.",
    "steps": [
        {"key": "qualify", "agent": "lead_agent", "input": {"message": "inputs.message"}},
        {
            "key": "reply",
            "agent": "content_agent",
            "needs": ["qualify"],
            "when": "outputs.qualify.score >= `45`",
            "input": {"topic": "'Our reply'", "content_type": "'email'", "brief": "outputs.qualify.summary"},
        },
    ],
}

WORKFLOW: dict[str, Any] = {
    **DEFINITION,
    "version": 1,
    "inputs": None,
    "graph": [{"from": "qualify", "to": "reply"}],
    "created_by": "administrator",
    "created_at": "2026-01-31T12:00:00.004000Z",
    "retired_at": None,
}
