"""`/api/analytics/revenue`: figures of revenue and subscriptions."""

from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.database.cursors import write_cursor
from pixelbloom.web.analytics.pages import figures, guard
from pixelbloom.web.analytics.queries import RangeQuery, SubscriptionsQuery
from pixelbloom.web.analytics.revenue_schemas import (
    CustomerValueBody,
    PackagesBody,
    RevenueSummaryBody,
    SubscriptionPage,
    SubscriptionTrendBody,
)
from pixelbloom.web.http import counting
from pixelbloom.web.http.caller import listed_owner
from pixelbloom.web.http.openapi import SECURITY, failures, success

revenue_analytics = APIBlueprint(
    "revenue_analytics",
    __name__,
    url_prefix="/api/analytics/revenue",
    abp_tags=[Tag(name="Analytics", description="Figures of leads, conversations, revenue, agents and models.")],
    abp_security=SECURITY,
)
revenue_analytics.before_request(guard)
counting.limit_searches(revenue_analytics)


@revenue_analytics.get(
    "/summary",
    summary="Revenue summary",
    operation_id="getRevenueSummary",
    responses={**success(RevenueSummaryBody), **failures(400, 401, 403, 429, 500, 503)},
)
def revenue_summary(query: RangeQuery) -> RevenueSummaryBody:
    """Returns revenue, recurring revenue (MRR, ARR) at the end of the range, and churn."""
    query = query.resolve()
    return RevenueSummaryBody.of(query, figures().revenue_summary(listed_owner(query.user_id), query))


@revenue_analytics.get(
    "/by-package",
    summary="Revenue by package",
    operation_id="getRevenueByPackage",
    responses={**success(PackagesBody), **failures(400, 401, 403, 429, 500, 503)},
)
def revenue_by_package(query: RangeQuery) -> PackagesBody:
    """Returns the revenue of the range and the subscriptions at its end, by package and currency."""
    query = query.resolve()
    return PackagesBody.of(query, {"data": figures().revenue_by_package(listed_owner(query.user_id), query)})


@revenue_analytics.get(
    "/subscription-trends",
    summary="Subscription trends",
    operation_id="getSubscriptionTrends",
    responses={**success(SubscriptionTrendBody), **failures(400, 401, 403, 429, 500, 503)},
)
def subscription_trends(query: RangeQuery) -> SubscriptionTrendBody:
    """Returns the number of subscriptions at the end of each period, and of those that started and ended in it."""
    query = query.resolve()
    return SubscriptionTrendBody.of(query, {"data": figures().subscription_trends(listed_owner(query.user_id), query)})


@revenue_analytics.get(
    "/customer-ltv",
    summary="Customer lifetime value",
    operation_id="getCustomerLifetimeValue",
    responses={**success(CustomerValueBody), **failures(400, 401, 403, 429, 500, 503)},
)
def customer_ltv(query: RangeQuery) -> CustomerValueBody:
    """Returns the totals that customers of the range have paid until its end: averages, and those who paid most."""
    query = query.resolve()
    return CustomerValueBody.of(query, figures().customer_ltv(listed_owner(query.user_id), query))


@revenue_analytics.get(
    "/subscriptions/list",
    summary="List subscriptions of a date range",
    operation_id="listAnalyticsSubscriptions",
    responses={**success(SubscriptionPage), **failures(400, 401, 403, 429, 500, 503)},
)
def subscription_list(query: SubscriptionsQuery) -> SubscriptionPage:
    """Returns subscriptions and purchases that began in the range, newest first."""
    query = query.resolve()
    rows = figures().subscriptions(
        listed_owner(query.user_id), query, status=query.status, limit=query.limit, before=query.before
    )
    return SubscriptionPage.of(rows, lambda row: write_cursor(row, by="start_date"))
