"""`/api/agents/workflows`: listing workflows, creating versions, and retiring them."""

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.database.pagination import Rows
from pixelbloom.errors import InvalidInput
from pixelbloom.web.container import services
from pixelbloom.web.http.caller import own_or_scoped, principal, require_admin
from pixelbloom.web.http.openapi import SECURITY, failures, nothing, success
from pixelbloom.web.workflows.schemas import (
    ValidationBody,
    ValidationRequest,
    VersionsQuery,
    WorkflowBody,
    WorkflowPage,
    WorkflowPath,
    WorkflowQuery,
    WorkflowRequest,
    WorkflowVersions,
)

workflows = APIBlueprint(
    "workflows",
    __name__,
    url_prefix="/api/agents/workflows",
    abp_tags=[Tag(name="Workflows", description="Versioned definitions of several steps of several agents.")],
    abp_security=SECURITY,
)
workflows.before_request(own_or_scoped("runs"))


@workflows.before_request
def guard_changes() -> None:
    """Only administrators and services may change definitions."""
    if request.method not in ("GET", "HEAD"):
        require_admin("change workflows")


@workflows.get(
    "",
    summary="List workflows",
    operation_id="listWorkflows",
    responses={**success(WorkflowPage), **failures(400, 401, 403, 500, 503)},
)
def list_workflows(query: WorkflowQuery) -> WorkflowPage:
    """Returns the newest version of each workflow that accepts runs, by name."""
    shown, more = services().workflows.page(after=query.cursor or "", limit=query.limit)
    rows = Rows([workflow.to_public() for workflow in shown], more)
    return WorkflowPage.of(rows, lambda row: str(row["workflow_id"]))


@workflows.get(
    "/<workflow:workflow_id>",
    summary="Get a workflow",
    operation_id="getWorkflow",
    responses={**success(WorkflowVersions), **failures(400, 401, 403, 404, 500, 503)},
)
def show_workflow(path: WorkflowPath, query: VersionsQuery) -> WorkflowVersions:
    """Returns the newest version, and a page of all versions, each with its steps and their graph."""
    newest = services().workflows.newest(path.workflow_id).to_public()
    shown, more = services().workflows.versions(
        path.workflow_id, before=int(query.cursor) if query.cursor else None, limit=query.limit
    )
    cursor = str(shown[-1].version) if more else None
    versions = [workflow.to_public() for workflow in shown]
    return WorkflowVersions.model_validate({**newest, "versions": versions, "versions_cursor": cursor})


@workflows.post(
    "",
    summary="Create a workflow version",
    operation_id="createWorkflowVersion",
    responses={
        **success(WorkflowBody, status=201, description="Version created; an identical definition creates none."),
        **failures(400, 401, 403, 413, 500, 503),
    },
)
def add_workflow(body: WorkflowRequest) -> tuple[WorkflowBody, int]:
    """For administrators and services. Runs in progress continue with the version that they began with."""
    added = services().workflows.add(body.model_dump(exclude_unset=True), created_by=principal().caller)
    return WorkflowBody.model_validate(added.to_public()), 201


@workflows.post(
    "/validate",
    summary="Validate a workflow definition",
    operation_id="validateWorkflow",
    responses={**success(ValidationBody), **failures(400, 401, 403, 413, 500, 503)},
)
def validate_workflow(body: ValidationRequest) -> ValidationBody:
    """For administrators and services. Checks a definition as creating a version does, and creates none."""
    try:
        services().workflows.check(body.definition)
    except InvalidInput as error:
        return ValidationBody.model_validate({"valid": False, "details": [vars(detail) for detail in error.details]})
    return ValidationBody(valid=True, details=[])


@workflows.delete(
    "/<workflow:workflow_id>",
    summary="Retire a workflow",
    operation_id="retireWorkflow",
    responses={**nothing("Workflow retired."), **failures(401, 403, 404, 500, 503)},
)
def retire_workflow(path: WorkflowPath) -> Response:
    """For administrators and services. The workflow accepts no new runs; runs in progress continue."""
    services().workflows.retire(path.workflow_id)
    return Response(status=204)
