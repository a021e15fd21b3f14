"""`/api/analytics`: leads, conversations and recommendations in figures."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.web import analytics_examples as examples
from pixelbloom.web import counting
from pixelbloom.web.analytics_pages import before, figures, guard, page, ranged
from pixelbloom.web.analytics_schemas import (
    ConversationPage,
    ConversationsQuery,
    ConversationSummaryBody,
    LeadSummaryBody,
    OverviewBody,
    RangeQuery,
    RecommendationsBody,
    TrendBody,
)
from pixelbloom.web.caller import listed_owner
from pixelbloom.web.openapi import SECURITY, failures, success

analytics = APIBlueprint(
    "analytics",
    __name__,
    url_prefix="/api/analytics",
    abp_tags=[Tag(name="Analytics", description="What came of the work, in figures.")],
    abp_security=SECURITY,
)
analytics.before_request(guard)
counting.bound_searches(analytics)


@analytics.get(
    "/overview",
    summary="The figures at the head of a dashboard",
    operation_id="getOverview",
    responses={**success(OverviewBody, examples.OVERVIEW), **failures(400, 401, 403, 429, 500, 503)},
)
def overview(query: RangeQuery) -> dict[str, Any]:
    """Leads, conversations in which something was said, how many leads were converted, and money that came in."""
    query = query.resolve()
    return ranged(query, figures().overview(listed_owner(query.user_id), query))


@analytics.get(
    "/leads/summary",
    summary="Leads in figures",
    operation_id="getLeadSummary",
    responses={**success(LeadSummaryBody, examples.LEADS), **failures(400, 401, 403, 429, 500, 503)},
)
def lead_summary(query: RangeQuery) -> dict[str, Any]:
    """Leads that were made in the range, as they stand now."""
    query = query.resolve()
    return ranged(query, figures().lead_summary(listed_owner(query.user_id), query))


@analytics.get(
    "/leads/trends",
    summary="Leads over time",
    operation_id="getLeadTrends",
    responses={**success(TrendBody, examples.TREND), **failures(400, 401, 403, 429, 500, 503)},
)
def lead_trends(query: RangeQuery) -> dict[str, Any]:
    """By when they were made; the topic `lead_trends` tells the same as it changes."""
    query = query.resolve()
    return ranged(query, {"data": figures().lead_trends(listed_owner(query.user_id), query)})


@analytics.get(
    "/conversations/summary",
    summary="Conversations in figures",
    operation_id="getConversationSummary",
    responses={**success(ConversationSummaryBody, examples.CONVERSATIONS), **failures(400, 401, 403, 429, 500, 503)},
)
def conversation_summary(query: RangeQuery) -> dict[str, Any]:
    """How many were started, in how many something was said, and how much."""
    query = query.resolve()
    return ranged(query, figures().conversation_summary(listed_owner(query.user_id), query))


@analytics.get(
    "/conversations/trends",
    summary="Conversations over time",
    operation_id="getConversationTrends",
    responses={**success(TrendBody, examples.TREND), **failures(400, 401, 403, 429, 500, 503)},
)
def conversation_trends(query: RangeQuery) -> dict[str, Any]:
    """By when they began; the topic `conversation_trends` tells the same as it changes."""
    query = query.resolve()
    return ranged(query, {"data": figures().conversation_trends(listed_owner(query.user_id), query)})


@analytics.get(
    "/conversations/list",
    summary="List conversations of a range",
    operation_id="listConversationsOfRange",
    responses={
        **success(ConversationPage, {"items": [examples.CONVERSATION], "next_cursor": None}),
        **failures(400, 401, 403, 429, 500, 503),
    },
)
def conversation_list(query: ConversationsQuery) -> dict[str, Any]:
    """Those that began in it, newest first, with how many messages they have."""
    query = query.resolve()
    rows = figures().conversations(
        listed_owner(query.user_id), query, status=query.status, limit=query.limit + 1, before=before(query)
    )
    return page(query, rows)


@analytics.get(
    "/services/recommendations",
    summary="Recommended services in figures",
    operation_id="getRecommendations",
    responses={**success(RecommendationsBody, examples.RECOMMENDATIONS), **failures(400, 401, 403, 429, 500, 503)},
)
def recommendations(query: RangeQuery) -> dict[str, Any]:
    """How often each service of the agency was recommended, and how surely."""
    query = query.resolve()
    return ranged(query, figures().recommendation_summary(listed_owner(query.user_id), query))
