"""The Lua scripts, each one atomic call."""

from functools import cache
from importlib.resources import files

#: Events kept of a topic, and for how many seconds after the last one.
HISTORY_LENGTH = 2_000
HISTORY_SECONDS = 3_600


@cache
def source(name: str) -> str:
    """The text of a script, with what all of them begin with."""
    folder = files("pixelbloom.events") / "lua"
    return (folder / "prelude.lua").read_text() + (folder / f"{name}.lua").read_text()
