"""`/api/analytics`: figures of leads, conversations and recommendations."""

from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.web.analytics.pages import figures, guard
from pixelbloom.web.analytics.queries import ConversationsQuery, RangeQuery
from pixelbloom.web.analytics.schemas import (
    ConversationPage,
    ConversationSummaryBody,
    LeadSummaryBody,
    OverviewBody,
    RecommendationsBody,
    TrendBody,
)
from pixelbloom.web.http import counting
from pixelbloom.web.http.caller import listed_owner
from pixelbloom.web.http.openapi import SECURITY, failures, success

analytics = APIBlueprint(
    "analytics",
    __name__,
    url_prefix="/api/analytics",
    abp_tags=[Tag(name="Analytics", description="Figures of leads, conversations, revenue, agents and models.")],
    abp_security=SECURITY,
)
analytics.before_request(guard)
counting.limit_searches(analytics)


@analytics.get(
    "/overview",
    summary="Analytics overview",
    operation_id="getAnalyticsOverview",
    responses={**success(OverviewBody), **failures(400, 401, 403, 429, 500, 503)},
)
def overview(query: RangeQuery) -> OverviewBody:
    """Returns leads, conversations with messages, the rate of converted leads, and revenue."""
    query = query.resolve()
    return OverviewBody.of(query, figures().overview(listed_owner(query.user_id), query))


@analytics.get(
    "/leads/summary",
    summary="Lead summary",
    operation_id="getLeadSummary",
    responses={**success(LeadSummaryBody), **failures(400, 401, 403, 429, 500, 503)},
)
def lead_summary(query: RangeQuery) -> LeadSummaryBody:
    """Returns figures of leads that were created in the range, by their current state."""
    query = query.resolve()
    return LeadSummaryBody.of(query, figures().lead_summary(listed_owner(query.user_id), query))


@analytics.get(
    "/leads/trends",
    summary="Lead trends",
    operation_id="getLeadTrends",
    responses={**success(TrendBody), **failures(400, 401, 403, 429, 500, 503)},
)
def lead_trends(query: RangeQuery) -> TrendBody:
    """Returns the number of leads by the period in which they were created. The topic `lead_trends` follows it live."""
    query = query.resolve()
    return TrendBody.of(query, {"data": figures().lead_trends(listed_owner(query.user_id), query)})


@analytics.get(
    "/conversations/summary",
    summary="Conversation summary",
    operation_id="getConversationSummary",
    responses={**success(ConversationSummaryBody), **failures(400, 401, 403, 429, 500, 503)},
)
def conversation_summary(query: RangeQuery) -> ConversationSummaryBody:
    """Returns how many conversations were started, how many have messages, and how many messages there are."""
    query = query.resolve()
    return ConversationSummaryBody.of(query, figures().conversation_summary(listed_owner(query.user_id), query))


@analytics.get(
    "/conversations/trends",
    summary="Conversation trends",
    operation_id="getConversationTrends",
    responses={**success(TrendBody), **failures(400, 401, 403, 429, 500, 503)},
)
def conversation_trends(query: RangeQuery) -> TrendBody:
    """Returns the number of conversations by the period in which they began. The topic `conversation_trends` follows it
    live.
    """
    query = query.resolve()
    return TrendBody.of(query, {"data": figures().conversation_trends(listed_owner(query.user_id), query)})


@analytics.get(
    "/conversations/list",
    summary="List conversations of a date range",
    operation_id="listAnalyticsConversations",
    responses={**success(ConversationPage), **failures(400, 401, 403, 429, 500, 503)},
)
def conversation_list(query: ConversationsQuery) -> ConversationPage:
    """Returns conversations that began in the range, newest first, with their number of messages."""
    query = query.resolve()
    rows = figures().conversations(
        listed_owner(query.user_id), query, status=query.status, limit=query.limit, before=query.before
    )
    return ConversationPage.of(rows)


@analytics.get(
    "/services/recommendations",
    summary="Recommendation summary",
    operation_id="getRecommendationSummary",
    responses={**success(RecommendationsBody), **failures(400, 401, 403, 429, 500, 503)},
)
def recommendations(query: RangeQuery) -> RecommendationsBody:
    """Returns how often each service of the agency was recommended, and with what confidence."""
    query = query.resolve()
    return RecommendationsBody.of(query, figures().recommendation_summary(listed_owner(query.user_id), query))
