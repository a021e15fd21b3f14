"""Events of leads, conversations, subscriptions and notifications over the sockets, through their publisher."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from pixelbloom.events import domain
from pixelbloom.events.domain import DomainEvent
from tests.integration.web.realtime.domain import AT, ID, SPEC, event, subscribed
from tests.servers.web import token


def notification(user_id: UUID, **changes: Any) -> DomainEvent:
    return event("notification_created", user_id, **changes)


def channel_of(kind: str) -> str:
    return domain.TYPES[kind].channel


@pytest.mark.parametrize("kind", SPEC)
def test_an_event_reaches_its_owner_and_administrators_with_the_fields_of_the_spec(web, publisher, kind):
    user, chief, other = uuid4(), uuid4(), uuid4()
    with (
        web.connect(user, channel_of(kind)) as owner,
        web.connect(chief, channel_of(kind), claims={"role": "admin"}) as admin,
        web.connect(other, channel_of(kind)) as stranger,
        web.connect(user, "workflows") as elsewhere,
    ):
        assert publisher.domain_events([domain.read(kind, {**SPEC[kind], "user_id": str(user)})] * 2)[1] is False
        publisher.domain_events([event(kind, None), event(kind, chief)])
        received = owner.next()
        seen_by_admin = [admin.next() for _ in range(3)]

        row = domain.TYPES[kind].row
        assert received == {"type": kind, "data": {**SPEC[kind], "id": SPEC[kind][row], "user_id": str(user)}}
        assert seen_by_admin[0] == received
        assert [one["data"]["user_id"] for one in seen_by_admin] == [str(user), None, str(chief)]
        assert [client.quiet() for client in (owner, admin, stranger, elsewhere)] == [[], [], [], []]


def test_an_unpublished_event_makes_no_gap(web, publisher):
    user = uuid4()
    with web.connect(user, "analytics") as client:
        change = {"subject": "leads", "row_id": ID, "changed_at": AT, "user_id": str(user)}
        publisher.domain_events([domain.read("data_changed", change), event("lead_created", user)])

        assert client.next()["type"] == "lead_created"
        assert client.quiet() == []


def test_a_notification_is_sent_enveloped_to_topic_subscribers_and_flat_to_other_sockets_of_the_user(web, publisher):
    user = uuid4()
    with web.connect(user, "notifications") as asked, web.connect(user, "notifications") as not_asked:
        _, snapshot = subscribed(asked, f"user:{user}")
        received = notification(user)
        publisher.domain_events([received])
        envelope, flat = asked.next(), not_asked.next()

        assert snapshot["data"] == {"items": [], "unread_count": 0}
        assert (envelope["type"], envelope["channel"], envelope["topic"]) == ("event", "notifications", f"user:{user}")
        assert envelope["seq"] == snapshot["seq"] + 1
        assert {**envelope["data"], "notification_id": envelope["data"]["id"], "user_id": str(user)} == {
            **flat["data"],
            "id": flat["data"]["notification_id"],
        }
        assert asked.quiet() == not_asked.quiet() == []


def test_an_administrator_who_follows_a_user_receives_each_notification_once(web, publisher):
    user = uuid4()
    with web.connect(uuid4(), "notifications", claims={"role": "admin"}) as admin:
        subscribed(admin, f"user:{user}")
        publisher.domain_events([notification(user), notification(uuid4())])

        assert [admin.next()["type"], admin.next()["type"]] == ["event", "notification_created"]
        assert admin.quiet() == []


def test_unread_notifications_are_the_snapshot_and_history_closes_a_gap(web, publisher):
    user = uuid4()
    unread = [{"id": str(uuid4()), "title": "Old"}]
    (web.folder / "unread").write_text(json.dumps(unread))
    try:
        with web.connect(user, "notifications") as client:
            response, snapshot = subscribed(client, f"user:{user}")
    finally:
        (web.folder / "unread").unlink()
    sent = [notification(user, title=f"n{n}") for n in range(3)]
    publisher.domain_events(sent)
    with web.connect(user, "notifications") as client:
        back = subscribed(client, f"user:{user}", since=response["seq"], epoch=response["epoch"])
        titles = [client.next()["data"]["title"] for _ in sent]
        lost = subscribed(client, f"user:{user}", since=response["seq"], epoch="another")

    assert snapshot["data"] == {"items": unread, "unread_count": 1}
    assert (back[-1]["recovered"], titles) == (True, ["n0", "n1", "n2"])
    assert (lost[-2]["recovered"], lost[-1]["seq"]) == (False, 3)


def test_a_fresh_token_with_another_role_changes_the_events(web, publisher):
    user, other = uuid4(), uuid4()
    (web.folder / "figures").write_text("[]")
    with web.connect(user, "analytics", claims={"role": "admin"}) as client:
        subscribed(client, "lead_trends")
        client.send(type="auth", token=token(user))
        assert client.until(code="INVALID_TOPIC")[-1]["topic"] == "lead_trends"
        assert client.quiet() == []  # the feed follows the role before the next message is read
        publisher.domain_events([event("lead_created", other), event("message_created", user)])
        assert client.next()["type"] == "message_created"
        client.send(type="auth", token=token(user, role="admin"))
        client.until(type="authenticated")
        client.quiet()
        publisher.domain_events([event("lead_created", other)])
        assert client.next()["type"] == "lead_created"
        assert client.quiet() == []


@pytest.mark.parametrize("changes", [{"lead_id": "x"}, {"more": 1}, {"lead_id": None}, {"created_at": "soon"}], ids=str)
def test_an_invalid_event_is_refused(changes):
    with pytest.raises(ValueError, match="LeadCreated"):
        event("lead_created", None, **changes)
