"""The examples of the OpenAPI document."""

from typing import Any

_RUN_ID = "5c1c7a52-2f5e-4d55-9a70-0d3b8a3c6a01"
_USER_ID = "0b9f1a0e-5f8c-4c0b-8a54-6a1f6c1d2e3f"
_STARTED, _FINISHED = "2026-01-31T12:00:00.120000Z", "2026-01-31T12:00:03.480000Z"

QUEUED: dict[str, Any] = {"id": _RUN_ID, "request_id": _RUN_ID, "status": "queued", "error": None}

RUN: dict[str, Any] = {
    "id": _RUN_ID,
    "request_id": _RUN_ID,
    "kind": "agent",
    "agent_type": "chat_agent",
    "user_id": _USER_ID,
    "status": "completed",
    "progress": 1,
    "step": "chat_agent",
    "input": {"message": "How long does a landing page take?"},
    "result": {"reply": "A landing page takes about two weeks."},
    "error": None,
    "error_code": None,
    "metadata": {"source": "dashboard"},
    "provider": "ollama",
    "model": "llama3.1:8b",
    "attempts": 1,
    "retries": 0,
    "replay_of": None,
    "correlation_id": "7d0c2f6b3c0f4a4f9e1c0a5b6d7e8f90",
    "run_at": None,
    "created_at": "2026-01-31T12:00:00.004000Z",
    "started_at": _STARTED,
    "finished_at": _FINISHED,
    "steps": [
        {
            "key": "chat_agent",
            "kind": "agent",
            "agent_type": "chat_agent",
            "needs": [],
            "status": "completed",
            "attempt": 1,
            "started_at": _STARTED,
            "finished_at": _FINISHED,
            "duration_ms": 3360,
            "provider": "ollama",
            "model": "llama3.1:8b",
            "tokens": 212,
            "output": {"reply": "A landing page takes about two weeks."},
            "error": None,
            "error_code": None,
            "errors": [],
        }
    ],
}

LISTED_RUN: dict[str, Any] = {
    **{name: value for name, value in RUN.items() if name not in ("input", "result")},
    "steps": [{name: value for name, value in step.items() if name != "output"} for step in RUN["steps"]],
}

RETRY: dict[str, Any] = {"agent_type": "chat_agent", "created_after": "2026-01-31T00:00:00Z"}

RETRIED: dict[str, Any] = {"retried": 1, "run_ids": [_RUN_ID], "more": False}

REPLAYED: dict[str, Any] = {
    "id": "9d0f4c2a-3f57-4d0e-8a0e-6c1b2a4f5e70",
    "request_id": "9d0f4c2a-3f57-4d0e-8a0e-6c1b2a4f5e70",
    "status": "queued",
    "replay_of": _RUN_ID,
}

AGENT: dict[str, Any] = {
    "id": "chat_agent",
    "agent_type": "chat_agent",
    "title": "Chat",
    "description": "Answers a visitor's question.",
    "capabilities": ["answer questions about services"],
    "model": "llama3.1:8b",
    "input_schema": {"type": "object", "properties": {"message": {"type": "string"}}},
    "output_schema": {"type": "object", "properties": {"reply": {"type": "string"}}},
}

INVOKE: dict[str, Any] = {
    "agent_type": "lead_agent",
    "input": {"query": "Find top prospects in SaaS"},
    "metadata": {"source": "dashboard"},
}
