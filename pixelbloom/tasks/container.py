"""The parts of this worker process."""

from functools import cache

from pixelbloom.config import settings
from pixelbloom.container import Container


@cache
def services() -> Container:
    """Return the container of this process, built on first use."""
    return Container(settings())
