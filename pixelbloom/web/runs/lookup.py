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
from pixelbloom.web.http.caller import may_see, principal
from pixelbloom.web.http.schemas import uuid_or_none
from pixelbloom.web.runs.schemas import RunsWanted


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


def time_filters(wanted: RunsWanted) -> dict[str, Any]:
    """Return the part of a filter that all kinds of runs share."""
    return {
        "error_code": wanted.error_code,
        "created_after": wanted.created_after,
        "created_before": wanted.created_before,
    }


def wanted_details(fields: str | None, known: Mapping[str, Detail]) -> frozenset[Detail]:
    """Return the large fields named in `fields`."""
    return frozenset(known[name] for name in fields.split(",")) if fields else frozenset()


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
