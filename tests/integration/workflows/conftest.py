"""All processes that run workflows, with a stand-in for Ollama."""

from collections.abc import Iterator

import pytest

from tests.integration.http import Api
from tests.servers.ollama import OllamaServer
from tests.stack import Stack, stop_all


@pytest.fixture(scope="module")
def ollama() -> Iterator[OllamaServer]:
    with OllamaServer() as server:
        yield server


@pytest.fixture(scope="module")
def web(stack: Stack, ollama: OllamaServer) -> Iterator[Api]:
    # Neither a lease nor a reply of the model runs out because the machine is slow.
    env = {"OLLAMA_HOST": ollama.url, "LEASE_SECONDS": "250", "MODEL_TIMEOUT": "250"}
    started = [stack.start(role, env=env) for role in ("agents", "events", "maintenance", "beat", "web")]
    yield Api(started[-1].url, None, stack.settings)
    stop_all(started)


@pytest.fixture
def user(web: Api, ollama: OllamaServer) -> Iterator[Api]:
    ollama.reset()
    yield web.as_user()
    ollama.reset()


@pytest.fixture
def service(web: Api) -> Api:
    return web.as_service()
