"""`Prefer: wait=N` (RFC 7240): how long to wait for the run's end."""

import re

MAX_WAIT_SECONDS = 60
#: Possessive throughout, so that a header is read in one pass.
_PREFERENCE = re.compile(
    r'\s*+([\w!#$%&\'*+.^`|~-]++)\s*+(?:=\s*+("(?:[^"\\]|\\.)*+"|[^\s;,"]*+))?+\s*+(?:;[^,]*+)?+(?:,|$)'
)
_SECONDS = re.compile(r"[0-9]+")


def wait_seconds(header: str | None) -> int | None:
    """Return the seconds to wait, at most 60, or None if the header names none.

    As the RFC says, the first `wait` counts, and an invalid one is ignored, never an error.
    """
    position, text = 0, (header or "")[:1000]
    while match := _PREFERENCE.match(text, position):
        if match.end() == position:
            return None
        position = match.end()
        if match[1].lower() == "wait":
            value = (match[2] or "").strip('"')
            seconds = int(value) if _SECONDS.fullmatch(value) else 0
            return min(seconds, MAX_WAIT_SECONDS) or None
    return None
