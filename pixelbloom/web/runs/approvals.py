"""`/api/agents/approvals`: the steps that wait for a decision of the caller."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.runs.service import read_cursor, write_cursor
from pixelbloom.web.container import services
from pixelbloom.web.http.caller import listed_owner, own_or_scoped, principal
from pixelbloom.web.http.openapi import SECURITY, failures, success
from pixelbloom.web.schedules.schemas import PageQuery
from pixelbloom.web.workflows import examples
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
    responses={
        **success(ApprovalPage, {"items": [examples.APPROVAL], "next_cursor": None}),
        **failures(400, 401, 403, 500, 503),
    },
)
def list_approvals(query: PageQuery) -> dict[str, Any]:
    """Returns the waiting steps that you may decide, the earliest deadline first: those of your own runs, except steps
    that only an administrator decides. Services and administrators see everybody's, or those of `user_id`.
    """
    rows = services().runs.approvals(
        listed_owner(query.user_id),
        admin=services().access.is_admin(principal()),
        limit=query.limit + 1,
        after=read_cursor(query.cursor) if query.cursor else None,
    )
    items = rows[: query.limit]
    more = len(rows) > query.limit
    last = {"created_at": items[-1]["deadline_at"], "id": items[-1]["id"]} if more else None
    return {"items": items, "next_cursor": write_cursor(last) if last else None}
