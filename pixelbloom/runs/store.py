"""Reads runs and their steps."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pixelbloom.database.pagination import SLICE_ROWS, Filtered, Rows, Slices, newest_first, position
from pixelbloom.errors import NotFound
from pixelbloom.runs.status import Priority
from pixelbloom.runs.transitions import JsonObject, RunTransitions

#: A run without its large columns.
LIGHT_COLUMNS = (
    "id,kind,agent_type,workflow_id,workflow_version,user_id,caller,status,progress,step,error,error_code,"
    "metadata,provider,model,attempts,retries,replay_of,webhook_url,run_at,created_at,started_at,finished_at,"
    "correlation_id"
)
LIGHT_STEP_COLUMNS = (
    "key,kind,agent_type,parent,needs,position,status,attempt,started_at,finished_at,deadline_at,provider,model,"
    "prompt_tokens,completion_tokens,error,error_code,errors,message:input->>message,"
    "approvers:input->>approvers"
)
#: A run and a step with their results.
RUN_COLUMNS = f"{LIGHT_COLUMNS},result"
STEP_COLUMNS = f"{LIGHT_STEP_COLUMNS},output"
#: A run as the API shows it, with its input and its steps, in one request.
SHOWN_COLUMNS = f"{RUN_COLUMNS},input,run_steps({STEP_COLUMNS})"
#: Rows read at once if they include details.
DETAILED_SLICE_ROWS = 5
#: The columns to create another run from.
SOURCE_COLUMNS = f"{RUN_COLUMNS},input,priority"


class Detail(StrEnum):
    """A large part of a run, which lists include only on request."""

    INPUT = "input"
    RESULT = "result"
    STEP_OUTPUTS = "step_outputs"


class RunStore(RunTransitions):
    """Runs in Postgres: their transitions, and what is read of them. Every method may raise Unavailable."""

    def get(self, run_id: UUID) -> JsonObject:
        """Return the run's row with its input and its steps. Raises NotFound."""
        rows = self.find([run_id], columns=SHOWN_COLUMNS)
        if not rows:
            raise NotFound("There is no such run.")
        return rows[0]

    def find(self, run_ids: Sequence[UUID], *, columns: str) -> list[JsonObject]:
        """Return these columns of the runs that exist, in one request."""
        return self._gateway.select(
            lambda client: client.table("runs").select(columns).in_("id", [str(i) for i in run_ids]), name="runs.find"
        )

    def read_update(self, run_id: UUID) -> JsonObject | None:
        """Return the run's current state as its events have it, or None if there is no such run."""
        payload: JsonObject | None = self._gateway.rpc("read_run_update", {"p_run_id": str(run_id)})
        return payload

    def newest_running(self) -> dict[int, datetime]:
        """Return by the number of a priority when the newest step that runs now was published; others are absent."""
        found = {priority.number: self._newest_running(priority) for priority in Priority}
        return {number: at for number, at in found.items() if at is not None}

    def _newest_running(self, priority: Priority) -> datetime | None:
        rows = self._gateway.select(
            lambda client: (
                client.table("run_steps")
                .select("published_at")
                .eq("status", "running")
                .eq("priority", priority.number)
                .order("published_at", desc=True, nullsfirst=False)
                .limit(1)
            ),
            name="runs.newest_running",
        )
        at = rows[0]["published_at"] if rows else None
        return None if at is None else datetime.fromisoformat(at)

    def source(self, run_id: UUID) -> JsonObject:
        """Return the columns to create another run from. Raises NotFound."""
        rows = self.find([run_id], columns=SOURCE_COLUMNS)
        if not rows:
            raise NotFound("There is no such run.")
        return rows[0]

    def page(
        self,
        *,
        limit: int,
        filters: Mapping[str, str],
        created_after: datetime | None,
        created_before: datetime | None,
        before: tuple[str, str] | None,
        details: Collection[Detail] = (),
        total: bool = False,
    ) -> Rows:
        """Return at most `limit` runs, newest first, after the (created_at, id) of `before`; without the items of maps.

        Large columns are read only for `details`. With `total`, all matching runs are counted too.
        """
        select = _listed_columns(details)

        def narrow(rows: Any) -> Any:
            return _narrowed(rows, filters, created_after, created_before)

        def read(count: int, after: tuple[str, str] | None) -> list[JsonObject]:
            return self._gateway.select(
                lambda client: newest_first(
                    narrow(client.table("runs").select(select).is_("run_steps.parent", "null")), count, after
                ),
                name="runs.page",
            )

        page = Slices(read, position, DETAILED_SLICE_ROWS if details else SLICE_ROWS).page(limit, before)
        return Filtered(self._gateway, "runs", narrow).counted(page, wanted=total)

    def approvals(
        self, owner: UUID | None, *, admin: bool, limit: int, after: tuple[str, str] | None
    ) -> list[JsonObject]:
        """Return at most `limit` waiting steps of the owner's runs, or of all, the earliest deadline first."""
        deadline, row_id = after or (None, None)
        found: list[JsonObject] = self._gateway.rpc(
            "list_approvals",
            {
                "p_user_id": str(owner) if owner else None,
                "p_admin": admin,
                "p_limit": limit,
                "p_after": deadline,
                "p_after_id": row_id,
            },
        )
        return found

    def failures(
        self,
        owner: UUID | None,
        *,
        created_after: datetime | None,
        created_before: datetime | None,
        most: int,
    ) -> JsonObject:
        """Group the newest `most` failed runs by what failed and why. Return {"items", "counted", "more"}."""
        found: JsonObject = self._gateway.rpc(
            "count_failures",
            {
                "p_user_id": str(owner) if owner else None,
                "p_after": created_after.isoformat() if created_after else None,
                "p_before": created_before.isoformat() if created_before else None,
                "p_most": most,
            },
        )
        return found

    def ids(
        self,
        *,
        limit: int,
        filters: Mapping[str, str],
        created_after: datetime | None,
        created_before: datetime | None,
    ) -> list[UUID]:
        """Return the ids of the newest runs, at most `limit`."""
        rows = self._gateway.select(
            lambda client: newest_first(
                _narrowed(client.table("runs").select("id"), filters, created_after, created_before), limit, None
            ),
            name="runs.ids",
        )
        return [UUID(row["id"]) for row in rows]


def _listed_columns(details: Collection[Detail]) -> str:
    columns, steps = LIGHT_COLUMNS, LIGHT_STEP_COLUMNS
    if Detail.INPUT in details:
        columns += ",input"
    if Detail.RESULT in details:
        columns += ",result"
    if Detail.STEP_OUTPUTS in details:
        steps += ",output"
    return f"{columns},run_steps({steps})"


def _narrowed(
    rows: Any, filters: Mapping[str, str], created_after: datetime | None, created_before: datetime | None
) -> Any:
    for column, value in filters.items():
        rows = rows.eq(column, value)
    if created_after:
        rows = rows.gt("created_at", created_after.isoformat())
    if created_before:
        rows = rows.lt("created_at", created_before.isoformat())
    return rows
