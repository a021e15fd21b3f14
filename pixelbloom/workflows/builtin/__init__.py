"""The built-in workflows, as JSON files in this folder."""

import json
from functools import cache
from importlib.resources import files

from pixelbloom.workflows.definition import Definition
from pixelbloom.workflows.reading import read_definition


@cache
def builtin() -> tuple[Definition, ...]:
    """Return every built-in workflow, by name."""
    found = (entry for entry in files(__package__).iterdir() if entry.name.endswith(".json"))
    return tuple(read_definition(json.loads(entry.read_text("utf-8"))) for entry in sorted(found, key=lambda e: e.name))
