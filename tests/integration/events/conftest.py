"""The reader of topics in the Redis of the module."""

import pytest

from pixelbloom.events.reader import TopicReader
from tests.servers.redis import OwnRedis


@pytest.fixture
def reader(server: OwnRedis) -> TopicReader:
    return TopicReader(server.client)
