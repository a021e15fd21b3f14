"""Submissions use the definition that a process remembers only while it is current."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from pixelbloom.database.gateway import Gateway
from pixelbloom.errors import Conflict, InvalidInput
from pixelbloom.runs.service import RunService
from pixelbloom.runs.store import RunStore
from pixelbloom.workflows.service import WorkflowService, WorkflowSubmission
from pixelbloom.workflows.store import WorkflowStore
from tests.stack import Stack

Process = Callable[[], WorkflowService]


@pytest.fixture
def process(stack: Stack) -> Iterator[Process]:
    """Build the services of another process. Nothing is published."""
    gateways: list[Gateway] = []

    def build() -> WorkflowService:
        gateways.append(Gateway(stack.settings))
        store = RunStore(gateways[-1], user_queue_limit=64, lease_seconds=15)
        runs = RunService(store, lambda steps, updates: None, model_timeout=10)
        return WorkflowService(WorkflowStore(gateways[-1]), runs, model_timeout=10)

    yield build
    for gateway in gateways:
        gateway.close()


@pytest.fixture
def name() -> str:
    return f"flow_{uuid4().hex}"


def definition(name: str, message: str, **inputs: Any) -> dict[str, Any]:
    step = {"key": "reply", "agent": "chat_agent", "input": {"message": f"'{message}'"}}
    return {"workflow_id": name, "inputs": {"type": "object", **inputs}, "steps": [step]}


def submission(name: str, inputs: dict[str, Any] | None = None) -> WorkflowSubmission:
    return WorkflowSubmission(caller="service:test", user_id=None, metadata={}, workflow_id=name, inputs=inputs or {})


def version_of(db: psycopg.Connection, run_id: Any) -> Any:
    row = db.execute("select workflow_version from public.runs where id = %s", [run_id]).fetchone()
    assert row is not None
    return row[0]


def test_a_version_that_another_process_added_is_used_at_once(
    process: Process, name: str, db: psycopg.Connection
) -> None:
    ours, others = process(), process()
    others.add(definition(name, "one"), created_by="admin")
    assert version_of(db, ours.submit(submission(name)).id) == 1
    others.add(definition(name, "two"), created_by="admin")
    assert version_of(db, ours.submit(submission(name)).id) == 2
    assert version_of(db, ours.submit(submission(f"{name}@1")).id) == 1
    assert version_of(db, ours.submit(submission(f"{name}@1")).id) == 1


def test_an_input_that_only_the_newest_version_accepts_is_accepted(
    process: Process, name: str, db: psycopg.Connection
) -> None:
    ours, others = process(), process()
    others.add(definition(name, "one", required=["a"]), created_by="admin")
    ours.submit(submission(name, {"a": 1}))
    with pytest.raises(InvalidInput):
        ours.submit(submission(name, {"b": 1}))
    ours.submit(submission(name, {"a": 1}))
    others.add(definition(name, "two", required=["b"]), created_by="admin")
    assert version_of(db, ours.submit(submission(name, {"b": 1})).id) == 2
    with pytest.raises(InvalidInput):
        ours.submit(submission(name, {"a": 1}))


@pytest.mark.parametrize("suffix", ["", "@1"], ids=["the newest", "a version by its number"])
def test_a_workflow_that_another_process_retired_accepts_no_new_runs(process: Process, name: str, suffix: str) -> None:
    ours, others = process(), process()
    others.add(definition(name, "one"), created_by="admin")
    ours.submit(submission(name + suffix))
    others.retire(name)
    with pytest.raises(Conflict, match="retired"):
        ours.submit(submission(name + suffix))
