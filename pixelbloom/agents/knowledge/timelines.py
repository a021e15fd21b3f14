"""Parses timelines in free text."""

import re

from pixelbloom.agents.knowledge.words import any_of

_SPAN = re.compile(
    r"(?P<first>\d{1,3})(?:\s*+(?:-|–|to|or)\s*+(?P<last>\d{1,3}))?+\s*+\+?\s*+"
    r"(?P<unit>day|week|month|quarter|year)s?\b",
    re.IGNORECASE,
)
_WEEKS = {"day": 1 / 7, "week": 1.0, "month": 4.35, "quarter": 13.0, "year": 52.0}
_PHRASES: tuple[tuple[float, tuple[str, ...]], ...] = (
    (
        52.0,
        (
            "no rush",
            "no hurry",
            "just looking",
            "just browsing",
            "exploring",
            "someday",
            "next year",
            "not sure",
        ),
    ),
    (
        1.0,
        ("asap", "urgent", "urgently", "immediately", "right away", "now", "today", "this week", "yesterday"),
    ),
    (2.0, ("soon", "next week", "two weeks", "this month")),
    (5.0, ("next month", "a month", "one month")),
    (9.0, ("this quarter", "two months")),
    (17.0, ("next quarter", "three months", "this summer", "this winter", "this spring", "this fall")),
    (26.0, ("this year", "half a year", "six months")),
)


def weeks(text: str | None) -> float | None:
    """Return the longest number of weeks named in the text, or None."""
    if not text:
        return None
    if match := _SPAN.search(text):
        return round(int(match["last"] or match["first"]) * _WEEKS[match["unit"].lower()], 1)
    return next((found for found, phrases in _PHRASES if any_of(text, phrases)), None)
