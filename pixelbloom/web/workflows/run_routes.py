"""`/api/agents/workflows/execute` and `/runs`: executing workflows, and managing their runs and approvals."""

from flask import request
from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.runs.service import RunFilter
from pixelbloom.web.container import services
from pixelbloom.web.http import counting
from pixelbloom.web.http.caller import listed_owner, own_or_scoped, principal
from pixelbloom.web.http.openapi import SECURITY, SUBMISSION, failures, headers, success
from pixelbloom.web.http.rendering import Responded
from pixelbloom.web.runs.lookup import listed_runs, replayed, retried, time_filters, visible_run
from pixelbloom.web.runs.schemas import RetryResponse
from pixelbloom.web.runs.submission import respond, submitted, terms
from pixelbloom.web.runs.waits import wait_seconds
from pixelbloom.web.workflows.schemas import (
    WORKFLOW_RUN_FIELDS,
    DecisionRequest,
    ExecuteRequest,
    ExecuteResponse,
    StepPath,
    WorkflowReplayResponse,
    WorkflowRetryRequest,
    WorkflowRunBody,
    WorkflowRunPage,
    WorkflowRunPath,
    WorkflowRunQuery,
)
from pixelbloom.workflows.service import WorkflowSubmission

workflow_runs = APIBlueprint(
    "workflow_runs",
    __name__,
    url_prefix="/api/agents/workflows",
    abp_tags=[Tag(name="Workflow runs", description="Runs of workflows: execute, cancel, retry, replay, approve.")],
    abp_security=SECURITY,
)
workflow_runs.before_request(own_or_scoped("runs"))
workflow_runs.before_request(
    counting.count_first(counting.submission, "execute", "replay_run", "retry_run", "retry_runs")
)

#: How long `execute` waits for the end by default.
WAIT_SECONDS = 30
_KIND = "workflow"


@workflow_runs.post(
    "/execute",
    summary="Execute a workflow",
    operation_id="executeWorkflow",
    responses={
        **success(ExecuteResponse, description="Run accepted.", headers=("Preference-Applied",)),
        **failures(400, 401, 403, 404, 409, 413, 429, 500, 503),
    },
    openapi_extensions=headers(*SUBMISSION),
)
def execute(body: ExecuteRequest) -> Responded:
    """Accepts a run. With `async` the response comes at once, otherwise when the run has ended or the wait is over."""
    wanted = WorkflowSubmission(workflow_id=body.workflow_id, inputs=body.inputs, **terms(body))
    preferred = wait_seconds(request.headers.get("Prefer"))
    seconds = preferred if body.in_background or preferred is not None else WAIT_SECONDS
    accepted, waited = submitted(
        lambda run_id: services().workflows.submit(wanted, run_id), seconds, workflow_id=wanted.workflow_id
    )
    return respond(ExecuteResponse.of(accepted), preferred if waited else None)


@workflow_runs.get(
    "/runs",
    summary="List workflow runs",
    operation_id="listWorkflowRuns",
    responses={**success(WorkflowRunPage), **failures(400, 401, 403, 500, 503)},
)
def list_runs(query: WorkflowRunQuery) -> WorkflowRunPage:
    """Returns your own runs, newest first. Services and administrators get everybody's, or those of `user_id`. Large
    fields are omitted unless `fields` names them.
    """
    return listed_runs(query, WORKFLOW_RUN_FIELDS, WorkflowRunPage, kind=_KIND, workflow_id=query.workflow_id)


@workflow_runs.get(
    "/runs/<run:workflow_run_id>",
    summary="Get a workflow run",
    operation_id="getWorkflowRun",
    responses={**success(WorkflowRunBody), **failures(401, 403, 404, 500, 503)},
)
def show_run(path: WorkflowRunPath) -> WorkflowRunBody:
    """Returns the run's state, its outputs or error, and each step with its times, attempts and output."""
    return WorkflowRunBody.model_validate(visible_run(path.workflow_run_id, _KIND).to_public())


@workflow_runs.post(
    "/runs/<run:workflow_run_id>/cancel",
    summary="Cancel a workflow run",
    operation_id="cancelWorkflowRun",
    responses={**success(WorkflowRunBody), **failures(401, 403, 404, 409, 500, 503)},
)
def cancel_run(path: WorkflowRunPath) -> WorkflowRunBody:
    """Cancels what has not begun at once; running steps stop within a second."""
    run = services().control.cancel(visible_run(path.workflow_run_id, _KIND))
    return WorkflowRunBody.model_validate(run.to_public())


@workflow_runs.post(
    "/runs/<run:workflow_run_id>/retry",
    summary="Retry a workflow run",
    operation_id="retryWorkflowRun",
    responses={**success(WorkflowRunBody), **failures(401, 403, 404, 409, 500, 503)},
)
def retry_run(path: WorkflowRunPath) -> WorkflowRunBody:
    """Continues the run from the steps that failed or were cancelled; completed steps are not repeated."""
    run = services().control.retry(visible_run(path.workflow_run_id, _KIND))
    return WorkflowRunBody.model_validate(run.to_public())


@workflow_runs.post(
    "/runs/<run:workflow_run_id>/replay",
    summary="Replay a workflow run",
    operation_id="replayWorkflowRun",
    responses={
        **success(WorkflowReplayResponse, status=201, description="New run accepted."),
        **failures(401, 403, 404, 429, 500, 503),
    },
)
def replay_run(path: WorkflowRunPath) -> tuple[WorkflowReplayResponse, int]:
    """Creates a new run of the same version with the same inputs, for the same user."""
    return WorkflowReplayResponse.model_validate(replayed(visible_run(path.workflow_run_id, _KIND))), 201


@workflow_runs.post(
    "/runs/retry",
    summary="Retry failed workflow runs",
    operation_id="retryWorkflowRuns",
    responses={**success(RetryResponse), **failures(400, 401, 403, 413, 429, 500, 503)},
)
def retry_runs(body: WorkflowRetryRequest) -> RetryResponse:
    """Continues failed runs, newest first; runs that were retried meanwhile are skipped. Each counts against
    RUN_RATE_LIMIT.
    """
    wanted = RunFilter(owner=listed_owner(body.user_id), kind=_KIND, workflow_id=body.workflow_id, **time_filters(body))
    return retried(wanted, body.limit)


@workflow_runs.post(
    "/runs/<run:workflow_run_id>/steps/<key>/approve",
    summary="Approve a workflow step",
    operation_id="approveWorkflowStep",
    responses={
        **success(WorkflowRunBody),
        **failures(400, 401, 403, 404, 409, 413, 500, 503),
    },
)
def approve(path: StepPath, body: DecisionRequest) -> WorkflowRunBody:
    """Approves a step that waits for a decision; the run continues."""
    return _decide(path, body, approved=True)


@workflow_runs.post(
    "/runs/<run:workflow_run_id>/steps/<key>/reject",
    summary="Reject a workflow step",
    operation_id="rejectWorkflowStep",
    responses={
        **success(WorkflowRunBody),
        **failures(400, 401, 403, 404, 409, 413, 500, 503),
    },
)
def reject(path: StepPath, body: DecisionRequest) -> WorkflowRunBody:
    """Rejects a step that waits for a decision: the step fails, and with it the run, unless the step's `on_error` is
    `continue`.
    """
    return _decide(path, body, approved=False)


def _decide(path: StepPath, body: DecisionRequest, *, approved: bool) -> WorkflowRunBody:
    caller = principal()
    decided = services().control.decide(
        visible_run(path.workflow_run_id, _KIND),
        path.key,
        approved=approved,
        comment=body.comment or None,
        by=caller.caller,
        is_admin=lambda: services().access.is_admin(caller),
    )
    return WorkflowRunBody.model_validate(decided.to_public())
