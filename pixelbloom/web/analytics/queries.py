"""The queries of the analytics routes."""

from pydantic import Field

from pixelbloom.analytics.ranges import Range
from pixelbloom.core.statuses import ConversationStatus, LogLevel, SubscriptionStatus
from pixelbloom.web.http.schemas import PageQuery, Shape, UserId


class RangeQuery(Shape, Range):
    """The days, time zone and owner of figures."""

    user_id: UserId = Field(
        None,
        description="The owner; for services and administrators (default: everybody). Others get their own.",
    )


class PageOfRangeQuery(RangeQuery, PageQuery):
    """Which part of a list."""


class ConversationsQuery(PageOfRangeQuery):
    """Which conversations."""

    status: ConversationStatus | None = Field(None, description="Only those in this state.")


class SubscriptionsQuery(PageOfRangeQuery):
    """Which subscriptions."""

    status: SubscriptionStatus | None = Field(None, description="Only those in this state.")


class AgentTrendsQuery(RangeQuery):
    """Which agent."""

    agent_type: str | None = Field(None, max_length=100, description="Only this agent.")


class AgentLogsQuery(PageOfRangeQuery):
    """Which log entries."""

    agent_type: str | None = Field(None, max_length=100, description="Only of this agent.")
    level: LogLevel | None = Field(None, description="Only of this level.")
