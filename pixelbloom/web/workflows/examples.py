"""The workflow examples of the OpenAPI document."""

from typing import Any

from pixelbloom.web.runs.schemas import LISTED_RUN, RUN

_RUN_ID = "3b7d4c1e-8a55-4b8c-9a53-2f1f0f7d8c21"
_INPUTS = {"name": "Ada Mills", "company": "Northwind", "message": "We need a new website with a blog."}

EXECUTE: dict[str, Any] = {"workflow_id": "lead_intake", "inputs": _INPUTS, "async": True}

EXECUTED: dict[str, Any] = {"id": _RUN_ID, "workflow_run_id": _RUN_ID, "status": "queued", "error": None}

RUN_OF_WORKFLOW: dict[str, Any] = {
    **{name: value for name, value in RUN.items() if name not in ("request_id", "agent_type", "input", "result")},
    "id": _RUN_ID,
    "workflow_run_id": _RUN_ID,
    "kind": "workflow",
    "workflow_id": "lead_intake",
    "workflow_version": 1,
    "inputs": _INPUTS,
    "outputs": {"qualify": {"score": 72, "tier": "hot"}},
    "step": "qualify",
}

LISTED_RUN_OF_WORKFLOW: dict[str, Any] = {
    **{name: value for name, value in RUN_OF_WORKFLOW.items() if name not in ("inputs", "outputs")},
    "steps": LISTED_RUN["steps"],
}

RETRY: dict[str, Any] = {"workflow_id": "lead_intake"}

REPLAYED: dict[str, Any] = {
    "id": "0f6d0a3a-54d6-4be7-8a7e-2f4f4c0f2a10",
    "workflow_run_id": "0f6d0a3a-54d6-4be7-8a7e-2f4f4c0f2a10",
    "status": "queued",
    "replay_of": _RUN_ID,
}

APPROVAL: dict[str, Any] = {
    "id": "4c7d2a90-3c1b-4f3e-9a58-6d1e0b7f5c32",
    "workflow_run_id": _RUN_ID,
    "workflow_id": "lead_intake",
    "workflow_version": 1,
    "user_id": "0b9f1a0e-5f8c-4c0b-8a54-6a1f6c1d2e3f",
    "key": "approve_reply",
    "message": "Send this reply to Northwind?",
    "approvers": "owner",
    "requested_at": "2026-01-31T12:00:03.480000Z",
    "deadline_at": "2026-02-01T12:00:03.480000Z",
}

DECISION: dict[str, Any] = {"comment": "Looks good; go ahead."}

VALIDATED: dict[str, Any] = {
    "valid": False,
    "details": [{"field": "steps.1.needs.0", "message": "names no step: qualify_lead"}],
}

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
    "id": DEFINITION["workflow_id"],
    **DEFINITION,
    "version": 1,
    "inputs": None,
    "graph": [{"from": "qualify", "to": "reply"}],
    "created_by": "administrator",
    "created_at": "2026-01-31T12:00:00.004000Z",
    "retired_at": None,
}
