"""Lists hold no more than a page's worth of bytes, however large their rows are."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from pixelbloom.database.pagination import PAGE_BYTES
from tests.integration.http import Api, is_error
from tests.integration.web.http.wide_rows import CONVERSATION, COUNT, EVERYBODYS, FILLERS, WIDE
from tests.stack import Stack, started_stack

RUNS, WORKFLOW_RUNS = "/api/agents/runs", "/api/agents/workflows/runs"
#: Bytes of a page besides its rows from the database: names that the API adds.
MARGIN = 512 * 1024
#: The fields that identify an item; the first present one is used.
IDS = (
    "message_id",
    "id",
    "request_id",
    "workflow_run_id",
    "workflow_id",
    "schedule_id",
    "delivery_id",
    "conversation_id",
    "lead_id",
    "notification_id",
    "redemption_id",
    "package_id",
    "campaign_id",
)
#: Lists with small pages whatever is stored, and what bounds them.
ONE_PAGE = {
    "/api/agents": "the agents of this version",
    "/api/agents/approvals": "a message is cut to 2,000 characters",
    "/api/agents/failures": "200 groups, each with one error of at most 2,000 characters",
}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack of its own, so that other tests' lists do not have these rows."""
    with started_stack("pb-lists-") as running:
        yield running


def add_runs(db: psycopg.Connection, user_id: UUID, *, workflow: bool = False, count: int = COUNT) -> list[str]:
    """Completed runs with a result, a step's output and an input of 200 KiB each; returns their ids, newest first."""
    what = "'workflow', null, 'wide', 1" if workflow else "'agent', 'chat_agent', null, null"
    db.execute(
        "insert into public.workflows (workflow_id, version, definition, retired_at) values ('wide', 1, '{}', now())"
        " on conflict do nothing"
    )
    rows = db.execute(
        f"""
        with made as (
            insert into public.runs (
                id, kind, agent_type, workflow_id, workflow_version, user_id, caller, user_queue, input, status,
                progress, result, created_at, finished_at
            )
            select
                gen_random_uuid(), {what}, %(user)s, 'test', 'test', wide, 'completed', 1, wide,
                -- Rows of the same time, ordered by their ids.
                now() - (n / 2) * interval '1 second', now()
            from generate_series(1, %(count)s) as n,
                lateral (select jsonb_build_object('text', repeat(md5(n::text), 6400)) as wide) as made_wide
            returning *
        ), steps as (
            insert into public.run_steps (run_id, key, agent_type, user_queue, status, input, output, finished_at)
            select id, 'only', 'chat_agent', 'test', 'completed', '{{}}', result, now() from made
        )
        select id::text from made order by created_at desc, id desc
        """,  # noqa: S608  (constants)
        {"user": user_id, "count": count},
    ).fetchall()
    return [run_id for (run_id,) in rows]


def walk(api: Api, path: str, **query: Any) -> Iterator[tuple[dict[str, Any], int]]:
    """Each page of a list, with its bytes."""
    cursor: str | None = None
    for _ in range(1000):
        response = api.get(path, params={"limit": 200, **query, **({"cursor": cursor} if cursor else {})})
        assert response.status_code == 200, response.text
        page = response.json()
        yield page, len(response.content)
        cursor = page["next_cursor"]
        if cursor is None:
            return
    raise AssertionError(f"{path} still had a cursor after 1000 pages")


def lists(document: dict[str, Any]) -> set[str]:
    """The paths with a GET that returns `items`."""
    found = set()
    for path, item in document["paths"].items():
        content = item.get("get", {}).get("responses", {}).get("200", {}).get("content", {}).get("application/json")
        name = content["schema"].get("$ref", "").rpartition("/")[2] if content else ""
        if "items" in document["components"]["schemas"].get(name, {}).get("properties", {}):
            found.add(path)
    return found


def test_every_list_of_the_document_is_tested_here(web: Api) -> None:
    assert lists(web.get("/api/openapi.json").json()) == set(FILLERS) | set(ONE_PAGE)


@pytest.mark.parametrize("path", FILLERS)
def test_no_page_of_a_list_is_larger_than_the_budget(web: Api, db: psycopg.Connection, path: str) -> None:
    user_id = uuid4()
    # Without triggers and foreign keys: only the rows matter.
    db.execute("set session_replication_role = replica")
    db.execute(FILLERS[path].replace("WIDE", WIDE), {"user": user_id, "conversation": CONVERSATION})
    caller = web.as_user(user_id, admin=True)
    query = {} if path in EVERYBODYS else {"user_id": str(user_id)}
    if "{" in path:
        path, query = path.format(conversation_id=CONVERSATION), {}

    pages = list(walk(caller, path, **query))

    assert max(size for _, size in pages) <= PAGE_BYTES + MARGIN
    seen = [next(item[name] for name in IDS if name in item) for page, _ in pages for item in page["items"]]
    assert len(seen) == len(set(seen))
    assert len(seen) >= COUNT


@pytest.mark.parametrize(
    ("path", "name", "fields"),
    [
        (RUNS, "request_id", ("input", "result")),
        (WORKFLOW_RUNS, "workflow_run_id", ("inputs", "outputs")),
    ],
    ids=["agents", "workflows"],
)
def test_a_list_of_runs_with_large_results_is_bounded(
    web: Api, db: psycopg.Connection, path: str, name: str, fields: tuple[str, str]
) -> None:
    user = web.as_user()
    assert user.user_id
    made = add_runs(db, user.user_id, workflow=path == WORKFLOW_RUNS)

    # Without them: one page, small.
    [(page, size)] = walk(user, path)
    assert [run[name] for run in page["items"]] == made
    assert size < COUNT * 2048
    for run in page["items"]:
        assert not {"input", "inputs", "result", "outputs"} & set(run)
        assert [set(step) & {"output", "items"} for step in run["steps"]] == [set()]

    # With one, all, or those of steps: pages within the budget, which have each run once.
    given, result = fields
    for wanted in (result, given, "steps.output", f"{given},{result},steps.output"):
        seen: list[str] = []
        for page, size in walk(user, path, fields=wanted):
            assert page["items"]
            assert size <= PAGE_BYTES + MARGIN
            seen += [run[name] for run in page["items"]]
            for run in page["items"]:
                shown = {field for field in fields if field in run}
                shown |= {"steps.output" for step in run["steps"] if "output" in step}
                assert shown == set(wanted.split(","))
                assert all(len(run[field]["text"]) == 204800 for field in shown - {"steps.output"})
        assert seen == made


def test_a_run_by_itself_has_its_result_and_its_steps_outputs(web: Api, db: psycopg.Connection) -> None:
    user = web.as_user()
    assert user.user_id
    for workflow, path, name in ((False, RUNS, "result"), (True, WORKFLOW_RUNS, "outputs")):
        [run_id] = add_runs(db, user.user_id, workflow=workflow, count=1)

        run = user.get(f"{path}/{run_id}").json()

        assert len(run[name]["text"]) == len(run["steps"][0]["output"]["text"]) == 204800


def test_a_conversation_has_at_most_a_page_of_messages(web: Api, db: psycopg.Connection) -> None:
    user, conversation = web.as_user(), uuid4()
    filler = FILLERS["/api/conversations/{conversation_id}/messages"].replace("WIDE", WIDE)
    db.execute("set session_replication_role = replica")
    db.execute(filler, {"user": user.user_id, "conversation": conversation})

    response = user.get(f"/api/conversations/{conversation}")

    assert len(response.content) <= PAGE_BYTES + MARGIN
    shown = response.json()
    first = [message["message_id"] for message in reversed(shown["messages"])]
    assert 0 < len(first) < 50
    path = f"/api/conversations/{conversation}/messages"
    rest = [
        message["message_id"]
        for page, _ in walk(user, path, cursor=shown["messages_cursor"])
        for message in page["items"]
    ]
    assert len({*first, *rest}) == len(first) + len(rest) == COUNT


def test_a_workflow_has_at_most_a_page_of_versions(web: Api, db: psycopg.Connection) -> None:
    db.execute(
        "insert into public.workflows (workflow_id, version, definition)"  # noqa: S608  (constants)
        f" select 'often_changed', n, jsonb_build_object('steps', jsonb_build_array(), 'inputs', {WIDE})"
        " from generate_series(1, 40) as n"
    )
    user, path = web.as_user(), "/api/agents/workflows/often_changed"
    seen: list[int] = []
    cursor = None
    for _ in range(40):
        response = user.get(path, params={"cursor": cursor} if cursor else {})
        # The newest version is beside the page.
        assert len(response.content) <= PAGE_BYTES + 2 * MARGIN
        shown = response.json()
        assert shown["version"] == 40
        assert shown["versions"]
        seen += [version["version"] for version in shown["versions"]]
        cursor = shown["versions_cursor"]
        if cursor is None:
            break

    assert seen == list(range(40, 0, -1))
    assert len(user.get(path, params={"limit": 1, "cursor": "40"}).json()["versions"]) == 1
    is_error(user.get(path, params={"cursor": "0"}), 400, "BAD_REQUEST")
    is_error(user.get(f"{path}@2"), 404, "NOT_FOUND")


@pytest.mark.parametrize("path", [RUNS, WORKFLOW_RUNS])
@pytest.mark.parametrize("fields", ["", "nonsense", "status", "result,nonsense", "input,", "input, input", "RESULT"])
def test_an_unknown_field_is_refused(web: Api, path: str, fields: str) -> None:
    error = is_error(web.as_user().get(path, params={"fields": fields}), 400, "BAD_REQUEST")

    assert [detail["field"] for detail in error["details"]] == ["fields"]
