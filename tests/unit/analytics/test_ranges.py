"""Ranges of days, as queries and sockets give them."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from pixelbloom.analytics.ranges import MAX_DAYS, Range
from pixelbloom.core.validation_messages import sentence

NOW = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)


def error_of(**given: Any) -> tuple[str, str]:
    with pytest.raises(ValidationError) as caught:
        Range(**given)
    [found] = caught.value.errors()
    return str(found["loc"][0]), sentence(found)


def test_by_default_the_last_thirty_days_daily_in_utc() -> None:
    found = Range().resolve(NOW)
    assert found.to_public() == {
        "start_date": "2026-01-02",
        "end_date": "2026-01-31",
        "aggregation": "daily",
        "time_zone": "UTC",
    }


def test_today_is_the_day_of_the_zone() -> None:
    assert Range(time_zone="Europe/Vienna").resolve(NOW).days == (date(2026, 1, 3), date(2026, 2, 1))
    assert Range(time_zone="America/New_York").resolve(NOW).days == (date(2026, 1, 2), date(2026, 1, 31))


def test_a_default_range_moves_on_with_the_days_and_a_resolved_one_does_not() -> None:
    open_ended = Range()
    tomorrow = NOW + timedelta(days=1)
    assert open_ended.resolve(tomorrow).end_date == date(2026, 2, 1)
    assert open_ended.resolve(NOW).resolve(tomorrow).end_date == date(2026, 1, 31)
    from_then_on = Range(start_date="2026-01-15")
    assert from_then_on.resolve(tomorrow).days == (date(2026, 1, 15), date(2026, 2, 1))


def test_a_range_with_only_an_end_has_thirty_days() -> None:
    assert Range(end_date="2026-03-01").resolve(NOW).days == (date(2026, 1, 31), date(2026, 3, 1))


def test_a_future_start_is_a_range_of_its_day() -> None:
    assert Range(start_date="2199-01-01").resolve(NOW).days == (date(2199, 1, 1), date(2199, 1, 1))


@pytest.mark.parametrize(
    ("given", "zone", "day"),
    [
        ("2026-01-31", "UTC", date(2026, 1, 31)),
        (date(2026, 1, 31), "Europe/Vienna", date(2026, 1, 31)),
        ("2026-01-31T23:30:00Z", "UTC", date(2026, 1, 31)),
        ("2026-01-31T23:30:00.123456Z", "Europe/Vienna", date(2026, 2, 1)),
        ("2026-01-31T23:30:00", "Europe/Vienna", date(2026, 1, 31)),
        ("2026-01-31T00:30:00+01:00", "UTC", date(2026, 1, 30)),
        ("2026-01-31T00:30:00 01:00", "UTC", date(2026, 1, 30)),
        (datetime(2026, 1, 31, 0, 30, tzinfo=timezone(timedelta(hours=1))), "UTC", date(2026, 1, 30)),
    ],
)
def test_a_time_is_the_day_on_which_it_falls_in_the_zone(given: Any, zone: str, day: date) -> None:
    assert Range(start_date=given, end_date=given, time_zone=zone).days == (day, day)


@pytest.mark.parametrize(
    "given",
    [
        *("", "yesterday", "2026-02-30", "31.01.2026", "20260131", "2026-W05-6", "2026-01-31T25:00:00Z"),
        *("2026-01-31\n", "٢٠٢٦-01-31", "9999-12-31T23:59:59-14:00", "2026-01-31T" + "0" * 100),
        *(5, True, [], {}),
    ],
)
@pytest.mark.parametrize("field", ["start_date", "end_date"])
def test_an_invalid_date_is_refused_by_its_name(field: str, given: Any) -> None:
    name, said = error_of(**{field: given})
    assert name == field
    assert said == "must be a date like 2026-01-31, or a time in ISO 8601"


def test_dates_are_bounded() -> None:
    assert error_of(start_date="1999-12-31", end_date="2000-01-01") == (
        "start_date",
        "must be a date from 2000 to 2199",
    )
    assert error_of(end_date="2200-01-01") == ("end_date", "must be a date from 2000 to 2199")


def test_a_range_ends_no_earlier_than_it_starts_and_within_three_years() -> None:
    assert error_of(start_date="2026-01-31", end_date="2026-01-30") == (
        "end_date",
        "must not be before start_date, 2026-01-31",
    )
    longest = date(2020, 1, 1) + timedelta(days=MAX_DAYS - 1)
    assert Range(start_date="2020-01-01", end_date=longest).end_date == longest
    said = ("end_date", f"must be less than three years ({MAX_DAYS} days) after start_date, 2020-01-01")
    assert error_of(start_date="2020-01-01", end_date=longest + timedelta(days=1)) == said
    assert error_of(start_date="2020-01-01") == said


def test_a_range_used_for_years_stays_within_its_limits() -> None:
    today = datetime.now(UTC)
    found = Range(start_date=today.date()).resolve(today + timedelta(days=2000))
    assert (found.days[1] - found.days[0]).days == MAX_DAYS - 1


@pytest.mark.parametrize("given", ["", "Mars/Olympus", "europe/vienna", "+02:00", "UTC'; drop", "localtime", 5, None])
def test_an_invalid_time_zone_is_refused(given: Any) -> None:
    assert error_of(time_zone=given, start_date="2026-01-31") == (
        "time_zone",
        "must be a time zone of the IANA database, like Europe/Vienna",
    )


def test_an_unknown_aggregation_is_refused() -> None:
    assert error_of(aggregation="hourly") == ("aggregation", "must be daily, weekly or monthly")
