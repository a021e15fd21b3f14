"""A web process with the usual settings, and a user of it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.http import Api


@pytest.fixture(scope="module")
def web(stack: Any) -> Iterator[Api]:
    handle = stack.start("web")
    yield Api(handle.url, None, stack.settings)
    handle.kill()


@pytest.fixture
def user(web: Api) -> Api:
    return web.as_user()
