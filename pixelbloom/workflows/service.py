"""Workflows as the web tier and the schedules see them: their definitions, and making runs of them."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Self
from uuid import UUID

import orjson

from pixelbloom.errors import Conflict, FieldError, InvalidInput, NotFound
from pixelbloom.runs.model import iso, parse_time
from pixelbloom.runs.service import Accepted, RunService, Terms
from pixelbloom.workflows.builtin import builtin
from pixelbloom.workflows.definition import Definition
from pixelbloom.workflows.inputs import check_inputs
from pixelbloom.workflows.reading import read_definition
from pixelbloom.workflows.steps import workflow_steps
from pixelbloom.workflows.store import WorkflowStore

SYSTEM = "system"


@dataclass(frozen=True, kw_only=True)
class WorkflowSubmission(Terms):
    """A workflow's work. `workflow_id` may name a version: `lead_intake@3`; else it is the newest."""

    workflow_id: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True)
class Workflow:
    """One version of a workflow, as it was stored. Its definition is read when it runs: agents may have gone since."""

    workflow_id: str
    version: int
    description: str
    stored: Mapping[str, Any]
    created_by: str
    created_at: datetime | None
    retired_at: datetime | None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        return cls(
            workflow_id=row["workflow_id"],
            version=row["version"],
            description=row["description"],
            stored=row["definition"],
            created_by=row["created_by"],
            created_at=parse_time(row["created_at"]),
            retired_at=parse_time(row["retired_at"]),
        )

    @property
    def definition(self) -> Definition:
        """The definition, checked. Raises InvalidInput where it no longer holds."""
        return _parsed(orjson.dumps(self.stored))

    def to_public(self) -> dict[str, Any]:
        """The version as `GET /api/agents/workflows/{workflow_id}` shows it."""
        steps = self.stored.get("steps", [])
        return {
            "id": self.workflow_id,
            "workflow_id": self.workflow_id,
            "version": self.version,
            "description": self.description,
            "inputs": self.stored.get("inputs"),
            "steps": steps,
            "graph": [{"from": need, "to": step["key"]} for step in steps for need in step.get("needs", ())],
            "created_by": "system" if self.created_by == SYSTEM else "administrator",
            "created_at": iso(self.created_at),
            "retired_at": iso(self.retired_at),
        }


class WorkflowService:
    """Every method may raise Unavailable."""

    def __init__(self, store: WorkflowStore, runs: RunService, *, model_timeout: float) -> None:
        self._store = store
        self._runs = runs
        self._model_timeout = model_timeout
        self._seeded = False
        self._lock = threading.Lock()

    def submit(self, wanted: WorkflowSubmission, run_id: UUID | None = None) -> Accepted:
        """Keep a run of a workflow (`POST /api/agents/workflows/execute`).

        Raises InvalidInput for inputs that the workflow does not take, NotFound, Conflict for one that is retired or an
        idempotency key that came with another body, and Unavailable, which names the run.
        """
        workflow = self.find(wanted.workflow_id)
        if workflow.retired_at is not None:
            raise Conflict(f"The workflow {wanted.workflow_id} is retired; it takes no new runs.")
        check_inputs(workflow.definition, wanted.inputs)
        return self._accept(workflow, wanted, dict(wanted.inputs), wanted.workflow_id, run_id)

    def again(self, run: Mapping[str, Any], terms: Terms) -> Accepted:
        """A new run of the very version that a run was made from, retired or not, with the same inputs."""
        row = self._store.find(run["workflow_id"], run["workflow_version"])
        assert row is not None  # the run's row refers to it
        return self._accept(Workflow.from_row(row), terms, run["input"], run["workflow_id"])

    def _accept(
        self, workflow: Workflow, terms: Terms, inputs: dict[str, Any], name: str, run_id: UUID | None = None
    ) -> Accepted:
        return self._runs.accept(
            {
                **terms.row(),
                "kind": "workflow",
                "workflow_id": workflow.workflow_id,
                "workflow_version": workflow.version,
                "request_hash": terms.request_hash("workflow", name, inputs),
                "input": inputs,
                "steps": workflow_steps(workflow.definition, self._model_timeout),
            },
            run_id,
        )

    def find(self, name: str) -> Workflow:
        """The workflow of that name, or its version after an `@`. Raises NotFound."""
        self._seed()
        workflow_id, _, version = name.partition("@")
        if version and not (version.isascii() and version.isdigit() and len(version) < 10):
            raise InvalidInput(
                "The version after the @ must be a number, as in lead_intake@2.",
                [FieldError("workflow_id", "has no number after its @")],
            )
        return self._found(workflow_id, int(version) if version else None)

    def newest(self, workflow_id: str) -> Workflow:
        """The newest version that may run, else the newest that is retired. Raises NotFound."""
        self._seed()
        return self._found(workflow_id, None)

    def _found(self, workflow_id: str, version: int | None) -> Workflow:
        row = self._store.find(workflow_id, version)
        if row is None:
            raise NotFound("There is no such workflow; GET /api/agents/workflows lists those there are.")
        return Workflow.from_row(row)

    def versions(self, workflow_id: str, *, before: int | None, limit: int) -> tuple[list[Workflow], bool]:
        """Return versions, the newest first, from the one before `before` on; and whether there are more."""
        self._seed()
        rows = self._store.versions(workflow_id, limit, before)
        return [Workflow.from_row(row) for row in rows.items], rows.more

    def page(self, *, after: str, limit: int) -> tuple[list[Workflow], bool]:
        """The newest version of each that may run, by name, from after `after` on; and whether there are more."""
        self._seed()
        rows = self._store.newest_of_each(after, limit)
        return [Workflow.from_row(row) for row in rows.items], rows.more

    def add(self, body: Mapping[str, Any], *, created_by: str) -> Workflow:
        """Keep a new version (`POST /api/agents/workflows`). Raises InvalidInput, which names the place."""
        self._seed()
        definition = read_definition(body)
        self._add(definition, created_by=created_by, seed=False)
        return self.find(definition.workflow_id)

    @staticmethod
    def check(body: Mapping[str, Any]) -> None:
        """Check a definition without storing it. Raises InvalidInput, which names the place of each fault."""
        read_definition(body)

    def retire(self, workflow_id: str) -> None:
        """Allow no new runs of it; those that are there go on. Raises NotFound."""
        self._seed()
        if not self._store.retire(workflow_id) and self._store.find(workflow_id, None) is None:
            raise NotFound("There is no such workflow.")

    def _add(self, definition: Definition, *, created_by: str, seed: bool) -> None:
        self._store.add(
            definition.workflow_id,
            definition.description,
            definition.model_dump(mode="json", exclude_none=True),
            created_by=created_by,
            seed=seed,
        )

    def _seed(self) -> None:
        """Once a process, see that the database has the workflows that PixelBloom brings."""
        with self._lock:
            if self._seeded:
                return
            for definition in builtin():
                self._add(definition, created_by=SYSTEM, seed=True)
            self._seeded = True


@lru_cache(maxsize=256)
def _parsed(definition: bytes) -> Definition:
    return read_definition(orjson.loads(definition))
