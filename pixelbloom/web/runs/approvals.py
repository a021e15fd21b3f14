"""`/api/agents/approvals`: the steps that wait for a decision of the caller."""

from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.database.cursors import write_cursor
from pixelbloom.web.container import services
from pixelbloom.web.http.caller import listed_owner, own_or_scoped, principal
from pixelbloom.web.http.openapi import SECURITY, failures, success
from pixelbloom.web.schedules.schemas import OwnedPageQuery
from pixelbloom.web.workflows.schemas import ApprovalPage

approvals = APIBlueprint(
    "approvals",
    __name__,
    url_prefix="/api/agents/approvals",
    abp_tags=[Tag(name="Workflow runs", description="Runs of workflows: execute, cancel, retry, replay, approve.")],
    abp_security=SECURITY,
)
approvals.before_request(own_or_scoped("runs"))


@approvals.get(
    "",
    summary="List approvals",
    operation_id="listApprovals",
    responses={**success(ApprovalPage), **failures(400, 401, 403, 500, 503)},
)
def list_approvals(query: OwnedPageQuery) -> ApprovalPage:
    """Returns the waiting steps that you may decide, the earliest deadline first: those of your own runs, except steps
    that only an administrator decides. Services and administrators see everybody's, or those of `user_id`.
    """
    rows = services().runs.approvals(
        listed_owner(query.user_id),
        admin=services().access.is_admin(principal()),
        limit=query.limit,
        after=query.before,
    )
    return ApprovalPage.of(rows, lambda row: write_cursor(row, by="deadline_at"))
