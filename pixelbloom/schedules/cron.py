"""Cron expressions in a time zone."""

from datetime import UTC, datetime
from functools import cache
from itertools import islice
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from pixelbloom.errors import FieldError, InvalidInput


def check(cron: str, timezone: str) -> None:
    """Raises InvalidInput, which names `cron` or `timezone`."""
    if timezone not in _zones():
        fault = "must be a time zone of the IANA database, like Europe/Vienna"
        raise InvalidInput(f"The timezone {fault}.", [FieldError("timezone", fault)])
    fault = "must be five fields (minute, hour, day, month, weekday), like 30 9 * * 1-5"
    if len(cron) > 200 or len(cron.split()) != 5:
        raise InvalidInput(f"The cron {fault}.", [FieldError("cron", fault)])
    try:
        next_times(cron, timezone, datetime.now(UTC), 1)
    except CronSimError:
        raise InvalidInput(f"The cron {fault}.", [FieldError("cron", fault)]) from None
    except StopIteration:
        raise InvalidInput("The cron never comes.", [FieldError("cron", "names no day that there is")]) from None


def next_times(cron: str, timezone: str, after: datetime, count: int) -> list[datetime]:
    """The next times after that one, in UTC.

    Daylight saving: as Debian's cron, a time that the clocks leap over comes right after the leap, and one that they
    pass twice comes once.
    """
    times = islice(CronSim(cron, after.astimezone(ZoneInfo(timezone))), count)
    found = [moment.astimezone(UTC) for moment in times]
    if not found:
        raise StopIteration
    return found


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
