"""The time zones that there are, and times in UTC."""

from datetime import UTC, datetime
from functools import cache
from zoneinfo import available_timezones

FAULT = "must be a time zone of the IANA database, like Europe/Vienna"

#: Among the zones on some machines, but no place: one is whatever the machine is set to.
_NO_PLACES = frozenset({"Factory", "localtime"})


@cache
def known() -> frozenset[str]:
    """Their names."""
    return frozenset(available_timezones()) - _NO_PLACES


def iso_utc(moment: datetime) -> str:
    """A moment as ISO 8601 in UTC with `Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
