"""`/api/agents`: which agents there are, and invoking one."""

from contextlib import AbstractContextManager, nullcontext
from threading import Event
from typing import Any
from uuid import UUID, uuid4

import structlog
from flask import Response, jsonify, request
from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.agents import registry
from pixelbloom.agents.base import Agent
from pixelbloom.auth.principal import Principal
from pixelbloom.errors import FieldError, Forbidden, InvalidInput, NotFound
from pixelbloom.runs.service import Accepted, Submission
from pixelbloom.web import examples, request_id
from pixelbloom.web.caller import authenticate, principal
from pixelbloom.web.openapi import SECURITY, failures, success
from pixelbloom.web.preferences import wait_seconds
from pixelbloom.web.schemas import AgentBody, AgentList, AgentPath, InvokeRequest, InvokeResponse
from pixelbloom.web.services import services

log = structlog.get_logger(__name__)

agents = APIBlueprint(
    "agents",
    __name__,
    url_prefix="/api/agents",
    abp_tags=[Tag(name="Agents", description="Submit work to an agent.")],
    abp_security=SECURITY,
)
agents.before_request(authenticate)

_KEY_FIELD = "Idempotency-Key"
_MAX_KEY = 255


@agents.post(
    "/invoke",
    summary="Invoke an agent",
    operation_id="invokeAgent",
    responses={
        **success(InvokeResponse, examples.QUEUED, description="The run is kept.", headers=("Preference-Applied",)),
        **failures(400, 401, 403, 409, 413, 500, 503),
    },
    openapi_extensions={"parameters": examples.INVOKE_HEADERS},
)
def invoke(body: InvokeRequest) -> Response:
    """Keeps the request as a run and answers at once, `queued`; a worker does the rest.

    `Prefer: wait=N` holds the answer until the run ends or N seconds pass. With an `Idempotency-Key` the same request
    of the same caller gives the same run.
    """
    caller = principal()
    wanted = Submission(
        agent_type=_known(body.agent_type),
        input=body.input,
        caller=caller.caller,
        user_id=_in_whose_name(caller, body.user_id),
        metadata=body.metadata,
        idempotency_key=_idempotency_key(),
        correlation_id=request_id.current(),
    )
    seconds = wait_seconds(request.headers.get("Prefer"))
    accepted = _submit(wanted) if seconds is None else _submit_and_wait(wanted, seconds)
    response = jsonify(_rendered(accepted))
    if seconds is not None:
        response.headers["Preference-Applied"] = f"wait={seconds}"
    return response


@agents.get(
    "",
    summary="List the agents",
    operation_id="listAgents",
    responses={
        **success(AgentList, {"items": [examples.AGENT], "next_cursor": None}),
        **failures(401, 500),
    },
)
def list_agents() -> dict[str, Any]:
    """All agents, with the JSON Schemas of their inputs and outputs."""
    return {"items": [_shown(agent) for agent in registry.all()], "next_cursor": None}


@agents.get(
    "/<agent:agent_type>",
    summary="Show an agent",
    operation_id="getAgent",
    responses={**success(AgentBody, examples.AGENT), **failures(401, 404, 500)},
)
def show_agent(path: AgentPath) -> dict[str, Any]:
    """What the agent does, what it takes and what it gives."""
    try:
        return _shown(registry.get(path.agent_type))
    except InvalidInput as error:
        raise NotFound(error.message) from error


def _known(agent_type: str) -> str:
    try:
        return registry.get(agent_type).agent_type
    except InvalidInput as error:
        raise InvalidInput(error.message, [FieldError("agent_type", "is not known")]) from error


def _in_whose_name(caller: Principal, user_id: UUID | None) -> UUID | None:
    if user_id is None:
        return caller.user_id
    if not caller.may_act_for(user_id):
        raise Forbidden("A user's token may name only its own user_id; leave user_id out, or use a service token.")
    return user_id


def _idempotency_key() -> str | None:
    key = request.headers.get(_KEY_FIELD)
    if key is None:
        return None
    if not 1 <= len(key) <= _MAX_KEY or not all("!" <= char <= "~" for char in key):
        fault = f"must be 1 to {_MAX_KEY} visible ASCII characters"
        raise InvalidInput(f"The header {_KEY_FIELD} {fault}.", [FieldError(_KEY_FIELD, fault)])
    return key


def _submit(wanted: Submission, run_id: UUID | None = None) -> Accepted:
    accepted = services().runs.submit(wanted, run_id)
    structlog.contextvars.bind_contextvars(run_id=str(accepted.id))
    log.info("run_accepted", agent_type=wanted.agent_type, created=accepted.created)
    return accepted


def _submit_and_wait(wanted: Submission, seconds: int) -> Accepted:
    """Listen first, then insert, so that no end is missed."""
    run_id = uuid4()
    waiter = services().waiter
    with waiter.watch(run_id) as end:
        accepted = _submit(wanted, run_id)
        if accepted.status.terminal:
            return accepted
        repeated = accepted.id != run_id
        watch: AbstractContextManager[Event] = waiter.watch(accepted.id) if repeated else nullcontext(end)
        with watch as this_end:
            # A run that was there before may have ended while nobody listened here.
            if not (repeated and services().runs.get(accepted.id).status.terminal):
                this_end.wait(seconds)
    run = services().runs.get(accepted.id)
    return Accepted(id=run.id, status=run.status, result=run.result, error=run.error, created=accepted.created)


def _rendered(accepted: Accepted) -> dict[str, Any]:
    answer: dict[str, Any] = {"request_id": str(accepted.id), "status": str(accepted.status), "error": accepted.error}
    if accepted.status == "completed":
        answer["result"] = accepted.result
    return answer


def _shown(agent: Agent[Any, Any]) -> dict[str, Any]:
    return {
        "agent_type": agent.agent_type,
        "title": agent.title,
        "description": agent.description,
        "capabilities": list(agent.capabilities),
        "model": services().settings.ollama_model or agent.model,
        "input_schema": agent.input.model_json_schema(),
        "output_schema": agent.output.model_json_schema(mode="serialization"),
    }
