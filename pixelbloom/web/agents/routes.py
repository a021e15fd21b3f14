"""`/api/agents`: listing the agents, and invoking one."""

from functools import cache
from typing import Any

from flask import Response, jsonify, request
from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.agents import registry
from pixelbloom.agents.base import Agent
from pixelbloom.errors import InvalidInput, NotFound
from pixelbloom.runs.service import Submission
from pixelbloom.web.agents.known import known_agent
from pixelbloom.web.container import services
from pixelbloom.web.http import counting, examples
from pixelbloom.web.http.caller import own_or_scoped
from pixelbloom.web.http.openapi import SECURITY, SUBMISSION, failures, headers, success
from pixelbloom.web.http.preferences import wait_seconds
from pixelbloom.web.http.schemas import AgentBody, AgentList, AgentPath, InvokeRequest, InvokeResponse
from pixelbloom.web.runs.submission import accepted_body, applied, submitted, terms

agents = APIBlueprint(
    "agents",
    __name__,
    url_prefix="/api/agents",
    abp_tags=[Tag(name="Agents", description="The agents, and invoking one.")],
    abp_security=SECURITY,
)
agents.before_request(own_or_scoped("runs"))
agents.before_request(counting.count_first(counting.submission, "invoke"))


@agents.post(
    "/invoke",
    summary="Invoke an agent",
    operation_id="invokeAgent",
    responses={
        **success(InvokeResponse, examples.QUEUED, description="Run accepted.", headers=("Preference-Applied",)),
        **failures(400, 401, 403, 409, 413, 429, 500, 503),
    },
    openapi_extensions=headers(*SUBMISSION),
)
def invoke(body: InvokeRequest) -> Response:
    """Accepts the request as a run and returns at once with status `queued`; a worker executes the run.

    `Prefer: wait=N` delays the response until the run ends or N seconds pass. With an `Idempotency-Key`, the same
    request of the same caller returns the same run.
    """
    wanted = Submission(agent_type=known_agent(body.agent_type), input=body.input, **terms(body))
    seconds = wait_seconds(request.headers.get("Prefer"))
    accepted, waited = submitted(
        lambda run_id: services().runs.submit(wanted, run_id), seconds, agent_type=wanted.agent_type
    )
    return applied(jsonify(accepted_body(accepted)), seconds, waited=waited)


@agents.get(
    "",
    summary="List agents",
    operation_id="listAgents",
    responses={
        **success(AgentList, {"items": [examples.AGENT], "next_cursor": None}),
        **failures(401, 403, 500),
    },
)
def list_agents() -> dict[str, Any]:
    """Returns all agents with the JSON Schemas of their inputs and outputs."""
    return {"items": [_shown(agent) for agent in registry.all()], "next_cursor": None}


@agents.get(
    "/<agent:agent_type>",
    summary="Get an agent",
    operation_id="getAgent",
    responses={**success(AgentBody, examples.AGENT), **failures(401, 403, 404, 500)},
)
def show_agent(path: AgentPath) -> dict[str, Any]:
    """Returns an agent with the JSON Schemas of its input and output."""
    try:
        return _shown(registry.get(path.agent_type))
    except InvalidInput as error:
        raise NotFound(error.message) from error


def _shown(agent: Agent[Any, Any]) -> dict[str, Any]:
    return {
        "id": agent.agent_type,
        "agent_type": agent.agent_type,
        "title": agent.title,
        "description": agent.description,
        "capabilities": list(agent.capabilities),
        "model": services().settings.ollama_model or agent.model,
        **_schemas(agent),
    }


@cache
def _schemas(agent: Agent[Any, Any]) -> dict[str, Any]:
    """Cached: generating takes more than a millisecond."""
    return {
        "input_schema": agent.input.model_json_schema(),
        "output_schema": agent.output.model_json_schema(mode="serialization"),
    }
