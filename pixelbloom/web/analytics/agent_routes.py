"""`/api/analytics/agents` and `/models`: figures of agents and models, for administrators."""

from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.agents import registry
from pixelbloom.web.analytics.agent_schemas import AgentSummaryBody, AgentTrendBody, LogPage, ModelMetricsBody
from pixelbloom.web.analytics.pages import figures, guard
from pixelbloom.web.analytics.queries import AgentLogsQuery, AgentTrendsQuery, RangeQuery
from pixelbloom.web.http import counting
from pixelbloom.web.http.caller import require_admin
from pixelbloom.web.http.openapi import SECURITY, failures, success

agent_analytics = APIBlueprint(
    "agent_analytics",
    __name__,
    url_prefix="/api/analytics",
    abp_tags=[Tag(name="Analytics", description="Figures of leads, conversations, revenue, agents and models.")],
    abp_security=SECURITY,
)
agent_analytics.before_request(guard)
agent_analytics.before_request(lambda: require_admin("see the figures of agents and models"))
counting.limit_searches(agent_analytics)


def _known(agent_type: str | None) -> str | None:
    """Return the agent type, or None if none is given. Raises InvalidInput if there is no such agent."""
    return None if agent_type is None else registry.get(agent_type).agent_type


@agent_analytics.get(
    "/agents/summary",
    summary="Agent summary",
    operation_id="getAgentSummary",
    responses={**success(AgentSummaryBody), **failures(400, 401, 403, 429, 500, 503)},
)
def agent_summary(query: RangeQuery) -> AgentSummaryBody:
    """For administrators. Returns executions of each agent in runs created in the range: outcomes and durations."""
    query = query.resolve()
    return AgentSummaryBody.of(query, figures().agent_summary(query.user_id, query))


@agent_analytics.get(
    "/agents/trends",
    summary="Agent trends",
    operation_id="getAgentTrends",
    responses={**success(AgentTrendBody), **failures(400, 401, 403, 429, 500, 503)},
)
def agent_trends(query: AgentTrendsQuery) -> AgentTrendBody:
    """For administrators. Returns the number of executions by the period in which their run was created."""
    query = query.resolve()
    return AgentTrendBody.of(query, {"data": figures().agent_trends(query.user_id, query, _known(query.agent_type))})


@agent_analytics.get(
    "/agents/logs",
    summary="List agent logs",
    operation_id="listAgentLogs",
    responses={**success(LogPage), **failures(400, 401, 403, 429, 500, 503)},
)
def agent_logs(query: AgentLogsQuery) -> LogPage:
    """For administrators. Returns how executions and their attempts ended, newest first."""
    query = query.resolve()
    rows = figures().agent_logs(
        query.user_id,
        query,
        agent_type=_known(query.agent_type),
        level=query.level,
        limit=query.limit,
        before=query.before,
    )
    return LogPage.of(rows)


@agent_analytics.get(
    "/models/metrics",
    summary="Model metrics",
    operation_id="getModelMetrics",
    responses={**success(ModelMetricsBody), **failures(400, 401, 403, 429, 500, 503)},
)
def model_metrics(query: RangeQuery) -> ModelMetricsBody:
    """For administrators. Returns calls to model providers: outcomes, durations and tokens."""
    query = query.resolve()
    return ModelMetricsBody.of(query, figures().model_summary(query.user_id, query))
