"""The known time zones, and times in UTC."""

from datetime import UTC, datetime
from functools import cache
from zoneinfo import available_timezones

INVALID_ZONE = "must be a time zone of the IANA database, like Europe/Vienna"

#: Listed on some machines, but not places.
_NO_PLACES = frozenset({"Factory", "localtime"})


@cache
def known() -> frozenset[str]:
    """Return the names of the known time zones."""
    return frozenset(available_timezones()) - _NO_PLACES


def iso_utc(moment: datetime) -> str:
    """Format a time as ISO 8601 in UTC with `Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def iso(moment: datetime | None) -> str | None:
    """Format a time as `iso_utc` does; None stays None."""
    return iso_utc(moment) if moment else None


def parse_time(text: str | None) -> datetime | None:
    """Parse a time of the database; the result is in UTC. None stays None."""
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
