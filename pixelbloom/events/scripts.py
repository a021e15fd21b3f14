"""The Lua scripts; each is one atomic call."""

from functools import cache
from importlib.resources import files

#: Events stored per topic, and for how many seconds after the last one.
HISTORY_LENGTH = 2_000
HISTORY_SECONDS = 3_600


@cache
def source(name: str) -> str:
    """Return the text of a script, with the common prelude."""
    folder = files("pixelbloom.events") / "lua"
    return (folder / "prelude.lua").read_text() + (folder / f"{name}.lua").read_text()
