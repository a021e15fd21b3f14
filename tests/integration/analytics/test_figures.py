"""The SQL functions of analytics, compared with the same figures in Python from generated rows."""

from collections import Counter
from collections.abc import Iterator
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
from tests.servers.agency import PEOPLE, Agency, ledgers, talks
from tests.servers.days import ZONES, Days, days

Case = tuple[Days, Agency, UUID | None]
#: A range, the rows around it, and the user of the figures; None for all users.
TALKS = days().flatmap(lambda of: st.tuples(st.just(of), talks(of), st.sampled_from(PEOPLE)))
BOTH = days().flatmap(
    lambda of: st.tuples(
        st.just(of),
        st.builds(lambda one, two: Agency({**one.tables, **two.tables}), talks(of), ledgers(of)),
        st.sampled_from(PEOPLE),
    )
)


@pytest.fixture
def empty(db: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Hide the rows of other tests; they are restored afterwards."""
    with db.transaction(force_rollback=True):
        db.execute(
            "truncate public.leads, public.conversations, public.service_recommendations, public.user_subscriptions,"
            " public.invoices, public.pricing_packages cascade"
        )
        yield db


@GENERATED
@given(case=TALKS)
def test_trends_have_each_row_once_on_its_local_day_and_zeros(empty: psycopg.Connection, case: Case) -> None:
    of, agency, who = case
    with filled(empty, agency) as db:
        for function, table in (("lead_trends", "leads"), ("conversation_trends", "conversations")):
            said = asked(db, function, who, of.start, of.end, of.aggregation, of.zone)

            assert said == of.series(row["created_at"] for row in seen(agency[table], who))


@GENERATED
@given(case=BOTH)
def test_the_overview_compares_with_as_many_days_before(empty: psycopg.Connection, case: Case) -> None:
    of, agency, who = case
    with filled(empty, agency) as db:
        said = asked(db, "analytics_overview", who, of.start, of.end, of.zone)

    now, before = now_and_before(of, seen(agency["leads"], who))
    assert said["total_leads"] == counted(len(now), len(before))
    assert said["conversion_rate"] == rated(
        *(rate(sum(row["status"] == "converted" for row in rows), len(rows)) for rows in (now, before))
    )
    assert said["active_conversations"] == counted(*(len(found) for found in spoken(of, agency, who)))
    paid = payments(agency, who)
    assert by_currency(said["total_revenue"]) == money(revenue(of, paid))
    for rows in now_and_before(of, [row for row in paid if row["received"]], "moved_at"):
        if many := Counter(row["currency"] for row in rows):
            assert many[said["total_revenue"]["currency"]] == max(many.values())
            break


def spoken(of: Days, agency: Agency, who: UUID | None) -> tuple[list[UUID], list[UUID]]:
    """The conversations of the messages in the range, each once; and in the one before."""
    open_ids = {row["id"] for row in seen(agency["conversations"], who)}
    now, before = [
        [row["conversation_id"] for row in rows if row["conversation_id"] in open_ids]
        for rows in now_and_before(of, agency["messages"])
    ]
    return list(dict.fromkeys(now)), list(dict.fromkeys(before))


@GENERATED
@given(case=TALKS)
def test_leads_are_counted_by_status_source_and_budget(empty: psycopg.Connection, case: Case) -> None:
    of, agency, who = case
    with filled(empty, agency) as db:
        said = asked(db, "lead_summary", who, of.start, of.end, of.zone)

    now, before = now_and_before(of, seen(agency["leads"], who))
    won, won_before = [sum(row["status"] == "converted" for row in rows) for rows in (now, before)]
    fit, fit_before = [sum(row["status"] in ("qualified", "converted") for row in rows) for rows in (now, before)]
    scores = [mean((row["score"] for row in rows if row["score"] is not None), "0.1") for rows in (now, before)]
    assert said["total"] == counted(len(now), len(before))
    assert said["qualified"] == counted(fit, fit_before)
    assert said["converted"] == counted(won, won_before)
    assert said["conversion_rate"] == rated(rate(won, len(now)), rate(won_before, len(before)))
    assert said["average_score"] == rated(*scores)
    assert {entry["status"]: entry["value"] for entry in said["by_status"]} == {
        status: sum(row["status"] == status for row in now)
        for status in ("new", "contacted", "qualified", "unqualified", "converted", "lost")
    }
    sources = {row["source"]: [other for other in now if other["source"] == row["source"]] for row in now}
    assert {entry.pop("source"): entry for entry in said["by_source"]} == {
        source: {
            "value": len(rows),
            "converted": (part := sum(row["status"] == "converted" for row in rows)),
            "conversion_rate": rate(part, len(rows)),
        }
        for source, rows in sources.items()
    }
    budgets: Counter[str] = Counter()
    for row in now:
        if row["status"] in ("new", "contacted", "qualified"):
            budgets[row["currency"]] += row["budget"] or 0
    assert said["open_budget"] == [
        {"currency": name, "value": float(amount)} for name, amount in sorted(budgets.items()) if amount
    ]


@GENERATED
@given(case=TALKS)
def test_conversations_and_their_messages_are_counted(empty: psycopg.Connection, case: Case) -> None:
    of, agency, who = case
    with filled(empty, agency) as db:
        said = asked(db, "conversation_summary", who, of.start, of.end, of.zone)
        listed = asked(db, "conversation_list", who, of.start, of.end, of.zone, None, 1000, None, None)
        closed = asked(db, "conversation_list", who, of.start, of.end, of.zone, "closed", 1000, None, None)

    conversations = seen(agency["conversations"], who)
    now, before = now_and_before(of, conversations)
    active, active_before = spoken(of, agency, who)
    open_ids = {row["id"] for row in conversations}
    many, many_before = [
        sum(row["conversation_id"] in open_ids for row in rows) for rows in now_and_before(of, agency["messages"])
    ]
    assert said["started"] == counted(len(now), len(before))
    assert said["active"] == counted(len(active), len(active_before))
    assert said["messages"] == counted(many, many_before)
    assert said["messages_per_conversation"] == rated(
        rounded(Decimal(many) / len(active)) if active else None,
        rounded(Decimal(many_before) / len(active_before)) if active_before else None,
    )
    for status in ("active", "closed"):
        assert {"status": status, "value": sum(row["status"] == status for row in now)} in said["by_status"]

    newest_first = sorted(now, key=lambda row: (row["created_at"], str(row["id"])), reverse=True)
    assert [entry["id"] for entry in listed] == [str(row["id"]) for row in newest_first]
    assert [e["id"] for e in closed] == [str(row["id"]) for row in newest_first if row["status"] == "closed"]
    assert {entry["id"]: entry["messages"] for entry in listed} == {
        str(row["id"]): sum(message["conversation_id"] == row["id"] for message in agency["messages"]) for row in now
    }


@GENERATED
@given(case=TALKS)
def test_recommendations_are_counted_by_service(empty: psycopg.Connection, case: Case) -> None:
    of, agency, who = case
    with filled(empty, agency) as db:
        said = asked(db, "recommendation_summary", who, of.start, of.end, of.zone)

    now, before = now_and_before(of, seen(agency["service_recommendations"], who))
    assert said["total"] == counted(len(now), len(before))
    assert {entry.pop("service"): entry for entry in said["by_service"]} == {
        service: {
            **counted(len(rows), sum(row["service"] == service for row in before)),
            "average_confidence": mean((row["confidence"] for row in rows if row["confidence"] is not None), "0.001"),
        }
        for service in {row["service"] for row in now}
        if (rows := [row for row in now if row["service"] == service])
    }


@pytest.mark.parametrize("zone", ZONES)
def test_each_day_begins_at_midnight_of_its_zone(db: psycopg.Connection, zone: str) -> None:
    """Also where midnight comes twice (it begins with the first), or never (it begins with the leap)."""
    every = [date(2022, 1, 1) + timedelta(days=number) for number in range(1500)]
    said = db.execute(
        "select internal.day_start(d, %s) from unnest(%s::date[]) with ordinality as t (d, n) order by n", (zone, every)
    ).fetchall()

    assert [moment for (moment,) in said] == [
        datetime.combine(day, datetime.min.time(), ZoneInfo(zone)).astimezone(UTC) for day in every
    ]


def test_the_figure_of_all_money_is_in_the_currency_of_the_most_payments(empty: psycopg.Connection) -> None:
    """Amounts of several currencies have no order: 4,900 yen are less than 49 dollars."""
    paid = [("jpy", 4900), ("usd", 49), ("usd", 30)]
    rows = [
        {"currency": name, "status": "paid", "amount_due": amount, "amount_paid": amount, "paid_at": "2026-01-15"}
        for name, amount in paid
    ]
    with filled(empty, Agency({"invoices": rows})) as db:
        said = asked(db, "analytics_overview", None, date(2026, 1, 1), date(2026, 1, 31), "UTC")
        after = asked(db, "analytics_overview", None, date(2026, 2, 1), date(2026, 2, 28), "UTC")
        never = asked(db, "analytics_overview", None, date(2027, 1, 1), date(2027, 1, 31), "UTC")

    assert said["total_revenue"] == {
        "value": 79,
        "change": None,
        "currency": "usd",
        "by_currency": [
            {"currency": "usd", "value": 79, "change": None},
            {"currency": "jpy", "value": 4900, "change": None},
        ],
    }
    assert (after["total_revenue"]["value"], after["total_revenue"]["currency"]) == (0, "usd")
    assert after["total_revenue"]["change"] == -100
    assert never["total_revenue"] == {"value": 0, "change": None, "currency": "usd", "by_currency": []}
