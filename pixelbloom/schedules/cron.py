"""Cron expressions in a time zone."""

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from pixelbloom.core import time_zones as zones
from pixelbloom.errors import FieldError, InvalidInput


class NeverComes(Exception):
    """The expression matches no future time, or its time zone is unknown."""


def check(cron: str, timezone: str) -> None:
    """Validate a cron expression and a time zone. Raises InvalidInput, which names `cron` or `timezone`."""
    if timezone not in zones.known():
        raise InvalidInput(f"The timezone {zones.INVALID_ZONE}.", [FieldError("timezone", zones.INVALID_ZONE)])
    message = "must be five fields (minute, hour, day, month, weekday) that match existing times, like 30 9 * * 1-5"
    if len(cron) > 200 or len(cron.split()) != 5:
        raise InvalidInput(f"The cron {message}.", [FieldError("cron", message)])
    try:
        next_times(cron, timezone, datetime.now(UTC), 1)
    except NeverComes:
        raise InvalidInput(f"The cron {message}.", [FieldError("cron", message)]) from None


def next_times(cron: str, timezone: str, after: datetime, count: int) -> list[datetime]:
    """Return the next `count` times after `after`, in UTC. Raises NeverComes.

    Daylight saving follows Debian's cron: a skipped time comes right after the change, and a repeated one comes once.
    """
    try:
        times = islice(CronSim(cron, after.astimezone(ZoneInfo(timezone))), count)
        found = [moment.astimezone(UTC) for moment in times]
    except (CronSimError, ZoneInfoNotFoundError, ValueError) as error:
        raise NeverComes(str(error)) from error
    if not found:
        raise NeverComes("no future time matches")
    return found
