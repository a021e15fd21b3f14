"""A run's story over the socket: whole, in order, once, whenever the client comes."""

import json
import time
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import pytest

from pixelbloom.events.publisher import Publisher
from pixelbloom.events.topics import Keys, user_feed
from tests.integration.web.realtime.stories import Story, subscribed
from tests.servers.runs import SomeRun
from tests.waiting import SECONDS, background, repeat_until, until


def live(run: SomeRun, publisher: Publisher, stories: list[Story]) -> None:
    """A run from its start to its end, of which six clients at least come to see the second half."""
    publisher.run_update(run.state("running", 0.1))
    for n in range(200):
        if n == 100:
            until(lambda: len(stories) > 5)
        publisher.run_deltas([run.text(f"wörd {n} ")])
        time.sleep(0.002)
    publisher.run_update(run.state("completed", 1, result="done"))


def test_clients_that_come_before_during_and_after_a_run_see_the_same_story(web, publisher):
    run = SomeRun(uuid4())
    run.store(web.folder, run.state("queued"))
    clients = [web.connect(run.user_id)]
    stories = [Story()]
    clients[0].send(type="subscribe", topic=run.topic)
    stories[0].listen(clients[0], "queued")
    with background(partial(live, run, publisher, stories)) as [running]:
        for _ in repeat_until(lambda: not running.is_alive()):
            clients.append(web.connect(run.user_id))
            clients[-1].send(type="subscribe", topic=run.topic)
            stories.append(Story())
            time.sleep(0.02)
    clients.append(web.connect(run.user_id))
    clients[-1].send(type="subscribe", topic=run.topic)
    stories.append(Story())

    for client, story in zip(clients, stories, strict=True):
        story.listen(client)
        assert client.quiet() == []
        client.connection.close()
    assert {story.seq for story in stories} == {202}
    assert all(story.snapshots == 1 for story in stories)
    whole = "".join(f"wörd {n} " for n in range(200))
    assert stories[0].text == whole
    assert all(story.text in (whole, "") for story in stories)  # "" if the snapshot was the end


def test_the_first_events_reach_a_client_that_subscribed_before_the_run_started(web, publisher):
    """The stream position is fixed before anything is published: nothing is lost between."""
    for _ in range(30):
        run = SomeRun(uuid4())
        run.store(web.folder, run.state("queued"))
        with web.connect(run.user_id) as client:
            story = Story()
            for frame in subscribed(client, run):
                story.on_message(frame)
            publisher.run_updates([run.state("running"), run.state("completed")])
            assert story.listen(client).statuses == ["queued", "running", "completed"]


def test_the_snapshot_of_a_run_in_progress_has_its_state_and_its_text_so_far(web, publisher):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running", 0.4))
    publisher.run_deltas([run.text("so far")])
    with web.connect(run.user_id) as client:
        response, snapshot = subscribed(client, run)

    assert response == {
        "type": "subscribed",
        "channel": "workflows",
        "topic": run.topic,
        "seq": 2,
        "epoch": response["epoch"],
        "recovered": False,
    }
    assert snapshot["snapshot"] is True
    assert (snapshot["seq"], snapshot["channel"], snapshot["topic"]) == (2, "workflows", run.topic)
    assert snapshot["data"] == {
        "id": str(run.id),
        "status": "running",
        "progress": 0.4,
        "step": "lead_agent",
        "text": "so far",
        "provider": None,
        "model": None,
        "attempts": 0,
        "updated_at": "2025-01-01T00:00:00Z",
    }


def test_a_client_that_resumes_with_since_gets_exactly_the_missed_events(web, publisher):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    story = Story()
    with web.connect(run.user_id) as client:
        for frame in subscribed(client, run):
            story.on_message(frame)
    for n in range(5):
        publisher.run_deltas([run.text(f"{n}")])
    publisher.run_update(run.state("completed", 1))
    with web.connect(run.user_id) as client:
        client.send(type="subscribe", topic=run.topic, since=story.seq, epoch=story.epoch)
        story.listen(client)

    assert (story.text, story.seq, story.snapshots) == ("01234", 7, 1)


@pytest.mark.parametrize(("since", "epoch"), [(1, "another"), (99, None)])
def test_a_position_before_the_history_gets_a_snapshot(web, publisher, since, epoch):
    run = SomeRun(uuid4())
    publisher.run_updates([run.state("queued"), run.state("running")])
    with web.connect(run.user_id) as client:
        response = subscribed(client, run, since=since, epoch=epoch)

    assert [frame.get("recovered") for frame in response] == [False, None]
    assert response[1]["snapshot"] is True


def test_a_run_unknown_to_redis_is_read_from_the_database(web, server, publisher):
    run = SomeRun(uuid4())
    run.store(web.folder, run.state("completed", 1, result={"score": 9}))
    with web.connect(run.user_id) as client:
        response, snapshot = subscribed(client, run)

    assert response["seq"] == 0
    assert snapshot["data"]["result"] == {"score": 9}


def test_each_event_reaches_a_socket_once_in_the_form_it_asked_for(web, publisher):
    owner = uuid4()
    followed, other = SomeRun(owner), SomeRun(owner)
    publisher.run_updates([followed.state("queued"), other.state("queued")])
    with web.connect(owner) as client:
        subscribed(client, followed)
        publisher.run_updates([followed.state("running"), other.state("running")])
        frames = [client.next(), client.next()]
        client.send(type="unsubscribe", topic=followed.topic)
        assert client.next() == {"type": "unsubscribed", "topic": followed.topic}
        publisher.run_update(followed.state("completed", 1))
        frames += [client.next(), *client.quiet()]

    assert [frame["type"] for frame in frames] == ["event", "workflow_status_update", "workflow_status_update"]
    assert frames[1]["data"]["workflow_run_id"] == str(other.id)
    assert frames[2]["data"]["status"] == "completed"


def test_no_state_is_repeated_while_a_client_resubscribes_continuously(web, publisher):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running", 0))
    states = 300

    def publish() -> None:
        for n in range(1, states + 1):
            publisher.run_update(run.state("running", n / 1000))

    with web.connect(run.user_id) as client, background(publish) as [thread]:
        seen: list[float] = []
        for _ in repeat_until(lambda: not thread.is_alive()):
            for frame in subscribed(client, run):
                seen += _progress(frame)
            client.send(type="unsubscribe", topic=run.topic)
            for frame in client.until(type="unsubscribed"):
                seen += _progress(frame)
            time.sleep(0.05)
        # The last one comes while no subscription covers it, so no snapshot can replace it.
        publisher.run_update(run.state("completed", 1))
        while 1 not in seen:
            seen += _progress(client.next())
        for frame in client.quiet():
            seen += _progress(frame)

    assert len(seen) == len(set(seen)), "a state came twice"
    assert seen == sorted(seen)


def _progress(frame: dict[str, Any]) -> list[float]:
    """The state that a frame brings as news."""
    news = frame["type"] in ("event", "workflow_status_update") and not frame.get("snapshot")
    return [frame["data"]["progress"]] if news else []


def test_a_lost_message_is_read_from_the_history(web, server, publisher):
    """Redis drops a slow subscriber's messages in silence; the hole in the numbers shows it."""
    run = SomeRun(uuid4())
    publisher.run_update(run.state("queued"))
    with web.connect(run.user_id) as client:
        story = Story()
        for frame in subscribed(client, run):
            story.on_message(frame)
        channel = Keys.of(run.topic).channel
        log = Keys.of(run.topic).log
        publisher.run_update(run.state("running"))
        story.listen(client, "running")
        # A message that is in the history and was never published:
        lost = server.client.xrevrange(log, count=1)[0][1][b"m"].replace(b" 2 running", b" 3 running")
        lost = lost.replace(b'"seq":2', b'"seq":3')
        server.client.hincrby(Keys.of(run.topic).meta, "seq", 1)
        server.client.xadd(log, {"m": lost}, id="3-0")
        publisher.run_update(run.state("completed", 1))

        assert story.listen(client).seq == 4
        server.client.publish(channel, b"not an event")
        assert client.quiet() == []


def test_a_state_sent_by_the_topic_is_not_sent_flat_after_unsubscribing(web, server, publisher):
    """The two forms are two messages; a client may unsubscribe between them."""
    run = SomeRun(uuid4())
    publisher.run_update(run.state("queued"))
    topic, feed = Keys.of(run.topic), Keys.of(user_feed(run.user_id, "workflows"))
    with web.connect(run.user_id) as client:
        epoch = subscribed(client, run)[0]["epoch"]
        feed_epoch = server.client.hget(feed.meta, "epoch").decode()
        server.client.publish(topic.channel, f'{epoch} 2 running 0 - - -\n{{"type":"event","seq":2}}')
        assert client.next() == {"type": "event", "seq": 2}
        client.send(type="unsubscribe", topic=run.topic)
        client.until(type="unsubscribed")
        for n in (2, 3):
            flat = json.dumps({"type": "workflow_status_update", "seq": n})
            server.client.publish(feed.channel, f"{feed_epoch} {n} running 0 {run.topic} {epoch} {n}\n{flat}")

        assert client.next()["seq"] == 3
        assert client.quiet() == []


def test_a_waiter_receives_the_states_of_a_run_that_does_not_exist_yet(web, publisher):
    run = SomeRun()
    url = f"{web.base}/listen/{run.topic}?seconds={SECONDS}"
    with background(lambda: httpx.get(url, timeout=2 * SECONDS).json()) as [waiting]:
        web.until_state(listening=1)
        publisher.run_updates([run.state("queued"), run.state("running"), run.state("completed", 1)])

    assert waiting.result() == {"states": ["queued", "running", "completed"]}
