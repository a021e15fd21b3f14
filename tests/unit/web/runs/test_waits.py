"""`Prefer: wait=N`, as RFC 7240 reads it."""

import pytest

from pixelbloom.web.runs.waits import wait_seconds


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("wait=10", 10),
        ("WAIT=10", 10),
        (' wait = "7" ', 7),
        ("respond-async, wait=5", 5),
        ("respond-async;wait=3, wait=5", 5),
        ('foo="a, wait=9", wait=5', 5),
        ("wait=5; strict", 5),
        ("wait=5, wait=9", 5),
        ("wait=60", 60),
        ("wait=61", 60),
        ("wait=999999999", 60),
        ("wait=9999999999999", 60),
        (f"wait={'9' * 900}", 60),
        ("wait=00000000000005", 5),
    ],
)
def test_the_first_wait_counts_up_to_a_minute(header: str, seconds: int) -> None:
    assert wait_seconds(header) == seconds


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "wait",
        "wait=",
        "wait=0",
        "wait=-1",
        "wait=1.5",
        "wait=abc",
        "wait=x, wait=5",
        "respond-async",
        "=;,",
        "wait=٣",
        "a" * 10_000,
        ",,,,",
    ],
)
def test_unsupported_preferences_are_ignored(header: str | None) -> None:
    assert wait_seconds(header) is None
