"""What the SQL functions of analytics count, held against the same figures counted in Python from generated rows."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.servers.agency import PEOPLE, ZONES, Agency, Days, agencies, days

TENTH = Decimal("0.1")
GENERATED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
#: A range, the rows around it, and whose figures are asked for; None asks for everybody's.
CASES = days().flatmap(lambda of: st.tuples(st.just(of), agencies(of), st.sampled_from(PEOPLE)))


@pytest.fixture
def empty(db: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """No rows of other tests; theirs come back."""
    with db.transaction(force_rollback=True):
        db.execute("truncate public.leads, public.conversations, public.user_subscriptions, public.invoices cascade")
        yield db


@contextmanager
def filled(db: psycopg.Connection, agency: Agency) -> Iterator[psycopg.Connection]:
    with db.transaction(force_rollback=True):
        agency.insert(db)
        yield db


def asked(db: psycopg.Connection, function: str, *arguments: object) -> Any:
    places = ", ".join(["%s"] * len(arguments))
    row = db.execute(f"select public.{function}({places})", arguments).fetchone()
    assert row is not None
    return row[0]


def seen(rows: list[dict[str, Any]], who: UUID | None) -> list[dict[str, Any]]:
    """Theirs, of those that were not deleted."""
    return [row for row in rows if row.get("deleted_at") is None and who in (None, row["user_id"])]


def tenths(value: Decimal) -> float:
    return float(value.quantize(TENTH, ROUND_HALF_UP))


def counted(now: Decimal | int, before: Decimal | int) -> dict[str, Any]:
    change = tenths(Decimal(100) * (now - before) / before) if before else None
    return {"value": float(now), "change": change}


def rate(part: int, whole: int) -> float | None:
    return tenths(Decimal(100 * part) / whole) if whole else None


def payments(agency: Agency, who: UUID | None) -> list[tuple[Any, str, Decimal]]:
    """(when, currency, amount) of all money that came in."""
    found = [
        (row["paid_at"], row["currency"], row["amount_paid"])
        for row in seen(agency["invoices"], who)
        if row["status"] == "paid" and row["paid_at"]
    ]
    with_invoice = {row["subscription_id"] for row in agency["invoices"]}
    return found + [
        (row["start_date"], row["currency"], row["final_price"])
        for row in seen(agency["user_subscriptions"], who)
        if row["id"] not in with_invoice and row["status"] in ("active", "past_due", "paused", "cancelled")
    ]


@GENERATED
@given(case=CASES)
def test_trends_have_each_row_once_on_its_local_day_and_zeros(
    empty: psycopg.Connection, case: tuple[Days, Agency, UUID | None]
) -> None:
    of, agency, who = case
    with filled(empty, agency) as db:
        for function, table in (("lead_trends", "leads"), ("conversation_trends", "conversations")):
            said = asked(db, function, who, of.start, of.end, of.aggregation, of.zone)

            assert said == of.series(row["created_at"] for row in seen(agency[table], who))


@GENERATED
@given(case=CASES)
def test_the_overview_compares_with_as_many_days_before(
    empty: psycopg.Connection, case: tuple[Days, Agency, UUID | None]
) -> None:
    of, agency, who = case
    with filled(empty, agency) as db:
        said = asked(db, "analytics_overview", who, of.start, of.end, of.zone)

    now, before = [
        [row for row in seen(agency["leads"], who) if within.has(row["created_at"])] for within in (of, of.earlier())
    ]
    assert said["total_leads"] == counted(len(now), len(before))
    won, won_before = [rate(sum(r["status"] == "converted" for r in rows), len(rows)) for rows in (now, before)]
    assert said["conversion_rate"]["value"] == won
    if won is not None and won_before:
        assert said["conversion_rate"]["change"] == pytest.approx(won - won_before)
    else:
        assert said["conversion_rate"]["change"] is None

    open_ids = {row["id"] for row in seen(agency["conversations"], who)}
    spoken = [
        len({row["conversation_id"] for row in agency["messages"] if within.has(row["created_at"])} & open_ids)
        for within in (of, of.earlier())
    ]
    assert said["active_conversations"] == counted(*spoken)

    paid = payments(agency, who)
    for within in (of, of.earlier()):
        if many := Counter(currency for at, currency, _ in paid if within.has(at)):
            most = max(many.values())
            assert many[said["total_revenue"]["currency"]] == most
            break
    sums = {
        currency: [sum((a for at, c, a in paid if c == currency and w.has(at)), Decimal(0)) for w in (of, of.earlier())]
        for currency in {c for at, c, _ in paid if of.has(at) or of.earlier().has(at)}
    }
    told = {entry.pop("currency"): entry for entry in said["total_revenue"].pop("by_currency")}
    assert told == {currency: counted(*amounts) for currency, amounts in sums.items()}
    main = said["total_revenue"].pop("currency")
    assert said["total_revenue"] == told.get(main, {"value": 0, "change": None})


@pytest.mark.parametrize("zone", ZONES)
def test_each_day_begins_where_the_clocks_of_its_zone_have_it(db: psycopg.Connection, zone: str) -> None:
    """Also where midnight comes twice (it begins with the first), or never (it begins with the leap)."""
    every = [date(2022, 1, 1) + timedelta(days=number) for number in range(1500)]
    said = db.execute(
        "select public.day_start(d, %s) from unnest(%s::date[]) with ordinality as t (d, n) order by n", (zone, every)
    ).fetchall()

    assert [moment for (moment,) in said] == [
        datetime.combine(day, datetime.min.time(), ZoneInfo(zone)).astimezone(UTC) for day in every
    ]


def test_the_figure_of_all_money_is_in_the_currency_of_the_most_payments(empty: psycopg.Connection) -> None:
    """Amounts of several currencies have no order: 4,900 yen are less than 49 dollars."""
    of = Days(date(2026, 1, 1), date(2026, 1, 31), "UTC", "daily")
    paid = [("jpy", 4900), ("usd", 49), ("usd", 30)]
    rows = [
        {"currency": name, "status": "paid", "amount_due": amount, "amount_paid": amount, "paid_at": "2026-01-15"}
        for name, amount in paid
    ]
    with filled(empty, Agency({"invoices": rows})) as db:
        said = asked(db, "analytics_overview", None, of.start, of.end, of.zone)
        before = asked(db, "analytics_overview", None, date(2026, 2, 1), date(2026, 2, 28), of.zone)
        never = asked(db, "analytics_overview", None, date(2027, 1, 1), date(2027, 1, 31), of.zone)

    assert said["total_revenue"] == {
        "value": 79,
        "change": None,
        "currency": "usd",
        "by_currency": [
            {"currency": "usd", "value": 79, "change": None},
            {"currency": "jpy", "value": 4900, "change": None},
        ],
    }
    assert (before["total_revenue"]["value"], before["total_revenue"]["currency"]) == (0, "usd")
    assert before["total_revenue"]["change"] == -100
    assert never["total_revenue"] == {"value": 0, "change": None, "currency": "usd", "by_currency": []}
