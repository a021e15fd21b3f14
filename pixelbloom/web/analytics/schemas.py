"""The schemas of requests and responses about analytics in the OpenAPI document."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from pixelbloom.analytics.ranges import Aggregation, Range
from pixelbloom.core.statuses import BillingInterval, ConversationStatus, LogLevel, SubscriptionStatus
from pixelbloom.runs.service import CURSOR_PATTERN, MAX_PAGE
from pixelbloom.web.http.schemas import JsonObject, Shape, Time, UserId, Uuid, read_limit

Day = Annotated[str, Field(json_schema_extra={"format": "date"})]
Percent = Annotated[float | None, Field(description="In percent; null if the base is 0.")]


class RangeQuery(Shape, Range):
    """The days, time zone and owner of figures."""

    user_id: UserId = Field(
        None,
        description="The owner; for services and administrators (default: everybody). Others get their own.",
    )


class PageOfRangeQuery(RangeQuery):
    """Which part of a list."""

    limit: Annotated[int, BeforeValidator(read_limit)] = Field(50, ge=1, le=MAX_PAGE, description="How many at most.")
    cursor: str | None = Field(None, pattern=CURSOR_PATTERN, description="From `next_cursor`.")


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


class RangeBody(Shape):
    """The requested days, or the default ones."""

    start_date: Day
    end_date: Day
    aggregation: Aggregation
    time_zone: str


class Ranged(Shape):
    """Figures of a range."""

    range: RangeBody


class Figure(Shape):
    """A figure, and its change from the same number of days before."""

    value: float | None
    change: float | None = Field(
        description="In percent, or in points of a rate or an average; null if the earlier value is 0 or missing."
    )


class CurrencyFigure(Figure):
    """A figure in one currency."""

    currency: str


class MoneyFigure(CurrencyFigure):
    """A figure in the currency of the most payments, and in each."""

    by_currency: list[CurrencyFigure] = Field(description="Amounts of different currencies are never added.")


class OverviewBody(Ranged):
    """The figures at the head of a dashboard."""

    total_leads: Figure
    active_conversations: Figure
    conversion_rate: Figure
    total_revenue: MoneyFigure


class Point(Shape):
    """A period, by its first day."""

    date: Day
    value: int


class TrendBody(Ranged):
    """A figure per period, oldest first, including zeros."""

    data: list[Point]


class StatusCount(Shape):
    """The number in a state."""

    status: str
    value: int


class SourceCount(Shape):
    """Where leads came from."""

    source: str
    value: int
    converted: int
    conversion_rate: Percent


class Amount(Shape):
    """Money."""

    currency: str
    value: float | None


class LeadSummaryBody(Ranged):
    """Leads created in the range."""

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

    started: Figure
    active: Figure = Field(description="Those with messages.")
    messages: Figure
    messages_per_conversation: Figure
    by_status: list[StatusCount] = Field(description="Of those that were started.")


class ConversationItem(Shape):
    """A conversation."""

    id: Uuid
    user_id: Uuid | None
    lead_id: Uuid | None
    title: str | None
    status: ConversationStatus
    messages: int
    last_message_at: Time | None
    created_at: Time


class ConversationPage(Shape):
    """Conversations, newest first."""

    items: list[ConversationItem]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last one.")


class RevenueSummaryBody(Ranged):
    """Money and subscriptions."""

    revenue: MoneyFigure = Field(description="Money received.")
    mrr: MoneyFigure = Field(description="Monthly recurring revenue at the end of the range, against its beginning.")
    arr: MoneyFigure = Field(description="Twelve times that.")
    active_subscriptions: Figure = Field(description="At the end of the range, against its beginning.")
    new_subscriptions: Figure
    ended_subscriptions: Figure
    churn_rate: Figure = Field(description="The share of the subscriptions at its beginning that ended in the range.")


class PackageRevenue(Shape):
    """A package in one currency."""

    package_id: Uuid | None
    package: str | None = Field(description="Null for sales without a package.")
    currency: str
    revenue: float
    payments: int
    active_subscriptions: int
    mrr: float


class PackagesBody(Ranged):
    """Packages, those of the most payments first."""

    data: list[PackageRevenue]


class SubscriptionPoint(Point):
    """Subscriptions at the end of a period, and what changed in it."""

    started: int
    ended: int


class SubscriptionTrendBody(Ranged):
    """Subscriptions over time."""

    data: list[SubscriptionPoint]


class CurrencyValue(Shape):
    """The totals paid by customers in one currency."""

    currency: str
    customers: int
    average: float
    median: float
    highest: float


class CustomerValue(Shape):
    """The total paid by one customer."""

    user_id: Uuid
    currency: str
    value: float
    payments: int
    first_payment_at: Time
    last_payment_at: Time


class CustomerValueBody(Ranged):
    """The totals that customers who paid in the range have paid until its end."""

    customers: int
    average: Amount = Field(description="In the currency of the most customers.")
    by_currency: list[CurrencyValue]
    top: list[CustomerValue] = Field(description="The ten who paid most, of each currency.")


class SubscriptionItem(Shape):
    """A subscription or a purchase."""

    id: Uuid
    user_id: Uuid | None
    package_id: Uuid | None
    package: str | None
    status: SubscriptionStatus
    start_date: Time
    end_date: Time | None
    currency: str
    original_price: float | None
    discount_amount: float
    final_price: float
    billing_interval: BillingInterval
    billing_interval_count: int


class SubscriptionPage(Shape):
    """Subscriptions, newest first."""

    items: list[SubscriptionItem]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last one.")


class AgentFigures(Shape):
    """The executions of one agent."""

    agent_type: str
    executions: int
    completed: int
    failed: int
    cancelled: int
    success_rate: Percent
    fallback_rate: Percent
    average_duration_ms: int | None
    p95_duration_ms: int | None
    tokens: int


class AgentSummaryBody(Ranged):
    """The executions of agents, in agent runs and as steps of workflows."""

    executions: Figure
    success_rate: Figure = Field(description="Of those that completed or failed.")
    fallback_rate: Figure = Field(description="The share with a result of the agent's own rules.")
    average_duration_ms: Figure
    tokens: Figure
    by_agent: list[AgentFigures]


class AgentPoint(Point):
    """Executions of a period, and how they ended."""

    completed: int
    failed: int
    average_duration_ms: int | None


class AgentTrendBody(Ranged):
    """Agents over time."""

    data: list[AgentPoint]


class LogItem(Shape):
    """A log entry of an agent."""

    id: Uuid
    run_id: Uuid | None
    user_id: Uuid | None
    agent_type: str
    level: LogLevel
    event: str
    detail: JsonObject
    created_at: Time


class LogPage(Shape):
    """The log, newest first."""

    items: list[LogItem]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last one.")


class ModelFigures(Shape):
    """Calls to one model."""

    provider: str
    model: str | None
    calls: int
    ok: int
    success_rate: Percent
    average_latency_ms: int | None = Field(description="Of those with a response.")
    p95_latency_ms: int | None
    prompt_tokens: int
    completion_tokens: int


class OutcomeCount(Shape):
    """The number of calls with an outcome."""

    outcome: str
    value: int


class ModelPoint(Point):
    """Calls of a period."""

    failed: int
    tokens: int


class ModelMetricsBody(Ranged):
    """Calls to model providers."""

    calls: Figure
    success_rate: Figure
    average_latency_ms: Figure
    tokens: Figure
    by_model: list[ModelFigures]
    by_outcome: list[OutcomeCount]
    trend: list[ModelPoint]


class ServiceCount(Figure):
    """How often a service was recommended."""

    service: str
    average_confidence: float | None


class RecommendationsBody(Ranged):
    """Services that were recommended."""

    total: Figure
    by_service: list[ServiceCount] = Field(description="The fifty most frequent.")
