"""A web process and a publisher on a Redis that a test may stop."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pixelbloom.events.client import connect
from pixelbloom.events.publisher import Publisher
from tests.servers.redis import OwnRedis
from tests.servers.web import Web


@pytest.fixture
def web(own_redis: OwnRedis, tmp_path: Path) -> Iterator[Web]:
    with Web(own_redis.url, tmp_path / "web") as web:
        yield web
        assert web.errors() == ""


@pytest.fixture
def publisher(own_redis: OwnRedis) -> Publisher:
    """As a worker's own client: it connects anew by itself."""
    return Publisher(connect(own_redis.url))
