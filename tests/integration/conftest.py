"""A Redis of a module's or a test's own, where the stack's must not be stopped, frozen or wiped."""

from collections.abc import Iterator

import pytest

from pixelbloom.events.publisher import Publisher
from tests.servers.redis import OwnRedis


@pytest.fixture(scope="module")
def server() -> Iterator[OwnRedis]:
    with OwnRedis() as server:
        yield server


@pytest.fixture
def publisher(server: OwnRedis) -> Publisher:
    return Publisher(server.client)


@pytest.fixture
def own_redis() -> Iterator[OwnRedis]:
    with OwnRedis() as server:
        yield server
