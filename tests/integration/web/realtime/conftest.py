"""A web process with sockets; files that need other limits start their own."""

from collections.abc import Iterator

import pytest

from tests.servers.redis import OwnRedis
from tests.servers.web import Web


@pytest.fixture(scope="module")
def web(server: OwnRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with Web(server.url, tmp_path_factory.mktemp("web")) as web:
        yield web
        assert web.errors() == ""
