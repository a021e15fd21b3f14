"""Manages schedules and fires due ones."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID

import structlog

from pixelbloom.agents import registry
from pixelbloom.core.statuses import RunKind
from pixelbloom.core.time_zones import iso, parse_time
from pixelbloom.database.pagination import Rows
from pixelbloom.errors import Conflict, FieldError, InvalidInput, NotFound, PixelBloomError, Unavailable
from pixelbloom.runs.service import Accepted, RunService, Submission
from pixelbloom.runs.status import Priority
from pixelbloom.schedules import cron
from pixelbloom.schedules.store import ScheduleStore
from pixelbloom.workflows.inputs import check_inputs
from pixelbloom.workflows.service import WorkflowService, WorkflowSubmission

log = structlog.get_logger(__name__)

#: Schedules per user, or per service for those without a user.
MAX_SCHEDULES = 100
#: Schedules fired per task; the next task continues.
BATCH = 100
SHOWN_TIMES = 5
#: Time after which a schedule without a determinable next time is tried again.
PARKED = timedelta(days=1)


@dataclass(frozen=True)
class Wanted:
    """The work of a schedule, and its times."""

    kind: RunKind
    target: str
    input: Mapping[str, Any]
    cron: str
    timezone: str
    caller: str
    user_id: UUID | None
    metadata: Mapping[str, Any]


def work(
    agent_type: str | None,
    workflow_id: str | None,
    agent_input: Mapping[str, Any] | None,
    inputs: Mapping[str, Any] | None,
) -> tuple[RunKind, str, Mapping[str, Any]]:
    """Return the kind, target and input of a schedule of an agent or a workflow. Raises InvalidInput."""
    if (agent_type is None) == (workflow_id is None):
        rule = "or workflow_id is required, and not both"
        raise InvalidInput("Name an agent_type or a workflow_id, and not both.", [FieldError("agent_type", rule)])
    if (agent_input if agent_type is None else inputs) is not None:
        other = ("input", "belongs to an agent_type") if agent_type is None else ("inputs", "belongs to a workflow_id")
        raise InvalidInput("An agent accepts input, a workflow accepts inputs.", [FieldError(*other)])
    if agent_type is not None:
        return "agent", agent_type, agent_input or {}
    return "workflow", workflow_id or "", inputs or {}


@dataclass(frozen=True)
class Schedule:
    """A schedule as stored."""

    id: UUID
    user_id: UUID | None
    caller: str
    kind: str
    target: str
    input: Mapping[str, Any]
    metadata: Mapping[str, Any]
    cron: str
    timezone: str
    active: bool
    next_run_at: str
    last_run_at: datetime | None
    last_run_id: str | None
    last_error: str | None
    created_at: datetime | None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        return cls(
            id=UUID(row["id"]),
            user_id=UUID(row["user_id"]) if row["user_id"] else None,
            caller=row["caller"],
            kind=row["kind"],
            target=row["target"],
            input=row["input"],
            metadata=row["metadata"],
            cron=row["cron"],
            timezone=row["timezone"],
            active=row["active"],
            next_run_at=row["next_run_at"],
            last_run_at=parse_time(row["last_run_at"]),
            last_run_id=row["last_run_id"],
            last_error=row["last_error"],
            created_at=parse_time(row["created_at"]),
        )

    def to_public(self) -> dict[str, Any]:
        """Return the schedule as in `GET /api/agents/schedules/{schedule_id}`."""
        work = (
            {"agent_type": self.target, "input": dict(self.input)}
            if self.kind == "agent"
            else {"workflow_id": self.target, "inputs": dict(self.input)}
        )
        coming = self._coming() if self.active else []
        return {
            "id": str(self.id),
            "schedule_id": str(self.id),
            "kind": self.kind,
            **work,
            "user_id": str(self.user_id) if self.user_id else None,
            "metadata": dict(self.metadata),
            "cron": self.cron,
            "timezone": self.timezone,
            "active": self.active,
            "next_run_at": iso(coming[0]) if coming else None,
            "next_runs": [iso(moment) for moment in coming],
            "last_run_at": iso(self.last_run_at),
            "last_run_id": self.last_run_id,
            "last_error": self.last_error,
            "created_at": iso(self.created_at),
        }

    def _coming(self) -> list[datetime]:
        following = parse_time(self.next_run_at)
        assert following is not None
        try:
            later = cron.next_times(self.cron, self.timezone, following, SHOWN_TIMES - 1)
        except cron.NeverComes:
            later = []
        return [following, *later]


class ScheduleService:
    """Schedules and their runs. Every method may raise Unavailable.

    `clock` returns the time in UTC. `on_fired` is called with the seconds by which a run was started after its time.
    """

    def __init__(
        self,
        store: ScheduleStore,
        runs: RunService,
        workflows: WorkflowService,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        on_fired: Callable[[float], None] = lambda _late: None,
    ) -> None:
        self._store = store
        self._runs = runs
        self._workflows = workflows
        self._clock = clock
        self._on_fired = on_fired

    def add(self, wanted: Wanted) -> Schedule:
        """Store a schedule (`POST /api/agents/schedules`).

        Raises InvalidInput, NotFound for an unknown workflow, and Conflict if its user has too many.
        """
        cron.check(wanted.cron, wanted.timezone)
        if wanted.kind == "agent":
            registry.get(wanted.target).validate(dict(wanted.input))
        else:
            workflow = self._workflows.find(wanted.target)
            if workflow.retired_at is not None:
                raise Conflict(f"The workflow {wanted.target} is retired and accepts no new runs.")
            check_inputs(workflow.definition, wanted.input)
        [following] = cron.next_times(wanted.cron, wanted.timezone, self._clock(), 1)
        result = self._store.add(
            {
                "user_id": str(wanted.user_id) if wanted.user_id else None,
                "caller": wanted.caller,
                "kind": wanted.kind,
                "target": wanted.target,
                "input": dict(wanted.input),
                "metadata": dict(wanted.metadata),
                "cron": wanted.cron,
                "timezone": wanted.timezone,
                "next_run_at": following.isoformat(),
            },
            MAX_SCHEDULES,
        )
        if result["outcome"] == "full":
            raise Conflict(
                f"There are {MAX_SCHEDULES} schedules already, as many as a user may have; remove one first."
            )
        return Schedule.from_row(result["schedule"])

    def get(self, schedule_id: UUID) -> Schedule:
        """Return a schedule. Raises NotFound."""
        row = self._store.find(schedule_id)
        if row is None:
            raise NotFound("There is no such schedule.")
        return Schedule.from_row(row)

    def set_active(self, schedule: Schedule, *, active: bool) -> Schedule:
        """Pause a schedule, or resume it at its next time from now; missed times are skipped.

        Raises NotFound if it was removed meanwhile, and Conflict if its next time can no longer be determined.
        """
        following = self._clock()
        if active:
            try:
                [following] = cron.next_times(schedule.cron, schedule.timezone, following, 1)
            except cron.NeverComes as error:
                raise Conflict(
                    f"Its next time cannot be determined ({error}); delete the schedule and create another."
                ) from error
        row = self._store.set_active(schedule.id, active=active, following=following)
        if row is None:
            raise NotFound("There is no such schedule.")
        return Schedule.from_row(row)

    def remove(self, schedule: Schedule) -> None:
        """Delete a schedule; runs that it started continue."""
        self._store.remove(schedule.id)

    def page(self, *, owner: UUID | None, limit: int, before: tuple[str, str] | None) -> Rows:
        """Return a page of the rows of schedules, newest first, after the (created_at, id) of `before`."""
        return self._store.page(owner=owner, limit=limit, before=before)

    def fire_due(self) -> int:
        """Start due schedules, each once, also with concurrent processes. Return the number started by this call.

        After an outage, each due schedule fires once, not once per missed time. One that fails records its error and
        does not delay the others.
        """
        now = self._clock()
        started = 0
        for row in self._store.due(now, BATCH):
            schedule = Schedule.from_row(row)
            run_id, error = self._fire(schedule)
            try:
                [following] = cron.next_times(schedule.cron, schedule.timezone, now, 1)
            except cron.NeverComes as never:
                following, error = now + PARKED, f"Its next time cannot be determined: {str(never).removesuffix('.')}."
                log.error("schedule_parked", schedule_id=str(schedule.id), reason=str(never))
            advanced = self._store.advance(
                schedule.id, expected=schedule.next_run_at, following=following, run_id=run_id, error=error
            )
            if advanced and run_id is not None:
                started += 1
                due_at = parse_time(schedule.next_run_at)
                self._on_fired((now - due_at).total_seconds() if due_at else 0.0)
        return started

    def _fire(self, schedule: Schedule) -> tuple[UUID | None, str | None]:
        try:
            accepted = self._submit(schedule)
        except Unavailable:
            raise  # nothing was recorded; it is still due
        except PixelBloomError as error:
            log.warning("schedule_failed", schedule_id=str(schedule.id), reason=error.message)
            return None, error.message
        except Exception:
            log.exception("schedule_crashed", schedule_id=str(schedule.id))
            return None, "An internal error occurred; the schedule is tried again at its next time."
        if accepted.created:
            log.info("schedule_fired", schedule_id=str(schedule.id), run_id=str(accepted.id))
        return accepted.id, None

    def _submit(self, schedule: Schedule) -> Accepted:
        terms: dict[str, Any] = {
            "caller": schedule.caller,
            "user_id": schedule.user_id,
            "metadata": {**schedule.metadata, "schedule_id": str(schedule.id)},
            # Concurrent firings of the same time get the same run.
            "idempotency_key": f"schedule:{schedule.id}:{schedule.next_run_at}",
            "priority": Priority.BATCH,
        }
        if schedule.kind == "agent":
            return self._runs.submit(Submission(agent_type=schedule.target, input=schedule.input, **terms))
        return self._workflows.submit(WorkflowSubmission(workflow_id=schedule.target, inputs=schedule.input, **terms))
