"""`/api/agents/failures`: failed runs, grouped by agent or workflow and by error."""

from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.web.container import services
from pixelbloom.web.http.caller import listed_owner, own_or_scoped
from pixelbloom.web.http.openapi import SECURITY, success
from pixelbloom.web.http.openapi import failures as responses_of_failure
from pixelbloom.web.runs.failure_schemas import FailurePage, FailureQuery

failures = APIBlueprint(
    "failures",
    __name__,
    url_prefix="/api/agents/failures",
    abp_tags=[Tag(name="Runs", description="Runs of agents: state, result, cancel, retry, replay.")],
    abp_security=SECURITY,
)
failures.before_request(own_or_scoped("runs"))


@failures.get(
    "",
    summary="List groups of failed runs",
    operation_id="listFailures",
    responses={**success(FailurePage), **responses_of_failure(400, 401, 403, 500, 503)},
)
def list_failures(query: FailureQuery) -> FailurePage:
    """Returns your failed runs of agents and workflows, grouped by agent or workflow and by error code, the largest
    group first. Services and administrators get everybody's, or those of `user_id`. A group is retried by
    `POST /api/agents/runs/retry` or `POST /api/agents/workflows/runs/retry` with the same filters.
    """
    found = services().runs.failures(
        listed_owner(query.user_id), created_after=query.created_after, created_before=query.created_before
    )
    return FailurePage.model_validate(found)
