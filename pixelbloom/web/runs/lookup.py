"""Finding, filtering, replaying and retrying runs, for both kinds of runs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pixelbloom.runs.model import NO_SUCH_RUN, Run
from pixelbloom.runs.service import RunFilter
from pixelbloom.runs.status import RunStatus
from pixelbloom.runs.store import Detail
from pixelbloom.web.container import services
from pixelbloom.web.http import request_id
from pixelbloom.web.http.caller import listed_owner, principal, visible
from pixelbloom.web.runs.schemas import RetryResponse, RunPage, RunQuery, RunsWanted
from pixelbloom.web.workflows.schemas import WorkflowRunPage, WorkflowRunQuery

P = TypeVar("P", RunPage, WorkflowRunPage)


def visible_run(text: str, kind: str) -> Run:
    """Return the run of that kind by its id in a path, if the caller may see it. Raises NotFound."""
    return visible(text, lambda run_id: services().runs.find(run_id, kind), NO_SUCH_RUN)


def listed_runs(
    query: RunQuery | WorkflowRunQuery,
    known: Mapping[str, Detail],
    shown: type[P],
    *,
    kind: str,
    agent_type: str | None = None,
    workflow_id: str | None = None,
) -> P:
    """Return a page of the runs of one kind that the caller may list. `known` are the large fields it may ask for."""
    details = frozenset(known[name] for name in query.fields.split(",")) if query.fields else frozenset[Detail]()
    rows = services().runs.page(
        RunFilter(
            owner=listed_owner(query.user_id),
            kind=kind,
            status=RunStatus(query.status) if query.status else None,
            agent_type=agent_type,
            workflow_id=workflow_id,
            **time_filters(query),
        ),
        limit=query.limit,
        before=query.before,
        details=details,
        total=query.count == "exact",
    )
    return shown.of(replace(rows, items=[Run.from_row(row).to_listed(details) for row in rows.items]))


def time_filters(wanted: RunsWanted) -> dict[str, Any]:
    """Return the part of a filter that all kinds of runs share."""
    return {
        "error_code": wanted.error_code,
        "created_after": wanted.created_after,
        "created_before": wanted.created_before,
    }


def replayed(run: Run) -> dict[str, Any]:
    """Replay a run as a new run, and return the fields of the response."""
    accepted = services().control.replay(run, caller=principal().caller, correlation_id=request_id.current())
    return {"id": accepted.id, "status": str(accepted.status), "replay_of": run.id}


def retried(wanted: RunFilter, limit: int) -> RetryResponse:
    """Retry up to `limit` failed runs and return their ids. Raises RateLimited if they exceed the rate limit."""
    run_ids, more = services().runs.newest_ids(replace(wanted, status=RunStatus.FAILED), limit=limit)
    # The request itself was counted as one before its body was read.
    services().submission_limit.count(principal(), len(run_ids) - 1)
    done = services().control.retry_many(run_ids)
    return RetryResponse(retried=len(done.run_ids), run_ids=list(done.run_ids), more=more)
