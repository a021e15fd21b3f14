"""Finding, filtering, replaying and retrying runs, for both kinds of runs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pixelbloom.errors import NotFound
from pixelbloom.runs.model import NO_SUCH_RUN, Run, RunStatus
from pixelbloom.runs.service import Accepted, RunFilter
from pixelbloom.runs.store import Detail
from pixelbloom.web.container import services
from pixelbloom.web.http import request_id
from pixelbloom.web.http.caller import listed_owner, may_see, principal
from pixelbloom.web.http.schemas import uuid_or_none, with_total
from pixelbloom.web.runs.schemas import RunQuery, RunsWanted
from pixelbloom.web.workflows.schemas import WorkflowRunQuery


def visible_run(text: str, kind: str) -> Run:
    """Return the run of that kind by its id in a path, if the caller may see it. Raises NotFound."""
    run_id = uuid_or_none(text)
    if run_id is None:
        raise NotFound(NO_SUCH_RUN)
    try:
        run = services().runs.get(run_id)
    except NotFound:
        raise NotFound(NO_SUCH_RUN) from None
    if run.kind != kind or not may_see(run.user_id):
        raise NotFound(NO_SUCH_RUN)
    return run


def listed_runs(
    query: RunQuery | WorkflowRunQuery,
    known: Mapping[str, Detail],
    *,
    kind: str,
    agent_type: str | None = None,
    workflow_id: str | None = None,
) -> dict[str, Any]:
    """Return a page of the runs of one kind that the caller may list. `known` are the large fields it may ask for."""
    details = frozenset(known[name] for name in query.fields.split(",")) if query.fields else frozenset[Detail]()
    page = services().runs.page(
        RunFilter(
            owner=listed_owner(query.user_id),
            kind=kind,
            status=RunStatus(query.status) if query.status else None,
            agent_type=agent_type,
            workflow_id=workflow_id,
            **time_filters(query),
        ),
        limit=query.limit,
        cursor=query.cursor,
        details=details,
        total=query.count == "exact",
    )
    items = [run.to_listed(details) for run in page.items]
    return with_total({"items": items, "next_cursor": page.next_cursor}, page.total)


def time_filters(wanted: RunsWanted) -> dict[str, Any]:
    """Return the part of a filter that all kinds of runs share."""
    return {
        "error_code": wanted.error_code,
        "created_after": wanted.created_after,
        "created_before": wanted.created_before,
    }


def replayed(run: Run) -> Accepted:
    """Replay a run as a new run."""
    caller = principal()
    return services().control.replay(run, caller=caller.caller, correlation_id=request_id.current())


def retried(wanted: RunFilter, limit: int) -> dict[str, Any]:
    """Retry up to `limit` failed runs and return their ids. Raises RateLimited if they exceed the rate limit."""
    run_ids, more = services().runs.newest_ids(replace(wanted, status=RunStatus.FAILED), limit=limit)
    # The request itself was counted as one before its body was read.
    services().submission_limit.count(principal(), len(run_ids) - 1)
    done = services().control.retry_many(run_ids)
    return {
        "retried": len(done.run_ids),
        "run_ids": [str(run_id) for run_id in done.run_ids],
        "more": more,
    }
