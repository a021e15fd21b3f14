"""The publisher against a real Redis: each event once, in order, with snapshots for late clients."""

import json
from typing import Any
from uuid import uuid4

import pytest

from pixelbloom.errors import Unavailable
from pixelbloom.events.client import connect
from pixelbloom.events.publisher import TEXT_BYTES, Publisher
from pixelbloom.events.reader import Recovered, Snapshot, TopicReader
from pixelbloom.events.scripts import HISTORY_LENGTH, HISTORY_SECONDS
from pixelbloom.events.topics import Keys, Topic, user_feed
from pixelbloom.events.types import RunDelta
from tests.servers.lossy_proxy import LossyProxy
from tests.servers.runs import SomeRun


def events(reader: TopicReader, run: SomeRun) -> list[dict[str, Any]]:
    """Everything in a run's history."""
    found = reader.read(Topic.parse(run.topic), since=0)
    assert isinstance(found, Recovered)
    return [json.loads(message.partition(b"\n")[2]) for message in found.messages]


def flat(reader: TopicReader, run: SomeRun) -> list[dict[str, Any]]:
    found = reader.feed(user_feed(run.user_id, "workflows"), since=0, epoch="none")
    return [json.loads(message.partition(b"\n")[2]) for message in found.messages]


def snapshot(reader: TopicReader, run: SomeRun) -> tuple[Snapshot, dict[str, Any]]:
    found = reader.read(Topic.parse(run.topic))
    assert isinstance(found, Snapshot)
    return found, json.loads(found.frame)


def test_states_and_text_of_a_run_are_numbered_in_the_order_of_publication(publisher, reader):
    run = SomeRun(uuid4())
    publisher.run_updates([run.state("queued"), run.state("running", 0.1)])
    publisher.run_deltas([run.text("Hel")])
    publisher.run_deltas([run.text("lo")])
    publisher.run_update(run.state("completed", 1, result={"score": 7, "none": []}))

    published = events(reader, run)

    assert [event["seq"] for event in published] == [1, 2, 3, 4, 5]
    assert [event["data"]["status"] for event in published] == ["queued", "running", "running", "running", "completed"]
    assert [event["data"].get("delta") for event in published] == [None, None, "Hel", "lo", None]
    assert published[4]["data"]["result"] == {"score": 7, "none": []}
    assert all(event["topic"] == run.topic and event["channel"] == "workflows" for event in published)


def test_a_state_published_again_is_dropped(publisher, reader):
    run = SomeRun(uuid4())
    first, second = run.state("queued"), run.state("running")

    responses = publisher.run_updates([first, first, second, first, second])

    assert responses == [True, False, True, False, False]
    assert len(events(reader, run)) == 2
    assert [event["data"]["status"] for event in flat(reader, run)] == ["queued", "running"]


def test_text_published_again_is_dropped(publisher, reader):
    run = SomeRun()
    publisher.run_update(run.state("running"))
    first, second = run.text("grüße "), run.text("👋 an alle")

    assert publisher.run_deltas([first, second, second, first]) == [True, True, False, False]
    assert snapshot(reader, run)[1]["data"]["text"] == "grüße 👋 an alle"


def test_an_event_is_published_once_when_redis_py_resends_after_a_lost_reply(server, reader):
    """A proxy drops the first reply: redis-py repeats the EVAL, which gave two messages with seq 1 and 3."""
    run = SomeRun(uuid4())
    with LossyProxy(server.url.removeprefix("unix://").partition("?")[0]) as proxy:
        publisher = Publisher(connect(f"redis://127.0.0.1:{proxy.port}", timeout_seconds=5))
        publisher.run_update(run.state("queued"))
        proxy.lose_next_reply()
        publisher.run_update(run.state("running"))

    assert proxy.lost == 1
    assert [(event["seq"], event["data"]["status"]) for event in events(reader, run)] == [(1, "queued"), (2, "running")]


def test_progress_never_goes_backwards(publisher, reader):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running", 0.5))
    publisher.run_deltas([run.text("a", progress=0.3)])
    publisher.run_deltas([run.text("b", progress=0.7)])
    publisher.run_update(run.state("running", 0.6))

    assert [event["data"]["progress"] for event in events(reader, run)] == [0.5, 0.5, 0.7, 0.7]
    assert [event["data"]["progress"] for event in flat(reader, run)] == [0.5, 0.7]


def test_text_of_a_new_generation_discards_the_old_one_with_a_reset(publisher, reader):
    run = SomeRun()
    publisher.run_update(run.state("running"))
    publisher.run_deltas([run.text("from ollama")])
    late = run.text(" late")
    publisher.run_deltas([run.text("from hugging", generation=1001)])
    publisher.run_deltas([run.text("face", generation=1001)])

    assert publisher.run_deltas([late])[0] is False
    assert [event["data"].get("reset", False) for event in events(reader, run)] == [False, False, True, False]
    assert snapshot(reader, run)[1]["data"]["text"] == "from huggingface"


def test_only_a_newer_revision_is_published_after_the_end(publisher, reader):
    run = SomeRun()
    publisher.run_update(run.state("failed", error="no", error_code="TIMEOUT"))

    assert publisher.run_deltas([run.text("late")])[0] is False
    assert publisher.run_update(run.state("running", rev=1)) is False
    assert publisher.run_update(run.state("running", 0.0)) is True
    assert publisher.run_deltas([run.text("again", generation=2000)])[0] is True


def test_a_state_older_than_the_published_text_is_not_published_on_the_topic(publisher, reader):
    run = SomeRun(uuid4())
    queued, running = run.state("queued"), run.state("running")
    publisher.run_deltas([RunDelta(run.id, 1000, 0, "text", "lead_agent", 0.1, rev=running.rev)])
    publisher.run_updates([queued, running])

    assert [event["data"]["status"] for event in events(reader, run)] == ["running", "running"]
    assert [event["data"]["status"] for event in flat(reader, run)] == ["queued", "running"]


def test_the_snapshot_of_an_ended_run_has_its_result_and_no_text(publisher, reader):
    run = SomeRun()
    publisher.run_update(run.state("running"))
    publisher.run_deltas([run.text("abc")])
    publisher.run_update(run.state("completed", 1, result="abc"))

    found, frame = snapshot(reader, run)

    assert (found.seq, frame["seq"], frame["snapshot"]) == (3, 3, True)
    assert frame["data"]["result"] == "abc"
    assert "text" not in frame["data"]


def test_workflow_runs_carry_outputs_and_failures_carry_the_reason(publisher, reader):
    done, failed = SomeRun(kind="workflow"), SomeRun()
    publisher.run_update(done.state("completed", 1, result={"qualify": {}}))
    publisher.run_update(failed.state("failed", error="Too late.", error_code="TIMEOUT"))

    assert snapshot(reader, done)[1]["data"]["outputs"] == {"qualify": {}}
    data = snapshot(reader, failed)[1]["data"]
    assert (data["error"], data["error_code"]) == ("Too late.", "TIMEOUT")


def test_text_beyond_the_bound_is_published_but_not_stored_and_the_snapshot_says_so(publisher, reader):
    run = SomeRun()
    publisher.run_update(run.state("running"))
    for _ in range(5):
        publisher.run_deltas([run.text("x" * (TEXT_BYTES // 4))])
    publisher.run_deltas([run.text("tail")])

    data = snapshot(reader, run)[1]["data"]

    assert len(data["text"]) == TEXT_BYTES
    assert data["text_truncated"] is True
    assert events(reader, run)[-1]["data"]["delta"] == "tail"


def test_a_gap_in_the_text_shows_where_the_stored_text_begins(publisher, reader):
    run = SomeRun()
    publisher.run_update(run.state("running"))
    publisher.run_deltas([run.text("abc")])
    run.text("lost")
    publisher.run_deltas([run.text("def")])

    data = snapshot(reader, run)[1]["data"]

    assert (data["text"], data["text_from"]) == ("def", 7)


def test_history_is_capped_and_everything_of_a_topic_expires_together(server, publisher, reader):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running"))
    for start in range(0, HISTORY_LENGTH + 300, 100):
        publisher.run_deltas([run.text("t") for _ in range(start, start + 100)])

    keys = Keys.of(run.topic)
    assert HISTORY_LENGTH <= server.client.xlen(keys.log) <= HISTORY_LENGTH + 100
    for key in (keys.meta, keys.log, keys.text, Keys.of(user_feed(run.user_id, "workflows")).log):
        assert 0 < server.client.ttl(key) <= HISTORY_SECONDS
    assert isinstance(reader.read(Topic.parse(run.topic), since=5), Snapshot)


def test_reading_since_returns_exactly_the_later_events(publisher, reader):
    run = SomeRun()
    publisher.run_updates([run.state("queued"), run.state("running"), run.state("running")])
    topic = Topic.parse(run.topic)
    epoch = reader.read(topic).epoch

    assert len(reader.read(topic, since=1, epoch=epoch).messages) == 2
    assert reader.read(topic, since=3, epoch=epoch).messages == []
    assert isinstance(reader.read(topic, since=4, epoch=epoch), Snapshot)
    assert isinstance(reader.read(topic, since=1, epoch="another"), Snapshot)


def test_a_state_installed_from_the_database_reaches_the_user_but_not_the_topic_again(publisher, reader):
    run = SomeRun(uuid4())
    queued = run.state("queued")
    publisher.install(queued)
    found, frame = snapshot(reader, run)

    publisher.run_update(queued)
    publisher.run_update(run.state("running"))

    assert (found.seq, frame["data"]["status"]) == (0, "queued")
    assert [event["data"]["status"] for event in events(reader, run)] == ["running"]
    assert [event["data"]["status"] for event in flat(reader, run)] == ["queued", "running"]


def test_a_topic_without_keys_begins_a_new_epoch(server, publisher, reader):
    run = SomeRun()
    publisher.run_update(run.state("queued"))
    before = reader.read(Topic.parse(run.topic)).epoch
    server.client.delete(*server.client.keys(f"pb:{run.topic}:*"))

    publisher.run_update(run.state("running"))
    after = reader.read(Topic.parse(run.topic))

    assert after.epoch != before
    assert after.seq == 1


def test_text_with_half_a_surrogate_pair_is_published_with_a_replacement(publisher, reader):
    run = SomeRun()
    publisher.run_update(run.state("completed", 1, result={"text": "bad \ud800"}))

    assert snapshot(reader, run)[1]["data"]["result"] == {"text": "bad ?"}


def test_a_flat_event_has_the_fields_of_the_spec_and_an_id(publisher, reader):
    run = SomeRun(uuid4())
    publisher.run_update(run.state("running", 0.75))

    assert flat(reader, run) == [
        {
            "type": "workflow_status_update",
            "data": {
                "id": str(run.id),
                "workflow_run_id": str(run.id),
                "workflow_id": "lead_agent",
                "user_id": str(run.user_id),
                "status": "running",
                "step": "lead_agent",
                "progress": 0.75,
                "updated_at": "2025-01-01T00:00:00Z",
            },
        }
    ]


def test_publishing_without_redis_raises_so_that_the_outbox_row_stays():
    publisher = Publisher(connect("unix:///nowhere/at/all.sock?db=0"))

    with pytest.raises(Unavailable, match="did not accept"):
        publisher.run_updates([SomeRun().state("queued"), SomeRun().state("queued")])


def test_a_retried_run_publishes_its_states_and_its_text_again(publisher, reader):
    run = SomeRun()
    publisher.run_update(run.state("running", 0.5))
    first = RunDelta(run.id, 1000, 0, "x" * TEXT_BYTES, "lead_agent", 0.5, rev=run.rev)
    late = RunDelta(run.id, 1000, TEXT_BYTES, " late", "lead_agent", 0.5, rev=run.rev)
    publisher.run_deltas([first])
    publisher.run_update(run.state("failed", 0.5, error="no"))

    assert publisher.run_update(run.state("queued", 0.5)) is True
    assert publisher.run_update(run.state("running", 0.5)) is True
    second = RunDelta(run.id, 2000, 0, "second", "lead_agent", 0.6, rev=run.rev)
    assert publisher.run_deltas([first, late, second, late]) == [False, False, True, False]

    data = snapshot(reader, run)[1]["data"]
    assert (data["status"], data["text"]) == ("running", "second")
    assert events(reader, run)[-1]["data"]["reset"] is True
