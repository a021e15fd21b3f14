"""Cron expressions in a time zone."""

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from pixelbloom.core import time_zones as zones
from pixelbloom.errors import FieldError, InvalidInput


class NeverComes(Exception):
    """The expression names no time that there is, or its zone is not known here."""


def check(cron: str, timezone: str) -> None:
    """Raises InvalidInput, which names `cron` or `timezone`."""
    if timezone not in zones.known():
        raise InvalidInput(f"The timezone {zones.INVALID_ZONE}.", [FieldError("timezone", zones.INVALID_ZONE)])
    fault = "must be five fields (minute, hour, day, month, weekday) that name times that there are, like 30 9 * * 1-5"
    if len(cron) > 200 or len(cron.split()) != 5:
        raise InvalidInput(f"The cron {fault}.", [FieldError("cron", fault)])
    try:
        next_times(cron, timezone, datetime.now(UTC), 1)
    except NeverComes:
        raise InvalidInput(f"The cron {fault}.", [FieldError("cron", fault)]) from None


def next_times(cron: str, timezone: str, after: datetime, count: int) -> list[datetime]:
    """The next times after that one, in UTC. Raises NeverComes.

    Daylight saving: as Debian's cron, a time that the clocks leap over comes right after the leap, and one that they
    pass twice comes once.
    """
    try:
        times = islice(CronSim(cron, after.astimezone(ZoneInfo(timezone))), count)
        found = [moment.astimezone(UTC) for moment in times]
    except (CronSimError, ZoneInfoNotFoundError, ValueError) as error:
        raise NeverComes(str(error)) from error
    if not found:
        raise NeverComes("no time is left")
    return found
