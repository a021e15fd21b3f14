"""Ranges of days in zones as hypothesis makes them up, and moments around them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

#: Clocks that change at two in the morning, over midnight (Havana, Azores: it comes twice; Santiago: it never comes),
#: by half an hour, and never.
ZONES = (
    "UTC",
    "Europe/Vienna",
    "America/New_York",
    "America/Havana",
    "Atlantic/Azores",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
)
#: Where days, months and years end, and where those clocks change.
ANCHORS = (
    *(date(2024, 2, 29), date(2025, 2, 28), date(2025, 12, 31), date(2025, 4, 30)),
    *(date(2025, 3, 9), date(2025, 3, 30), date(2025, 4, 6), date(2025, 9, 7), date(2025, 10, 5)),
    *(date(2025, 10, 26), date(2025, 11, 2)),
)
AGGREGATIONS = ("daily", "weekly", "monthly")


@dataclass(frozen=True)
class Days:
    """A range of days in a zone."""

    start: date
    end: date
    zone: str
    aggregation: str

    def earlier(self) -> "Days":
        """As many days before it."""
        length = self.end - self.start + timedelta(days=1)
        return Days(self.start - length, self.start - timedelta(days=1), self.zone, self.aggregation)

    def has(self, moment: datetime | None) -> bool:
        return moment is not None and self.start <= self.day(moment) <= self.end

    def day(self, moment: datetime) -> date:
        return moment.astimezone(ZoneInfo(self.zone)).date()

    def period(self, day: date) -> date:
        """The first day of the period that has that day."""
        if self.aggregation == "weekly":
            day -= timedelta(days=day.weekday())
        elif self.aggregation == "monthly":
            day = day.replace(day=1)
        return max(day, self.start)

    def periods(self) -> list[date]:
        """The first days of all periods, found day by day."""
        return sorted({self.period(day) for day in self.each_day()})

    def each_day(self) -> list[date]:
        return [self.start + timedelta(days=number) for number in range((self.end - self.start).days + 1)]

    def series(self, moments: Iterable[datetime]) -> list[dict[str, Any]]:
        """How many fall into each period."""
        found = [self.period(self.day(moment)) for moment in moments if self.has(moment)]
        return [{"date": first.isoformat(), "value": found.count(first)} for first in self.periods()]


@st.composite
def days(draw: st.DrawFn) -> Days:
    """Up to ten weeks around a day on which something is special."""
    anchor = draw(st.sampled_from(ANCHORS))
    start = anchor - timedelta(days=draw(st.integers(0, 40)))
    end = start + timedelta(days=draw(st.integers(0, 70)))
    return Days(start, end, draw(st.sampled_from(ZONES)), draw(st.sampled_from(AGGREGATIONS)))


def moments(of: Days) -> st.SearchStrategy[datetime]:
    """Moments in the range, in the one before it, and some days around both: often within two hours of a midnight."""
    first = of.earlier().start - timedelta(days=10)
    midnights = st.integers(0, (of.end - first).days + 10).map(
        lambda number: datetime.combine(first + timedelta(days=number), datetime.min.time(), ZoneInfo(of.zone))
    )
    near = st.integers(-120, 120).map(lambda minutes: timedelta(minutes=minutes))
    far = st.integers(0, 24 * 60 * 60 - 1).map(lambda seconds: timedelta(seconds=seconds))
    return st.builds(lambda midnight, by: midnight.astimezone(UTC) + by, midnights, near | far)
