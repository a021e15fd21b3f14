"""`/api/agents`: listing the agents, and invoking one."""

from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.agents import registry
from pixelbloom.errors import InvalidInput, NotFound
from pixelbloom.runs.service import Submission
from pixelbloom.web.agents.schemas import AgentBody, AgentList, AgentPath
from pixelbloom.web.container import services
from pixelbloom.web.http import counting
from pixelbloom.web.http.caller import own_or_scoped
from pixelbloom.web.http.openapi import SECURITY, SUBMISSION, failures, headers, success
from pixelbloom.web.http.rendering import Responded
from pixelbloom.web.http.schemas import InvokeRequest, InvokeResponse
from pixelbloom.web.runs.submission import respond, submitted_agent, terms

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
        **success(InvokeResponse, description="Run accepted.", headers=("Preference-Applied",)),
        **failures(400, 401, 403, 409, 413, 429, 500, 503),
    },
    openapi_extensions=headers(*SUBMISSION),
)
def invoke(body: InvokeRequest) -> Responded:
    """Accepts the request as a run and returns at once with status `queued`; a worker executes the run.

    `Prefer: wait=N` delays the response until the run ends or N seconds pass. With an `Idempotency-Key`, the same
    request of the same caller returns the same run.
    """
    wanted = Submission(agent_type=body.agent_type, input=body.input, **terms(body))
    accepted, seconds = submitted_agent(wanted)
    return respond(InvokeResponse.of(accepted), seconds)


@agents.get(
    "",
    summary="List agents",
    operation_id="listAgents",
    responses={**success(AgentList), **failures(401, 403, 500)},
)
def list_agents() -> AgentList:
    """Returns all agents with the JSON Schemas of their inputs and outputs."""
    model = services().settings.ollama_model
    return AgentList(items=[AgentBody.of(agent, model) for agent in registry.all()], next_cursor=None)


@agents.get(
    "/<agent:agent_type>",
    summary="Get an agent",
    operation_id="getAgent",
    responses={**success(AgentBody), **failures(401, 403, 404, 500)},
)
def show_agent(path: AgentPath) -> AgentBody:
    """Returns an agent with the JSON Schemas of its input and output."""
    try:
        return AgentBody.of(registry.get(path.agent_type), services().settings.ollama_model)
    except InvalidInput as error:
        raise NotFound(error.message) from error
