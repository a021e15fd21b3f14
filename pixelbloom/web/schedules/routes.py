"""`/api/agents/schedules`: scheduled runs."""

from dataclasses import replace

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.schedules.service import Schedule, Wanted, work
from pixelbloom.web.container import services
from pixelbloom.web.http.caller import listed_owner, own_or_scoped, principal, visible
from pixelbloom.web.http.openapi import SECURITY, failures, nothing, success
from pixelbloom.web.schedules.schemas import (
    OwnedPageQuery,
    ScheduleBody,
    ScheduleChange,
    SchedulePage,
    SchedulePath,
    ScheduleRequest,
)

schedules = APIBlueprint(
    "schedules",
    __name__,
    url_prefix="/api/agents/schedules",
    abp_tags=[Tag(name="Schedules", description="Runs that start at the times of a cron expression.")],
    abp_security=SECURITY,
)
schedules.before_request(own_or_scoped("runs"))


@schedules.post(
    "",
    summary="Create a schedule",
    operation_id="createSchedule",
    responses={
        **success(ScheduleBody, status=201, description="Schedule created."),
        **failures(400, 401, 403, 404, 409, 413, 500, 503),
    },
)
def add_schedule(body: ScheduleRequest) -> tuple[ScheduleBody, int]:
    """Schedules an agent (`agent_type`, `input`) or a workflow (`workflow_id`, `inputs`). Its runs have priority
    `batch`.
    """
    kind, target, given = work(body.agent_type, body.workflow_id, body.input, body.inputs)
    added = services().schedules.add(
        Wanted(
            kind=kind,
            target=target,
            input=given,
            cron=body.cron,
            timezone=body.timezone,
            caller=principal().caller,
            user_id=services().access.acting_for(principal(), body.user_id),
            metadata=body.metadata,
        )
    )
    return ScheduleBody.model_validate(added.to_public()), 201


@schedules.get(
    "",
    summary="List schedules",
    operation_id="listSchedules",
    responses={**success(SchedulePage), **failures(400, 401, 403, 500, 503)},
)
def list_schedules(query: OwnedPageQuery) -> SchedulePage:
    """Returns your own schedules, newest first. Services and administrators get everybody's, or those of `user_id`."""
    rows = services().schedules.page(owner=listed_owner(query.user_id), limit=query.limit, before=query.before)
    return SchedulePage.of(replace(rows, items=[Schedule.from_row(row).to_public() for row in rows.items]))


@schedules.get(
    "/<schedule_id>",
    summary="Get a schedule",
    operation_id="getSchedule",
    responses={**success(ScheduleBody), **failures(401, 403, 404, 500, 503)},
)
def show_schedule(path: SchedulePath) -> ScheduleBody:
    """Returns the schedule with its next times and its last run."""
    return ScheduleBody.model_validate(_visible_schedule(path.schedule_id).to_public())


@schedules.patch(
    "/<schedule_id>",
    summary="Update a schedule",
    operation_id="updateSchedule",
    responses={**success(ScheduleBody), **failures(400, 401, 403, 404, 409, 413, 500, 503)},
)
def update_schedule(path: SchedulePath, body: ScheduleChange) -> ScheduleBody:
    """Pauses the schedule, or resumes it. Times that passed while it was paused start no runs."""
    schedule = services().schedules.set_active(_visible_schedule(path.schedule_id), active=body.active)
    return ScheduleBody.model_validate(schedule.to_public())


@schedules.delete(
    "/<schedule_id>",
    summary="Delete a schedule",
    operation_id="deleteSchedule",
    responses={**nothing("Schedule deleted."), **failures(401, 403, 404, 500, 503)},
)
def remove_schedule(path: SchedulePath) -> Response:
    """Deletes the schedule. Runs that it started continue."""
    services().schedules.remove(_visible_schedule(path.schedule_id))
    return Response(status=204)


def _visible_schedule(text: str) -> Schedule:
    return visible(text, services().schedules.get, "There is no such schedule, or it is not yours.")
