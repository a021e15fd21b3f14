"""The gateway to the stack's database, and a Redis of one's own where the stack's must not be stopped or wiped."""

from collections.abc import Iterator

import pytest

from pixelbloom.database.gateway import Gateway
from pixelbloom.events.publisher import Publisher
from tests.servers.redis import OwnRedis
from tests.stack import Stack


@pytest.fixture
def gateway(stack: Stack) -> Iterator[Gateway]:
    opened = Gateway(stack.settings)
    yield opened
    opened.close()


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
