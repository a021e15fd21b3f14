"""The time zones that there are."""

from functools import cache
from zoneinfo import available_timezones

FAULT = "must be a time zone of the IANA database, like Europe/Vienna"

#: Among the zones on some machines, but no place: one is whatever the machine is set to.
_NO_PLACES = frozenset({"Factory", "localtime"})


@cache
def known() -> frozenset[str]:
    """Their names."""
    return frozenset(available_timezones()) - _NO_PLACES
