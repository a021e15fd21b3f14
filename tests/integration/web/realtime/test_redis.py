"""Sockets through the loss of Redis: nothing missed, nothing twice, and the client need not do anything."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from pixelbloom.events.client import connect
from pixelbloom.events.publisher import Publisher
from pixelbloom.events.topics import Keys, user_feed
from tests.integration.web.realtime.stories import Story, subscribed
from tests.servers.redis import OwnRedis
from tests.servers.runs import SomeRun
from tests.servers.web import Web
from tests.waiting import SECONDS, background, repeat_until, until


@pytest.fixture
def web(own_redis: OwnRedis, tmp_path: Path) -> Iterator[Web]:
    with Web(own_redis.url, tmp_path / "web") as web:
        yield web
        assert web.errors() == ""


@pytest.fixture
def publisher(own_redis: OwnRedis) -> Publisher:
    """As a worker's own client: it connects anew by itself."""
    return Publisher(connect(own_redis.url))


def cut(own_redis: OwnRedis) -> None:
    """Redis ends its pub/sub connections, as it does with a subscriber that is too slow."""
    own_redis.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")


def test_a_connected_client_is_caught_up_after_the_pubsub_connection_was_lost(web, own_redis, publisher):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running", 0))
    with web.connect(run.user_id) as client:
        story = Story()
        for frame in subscribed(client, run):
            story.on_message(frame)
        for n in range(60):
            publisher.run_deltas([run.text(f"{n} ")])
            if n % 20 == 10:
                cut(own_redis)
        publisher.run_update(run.state("completed", 1))
        story.listen(client)
        assert client.quiet() == []

    assert (story.seq, story.snapshots) == (62, 1)
    assert story.text == "".join(f"{n} " for n in range(60))


def test_a_process_that_was_too_slow_for_redis_is_caught_up(web, own_redis, publisher):
    """Redis ends a subscriber whose output buffer overflows, and the buffered messages are lost silently."""
    own_redis.client.config_set("client-output-buffer-limit", "pubsub 64kb 0 0")
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running", 0))
    with web.connect(run.user_id) as client:
        story = Story()
        for frame in subscribed(client, run):
            story.on_message(frame)
        web.freeze()
        received = 0
        for _ in repeat_until(lambda: not own_redis.client.execute_command("CLIENT", "LIST", "TYPE", "pubsub")):
            publisher.run_deltas([run.text("x" * 20_000)])
            received += 1
        web.thaw()
        publisher.run_update(run.state("completed", 1))
        story.listen(client)
        assert client.quiet() == []

    assert (story.seq, story.snapshots, len(story.text)) == (received + 2, 1, received * 20_000)


def test_flat_events_are_caught_up_too(web, own_redis, publisher):
    runs = [SomeRun(user) for user in [uuid4()] for _ in range(30)]
    with web.connect(runs[0].user_id) as client:
        for n, run in enumerate(runs):
            publisher.run_update(run.state("queued"))
            if n % 10 == 5:
                cut(own_redis)
        received = [client.next()["data"]["workflow_run_id"] for _ in runs]
        assert client.quiet() == []

    assert received == [str(run.id) for run in runs]


def test_a_connected_client_is_caught_up_after_a_restart_of_redis_with_its_data(web, own_redis, publisher):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running", 0))
    with web.connect(run.user_id) as client:
        story = Story()
        for frame in subscribed(client, run):
            story.on_message(frame)
        publisher.run_deltas([run.text("before ")])
        own_redis.kill()
        own_redis.start()
        publisher.run_deltas([run.text("after")])  # most likely before the web process is back
        publisher.run_update(run.state("completed", 1))
        story.listen(client)
        assert client.quiet() == []

    assert (story.text, story.seq, story.snapshots) == ("before after", 4, 1)


def test_after_redis_lost_its_data_a_connected_client_gets_a_fresh_snapshot_in_a_new_epoch(web, own_redis, publisher):
    run = SomeRun(uuid4())
    run.store(web.folder, run.state("running", 0.3))
    with web.connect(run.user_id) as client:
        first = subscribed(client, run)
        own_redis.kill(wipe=True)
        ended = run.store(web.folder, run.state("completed", 1, result="done"))
        own_redis.start()
        response = client.until(type="subscribed")[-1]
        snapshot = client.next()
        publisher.run_update(ended)  # the outbox, late
        assert client.quiet() == []

    assert response["recovered"] is False
    assert response["epoch"] != first[0]["epoch"]
    assert (snapshot["snapshot"], snapshot["data"]["result"]) == (True, "done")


def remember(own_redis: OwnRedis, *names: str) -> Callable[[], None]:
    """Note what Redis has of these topics or feeds; calling it makes Redis have that again, as a replica does that
    took over and was a moment behind."""
    keys = [key for name in names for key in (Keys.of(name).meta, Keys.of(name).log, Keys.of(name).text)]
    dumped = {key: own_redis.client.dump(key) for key in keys}

    def put_back() -> None:
        for key, value in dumped.items():
            own_redis.client.delete(key)
            if value is not None:
                own_redis.client.restore(key, 0, value)
        cut(own_redis)

    return put_back


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


def test_a_frozen_redis_is_noticed_and_the_client_is_caught_up(web, own_redis, publisher):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("queued"))
    with web.connect(run.user_id) as client:
        story = Story()
        for frame in subscribed(client, run):
            story.on_message(frame)
        own_redis.freeze()
        time.sleep(1)
        assert client.quiet() == []  # the socket itself is well
        own_redis.thaw()
        publisher.run_updates([run.state("running"), run.state("completed", 1)])
        assert story.listen(client).seq == 3


def test_subscribing_without_redis_is_unavailable_and_works_on_the_same_socket_afterwards(web, own_redis, publisher):
    run = SomeRun(uuid4())
    run.store(web.folder, run.state("queued"))
    own_redis.kill()
    with web.connect(run.user_id) as client:
        client.send(type="subscribe", topic=run.topic)
        response = client.next()
        assert (response["type"], response["code"], response["topic"]) == ("error", "UNAVAILABLE", run.topic)
        own_redis.start()

        def taken() -> bool:
            client.send(type="subscribe", topic=run.topic)
            response.update(client.next())
            assert response["type"] != "error" or response["code"] == "UNAVAILABLE"
            return bool(response["type"] != "error")

        until(taken, saw=lambda: response)
        assert client.next()["snapshot"] is True
        publisher.run_update(run.state("running"))
        assert client.next()["data"]["status"] == "running"


def test_a_socket_opened_without_redis_receives_its_users_events_after_the_outage(web, own_redis, publisher):
    run = SomeRun(uuid4())
    own_redis.kill()
    with web.connect(run.user_id) as client:
        own_redis.start()
        publisher.run_update(run.state("queued"))  # at once: the process may not be back yet
        assert client.next()["data"]["status"] == "queued"
        assert client.quiet() == []


def test_events_before_a_socket_opened_are_not_sent_to_it_when_redis_returns(web, own_redis, publisher):
    user = uuid4()
    early, late = SomeRun(user), SomeRun(user)
    publisher.run_update(early.state("queued"))
    time.sleep(0.01)
    own_redis.kill()
    with web.connect(user) as client:
        own_redis.start()
        publisher.run_update(late.state("queued"))
        assert client.next()["data"]["workflow_run_id"] == str(late.id)
        assert client.quiet() == []


def test_an_unreachable_database_is_an_error_frame_and_the_socket_stays(web, publisher):
    run, moving = SomeRun(uuid4()), SomeRun()
    moving.user_id = run.user_id
    run.store(web.folder, run.state("queued"))
    publisher.run_update(moving.state("running"))
    (web.folder / "down").touch()
    with web.connect(run.user_id) as client:
        client.send(type="subscribe", topic=run.topic)
        assert client.next()["code"] == "UNAVAILABLE"
        assert subscribed(client, moving)[1]["data"]["status"] == "running"  # Redis knows it
        (web.folder / "down").unlink()
        assert subscribed(client, run)[1]["data"]["status"] == "queued"


def test_a_waiter_receives_an_end_from_an_outage_of_redis(web, own_redis, publisher):
    run = SomeRun()
    url = f"{web.base}/listen/{run.topic}?seconds={SECONDS}"
    with background(lambda: httpx.get(url, timeout=2 * SECONDS).json()) as [waiting]:
        web.until_state(members=1)
        publisher.run_update(run.state("queued"))
        cut(own_redis)
        publisher.run_update(run.state("completed", 1))

    assert waiting.result()["states"][-1] == "completed"


def test_a_waiter_is_not_delayed_for_long_without_redis(web, own_redis):
    own_redis.kill()
    response = httpx.get(f"{web.base}/listen/workflow_run:{uuid4()}?seconds=0", timeout=SECONDS)

    assert response.json() == {"states": []}


def test_clients_resume_on_another_process(own_redis, web, tmp_path, publisher):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("queued"))
    story = Story()
    with web.connect(run.user_id) as client:
        for frame in subscribed(client, run):
            story.on_message(frame)
    web.stop()
    publisher.run_update(run.state("running"))
    with Web(own_redis.url, tmp_path / "second") as second, second.connect(run.user_id) as client:
        client.send(type="subscribe", topic=run.topic, since=story.seq, epoch=story.epoch)
        for frame in client.until(type="subscribed"):
            story.on_message(frame)
        publisher.run_update(run.state("completed", 1))
        story.listen(client)

    assert (story.seq, story.snapshots) == (3, 1)
