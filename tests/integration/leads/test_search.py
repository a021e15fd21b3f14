"""Searches in leads: by an index, with the meaning that they had, and never on all connections to the database."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from pixelbloom.database.pagination import containing
from tests.integration.http import Api
from tests.stack import Stack

AT_ONCE = 3


@pytest.fixture(scope="module")
def web(stack: Stack) -> Iterator[Api]:
    handle = stack.start("web", env={"SEARCHES_PER_USER": str(AT_ONCE), "SEARCH_QUEUE_SECONDS": "0"})
    yield Api(handle.url, None, stack.settings)
    handle.kill()


@pytest.fixture(scope="module")
def many(stack: Stack) -> Iterator[UUID]:
    """A user with 5,000 leads and conversations."""
    user_id = uuid4()
    with psycopg.connect(stack.database_url, autocommit=True) as db:
        db.execute(
            "insert into public.leads (user_id, name, company, message) "
            "select %s, 'Person ' || n, 'Company ' || md5(n::text), "
            "'A site for shop number ' || n || repeat(' with many pages', 60) "
            "from generate_series(1, 5000) as n",
            [user_id],
        )
        db.execute(
            "insert into public.conversations (user_id, title) select %s, 'A site for shop number ' || n"
            " from generate_series(1, 5000) as n",
            [user_id],
        )
        # Those of others, so that the whole table costs more than one user's rows; without triggers they are fast.
        other = uuid4()
        db.execute("set session_replication_role = replica")
        for table, column in (("leads", "name"), ("conversations", "title")):
            db.execute(
                f"insert into public.{table} (user_id, {column}) select %s, 'A shop of another' "  # noqa: S608
                "from generate_series(1, 20000) as n",
                [other],
            )
        db.execute("set session_replication_role = default")
        db.execute("analyze public.leads, public.conversations")
        yield user_id
        for table in ("leads", "conversations"):
            db.execute(f"delete from public.{table} where user_id in (%s, %s)", [user_id, other])  # noqa: S608


LEADS = "public.leads where deleted_at is null and user_id = %(user)s and search_text"
TITLES = "public.conversations where deleted_at is null and user_id = %(user)s and title"


def plan(db: psycopg.Connection, rows: str, user_id: UUID, words: str) -> str:
    """How Postgres finds the first page of a search."""
    found = db.execute(
        f"explain select id from {rows} ilike %(words)s and search_grams @> public.search_grams(%(text)s)::text[]"  # noqa: S608
        " order by created_at desc, id desc limit 50",
        {"user": user_id, "words": containing(words).replace("*", "%"), "text": words},
    ).fetchall()
    return "\n".join(row for (row,) in found)


@pytest.mark.parametrize("words", ["number 4711", "471", "zq", "~", "Ж", "ЖУК", "王芳"])
@pytest.mark.parametrize(("rows", "index"), [(LEADS, "leads_search"), (TITLES, "conversations_search")])
def test_a_search_for_a_rare_text_uses_the_index(
    db: psycopg.Connection, many: UUID, rows: str, index: str, words: str
) -> None:
    found = plan(db, rows, many, words)

    assert index in found, found


@pytest.mark.parametrize("words", ["a", "47", "shop"])
@pytest.mark.parametrize("rows", [LEADS, TITLES])
def test_a_search_for_a_common_text_never_reads_the_whole_table(
    db: psycopg.Connection, many: UUID, rows: str, words: str
) -> None:
    found = plan(db, rows, many, words)

    assert "Index" in found, found
    assert "Seq Scan" not in found, found


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("number 4711", 1),
        ("NUMBER 4711", 1),
        ("ber 471", 11),
        ("person 4999", 1),
        ("nothing of it", 0),
        ("r,4}", 0),
        ("~", 0),
        ('",', 0),
    ],
)
def test_a_search_matches_anywhere_in_a_text(web: Api, many: UUID, words: str, found: int) -> None:
    for path in ("/api/leads", "/api/conversations") if "erson" not in words else ("/api/leads",):
        response = web.as_user(many).get(path, params={"q": words, "limit": 200})

        assert response.status_code == 200, response.text
        assert len(response.json()["items"]) == found


@pytest.mark.parametrize("words", ["王芳", "芳", "%", "_*", "é", "\\"])
def test_a_search_of_one_or_two_characters_matches_anywhere(web: Api, words: str) -> None:
    user = web.as_user()
    wanted = user.request("POST", "/api/leads", json={"name": f"Ada 王芳 100% a_*b é\\ {words}"}).json()["lead_id"]
    title = user.request("POST", "/api/conversations", json={"title": f"for {words}"}).json()["conversation_id"]

    for path, name, row_id in (("/api/leads", "lead_id", wanted), ("/api/conversations", "conversation_id", title)):
        found = user.get(path, params={"q": words}).json()["items"]
        assert [item[name] for item in found] == [row_id]


TEXTS = st.text(
    st.sampled_from(list("abAB c\\\"{},%_*'é\N{LATIN CAPITAL LETTER E WITH ACUTE}ß中文İ😀1")), min_size=1, max_size=30
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(TEXTS, st.data())
def test_a_row_that_contains_a_text_has_its_grams(db: psycopg.Connection, text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    part = text[start : data.draw(st.integers(start + 1, len(text)))]
    row = db.execute(
        "select internal.grams(lower(%(text)s)) @> public.search_grams(%(part)s)::text[],"
        " lower(%(text)s) ilike %(like)s",
        {"part": part, "text": text, "like": containing(part).replace("*", "%")},
    ).fetchone()

    # What a database's locale does not find by `ilike` need not be found by grams.
    assert row is not None
    assert row[0] or not row[1]
    if text.isascii() and "*" not in part:
        assert row == (True, True)


def waiting(db: psycopg.Connection, text: str) -> int:
    """The number of statements with this text that wait for a lock."""
    row = db.execute(
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like %s", [f"%{text}%"]
    ).fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def table_locked(stack: Stack, table: str) -> Iterator[None]:
    """Nobody else reads the table."""
    with psycopg.connect(stack.database_url) as holding:
        holding.execute(sql.SQL("lock table public.{} in access exclusive mode").format(sql.Identifier(table)))
        yield
        holding.rollback()


def test_one_users_searches_do_not_use_all_connections(stack: Stack, web: Api, db: psycopg.Connection) -> None:
    user, other = web.as_user(), web.as_user()

    def search(caller: Api) -> int:
        return caller.get("/api/leads", params={"q": "bakery"}).status_code

    with ThreadPoolExecutor(AT_ONCE + 1) as pool, table_locked(stack, "leads"):
        responses = [pool.submit(search, user) for _ in range(AT_ONCE)]
        stack.wait_for(lambda: waiting(db, "search_grams") == AT_ONCE)
        # No further one of the user reaches the database.
        assert {search(user) for _ in range(5)} == {429}
        # Another's search does, and what is no search is served to all.
        responses.append(pool.submit(search, other))
        stack.wait_for(lambda: waiting(db, "search_grams") == AT_ONCE + 1)
        for caller in (other, user):
            assert caller.get("/api/agents/runs").status_code == 200

    assert [response.result() for response in responses] == [200] * (AT_ONCE + 1)
    assert search(user) == 200


def test_a_list_without_a_search_is_not_bounded(stack: Stack, web: Api, db: psycopg.Connection) -> None:
    user = web.as_user()
    with ThreadPoolExecutor(AT_ONCE + 1) as pool, table_locked(stack, "leads"):
        responses = [pool.submit(user.get, "/api/leads") for _ in range(AT_ONCE + 1)]
        stack.wait_for(lambda: waiting(db, '"leads"') == AT_ONCE + 1)

    assert [response.result().status_code for response in responses] == [200] * (AT_ONCE + 1)


@pytest.mark.parametrize(
    ("path", "statement", "table"),
    [
        ("/api/conversations?q=bakery", "search_grams", "conversations"),
        ("/api/analytics/overview", "analytics_overview", "conversations"),
        ("/api/analytics/revenue/by-package", "revenue_by_package", "refunds"),
        ("/api/analytics/models/metrics", "model_summary", "model_metrics"),
    ],
)
def test_other_expensive_reads_are_bounded_too(
    stack: Stack, web: Api, db: psycopg.Connection, path: str, statement: str, table: str
) -> None:
    user = web.as_user(admin=True)
    with ThreadPoolExecutor(AT_ONCE) as pool, table_locked(stack, table):
        responses = [pool.submit(user.get, path) for _ in range(AT_ONCE)]
        stack.wait_for(lambda: waiting(db, statement) == AT_ONCE)
        assert user.get(path).status_code == 429

    assert [response.result().status_code for response in responses] == [200] * AT_ONCE
