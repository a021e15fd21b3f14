"""The analytics examples of the OpenAPI document."""

from typing import Any

_USER = "0b9f1a0e-5f8c-4c0b-8a54-6a1f6c1d2e3f"
_PACKAGE = "3f2b6c1e-9a0d-4a5e-8a3b-2d1c0b9a8f7e"
_AT = "2026-01-31T12:00:00.004000Z"
_RANGE = {"start_date": "2026-01-30", "end_date": "2026-01-31", "aggregation": "daily", "time_zone": "Europe/Vienna"}


def _figure(value: float | None, change: float | None) -> dict[str, Any]:
    return {"value": value, "change": change}


def _money(value: float, change: float) -> dict[str, Any]:
    figure = {"currency": "usd", **_figure(value, change)}
    return {**figure, "by_currency": [figure]}


OVERVIEW: dict[str, Any] = {
    "range": _RANGE,
    "total_leads": _figure(123, 5.4),
    "active_conversations": _figure(12, -2.1),
    "conversion_rate": _figure(14.2, 0.7),
    "total_revenue": _money(10234, 3.3),
}

TREND: dict[str, Any] = {
    "range": _RANGE,
    "data": [{"date": "2026-01-30", "value": 0}, {"date": "2026-01-31", "value": 12}],
}

LEADS: dict[str, Any] = {
    "range": _RANGE,
    "total": _figure(123, 5.4),
    "qualified": _figure(40, 2.6),
    "converted": _figure(17, 10.5),
    "conversion_rate": _figure(13.8, 0.7),
    "average_score": _figure(61.5, -1.2),
    "by_status": [{"status": "new", "value": 83}, {"status": "qualified", "value": 23}],
    "by_source": [{"source": "website", "value": 80, "converted": 10, "conversion_rate": 12.5}],
    "open_budget": [{"currency": "usd", "value": 480000.5}],
}

CONVERSATIONS: dict[str, Any] = {
    "range": _RANGE,
    "started": _figure(30, 20),
    "active": _figure(34, 13.3),
    "messages": _figure(306, 2),
    "messages_per_conversation": _figure(9, -1),
    "by_status": [{"status": "active", "value": 12}, {"status": "closed", "value": 18}],
}

CONVERSATION: dict[str, Any] = {
    "id": "6c6b5b0e-5b68-4a3a-9c53-0e6f0e9d3a11",
    "user_id": _USER,
    "lead_id": None,
    "title": "A new shop",
    "status": "active",
    "messages": 4,
    "last_message_at": _AT,
    "created_at": "2026-01-31T11:52:00.000000Z",
}

REVENUE: dict[str, Any] = {
    "range": _RANGE,
    "revenue": _money(10234, 3.3),
    "mrr": _money(4900, 2.1),
    "arr": _money(58800, 2.1),
    "active_subscriptions": _figure(100, 2),
    "new_subscriptions": _figure(7, 16.7),
    "ended_subscriptions": _figure(5, None),
    "churn_rate": _figure(5.1, None),
}

PACKAGES: dict[str, Any] = {
    "range": _RANGE,
    "data": [
        {
            "package_id": _PACKAGE,
            "package": "Growth",
            "currency": "usd",
            "revenue": 5880,
            "payments": 120,
            "active_subscriptions": 60,
            "mrr": 2940,
        }
    ],
}

SUBSCRIPTION_TREND: dict[str, Any] = {
    "range": _RANGE,
    "data": [
        {"date": "2026-01-30", "value": 99, "started": 3, "ended": 2},
        {"date": "2026-01-31", "value": 100, "started": 4, "ended": 3},
    ],
}

CUSTOMERS: dict[str, Any] = {
    "range": _RANGE,
    "customers": 40,
    "average": {"currency": "usd", "value": 612.5},
    "by_currency": [{"currency": "usd", "customers": 40, "average": 612.5, "median": 490, "highest": 2450}],
    "top": [
        {
            "user_id": _USER,
            "currency": "usd",
            "value": 2450,
            "payments": 50,
            "first_payment_at": "2022-01-15T09:30:00.000000Z",
            "last_payment_at": _AT,
        }
    ],
}

SUBSCRIPTION: dict[str, Any] = {
    "id": "b7a3a9de-5f0e-4c52-8c34-92b76a3dbd0a",
    "user_id": _USER,
    "package_id": _PACKAGE,
    "package": "Growth",
    "status": "active",
    "start_date": _AT,
    "end_date": None,
    "currency": "usd",
    "original_price": 49,
    "discount_amount": 0,
    "final_price": 49,
    "billing_interval": "month",
    "billing_interval_count": 1,
}

AGENTS: dict[str, Any] = {
    "range": _RANGE,
    "executions": _figure(240, 20),
    "success_rate": _figure(97.5, 0.4),
    "fallback_rate": _figure(3.4, -1.1),
    "average_duration_ms": _figure(3360, -4.2),
    "tokens": _figure(51000, 18.3),
    "by_agent": [
        {
            "agent_type": "chat_agent",
            "executions": 240,
            "completed": 234,
            "failed": 6,
            "cancelled": 0,
            "success_rate": 97.5,
            "fallback_rate": 3.4,
            "average_duration_ms": 3360,
            "p95_duration_ms": 7800,
            "tokens": 51000,
        }
    ],
}

AGENT_TREND: dict[str, Any] = {
    "range": _RANGE,
    "data": [
        {"date": "2026-01-30", "value": 0, "completed": 0, "failed": 0, "average_duration_ms": None},
        {"date": "2026-01-31", "value": 12, "completed": 11, "failed": 1, "average_duration_ms": 3410},
    ],
}

LOG: dict[str, Any] = {
    "id": "e4d6c7a8-2f3b-4f63-8d6e-0f5f3c8b7a21",
    "run_id": "5c1c7a52-2f5e-4d55-9a70-0d3b8a3c6a01",
    "user_id": _USER,
    "agent_type": "chat_agent",
    "level": "warning",
    "event": "step_retried",
    "detail": {"step": "chat_agent", "attempt": 1, "error": "No model responded in time."},
    "created_at": _AT,
}

MODELS: dict[str, Any] = {
    "range": _RANGE,
    "calls": _figure(250, 19),
    "success_rate": _figure(94, 1.2),
    "average_latency_ms": _figure(2950, -3.1),
    "tokens": _figure(51000, 18.3),
    "by_model": [
        {
            "provider": "ollama",
            "model": "llama3",
            "calls": 250,
            "ok": 235,
            "success_rate": 94,
            "average_latency_ms": 2950,
            "p95_latency_ms": 7200,
            "prompt_tokens": 21000,
            "completion_tokens": 30000,
        }
    ],
    "by_outcome": [{"outcome": "ok", "value": 235}, {"outcome": "timeout", "value": 15}],
    "trend": [{"date": "2026-01-31", "value": 130, "failed": 7, "tokens": 26500}],
}

RECOMMENDATIONS: dict[str, Any] = {
    "range": _RANGE,
    "total": _figure(60, 9.1),
    "by_service": [{"service": "ecommerce", "value": 22, "change": 4.8, "average_confidence": 0.81}],
}
