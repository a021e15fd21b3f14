"""Sockets through the loss of Redis: nothing missed, nothing twice, and the client need not do anything."""

import time
from uuid import uuid4

import httpx

from tests.integration.web.realtime.redis.losses import cut
from tests.integration.web.realtime.stories import Story, subscribed
from tests.servers.runs import SomeRun
from tests.servers.web import Web
from tests.waiting import SECONDS, background, repeat_until, until


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
        web.until_state(listening=1)  # a member is subscribed only a moment later
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
