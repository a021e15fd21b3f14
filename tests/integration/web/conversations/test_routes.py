"""Conversations over HTTP: stored, with replies of chat_agent that know their history, visible to their owner only."""

from typing import Any
from uuid import uuid4

import psycopg

from tests.integration.http import Api, is_error
from tests.integration.web.conversations.calls import PATH, begun, contents, read, said
from tests.rows import one
from tests.servers.ollama import OllamaServer
from tests.servers.script import Script
from tests.stack import Stack


def test_chat_agent_replies_with_what_was_said_before(user: Api, model: OllamaServer, db: psycopg.Connection) -> None:
    conversation = begun(user, title="A shop", metadata={"page": "/"})
    model.play(Script(pieces=("Hello ", "you.")), Script(pieces=("About ", "ten weeks.")))
    first = said(user, conversation, " Hi, I sell ceramics. ")
    second = said(user, conversation, "How long does a shop take?")

    assert first["status"] == second["status"] == "completed"
    assert first["message_id"] == first["request_id"]
    reply = second["reply"]
    assert (reply["role"], reply["content"], reply["user_id"]) == ("assistant", "About ten weeks.", str(user.user_id))
    assert (reply["request_id"], reply["metadata"]["intent"]) == (second["request_id"], "timeline")
    assert reply["metadata"]["provider"] == "ollama"
    assert "reply" not in reply["metadata"]
    shown = read(user, conversation)
    assert contents(shown["messages"]) == [
        ("user", "Hi, I sell ceramics."),
        ("assistant", "Hello you."),
        ("user", "How long does a shop take?"),
        ("assistant", "About ten weeks."),
    ]
    assert shown["messages"][-1] == reply
    assert (shown["last_message_at"], shown["version"]) == (reply["created_at"], 1)
    asked = model.requests[-1]["body"]["messages"]
    assert [(turn["role"], turn["content"]) for turn in asked[1:]] == contents(shown["messages"])[:3]
    events = "select count(*) from event_outbox where type = 'message_created' and user_id = %s"
    query = "select count(*) from messages where conversation_id = %s"
    assert one(db, events, user.user_id) == one(db, query, conversation["conversation_id"]) == 4


def test_the_same_key_stores_a_message_once(user: Api) -> None:
    conversation = begun(user)
    first = said(user, conversation, "Hello", **{"Idempotency-Key": "k1"})
    again = said(user, conversation, "Hello", **{"Idempotency-Key": "k1"})
    path = f"{PATH}/{conversation['conversation_id']}/messages"
    other = user.request("POST", path, json={"content": "Other"}, headers={"Idempotency-Key": "k1"})

    assert (again["request_id"], again["reply"]) == (first["request_id"], first["reply"])
    is_error(other, 409, "CONFLICT")
    assert len(read(user, conversation)["messages"]) == 2


def test_a_reply_without_waiting_is_stored_as_a_message(user: Api, stack: Stack) -> None:
    conversation = begun(user)
    asked = said(user, conversation, "Thanks!", wait=None)

    assert (asked["status"], asked["reply"], asked["error"]) == ("queued", None, None)
    stack.wait_for(lambda: len(read(user, conversation)["messages"]) == 2)
    question, reply = read(user, conversation)["messages"]
    assert question["message_id"] == asked["message_id"]
    later = user.get(
        f"{PATH}/{conversation['conversation_id']}/messages", params={"created_after": question["created_at"]}
    )
    assert later.json() == {"items": [reply], "next_cursor": None}


def test_messages_are_paged_backwards(user: Api, db: psycopg.Connection) -> None:
    conversation = begun(user)
    path = f"{PATH}/{conversation['conversation_id']}/messages"
    db.execute(
        "insert into messages (conversation_id, user_id, role, content, created_at)"
        " select %s, %s, 'user', n::text, now() - make_interval(mins => 100 - n / 2) from generate_series(1, 60) as n",
        [conversation["conversation_id"], user.user_id],
    )

    shown = read(user, conversation)
    texts = [message["content"] for message in shown["messages"]]
    assert len(texts) == 50
    assert set(texts) <= {str(n) for n in range(10, 61)}
    rest = user.get(path, params={"cursor": shown["messages_cursor"]}).json()
    assert rest["next_cursor"] is None
    assert sorted([*texts, *(item["content"] for item in rest["items"])], key=int) == [str(n) for n in range(1, 61)]
    pages, cursor = [], None
    while True:
        page = user.get(path, params={"limit": 25, **({"cursor": cursor} if cursor else {})}).json()
        pages.append([item["content"] for item in page["items"]])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [len(page) for page in pages] == [25, 25, 10]
    assert len({text for page in pages for text in page}) == 60


def test_a_conversation_is_changed_closed_and_removed(user: Api, db: psycopg.Connection) -> None:
    conversation = begun(user, title="One")
    path = f"{PATH}/{conversation['conversation_id']}"
    changed = user.request("PATCH", path, json={"title": "Two", "status": "closed"}, headers={"If-Match": '"1"'})

    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')
    assert (changed.json()["title"], changed.json()["status"], changed.json()["metadata"]) == ("Two", "closed", {})
    is_error(user.request("PATCH", path, json={"title": "Three"}, headers={"If-Match": '"1"'}), 409, "CONFLICT")
    is_error(user.request("POST", f"{path}/messages", json={"content": "Hello"}), 409, "CONFLICT")
    assert read(user, conversation)["messages"] == []
    assert user.request("PATCH", path, json={"status": "active", "title": None}).json()["title"] is None
    said(user, conversation, "Hello")
    assert user.request("DELETE", path, headers={"If-Match": '"3"'}).status_code == 204
    for response in (
        user.get(path),
        user.get(f"{path}/messages"),
        user.request("POST", f"{path}/messages", json={"content": "Hello"}),
        user.request("DELETE", path),
    ):
        is_error(response, 404, "NOT_FOUND")
    query = (
        "select payload ->> 'conversation_id' from event_outbox where type = 'conversation_deleted' and user_id = %s"
    )
    assert one(db, query, user.user_id) == conversation["conversation_id"]


def test_another_users_conversation_is_not_found_and_only_its_owner_or_a_service_writes_in_it(
    user: Api, web: Api
) -> None:
    conversation = begun(user, title=f"T{uuid4().hex}")
    path, other, admin = f"{PATH}/{conversation['conversation_id']}", web.as_user(), web.as_user(admin=True)

    for response in (
        other.get(path),
        other.get(f"{path}/messages"),
        other.request("PATCH", path, json={"title": "x"}),
        other.request("DELETE", path),
        other.request("POST", f"{path}/messages", json={"content": "Hello"}),
        user.get(f"{PATH}/x"),
    ):
        is_error(response, 404, "NOT_FOUND")
    is_error(web.get(path), 401, "UNAUTHORIZED")
    is_error(other.get(PATH, params={"user_id": str(user.user_id)}), 403, "FORBIDDEN")
    is_error(other.request("POST", PATH, json={"user_id": str(user.user_id)}), 403, "FORBIDDEN")
    is_error(admin.request("POST", f"{path}/messages", json={"content": "Hello"}), 403, "FORBIDDEN")
    assert said(web.as_service(), conversation, "Hello")["reply"]["user_id"] == str(user.user_id)
    for everybody in (web.as_service(), admin):
        assert len(read(everybody, conversation)["messages"]) == 2
        found = everybody.get(PATH, params={"q": conversation["title"]}).json()["items"]
        assert [item["conversation_id"] for item in found] == [conversation["conversation_id"]]
    assert other.get(PATH, params={"q": conversation["title"]}).json()["items"] == []


def test_a_list_is_filtered_searched_and_paged(user: Api) -> None:
    lead = user.request("POST", "/api/leads", json={"name": "Ada"}).json()
    for title in ("100% a", "b_c", "bxc"):
        begun(user, title=title, **({"lead_id": lead["lead_id"]} if title == "b_c" else {}))

    def listed(**query: Any) -> list[str]:
        response = user.get(PATH, params=query)
        assert response.status_code == 200, response.text
        return [item["title"] for item in response.json()["items"]]

    assert listed() == ["bxc", "b_c", "100% a"]
    assert listed(q="B_") == ["b_c"]
    assert listed(q="0%") == ["100% a"]
    assert listed(lead_id=lead["lead_id"]) == ["b_c"]
    assert listed(status="closed") == []
    assert listed(created_after="2999-01-01T00:00:00Z") == []
    page = user.get(PATH, params={"limit": 2}).json()
    assert listed(limit=2, cursor=page["next_cursor"]) == ["100% a"]


def test_an_invalid_input_is_refused_with_its_field(user: Api, web: Api) -> None:
    conversation = begun(user)
    lead = web.as_user().request("POST", "/api/leads", json={"name": "Ada"}).json()["lead_id"]
    path = f"{PATH}/{conversation['conversation_id']}"

    is_error(user.request("POST", PATH, json={"lead_id": lead}), 404, "NOT_FOUND")
    for method, where, body, field in (
        ("POST", PATH, {"title": ""}, "title"),
        ("POST", PATH, {"lead_id": "x"}, "lead_id"),
        ("POST", PATH, {"user_id": "x"}, "user_id"),
        ("POST", PATH, {"visitor_id": str(uuid4())}, "visitor_id"),
        ("PATCH", path, {"status": "gone"}, "status"),
        ("PATCH", path, {"user_id": str(uuid4())}, "user_id"),
        ("POST", f"{path}/messages", {}, "content"),
        ("POST", f"{path}/messages", {"content": " \n"}, "content"),
        ("POST", f"{path}/messages", {"content": "x" * 8001}, "content"),
        ("POST", f"{path}/messages", {"content": "x", "role": "assistant"}, "role"),
    ):
        found = is_error(user.request(method, where, json=body), 400, "BAD_REQUEST")
        assert [detail["field"] for detail in found["details"]] == [field]
    for query, field in (("cursor", "cursor"), ("limit", "limit"), ("created_after", "created_after")):
        for where in (PATH, f"{path}/messages"):
            found = is_error(user.get(where, params={query: "x"}), 400, "BAD_REQUEST")
            assert [detail["field"] for detail in found["details"]] == [field]


def test_an_invocation_with_a_conversation_writes_in_it_once(user: Api, web: Api) -> None:
    conversation = begun(user)

    def invoked(api: Api, **more: Any) -> dict[str, Any]:
        body = {"conversation_id": conversation["conversation_id"], "message": "Hello there"}
        response = api.invoke({"agent_type": "chat_agent", "input": {**body, **more}}, Prefer="wait=60")
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    run = invoked(user)
    assert run["status"] == "completed"
    assert contents(read(user, conversation)["messages"]) == [
        ("user", "Hello there"),
        ("assistant", run["result"]["reply"]),
    ]
    stranger = invoked(web.as_user())
    assert (stranger["status"], "not yours" in stranger["error"]) == ("failed", True)
    assert len(read(user, conversation)["messages"]) == 2
    urn = invoked(user, conversation_id=f"urn:uuid:{conversation['conversation_id'].upper()}")
    assert urn["status"] == "completed"
    assert len(read(user, conversation)["messages"]) == 4


def test_a_workflow_step_writes_in_a_conversation(user: Api, web: Api, model: OllamaServer) -> None:
    conversation = begun(user)
    name = f"talk_{uuid4().hex[:8]}"
    ask = {"agent": "chat_agent", "input": {"conversation_id": "inputs.id", "message": "inputs.text"}}
    definition = {
        "workflow_id": name,
        "steps": [{"key": "one", **ask}, {"key": "two", "needs": ["one"], **ask}],
    }
    added = web.as_user(admin=True).request("POST", "/api/agents/workflows", json=definition)
    assert added.status_code == 201, added.text
    run = user.request(
        "POST",
        "/api/agents/workflows/execute",
        json={"workflow_id": name, "inputs": {"id": conversation["conversation_id"], "text": "Hello"}},
        headers={"Prefer": "wait=60"},
    )

    assert run.json()["status"] == "completed", run.text
    assert [role for role, _ in contents(read(user, conversation)["messages"])] == ["user", "assistant"] * 2
    assert len(model.requests[-1]["body"]["messages"]) == 4
