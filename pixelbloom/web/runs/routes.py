"""`/api/agents/runs`: the runs of agents."""

from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.agents import registry
from pixelbloom.runs.service import RunFilter
from pixelbloom.web.container import services
from pixelbloom.web.http import counting
from pixelbloom.web.http.caller import listed_owner, own_or_scoped
from pixelbloom.web.http.openapi import SECURITY, failures, success
from pixelbloom.web.runs.lookup import listed_runs, replayed, retried, time_filters, visible_run
from pixelbloom.web.runs.schemas import (
    RUN_FIELDS,
    ReplayResponse,
    RetryRequest,
    RetryResponse,
    RunBody,
    RunPage,
    RunPath,
    RunQuery,
)

runs = APIBlueprint(
    "runs",
    __name__,
    url_prefix="/api/agents/runs",
    abp_tags=[Tag(name="Runs", description="Runs of agents: state, result, cancel, retry, replay.")],
    abp_security=SECURITY,
)
runs.before_request(own_or_scoped("runs"))
runs.before_request(counting.count_first(counting.submission, "replay_run", "retry_run", "retry_runs"))


@runs.get(
    "",
    summary="List runs",
    operation_id="listRuns",
    responses={**success(RunPage), **failures(400, 401, 403, 500, 503)},
)
def list_runs(query: RunQuery) -> RunPage:
    """Returns your own runs, newest first. Services and administrators get everybody's, or those of `user_id`. Large
    fields are omitted unless `fields` names them.
    """
    if query.agent_type is not None:
        registry.get(query.agent_type)
    return listed_runs(query, RUN_FIELDS, RunPage, kind="agent", agent_type=query.agent_type)


@runs.get(
    "/<run:request_id>",
    summary="Get a run",
    operation_id="getRun",
    responses={**success(RunBody), **failures(401, 403, 404, 500, 503)},
)
def show_run(path: RunPath) -> RunBody:
    """Returns the run's state, its result or error, and its steps."""
    return RunBody.model_validate(visible_run(path.request_id, "agent").to_public())


@runs.post(
    "/<run:request_id>/cancel",
    summary="Cancel a run",
    operation_id="cancelRun",
    responses={**success(RunBody), **failures(401, 403, 404, 409, 500, 503)},
)
def cancel_run(path: RunPath) -> RunBody:
    """Cancels what has not begun at once; a running step stops within a second."""
    run = services().control.cancel(visible_run(path.request_id, "agent"))
    return RunBody.model_validate(run.to_public())


@runs.post(
    "/<run:request_id>/retry",
    summary="Retry a run",
    operation_id="retryRun",
    responses={**success(RunBody), **failures(401, 403, 404, 409, 500, 503)},
)
def retry_run(path: RunPath) -> RunBody:
    """Continues a run that failed or was cancelled, with its attempts counted from the start."""
    run = services().control.retry(visible_run(path.request_id, "agent"))
    return RunBody.model_validate(run.to_public())


@runs.post(
    "/<run:request_id>/replay",
    summary="Replay a run",
    operation_id="replayRun",
    responses={
        **success(ReplayResponse, status=201, description="New run accepted."),
        **failures(401, 403, 404, 429, 500, 503),
    },
)
def replay_run(path: RunPath) -> tuple[ReplayResponse, int]:
    """Creates a new run of the same agent with the same input, for the same user."""
    return ReplayResponse.model_validate(replayed(visible_run(path.request_id, "agent"))), 201


@runs.post(
    "/retry",
    summary="Retry failed runs",
    operation_id="retryRuns",
    responses={**success(RetryResponse), **failures(400, 401, 403, 413, 429, 500, 503)},
)
def retry_runs(body: RetryRequest) -> RetryResponse:
    """Continues failed runs, newest first; runs that were retried meanwhile are skipped. Each counts against
    RUN_RATE_LIMIT.
    """
    if body.agent_type is not None:
        registry.get(body.agent_type)
    wanted = RunFilter(owner=listed_owner(body.user_id), agent_type=body.agent_type, **time_filters(body))
    return retried(wanted, body.limit)
