"""Runs of one step, and what a worker does with them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg

from pixelbloom.runs.store import RunStore

LEASE_SECONDS = 15.0
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
FAR_AHEAD = datetime(2100, 1, 1, tzinfo=UTC)


def a_step(**more: Any) -> dict[str, Any]:
    return {
        "key": "chat_agent",
        "agent_type": "chat_agent",
        "input": {"message": "hello"},
        "backoff_seconds": 0,
        **more,
    }


def a_run(**more: Any) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "kind": "agent",
        "agent_type": "chat_agent",
        "caller": "service",
        "user_queue": "service",
        "input": {"message": "hello"},
        "steps": [a_step()],
        **more,
    }


def submit(store: RunStore, **more: Any) -> UUID:
    return UUID(store.create(a_run(**more))["id"])


def claim(store: RunStore, run_id: UUID, word: str | None = None) -> dict[str, Any]:
    return store.claim(run_id, "chat_agent", "worker", word or uuid4().hex)


def ending(run_id: UUID, token: int, **more: Any) -> dict[str, Any]:
    return {
        "run_id": str(run_id),
        "key": "chat_agent",
        "token": token,
        "what": "completed",
        "output": {"reply": "hi"},
        "provider": "fallback",
        **more,
    }


def failing(run_id: UUID, token: int, *, retryable: bool = True) -> dict[str, Any]:
    return ending(run_id, token, what="failed", error="it broke", error_code="BROKEN", retryable=retryable)


def sweep(store: RunStore, db: psycopg.Connection, lost_before: datetime = LONG_AGO) -> dict[str, Any]:
    """Sweep now, as if the last sweep had been a moment ago."""
    db.execute("update public.system_state set next_sweep_at = '-infinity', last_sweep_at = clock_timestamp()")
    return store.sweep(interval_seconds=1.5, lost_before={0: lost_before, -1: lost_before}, limit=100)


def expire(db: psycopg.Connection) -> None:
    db.execute("update public.run_steps set lease_expires_at = now() - interval '1 second' where status = 'running'")


def handing_back(run_id: UUID, token: int) -> dict[str, Any]:
    return ending(run_id, token, what="handed_back", error="the worker stops", error_code="WORKER_STOPPING")
