"""`/api/agents/.../events`: a run's events as server-sent events, while it runs."""

from typing import Any
from uuid import UUID

from flask import Response, current_app, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import Field

from pixelbloom.core.addresses import visitor_address
from pixelbloom.runs.model import NO_SUCH_RUN
from pixelbloom.web.container import services
from pixelbloom.web.http import openapi
from pixelbloom.web.http.caller import own_or_scoped_stream, principal, visible
from pixelbloom.web.http.openapi import SECURITY, failures, nothing, text
from pixelbloom.web.http.schemas import Shape
from pixelbloom.web.realtime.routes import Realtime
from pixelbloom.web.realtime.streams import LAST_EVENT_ID, MIMETYPE, position
from pixelbloom.web.runs.schemas import RunPath
from pixelbloom.web.workflows.schemas import WorkflowRunPath

_EXAMPLE = (
    'id: k3f9:8\nevent: event\ndata: {"type":"event","channel":"workflows","topic":"workflow_run:<id>",'
    '"data":{"status":"running","progress":0.5,"step":"chat_agent","offset":6,"delta":", and on"},'
    '"ts":"2026-01-31T12:00:00.000Z","seq":8}\n\n'
)
_OPTIONS: dict[str, Any] = {
    "responses": {
        **text("The events, until the run has ended.", {MIMETYPE: _EXAMPLE}),
        **nothing("You have seen the last event of a run that has ended."),
        **failures(400, 401, 403, 404, 429, 500, 503),
    },
    "openapi_extensions": openapi.headers(openapi.LAST_EVENT_ID),
}

run_events = APIBlueprint(
    "run_events",
    __name__,
    url_prefix="/api/agents",
    abp_tags=[Tag(name="Run events", description="The events of a run while it runs, over HTTP.")],
    abp_security=SECURITY,
)


class StreamQuery(Shape):
    """The token of EventSource, which sends no headers."""

    token: str | None = Field(None, max_length=16_384, description="Instead of the header Authorization.")


run_events.before_request(own_or_scoped_stream("agent_run_events"))


@run_events.get("/runs/<run:request_id>/events", summary="Stream a run's events", operation_id="streamRun", **_OPTIONS)
def agent_run_events(path: RunPath, query: StreamQuery) -> Response:  # noqa: ARG001  (read before)
    """Responds with a snapshot, then every event of the run, text deltas too, until the run has ended. With
    `Last-Event-ID` it continues after that event. A comment comes every 15 seconds. Visitors may stream the runs of
    their own messages.
    """
    return _followed(path.request_id, "agent")


@run_events.get(
    "/workflows/runs/<run:workflow_run_id>/events",
    summary="Stream a workflow run's events",
    operation_id="streamWorkflowRun",
    **_OPTIONS,
)
def workflow_run_events(path: WorkflowRunPath, query: StreamQuery) -> Response:  # noqa: ARG001  (read before)
    """Responds with a snapshot, then every event of the run, text deltas of its steps too, until the run has ended.
    With `Last-Event-ID` it continues after that event. A comment comes every 15 seconds.
    """
    return _followed(path.workflow_run_id, "workflow")


def _followed(text_id: str, kind: str) -> Response:
    seen = position(request.headers.get(LAST_EVENT_ID))
    visible(text_id, lambda run_id: services().runs.find_owner(run_id, kind), NO_SUCH_RUN)
    realtime: Realtime = current_app.extensions["realtime"]
    return realtime.streams.follow(UUID(text_id), principal(), seen, request, visitor_address(request.remote_addr))
