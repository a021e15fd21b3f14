"""The SQL functions for money and subscriptions, compared with the same figures in Python."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integration.analytics.figures import (
    GENERATED,
    Row,
    asked,
    by_currency,
    counted,
    filled,
    mean,
    money,
    now_and_before,
    payments,
    rate,
    rated,
    revenue,
    rounded,
    seen,
)
from tests.servers.agency import PACKAGES, PEOPLE, Agency, ledgers
from tests.servers.days import Days, days

Case = tuple[Days, Agency, UUID | None]
#: The number of each interval in a year.
A_YEAR = {"year": 1, "month": 12, "week": Decimal(365) / 7, "day": 365}
LEDGERS = days().flatmap(lambda of: st.tuples(st.just(of), ledgers(of), st.sampled_from(PEOPLE)))


@pytest.fixture
def empty(db: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Hide the rows of other tests; they are restored afterwards."""
    with db.transaction(force_rollback=True):
        db.execute(
            "truncate public.user_subscriptions, public.invoices, public.refunds, public.pricing_packages cascade"
        )
        yield db


def recurring(agency: Agency, who: UUID | None) -> list[Row]:
    """Return the subscriptions that recur at any time, from the end of their trial on."""
    return [
        {**row, "start_date": row["billed_from"] or row["start_date"]}
        for row in seen(agency["user_subscriptions"], who)
        if row["billing_interval"] != "once"
        and (
            row["status"] in ("active", "past_due")
            or (row["status"] == "trialing" and (row["billed_from"] or row["start_date"]) <= datetime.now(UTC))
            or (row["status"] == "cancelled" and row["end_date"])
        )
        and (row["end_date"] is None or row["end_date"] >= row["start_date"])
        and (row["end_date"] is None or row["billed_from"] is None or row["end_date"] > row["billed_from"])
    ]


def at(day: date, of: Days) -> Callable[[Row], bool]:
    """Return whether a subscription exists when that day begins."""
    moment = datetime.combine(day, datetime.min.time(), ZoneInfo(of.zone))
    return lambda row: row["start_date"] < moment and (row["end_date"] is None or row["end_date"] >= moment)


def monthly(rows: list[Row], factor: int = 1) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for row in rows:
        price = Decimal(row["final_price"]) * A_YEAR[row["billing_interval"]] / 12 / row["billing_interval_count"]
        found[row["currency"]] = found.get(row["currency"], Decimal(0)) + price * factor
    return {name: Decimal(str(rounded(amount, "0.01"))) for name, amount in found.items()}


@GENERATED
@given(case=LEDGERS)
def test_revenue_and_recurring_and_ended_subscriptions_match_the_rows(empty: psycopg.Connection, case: Case) -> None:
    of, agency, who = case
    with filled(empty, agency) as db:
        said = asked(db, "revenue_summary", who, of.start, of.end, of.zone)

    rows = recurring(agency, who)
    ends = of.end + timedelta(days=1)
    there, there_before, there_first = (list(filter(at(day, of), rows)) for day in (ends, of.start, of.earlier().start))
    assert by_currency(said["revenue"]) == money(revenue(of, payments(agency, who)))
    for name, factor in (("mrr", 1), ("arr", 12)):
        now, before = monthly(there, factor), monthly(there_before, factor)
        zero = Decimal(0)
        listed = by_currency(said[name])
        assert listed == money({each: (now.get(each, zero), before.get(each, zero)) for each in now | before})
    assert said["active_subscriptions"] == counted(len(there), len(there_before))
    new, new_before = now_and_before(of, rows, "start_date")
    gone, gone_before = now_and_before(of, rows, "end_date")
    assert said["new_subscriptions"] == counted(len(new), len(new_before))
    assert said["ended_subscriptions"] == counted(len(gone), len(gone_before))
    lost = sum(of.has(row["end_date"]) for row in there_before)
    lost_before = sum(of.earlier().has(row["end_date"]) for row in there_first)
    assert said["churn_rate"] == rated(rate(lost, len(there_before)), rate(lost_before, len(there_first)))


@GENERATED
@given(case=LEDGERS)
def test_subscriptions_at_the_end_of_each_period(empty: psycopg.Connection, case: Case) -> None:
    of, agency, who = case
    with filled(empty, agency) as db:
        said = asked(db, "subscription_trends", who, of.start, of.end, of.aggregation, of.zone)

    rows = recurring(agency, who)
    started = of.series(row["start_date"] for row in rows)
    ended = of.series(row["end_date"] for row in rows if row["end_date"])
    firsts = [*of.periods()[1:], of.end + timedelta(days=1)]
    assert said == [
        {
            "date": one["date"],
            "value": sum(map(at(after, of), rows)),
            "started": one["value"],
            "ended": other["value"],
        }
        for one, other, after in zip(started, ended, firsts, strict=True)
    ]


@GENERATED
@given(case=LEDGERS)
def test_revenue_by_package_and_currency(empty: psycopg.Connection, case: Case) -> None:
    of, agency, who = case
    with filled(empty, agency) as db:
        said = asked(db, "revenue_by_package", who, of.start, of.end, of.zone)

    paid = [row for row in payments(agency, who) if of.has(row["moved_at"])]
    there = list(filter(at(of.end + timedelta(days=1), of), recurring(agency, who)))
    kinds = {(row["package_id"], row["currency"]) for row in (*paid, *there)}
    assert {(entry.pop("package_id"), entry.pop("currency")): entry for entry in said} == {
        (str(package) if package else None, currency): {
            "package": PACKAGES.get(package),
            "revenue": float(sum(row["amount"] for row in paid_for)),
            "payments": sum(row["received"] for row in paid_for),
            "active_subscriptions": len(left),
            "mrr": float(monthly(left).get(currency, 0)),
        }
        for package, currency in kinds
        for paid_for, left in [
            tuple(
                [row for row in rows if (row["package_id"], row["currency"]) == (package, currency)]
                for rows in (paid, there)
            )
        ]
    }


@GENERATED
@given(case=LEDGERS)
def test_lifetime_value_matches_the_payments(empty: psycopg.Connection, case: Case) -> None:
    of, agency, who = case
    with filled(empty, agency) as db:
        said = asked(db, "customer_ltv", who, of.start, of.end, of.zone)

    paid = [row for row in payments(agency, who) if row["user_id"] and of.day(row["moved_at"]) <= of.end]
    worth: dict[str, list[Decimal]] = {}
    for currency in {row["currency"] for row in paid}:
        for customer in {row["user_id"] for row in paid}:
            paid_by = [row for row in paid if (row["user_id"], row["currency"]) == (customer, currency)]
            if any(row["received"] and of.has(row["moved_at"]) for row in paid_by):
                worth.setdefault(currency, []).append(sum((row["amount"] for row in paid_by), Decimal(0)))
    customers = {row["user_id"] for row in paid if row["received"] and of.has(row["moved_at"])}
    assert said["customers"] == len(customers)
    assert {entry.pop("currency"): entry for entry in said["by_currency"]} == {
        currency: {
            "customers": len(amounts),
            "average": mean(amounts, "0.01"),
            "median": float(sorted(amounts)[(len(amounts) - 1) // 2]),
            "highest": float(max(amounts)),
        }
        for currency, amounts in worth.items()
    }
    assert sorted((entry["currency"], entry["value"]) for entry in said["top"]) == sorted(
        (currency, float(amount)) for currency, amounts in worth.items() for amount in amounts
    )
    if worth:
        most = max(map(len, worth.values()))
        main = min(currency for currency, amounts in worth.items() if len(amounts) == most)
        assert said["average"] == {"currency": main, "value": mean(worth[main], "0.01")}
    else:
        assert said["average"] == {"currency": "usd", "value": None}


@GENERATED
@given(case=LEDGERS)
def test_subscriptions_that_began_in_the_range(empty: psycopg.Connection, case: Case) -> None:
    of, agency, who = case
    with filled(empty, agency) as db:
        said = asked(db, "subscription_list", who, of.start, of.end, of.zone, None, 1000, None, None)
        ended = asked(db, "subscription_list", who, of.start, of.end, of.zone, "cancelled", 1000, None, None)

    now, _ = now_and_before(of, seen(agency["user_subscriptions"], who), "start_date")
    newest_first = sorted(now, key=lambda row: (row["start_date"], str(row["id"])), reverse=True)
    assert [(entry["id"], entry["package"], entry["final_price"]) for entry in said] == [
        (str(row["id"]), PACKAGES.get(row["package_id"]), float(row["final_price"])) for row in newest_first
    ]
    assert [entry["id"] for entry in ended] == [str(row["id"]) for row in newest_first if row["status"] == "cancelled"]


def test_a_subscription_that_ended_before_the_range_is_in_no_period(empty: psycopg.Connection) -> None:
    shape = {"user_id": None, "currency": "usd", "final_price": 49, "billing_interval": "month"}
    lives = [("2025-11-01", "2025-12-31", "cancelled"), ("2025-11-01", None, "active"), ("2026-01-02", None, "active")]
    rows = [{**shape, "start_date": begun, "end_date": ended, "status": status} for begun, ended, status in lives]
    with filled(empty, Agency({"user_subscriptions": rows})) as db:
        said = asked(db, "subscription_trends", None, date(2026, 1, 1), date(2026, 1, 2), "daily", "UTC")

    assert said == [
        {"date": "2026-01-01", "value": 1, "started": 0, "ended": 0},
        {"date": "2026-01-02", "value": 2, "started": 1, "ended": 0},
    ]
