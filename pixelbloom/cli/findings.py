"""What a check of `doctor` found, and what to do."""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit, urlunsplit

#: Seconds for one check.
TIMEOUT = 3.0
START = "start the local stack with `make run`"


class State(StrEnum):
    """The state of a part."""

    OK = "ok"
    WARNING = "warning"
    DOWN = "down"
    OFF = "off"


@dataclass(frozen=True)
class Finding:
    """What was found about one part, and what to do about an error. Holds no secret."""

    state: State
    detail: str
    advice: str | None = None


def ok(detail: str) -> Finding:
    return Finding(State.OK, detail)


def down(detail: str, advice: str) -> Finding:
    return Finding(State.DOWN, detail, advice)


def warning(detail: str, advice: str) -> Finding:
    return Finding(State.WARNING, detail, advice)


def off(detail: str, advice: str | None = None) -> Finding:
    return Finding(State.OFF, detail, advice)


def shown(url: str) -> str:
    """Return the address without user, password, query and fragment."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
