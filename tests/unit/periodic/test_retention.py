"""Purges go on until nothing is left to delete, also over several tasks."""

import time
from collections.abc import Callable

from pixelbloom.periodic.retention import BATCH, drain


def deleting(rows: int) -> Callable[[], int]:
    """Return a purge of so many rows."""
    left = rows

    def purge() -> int:
        nonlocal left
        gone = min(left, BATCH)
        left -= gone
        return gone

    return purge


def test_each_kind_is_deleted_to_the_end_in_batches() -> None:
    counts, left = drain(
        {"few": deleting(3), "many": deleting(5 * BATCH), "none": deleting(0)}, until=time.monotonic() + 60
    )
    assert counts == {"few": 3, "many": 5 * BATCH, "none": 0}
    assert left == set()


def test_what_is_left_when_the_time_is_over_is_named() -> None:
    def slowly() -> int:
        time.sleep(0.02)
        return BATCH

    counts, left = drain({"few": deleting(3), "endless": slowly}, until=time.monotonic() + 0.05)
    assert left == {"endless"}
    assert counts["few"] == 3
    assert counts["endless"] >= BATCH
