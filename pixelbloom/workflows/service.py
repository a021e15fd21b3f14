"""Manages workflow definitions and submits runs of them, for the web tier and the schedules."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Self
from uuid import UUID

import orjson

from pixelbloom.core.time_zones import iso, parse_time
from pixelbloom.errors import Conflict, FieldError, InvalidInput, NotFound
from pixelbloom.runs.service import Accepted, RunService, StaleVersion, Terms
from pixelbloom.workflows.builtin import builtin
from pixelbloom.workflows.definition import Definition
from pixelbloom.workflows.graph import workflow_steps
from pixelbloom.workflows.inputs import check_inputs
from pixelbloom.workflows.reading import read_definition
from pixelbloom.workflows.store import WorkflowStore

SYSTEM = "system"
#: Definitions that a process remembers.
MAX_KNOWN = 200


@dataclass(frozen=True, kw_only=True)
class WorkflowSubmission(Terms):
    """The input of a workflow. `workflow_id` may name a version, like `lead_intake@3`; by default the newest."""

    workflow_id: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True)
class Workflow:
    """One version of a workflow, as stored. Its definition is parsed when it runs: agents may have been removed."""

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
        """The checked definition. Raises InvalidInput if it is no longer valid."""
        return _parsed(orjson.dumps(self.stored))

    def to_public(self) -> dict[str, Any]:
        """Return the version as in `GET /api/agents/workflows/{workflow_id}`."""
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
    """Workflows and their runs. Every method may raise Unavailable."""

    def __init__(self, store: WorkflowStore, runs: RunService, *, model_timeout: float) -> None:
        self._store = store
        self._runs = runs
        self._model_timeout = model_timeout
        self._seeded = False
        #: The definitions of the last submissions, by name; create_runs checks that they are current.
        self._known: dict[str, Workflow] = {}
        self._lock = threading.Lock()

    def submit(self, wanted: WorkflowSubmission, run_id: UUID | None = None) -> Accepted:
        """Store a run of a workflow (`POST /api/agents/workflows/execute`).

        Raises InvalidInput for invalid inputs, NotFound, Conflict for a retired workflow or an idempotency key used
        with another body, and Unavailable, which names the run.
        """
        name = wanted.workflow_id
        known = self._known.get(name)
        if known is not None:
            try:
                return self._submit(known, wanted, run_id)
            except (StaleVersion, InvalidInput):  # an input may be valid in the newest version
                self._known.pop(name, None)
        workflow = self.find(name)
        if workflow.retired_at is not None:
            raise Conflict(f"The workflow {name} is retired and accepts no new runs.")
        accepted = self._submit(workflow, wanted, run_id)
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[name] = workflow
        return accepted

    def _submit(self, workflow: Workflow, wanted: WorkflowSubmission, run_id: UUID | None) -> Accepted:
        check_inputs(workflow.definition, wanted.inputs)
        as_what = "active" if "@" in wanted.workflow_id else "newest"
        return self._accept(
            workflow, wanted, dict(wanted.inputs), wanted.workflow_id, run_id=run_id, if_version=as_what
        )

    def again(self, run: Mapping[str, Any], terms: Terms) -> Accepted:
        """Submit a new run of the run's workflow version, retired or not, with the same inputs."""
        row = self._store.find(run["workflow_id"], run["workflow_version"])
        assert row is not None  # the run's row refers to it
        return self._accept(Workflow.from_row(row), terms, run["input"], run["workflow_id"])

    def _accept(
        self,
        workflow: Workflow,
        terms: Terms,
        inputs: dict[str, Any],
        name: str,
        *,
        run_id: UUID | None = None,
        if_version: str | None = None,
    ) -> Accepted:
        return self._runs.accept(
            {
                **terms.row(),
                "kind": "workflow",
                "workflow_id": workflow.workflow_id,
                "workflow_version": workflow.version,
                "if_version": if_version,
                "request_hash": terms.request_hash("workflow", name, inputs),
                "input": inputs,
                "steps": workflow_steps(workflow.definition, self._model_timeout),
            },
            run_id,
        )

    def find(self, name: str) -> Workflow:
        """Return the workflow with that name, or its version after an `@`. Raises NotFound."""
        self._seed()
        workflow_id, _, version = name.partition("@")
        if version and not (version.isascii() and version.isdigit() and len(version) < 10):
            raise InvalidInput(
                "The version after the @ must be a number, as in lead_intake@2.",
                [FieldError("workflow_id", "has no number after its @")],
            )
        return self._found(workflow_id, int(version) if version else None)

    def newest(self, workflow_id: str) -> Workflow:
        """Return the newest active version, else the newest retired one. Raises NotFound."""
        self._seed()
        return self._found(workflow_id, None)

    def _found(self, workflow_id: str, version: int | None) -> Workflow:
        row = self._store.find(workflow_id, version)
        if row is None:
            raise NotFound("There is no such workflow; GET /api/agents/workflows lists those there are.")
        return Workflow.from_row(row)

    def versions(self, workflow_id: str, *, before: int | None, limit: int) -> tuple[list[Workflow], bool]:
        """Return versions below `before`, the newest first, and whether there are more."""
        self._seed()
        rows = self._store.versions(workflow_id, limit, before)
        return [Workflow.from_row(row) for row in rows.items], rows.more

    def page(self, *, after: str, limit: int) -> tuple[list[Workflow], bool]:
        """Return the newest active version of each workflow, by name, after `after`; and whether there are more."""
        self._seed()
        rows = self._store.newest_of_each(after, limit)
        return [Workflow.from_row(row) for row in rows.items], rows.more

    def add(self, body: Mapping[str, Any], *, created_by: str) -> Workflow:
        """Store a new version (`POST /api/agents/workflows`). Raises InvalidInput with the path of each error."""
        self._seed()
        definition = read_definition(body)
        self._add(definition, created_by=created_by, seed=False)
        return self.find(definition.workflow_id)

    @staticmethod
    def check(body: Mapping[str, Any]) -> None:
        """Check a definition without storing it. Raises InvalidInput with the path of each error."""
        read_definition(body)

    def retire(self, workflow_id: str) -> None:
        """Retire a workflow: it accepts no new runs, and existing runs continue. Raises NotFound."""
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
        """Store the built-in workflows, once per process."""
        with self._lock:
            if self._seeded:
                return
            for definition in builtin():
                self._add(definition, created_by=SYSTEM, seed=True)
            self._seeded = True


@lru_cache(maxsize=256)
def _parsed(definition: bytes) -> Definition:
    return read_definition(orjson.loads(definition))
