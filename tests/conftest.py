"""The real servers that tests run on: Postgres, PostgREST and Redis, started once a session."""

from collections.abc import Iterator

import psycopg
import pytest
import redis as redis_client
from hypothesis import settings

from tests.cleanup import FAILED, pytest_exception_interact
from tests.stack import Stack, StartedProcess, started_stack, stop_all

__all__ = ["pytest_exception_interact"]

# The machine is shared: no example has a deadline. `make test-unit` asks for the quick profile.
settings.register_profile("whole", max_examples=100, deadline=None)
settings.register_profile("quick", max_examples=10, deadline=None)
settings.load_profile("whole")


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The embedded servers, migrated, in a home of their own; the tests start PixelBloom's processes."""
    with started_stack("pb-tests-") as running:
        yield running


@pytest.fixture
def db(stack: Stack) -> Iterator[psycopg.Connection]:
    """A connection as the database's owner, in autocommit mode."""
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def redis(stack: Stack) -> Iterator[redis_client.Redis]:
    """The stack's Redis, emptied before and after: other tests' topics and queues are not this one's."""
    with redis_client.Redis.from_url(stack.redis_url) as client:
        client.flushall()
        yield client
        client.flushall()


@pytest.fixture
def running(stack: Stack) -> Iterator[Stack]:
    """The stack. Processes that this test started end with it."""
    before = set(stack.running)
    yield stack
    stop_all([process for process in stack.running if process not in before])


def _processes() -> set[StartedProcess]:
    return {process for stack in Stack.all for process in stack.running}


@pytest.fixture(scope="module", autouse=True)
def _after_each_module() -> Iterator[None]:
    """End what a module started and did not stop, and discard its work: either would mix with that of others."""
    before = _processes()
    yield
    for process in _processes() - before:
        process.kill()
    for stack in Stack.all:
        stack.discard_work()


@pytest.fixture(autouse=True)
def _after_each_failure(request: pytest.FixtureRequest) -> Iterator[None]:
    """End what a failed test started. A passing test may have restarted a process of its module, which stays."""
    before = _processes()
    yield
    if request.node.stash.get(FAILED, False):
        for process in _processes() - before:
            process.kill()
