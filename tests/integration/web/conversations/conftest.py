"""A web process and a worker with a stand-in for Ollama."""

from collections.abc import Iterator

import pytest

from tests.integration.http import Api
from tests.servers.ollama import OllamaServer
from tests.stack import Stack, stop_all


@pytest.fixture(scope="module")
def model() -> Iterator[OllamaServer]:
    with OllamaServer() as server:
        yield server


@pytest.fixture(scope="module")
def web(stack: Stack, model: OllamaServer) -> Iterator[Api]:
    started = [stack.start("agents", env={"OLLAMA_HOST": model.url}), stack.start("web")]
    yield Api(started[-1].url, None, stack.settings)
    stop_all(started)


@pytest.fixture
def user(web: Api) -> Api:
    return web.as_user()
