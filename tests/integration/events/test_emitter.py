"""Tokens from a step to its watchers, with a working, slow, or missing Redis."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from redis import Redis

from pixelbloom.errors import Unavailable
from pixelbloom.events.client import connect
from pixelbloom.events.emitter import INTERVAL_SECONDS, DeltaSender, TokenEmitter
from pixelbloom.events.publisher import Publisher
from pixelbloom.events.reader import Recovered, Snapshot, TopicReader
from pixelbloom.events.topics import Topic
from pixelbloom.events.types import RunDelta
from tests.servers.redis import OwnRedis
from tests.servers.runs import SomeRun
from tests.waiting import SECONDS, background, until, within


class Counting(Publisher):
    """A publisher that counts the messages that Redis refused."""

    refused = 0

    def __init__(self, client: Redis) -> None:
        super().__init__(client)
        self.deltas = DeltaSender(self.run_deltas)

    def run_deltas(self, deltas: Sequence[RunDelta]) -> list[bool]:
        try:
            return super().run_deltas(deltas)
        except Unavailable:
            self.refused += 1
            raise


@pytest.fixture
def publisher(own_redis: OwnRedis) -> Counting:
    return Counting(connect(own_redis.url, timeout_seconds=5.0))


def emitter(publisher: Counting, run: SomeRun, attempt: int = 1, **options: Any) -> TokenEmitter:
    return TokenEmitter(publisher.deltas, run_id=run.id, step="lead_agent", execution=attempt, **options)


@contextmanager
def streaming(publisher: Counting, run: SomeRun, attempt: int = 1, **options: Any) -> Iterator[TokenEmitter]:
    """An emitter that closes only when Redis has its text, however slow the machine is."""
    stream = emitter(publisher, run, attempt, **options)
    try:
        yield stream
    finally:
        stream.close(timeout=SECONDS)


def deltas(own_redis: OwnRedis, run: SomeRun) -> list[dict[str, Any]]:
    """The text events of a run, with their times."""
    found = TopicReader(own_redis.client).read(Topic.parse(run.topic), since=0)
    assert isinstance(found, Recovered)
    published = []
    for message in found.messages:
        header, _, body = message.partition(b"\n")
        event = json.loads(body)
        if "delta" in event["data"]:
            published.append({**event["data"], "at": int(header.split(b" ")[3])})
    return published


def text(own_redis: OwnRedis, run: SomeRun) -> str:
    """Return the final text of a client that follows the rules."""
    whole = ""
    for delta in deltas(own_redis, run):
        whole = "" if delta.get("reset") else whole
        assert delta["offset"] == len(whole)
        whole += delta["delta"]
    return whole


def snapshot_text(own_redis: OwnRedis, run: SomeRun) -> str:
    """Return the text of a client that subscribes now."""
    found = TopicReader(own_redis.client).read(Topic.parse(run.topic), since=None)
    assert isinstance(found, Snapshot)
    return str(json.loads(found.frame)["data"]["text"])


def test_all_text_arrives_in_order_in_at_most_twenty_messages_a_second(own_redis, publisher):
    run = SomeRun()
    publisher.run_update(run.state("running"))
    words = [f"wörd{n} " for n in range(300)]
    began = time.monotonic()
    with streaming(publisher, run) as stream:
        for n, word in enumerate(words):
            if n in (100, 200):
                until(lambda n=n: len(deltas(own_redis, run)) >= n // 100)
            stream.token(word)
            time.sleep(0.001)
    took = time.monotonic() - began

    assert text(own_redis, run) == "".join(words)
    assert 2 < len(deltas(own_redis, run)) <= took / INTERVAL_SECONDS + 2  # the first at once, the last on closing


def test_text_before_a_restart_is_discarded_even_without_new_text(own_redis, publisher):
    run = SomeRun()
    publisher.run_update(run.state("running"))
    with streaming(publisher, run) as stream:
        stream.token("half an answ")
        until(lambda: deltas(own_redis, run))
        stream.restart()

    assert text(own_redis, run) == ""
    assert deltas(own_redis, run)[-1]["reset"] is True


def test_the_snapshot_has_the_text_of_the_provider_that_took_over(own_redis, publisher):
    run = SomeRun()
    publisher.run_update(run.state("running"))
    with streaming(publisher, run) as stream:
        stream.token("half an answ")
        until(lambda: deltas(own_redis, run))
        stream.restart("huggingface")
        stream.token("Hello")

    resets = [delta.get("retrying_with") for delta in deltas(own_redis, run) if delta.get("reset")]
    assert resets == ["huggingface"]
    assert snapshot_text(own_redis, run) == text(own_redis, run) == "Hello"


def test_a_restart_without_a_provider_is_published_without_a_name(own_redis, publisher):
    run = SomeRun()
    publisher.run_update(run.state("running"))
    with streaming(publisher, run) as stream:
        stream.token("The user greets me.")
        until(lambda: deltas(own_redis, run))
        stream.restart()
        stream.token("Hello")

    [reset] = [delta for delta in deltas(own_redis, run) if delta.get("reset")]
    assert "retrying_with" not in reset
    assert snapshot_text(own_redis, run) == "Hello"


def test_only_the_restart_for_another_provider_names_it(own_redis, publisher):
    run = SomeRun()
    publisher.run_update(run.state("running"))
    with streaming(publisher, run) as stream:
        stream.token("half an answ")
        until(lambda: len(deltas(own_redis, run)) == 1)
        stream.restart("huggingface")
        stream.token("The user ")
        until(lambda: len(deltas(own_redis, run)) == 2)
        stream.token("greets me.")
        until(lambda: len(deltas(own_redis, run)) == 3)
        stream.restart()
        stream.token("Hello")

    found = [(delta.get("reset", False), delta.get("retrying_with")) for delta in deltas(own_redis, run)]
    assert found == [(False, None), (True, "huggingface"), (False, None), (True, None)]
    assert snapshot_text(own_redis, run) == "Hello"


def test_the_text_of_an_earlier_attempt_is_discarded_as_soon_as_the_next_begins(own_redis, publisher):
    run = SomeRun()
    publisher.run_update(run.state("running"))
    with streaming(publisher, run) as first:
        first.token("first")
    with streaming(publisher, run, attempt=2):
        pass

    assert [delta.get("reset", False) for delta in deltas(own_redis, run)] == [False, True]


def test_progress_is_estimated_from_the_tokens_of_this_attempt(own_redis, publisher):
    run = SomeRun()
    publisher.run_update(run.state("running"))
    with streaming(publisher, run, progress_of=lambda tokens: tokens / 10) as stream:
        for _ in range(5):
            stream.token("t")

    assert deltas(own_redis, run)[-1]["progress"] == 0.5


def test_an_estimate_that_fails_costs_the_progress_and_not_the_text(own_redis, publisher):
    run = SomeRun()
    publisher.run_update(run.state("running", 0.2))
    with streaming(publisher, run, progress_of=lambda tokens: tokens / 0) as stream:
        stream.token("text")

    assert deltas(own_redis, run)[0]["progress"] == 0.2
    assert text(own_redis, run) == "text"


def test_a_frozen_redis_does_not_delay_tokens_and_the_text_is_published_after_it_recovers(own_redis, publisher):
    run = SomeRun()
    publisher.run_update(run.state("running"))
    stream = emitter(publisher, run)
    stream.token("before ")
    until(lambda: deltas(own_redis, run))
    own_redis.freeze()

    def tokens() -> None:
        for n in range(2_000):
            stream.token(f"{n} ")

    within(tokens)  # while Redis is frozen; with a timeout per token it would take ten minutes
    own_redis.thaw()
    stream.close(timeout=SECONDS)

    assert text(own_redis, run) == "before " + "".join(f"{n} " for n in range(2_000))


def test_closing_without_redis_ends_in_time_and_raises_nothing(own_redis, publisher):
    run = SomeRun()
    stream = emitter(publisher, run)
    own_redis.kill()
    stream.token("nobody receives this")

    closing = threading.Thread(target=stream.close, kwargs={"timeout": 0.2})
    closing.start()
    closing.join(SECONDS)

    assert not closing.is_alive()


def test_text_that_waits_for_redis_is_bounded(own_redis, publisher):
    run = SomeRun()
    own_redis.freeze()
    stream = emitter(publisher, run)
    for _ in range(100):
        stream.token("x" * 10_000)

    assert stream._waiting_characters <= 128 * 1024
    own_redis.thaw()
    stream.close(timeout=SECONDS)
    published = deltas(own_redis, run) if TopicReader(own_redis.client).read(Topic.parse(run.topic), since=0) else []
    assert all(len(delta["delta"]) <= 128 * 1024 for delta in published)


def test_concurrent_runs_do_not_mix_their_text(own_redis, publisher):
    runs = [SomeRun() for _ in range(20)]
    publisher.run_updates([run.state("running") for run in runs])

    def stream(run: SomeRun) -> None:
        with streaming(publisher, run) as out:
            for n in range(50):
                out.token(f"{run.id.hex[:4]}-{n} ")
                time.sleep(0.002)

    with background(*(partial(stream, run) for run in runs)):
        pass

    for run in runs:
        assert text(own_redis, run) == "".join(f"{run.id.hex[:4]}-{n} " for n in range(50))


def test_the_senders_thread_ends_with_the_last_open_step(own_redis, publisher):
    with streaming(publisher, SomeRun()) as stream:
        stream.token("a")
    until(lambda: not any(thread.name == "deltas" for thread in threading.enumerate()), saw=threading.enumerate)


def test_a_message_refused_by_redis_is_resent_after_it_recovers(own_redis, publisher):
    run = SomeRun()
    publisher.run_update(run.state("running"))
    stream = emitter(publisher, run)
    stream.token("before ")
    until(lambda: deltas(own_redis, run))
    own_redis.kill()
    stream.token("while it is gone ")
    until(lambda: stream._inflight)
    until(lambda: publisher.refused)  # accepted, then refused
    stream.token("later")
    own_redis.start()
    stream.close(timeout=SECONDS)

    assert text(own_redis, run) == "before while it is gone later"
