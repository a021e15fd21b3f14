"""Sockets when Redis returns with older data, as a replica that was a moment behind."""

import time
from uuid import uuid4

import pytest

from pixelbloom.events.topics import user_feed
from tests.integration.web.realtime.redis.losses import remember
from tests.integration.web.realtime.stories import subscribed
from tests.servers.runs import SomeRun


def test_a_redis_that_returns_with_older_data_restarts_the_topic(web, own_redis, publisher):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running", 0))
    with web.connect(run.user_id) as client:
        epoch = subscribed(client, run)[0]["epoch"]
        publisher.run_deltas([run.text("saved ")])
        put_back = remember(own_redis, run.topic)
        for n in range(3):
            publisher.run_deltas([run.text(f"lost {n} ")])
        client.until(seq=5)
        put_back()
        response, snapshot = client.next(), client.next()
        publisher.run_update(run.state("running", 0.5))
        received = client.next()
        assert client.quiet() == []

    assert (response["type"], response["recovered"], response["epoch"], response["seq"]) == (
        "subscribed",
        False,
        epoch,
        2,
    )
    assert (snapshot["snapshot"], snapshot["seq"], snapshot["data"]["text"]) == (True, 2, "saved ")
    assert (received["seq"], received["data"]["progress"]) == (3, 0.5)


def test_older_data_is_detected_when_new_events_reuse_lost_numbers(web, own_redis, publisher):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running", 0))
    with web.connect(run.user_id) as client:
        subscribed(client, run)
        put_back = remember(own_redis, run.topic)
        for _ in range(3):
            publisher.run_deltas([run.text("lost ")])
        client.until(seq=4)
        web.freeze()
        put_back()
        for n in range(1, 6):
            publisher.run_update(run.state("running", n / 10))
        web.thaw()
        response, snapshot = client.next(), client.next()
        assert client.quiet() == []

    assert (response["type"], response["recovered"]) == ("subscribed", False)
    assert (snapshot["seq"], snapshot["data"]["progress"]) == (6, 0.5)


def test_an_end_lost_by_redis_is_sent_from_the_database(web, own_redis, publisher):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running", 0))
    with web.connect(run.user_id) as client, web.connect(run.user_id) as late:
        subscribed(client, run)
        put_back = remember(own_redis, run.topic)
        publisher.run_deltas([run.text("some")])
        publisher.run_update(run.store(web.folder, run.state("completed", 1, result="done")))
        ended = client.until(status="completed")[-1]
        put_back()
        snapshot = client.until(snapshot=True)[-1]
        coming_back = subscribed(late, run, since=ended["seq"])

    assert (snapshot["data"]["status"], snapshot["data"]["result"]) == ("completed", "done")
    assert coming_back[-1]["data"]["result"] == "done"


@pytest.mark.parametrize("lost", [1, 3])
def test_flat_events_go_on_after_redis_came_back_with_older_data(web, own_redis, publisher, lost):
    runs = [SomeRun(user) for user in [uuid4()] for _ in range(6)]
    with web.connect(runs[0].user_id) as client:
        publisher.run_updates([run.state("queued") for run in runs[:2]])
        put_back = remember(own_redis, user_feed(runs[0].user_id, "workflows"))
        publisher.run_updates([run.state("queued") for run in runs[2 : 2 + lost]])
        received = [client.next() for _ in range(2 + lost)]
        time.sleep(0.005)
        web.freeze()
        put_back()
        publisher.run_updates([run.state("running") for run in runs[:2]])
        web.thaw()
        received = [client.next(), client.next()]
        publisher.run_update(runs[0].state("completed"))
        received.append(client.next())
        assert client.quiet() == []

    assert [event["data"]["status"] for event in received] == ["running", "running", "completed"]
