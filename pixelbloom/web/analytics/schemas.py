"""The schemas of figures of leads, conversations and recommendations in the OpenAPI document."""

from typing import Any

from pydantic import Field

from pixelbloom.core.statuses import ConversationStatus
from pixelbloom.web.analytics.figures import (
    AT,
    RANGE,
    Amount,
    Figure,
    MoneyFigure,
    Percent,
    Point,
    Ranged,
    figure,
    money,
)
from pixelbloom.web.http.rendering import Body, Number, Page, Time, Uuid
from pixelbloom.web.http.schemas import USER_ID, example

OVERVIEW: dict[str, Any] = {
    "range": RANGE,
    "total_leads": figure(123, 5.4),
    "active_conversations": figure(12, -2.1),
    "conversion_rate": figure(14.2, 0.7),
    "total_revenue": money(10234, 3.3),
}

TREND: dict[str, Any] = {
    "range": RANGE,
    "data": [{"date": "2026-01-30", "value": 0}, {"date": "2026-01-31", "value": 12}],
}

LEADS: dict[str, Any] = {
    "range": RANGE,
    "total": figure(123, 5.4),
    "qualified": figure(40, 2.6),
    "converted": figure(17, 10.5),
    "conversion_rate": figure(13.8, 0.7),
    "average_score": figure(61.5, -1.2),
    "by_status": [{"status": "new", "value": 83}, {"status": "qualified", "value": 23}],
    "by_source": [{"source": "website", "value": 80, "converted": 10, "conversion_rate": 12.5}],
    "open_budget": [{"currency": "usd", "value": 480000.5}],
}

CONVERSATIONS: dict[str, Any] = {
    "range": RANGE,
    "started": figure(30, 20),
    "active": figure(34, 13.3),
    "messages": figure(306, 2),
    "messages_per_conversation": figure(9, -1),
    "by_status": [{"status": "active", "value": 12}, {"status": "closed", "value": 18}],
}

CONVERSATION: dict[str, Any] = {
    "id": "6c6b5b0e-5b68-4a3a-9c53-0e6f0e9d3a11",
    "user_id": USER_ID,
    "lead_id": None,
    "title": "A new shop",
    "status": "active",
    "messages": 4,
    "last_message_at": AT,
    "created_at": "2026-01-31T11:52:00.000000Z",
}

RECOMMENDATIONS: dict[str, Any] = {
    "range": RANGE,
    "total": figure(60, 9.1),
    "by_service": [{"service": "ecommerce", "value": 22, "change": 4.8, "average_confidence": 0.81}],
}


class OverviewBody(Ranged):
    """The figures at the head of a dashboard."""

    model_config = example(OVERVIEW)

    total_leads: Figure
    active_conversations: Figure
    conversion_rate: Figure
    total_revenue: MoneyFigure


class TrendBody(Ranged):
    """A figure per period, oldest first, including zeros."""

    model_config = example(TREND)

    data: list[Point]


class StatusCount(Body):
    """The number in a state."""

    status: str
    value: int


class SourceCount(Body):
    """Where leads came from."""

    source: str
    value: int
    converted: int
    conversion_rate: Percent


class LeadSummaryBody(Ranged):
    """Leads created in the range."""

    model_config = example(LEADS)

    total: Figure
    qualified: Figure
    converted: Figure
    conversion_rate: Figure
    average_score: Figure
    by_status: list[StatusCount]
    by_source: list[SourceCount] = Field(description="The twenty most frequent.")
    open_budget: list[Amount] = Field(description="Budgets of leads that are new, contacted or qualified.")


class ConversationSummaryBody(Ranged):
    """Conversations in the range."""

    model_config = example(CONVERSATIONS)

    started: Figure
    active: Figure = Field(description="Those with messages.")
    messages: Figure
    messages_per_conversation: Figure
    by_status: list[StatusCount] = Field(description="Of those that were started.")


class ConversationItem(Body):
    """A conversation."""

    model_config = example(CONVERSATION)

    id: Uuid
    user_id: Uuid | None
    lead_id: Uuid | None
    title: str | None
    status: ConversationStatus
    messages: int
    last_message_at: Time | None
    created_at: Time


class ConversationPage(Page[ConversationItem]):
    """Conversations, newest first."""


class ServiceCount(Figure):
    """How often a service was recommended."""

    service: str
    average_confidence: Number | None


class RecommendationsBody(Ranged):
    """Services that were recommended."""

    model_config = example(RECOMMENDATIONS)

    total: Figure
    by_service: list[ServiceCount] = Field(description="The fifty most frequent.")
