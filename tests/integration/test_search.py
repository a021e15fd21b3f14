"""Searches in leads: by an index, with the meaning that they had, and never on all connections to the database."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pixelbloom.store.pages import containing, trigrams
from tests.integration.http import Api
from tests.stack import Stack

AT_ONCE = 3


@pytest.fixture(scope="module")
def web(stack: Stack) -> Iterator[Api]:
    handle = stack.start("web", env={"SEARCHES_PER_USER": str(AT_ONCE)})
    yield Api(handle.url, None, stack.settings)
    handle.stop()


@pytest.fixture
def many(stack: Stack, db: psycopg.Connection) -> Iterator[UUID]:
    """A user with 5,000 leads."""
    user_id = uuid4()
    db.execute(
        "insert into public.leads (user_id, name, company, message) "
        "select %s, 'Person ' || n, 'Company ' || md5(n::text), "
        "'A site for shop number ' || n || repeat(' with many pages', 60) "
        "from generate_series(1, 5000) as n",
        [user_id],
    )
    db.execute("analyze public.leads")
    yield user_id
    db.execute("delete from public.leads where user_id = %s", [user_id])


def test_a_search_uses_the_index(db: psycopg.Connection, many: UUID) -> None:
    rows = db.execute(
        "explain select id from public.leads where deleted_at is null and user_id = %s and search_text ilike %s "
        "and search_trigrams @> %s order by created_at desc, id desc limit 50",
        [many, containing("number 4711").replace("*", "%"), trigrams("number 4711")],
    ).fetchall()

    plan = "\n".join(row for (row,) in rows)
    assert "leads_search" in plan, plan


@pytest.mark.parametrize(
    ("words", "found"),
    [("number 4711", 1), ("NUMBER 4711", 1), ("ber 471", 11), ("person 4999", 1), ("nothing of it", 0), ("r,4}", 0)],
)
def test_a_search_finds_what_stands_anywhere(web: Api, many: UUID, words: str, found: int) -> None:
    answer = web.as_user(many).get("/api/leads", params={"q": words, "limit": 200})

    assert answer.status_code == 200, answer.text
    assert len(answer.json()["items"]) == found


TEXTS = st.text(st.sampled_from(list("abAB c\\\"{},%_*'é\N{LATIN CAPITAL LETTER E WITH ACUTE}ß中文İ😀1")), max_size=30)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(TEXTS, st.data())
def test_every_part_of_a_text_finds_it(db: psycopg.Connection, text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    part = text[start : data.draw(st.integers(start, len(text)))]
    row = db.execute(
        "select %(grams)s::text[] is null or public.trigrams(lower(%(text)s)) @> %(grams)s::text[]",
        {"grams": trigrams(part), "text": text},
    ).fetchone()

    assert row == (True,)


def test_one_users_searches_leave_connections_to_others(stack: Stack, web: Api, db: psycopg.Connection) -> None:
    user, other = web.as_user(), web.as_user()

    def searching() -> int:
        row = db.execute(
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%search_trigrams%'"
        ).fetchone()
        assert row is not None
        return int(row[0])

    def search(_: int) -> httpx.Response:
        return user.get("/api/leads", params={"q": "bakery"})

    with ThreadPoolExecutor(40) as pool, psycopg.connect(stack.database_url) as holding:
        holding.execute("lock table public.leads in access exclusive mode")
        answers = [pool.submit(search, number) for number in range(40)]
        stack.wait_for(lambda: searching() == AT_ONCE)
        # Others are served meanwhile, and the user itself too.
        for caller in (other, user):
            assert caller.get("/api/agents/runs").status_code == 200
        # Those that waited too long for their turn are refused, while the first still wait for the database.
        stack.wait_for(lambda: sum(answer.done() for answer in answers) == 40 - AT_ONCE)
        assert searching() == AT_ONCE
        holding.rollback()
        codes = sorted(answer.result().status_code for answer in answers)

    assert codes == [200] * AT_ONCE + [429] * (40 - AT_ONCE)
    assert search(0).status_code == 200


@pytest.mark.parametrize("path", ["/api/conversations?q=bakery", "/api/analytics/overview"])
def test_other_expensive_reads_are_bounded_too(stack: Stack, web: Api, path: str) -> None:
    user = web.as_user()
    with ThreadPoolExecutor(AT_ONCE + 2) as pool, psycopg.connect(stack.database_url) as holding:
        holding.execute("lock table public.conversations in access exclusive mode")
        answers: list[Any] = [pool.submit(user.get, path) for _ in range(AT_ONCE + 2)]
        stack.wait_for(lambda: sum(answer.done() for answer in answers) == 2)
        holding.rollback()
        codes = sorted(answer.result().status_code for answer in answers)

    assert codes == [200] * AT_ONCE + [429] * 2
