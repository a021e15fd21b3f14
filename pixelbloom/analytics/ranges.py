"""Date ranges of figures, for the REST API's query and a socket's `params`."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema, field_validator

from pixelbloom.core import time_zones as zones

Aggregation = Literal["daily", "weekly", "monthly"]

DEFAULT_DAYS = 30
#: Three years, including leap days.
MAX_DAYS = 3 * 366
#: Cursors have room for the microseconds until 2286.
FIRST, LAST = date(2000, 1, 1), date(2199, 12, 31)

_FORM = "must be a date like 2026-01-31, or a time in ISO 8601"
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].{1,40})?", re.ASCII)
_SPACE_FOR_PLUS = re.compile(r" (\d\d:?\d\d)$")


def _read_day(value: object, info: ValidationInfo) -> object:
    """Parse a date, or a time, which counts as its day in the range's zone; without a zone, as its own day."""
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    if isinstance(value, str):
        if not _DATE.fullmatch(value):
            raise ValueError(_FORM)
        try:
            # Accept a space for an unencoded `+`.
            value = datetime.fromisoformat(_SPACE_FOR_PLUS.sub(r"+\1", value))
        except ValueError:
            raise ValueError(_FORM) from None
    if not isinstance(value, datetime):
        raise ValueError(_FORM)
    try:
        return (value.astimezone(ZoneInfo(info.data.get("time_zone", "UTC"))) if value.tzinfo else value).date()
    except OverflowError:
        raise ValueError(_FORM) from None


def _read_zone(value: object) -> object:
    if not isinstance(value, str) or value not in zones.known():
        raise ValueError(zones.INVALID_ZONE)
    return value


Day = Annotated[
    date | None, BeforeValidator(_read_day), WithJsonSchema({"type": "string", "format": "date"}, mode="validation")
]


class Range(BaseModel):
    """Days from `start_date` to `end_date`, inclusive, in a time zone; and the length of the periods.

    Omitted dates are relative to today: the range ends today, and has 30 days. `resolve` returns the current days.
    """

    model_config = ConfigDict(frozen=True)

    # Before the dates, because they are parsed in it.
    time_zone: Annotated[str, BeforeValidator(_read_zone)] = Field(
        "UTC",
        max_length=100,
        description="The time zone of the days: a name of the IANA database, such as Europe/Vienna.",
    )
    aggregation: Aggregation = Field("daily", description="The length of a period. Weeks begin on Monday.")
    start_date: Day = Field(None, description="The first day; by default 30 days up to the last one.")
    end_date: Day = Field(
        None,
        description="The last day, at most three years after the first; by default today.",
        validate_default=True,
    )

    @field_validator("start_date", "end_date")
    @classmethod
    def _in_bounds(cls, day: date | None) -> date | None:
        if day is not None and not FIRST <= day <= LAST:
            raise ValueError(f"must be a date from {FIRST.year} to {LAST.year}")
        return day

    @field_validator("end_date")
    @classmethod
    def _after_the_start(cls, end: date | None, info: ValidationInfo) -> date | None:
        start, zone = info.data.get("start_date"), info.data.get("time_zone")
        if start is None or zone is None:
            return end
        last = end or max(start, _today(zone, datetime.now(UTC)))
        if last < start:
            raise ValueError(f"must not be before start_date, {start}")
        if (last - start).days >= MAX_DAYS:
            raise ValueError(f"must be less than three years ({MAX_DAYS} days) after start_date, {start}")
        return end

    def resolve(self, now: datetime | None = None) -> Self:
        """Return the range with both dates fixed."""
        end = self.end_date
        if end is None:
            today = _today(self.time_zone, now or datetime.now(UTC))
            # Keep the range of a subscription that lasts for years within the limit.
            end = min(max(today, self.start_date or today), (self.start_date or today) + timedelta(days=MAX_DAYS - 1))
        start = self.start_date or end - timedelta(days=DEFAULT_DAYS - 1)
        return self.model_copy(update={"start_date": start, "end_date": end})

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last day. The range must be resolved."""
        assert self.start_date is not None
        assert self.end_date is not None
        return self.start_date, self.end_date

    def to_public(self) -> dict[str, Any]:
        """Return the range as responses show it."""
        start, end = self.days
        return {
            "start_date": start.isoformat(),
            "end_date": end.isoformat(),
            "aggregation": self.aggregation,
            "time_zone": self.time_zone,
        }


def _today(zone: str, now: datetime) -> date:
    return now.astimezone(ZoneInfo(zone)).date()
