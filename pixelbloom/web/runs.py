"""`/api/agents/runs`: what became of the runs."""

from typing import Any
from uuid import UUID

from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.agents import registry
from pixelbloom.errors import FieldError, Forbidden, InvalidInput, NotFound
from pixelbloom.runs.run import RunStatus
from pixelbloom.runs.service import RunFilter
from pixelbloom.web import examples
from pixelbloom.web.caller import authenticate, principal
from pixelbloom.web.openapi import SECURITY, failures, success
from pixelbloom.web.schemas import RunBody, RunPage, RunPath, RunQuery, uuid_or_none
from pixelbloom.web.services import services

runs = APIBlueprint(
    "runs",
    __name__,
    url_prefix="/api/agents/runs",
    abp_tags=[Tag(name="Runs", description="What became of the work.")],
    abp_security=SECURITY,
)
runs.before_request(authenticate)

_NO_SUCH_RUN = "There is no such run, or it is not yours."


@runs.get(
    "",
    summary="List runs",
    operation_id="listRuns",
    responses={
        **success(RunPage, {"items": [examples.RUN], "next_cursor": None}),
        **failures(400, 401, 403, 500, 503),
    },
)
def list_runs(query: RunQuery) -> dict[str, Any]:
    """Your own runs, newest first. A service sees everybody's, or those of `user_id`; so may an administrator."""
    if query.agent_type is not None:
        _check_agent(query.agent_type)
    page = services().runs.page(
        RunFilter(
            owner=_whose(query.user_id),
            status=RunStatus(query.status) if query.status else None,
            agent_type=query.agent_type,
            created_after=query.created_after,
            created_before=query.created_before,
        ),
        limit=query.limit,
        cursor=query.cursor,
    )
    return {"items": [run.to_public() for run in page.items], "next_cursor": page.next_cursor}


@runs.get(
    "/<request_id>",
    summary="Show a run",
    operation_id="getRun",
    responses={**success(RunBody, examples.RUN), **failures(401, 404, 500, 503)},
)
def show_run(path: RunPath) -> dict[str, Any]:
    """The run's state, its result or error, and its steps."""
    run_id = uuid_or_none(path.request_id)
    if run_id is None:
        raise NotFound(_NO_SUCH_RUN)
    try:
        run = services().runs.get(run_id)
    except NotFound:
        raise NotFound(_NO_SUCH_RUN) from None
    if run.kind != "agent" or not services().roles.may_read(principal(), run.user_id):
        raise NotFound(_NO_SUCH_RUN)
    return run.to_public()


def _whose(user_id: UUID | None) -> UUID | None:
    """Whose runs to list; None means everybody's. Raises Forbidden."""
    caller = principal()
    if user_id is None:
        return caller.user_id
    if not services().roles.may_read(caller, user_id):
        raise Forbidden("Only a service or an administrator may list another user's runs; leave user_id out.")
    return user_id


def _check_agent(agent_type: str) -> None:
    try:
        registry.get(agent_type)
    except InvalidInput as error:
        raise InvalidInput(error.message, [FieldError("agent_type", "is not known")]) from error
