"""Whose searches run, wait or are refused, by number."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from pixelbloom.auth.principal import Principal
from pixelbloom.errors import RateLimited
from pixelbloom.web.http.searches import Searches
from tests.waiting import SECONDS, until

AT_ONCE = 2


def user() -> Principal:
    return Principal("user", uuid4(), admin=False, scopes=None, expires_at=datetime.max.replace(tzinfo=UTC))


def queued(searches: Searches) -> int:
    """The searches that run or wait."""
    return sum(len(users) for _, users in searches._slots.values())


def test_a_further_search_of_a_user_is_refused_and_releases_its_place() -> None:
    searches, one, other = Searches(AT_ONCE, 0), user(), user()
    ends = [searches.enter(one) for _ in range(AT_ONCE)]

    for _ in range(3):
        with pytest.raises(RateLimited):
            searches.enter(one)
    ends += [searches.enter(other) for _ in range(AT_ONCE)]
    assert queued(searches) == 2 * AT_ONCE

    for end in ends:
        end()
    assert searches._slots == {}


def test_waiters_get_the_released_slots() -> None:
    searches, one = Searches(AT_ONCE, SECONDS), user()
    ends = [searches.enter(one) for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(5) as pool:
        waiting: list[Future[Callable[[], None]]] = [pool.submit(searches.enter, one) for _ in range(5)]
        until(lambda: queued(searches) == AT_ONCE + 5)
        assert not any(each.done() for each in waiting)
        while waiting:
            ends.pop()()
            until(lambda: any(each.done() for each in waiting))
            [admitted] = [each for each in waiting if each.done()]
            waiting.remove(admitted)
            ends.append(admitted.result())
    assert queued(searches) == AT_ONCE


def test_services_are_not_limited() -> None:
    searches = Searches(AT_ONCE, 0)
    service = Principal("service", None, admin=False, scopes=None, expires_at=datetime.max.replace(tzinfo=UTC))

    for _ in range(AT_ONCE + 1):
        searches.enter(service)
    assert queued(searches) == 0
