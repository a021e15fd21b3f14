"""Counting in Python what the SQL functions of analytics count, from the same rows."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

import psycopg
from hypothesis import HealthCheck, settings

from tests.servers.agency import Agency
from tests.servers.days import Days

Row = Mapping[str, Any]
GENERATED = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@contextmanager
def filled(db: psycopg.Connection, agency: Agency) -> Iterator[psycopg.Connection]:
    """Have these rows and no others; earlier rows are restored afterwards."""
    with db.transaction(force_rollback=True):
        agency.insert(db)
        yield db


def asked(db: psycopg.Connection, function: str, *arguments: object) -> Any:
    """Return the result of a SQL function."""
    places = ", ".join(["%s"] * len(arguments))
    row = db.execute(f"select public.{function}({places})", arguments).fetchone()
    assert row is not None
    return row[0]


def seen(rows: Iterable[Row], who: UUID | None) -> list[Row]:
    """Return the user's rows that were not deleted."""
    return [row for row in rows if row.get("deleted_at") is None and who in (None, row["user_id"])]


def now_and_before(of: Days, rows: Iterable[Row], by: str = "created_at") -> tuple[list[Row], list[Row]]:
    """Those of the range, and those of as many days before it."""
    found = list(rows)
    return [row for row in found if of.has(row[by])], [row for row in found if of.earlier().has(row[by])]


def rounded(value: Decimal | float, places: str = "0.1") -> float:
    return float(Decimal(value).quantize(Decimal(places), ROUND_HALF_UP))


def counted(now: Decimal | float | None, before: Decimal | float | None) -> dict[str, Any]:
    """A figure as the API returns it."""
    change = (
        rounded(100 * (Decimal(now) - Decimal(before)) / abs(Decimal(before))) if now is not None and before else None
    )
    return {"value": None if now is None else float(now), "change": change}


def rated(now: float | None, before: float | None) -> dict[str, Any]:
    """A rate as the API returns it, in percentage points."""
    return {"value": now, "change": rounded(now - before) if now is not None and before else None}


def rate(part: int, whole: int) -> float | None:
    return rounded(Decimal(100 * part) / whole) if whole else None


def mean(values: Iterable[Any], places: str = "1") -> float | None:
    found = [Decimal(value) for value in values]
    return rounded(sum(found) / len(found), places) if found else None


def money(figures: Mapping[str, tuple[Decimal, Decimal]]) -> list[dict[str, Any]]:
    """`by_currency`, in the order of the names."""
    return [{"currency": name, **counted(*amounts)} for name, amounts in sorted(figures.items())]


def by_currency(figure: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a figure says of its currencies, in the order of the names; its own value is that of one of them."""
    listed = sorted(figure["by_currency"], key=lambda entry: entry["currency"])
    own = {name: value for name, value in figure.items() if name != "by_currency"}
    assert own in listed or (not listed and own == {"value": 0, "change": None, "currency": "usd"})
    return listed


def payments(agency: Agency, who: UUID | None) -> list[Row]:
    """All money that moved: what was received, and what was returned, which is negative."""
    packages = {row["id"]: row["package_id"] for row in agency["user_subscriptions"]}
    found = [
        {
            "moved_at": row["paid_at"],
            "amount": row["amount_paid"],
            "package_id": packages[row["subscription_id"]],
            **row,
        }
        for row in seen(agency["invoices"], who)
        if row["status"] in ("paid", "refunded") and row["paid_at"]
    ]
    found += [
        {"moved_at": row["paid_at"], "amount": row["amount_paid"], **row}
        for row in seen(agency["user_subscriptions"], who)
        if row["paid_at"]
    ]
    found += [
        {
            "moved_at": row["refunded_at"],
            **row,
            "amount": -row["amount"],
            "package_id": packages[row["subscription_id"]],
        }
        for row in seen(agency["refunds"], who)
        if row["status"] not in ("failed", "cancelled")
    ]
    return [{**row, "received": row["amount"] > 0} for row in found if row["amount"]]


def revenue(of: Days, paid: Iterable[Row]) -> dict[str, tuple[Decimal, Decimal]]:
    """By currency: in the range, and before it."""
    now, before = now_and_before(of, paid, "moved_at")
    return {
        currency: (
            sum((row["amount"] for row in now if row["currency"] == currency), Decimal(0)),
            sum((row["amount"] for row in before if row["currency"] == currency), Decimal(0)),
        )
        for currency in {row["currency"] for row in (*now, *before)}
    }
