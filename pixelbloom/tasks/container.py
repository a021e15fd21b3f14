"""The parts of this worker process."""

from functools import cache

from pixelbloom.config import settings
from pixelbloom.container import Container


@cache
def services() -> Container:
    """The container of this process, made on first use."""
    return Container(settings())
