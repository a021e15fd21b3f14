"""Concurrent steps of a workflow: each step's text once and in order while it runs."""

import json
from uuid import uuid4

from pixelbloom.events.publisher import TEXT_BYTES
from pixelbloom.events.topics import Keys, Topic, user_feed
from pixelbloom.events.types import RunDelta, RunUpdate, statuses
from tests.integration.events.steps import events, fields_of_steps, snapshot, wipe
from tests.servers.workflows import SomeWorkflow, as_steps


def test_concurrent_steps_drop_no_text_of_each_other(publisher, reader):
    run = SomeWorkflow("left", "right", "join")
    left, right = run.claim("left"), run.claim("right")
    publisher.run_updates(run.states)
    deltas = [left.text("ab"), right.text("xy"), left.text("cd"), right.text("z")]

    assert publisher.run_deltas(deltas) == [True] * 4
    assert publisher.run_deltas(deltas) == [False] * 4
    data = snapshot(reader, run)
    assert (data["text"], data["texts"]) == ("xyz", {"left": "abcd", "right": "xyz"})
    assert data["steps"] == as_steps({"left": "running", "right": "running", "join": "pending"})
    assert "text_from" not in data


def test_a_restart_of_one_step_discards_only_its_text(publisher, reader):
    run = SomeWorkflow("left", "right")
    left, right = run.claim("left"), run.claim("right")
    publisher.run_updates(run.states)
    publisher.run_deltas([left.text("ab"), right.text("xy"), left.restart().text("new"), right.text("z")])

    published = [(data["step"], data["delta"], data.get("reset", False)) for data in events(reader, run)[3:]]
    assert published == [("left", "ab", False), ("right", "xy", False), ("left", "new", True), ("right", "z", False)]
    assert snapshot(reader, run)["texts"] == {"left": "new", "right": "xyz"}


def test_the_text_of_an_ended_step_is_removed_for_good(publisher, reader):
    run = SomeWorkflow("left", "right")
    left, right = run.claim("left"), run.claim("right")
    publisher.run_updates(run.states)
    published = [left.text("ab"), right.text("xy")]
    publisher.run_deltas(published)
    late = left.text("cd")
    publisher.run_update(run.end("left"))

    assert publisher.run_deltas([*published, late]) == [False] * 3
    data = snapshot(reader, run)
    assert (data["text"], data["texts"]) == ("xy", {"right": "xy"})
    publisher.run_update(run.end("right"))
    data = snapshot(reader, run)
    assert (data["text"], data["texts"]) == ("", {})


def test_text_that_overtakes_the_state_of_its_claim_is_published(publisher, reader):
    run = SomeWorkflow("left", "right")
    left = run.claim("left")
    publisher.run_updates(run.states)
    right = run.claim("right")

    assert publisher.run_deltas([right.text("xy"), left.text("ab")]) == [True, True]
    assert snapshot(reader, run)["texts"] == {"left": "ab", "right": "xy"}
    publisher.run_update(run.now)
    assert snapshot(reader, run)["texts"] == {"left": "ab", "right": "xy"}


def test_the_next_attempt_of_a_step_discards_the_text_of_the_last_one(publisher, reader):
    run = SomeWorkflow("draft")
    first = run.claim("draft")
    publisher.run_updates(run.states)
    published, late = first.text("half an answ"), first.text("er")
    publisher.run_deltas([published])
    publisher.run_update(run.end("draft", "pending"))
    second = run.claim("draft")

    assert publisher.run_deltas([published, late]) == [False, False]
    publisher.run_update(run.now)
    assert publisher.run_deltas([published, late]) == [False, False]
    assert publisher.run_deltas([second.text("")])[0] is True  # as the emitter begins a second attempt
    assert snapshot(reader, run)["texts"] == {}
    assert publisher.run_deltas([published, late, second.text(""), second.text("whole")]) == [False, False, False, True]
    resets = [data.get("reset", False) for data in events(reader, run) if "delta" in data]
    assert resets == [False, True, False]
    assert snapshot(reader, run)["texts"] == {"draft": "whole"}


def test_ended_map_items_use_no_memory_in_redis(server, publisher, reader):
    run = SomeWorkflow("draft")
    run.claim("draft")
    publisher.run_updates(run.states)
    for n in range(30):
        item = run.claim(f"draft[{n}]")
        publisher.run_update(item.update)
        publisher.run_deltas([item.text("a"), item.restart().text("b"), item.text("c"), item.text("d")])
        del run.steps[item.step]  # the state has the items that run
        publisher.run_update(run.change())
        assert fields_of_steps(server, run) <= {"draft"}

    publisher.run_update(run.end("draft"))
    assert fields_of_steps(server, run) == set()
    assert server.client.hget(Keys.of(run.topic).meta, "bytes") == b"0"


def test_the_text_of_all_steps_together_is_bounded_and_ended_steps_make_room(publisher, reader):
    run = SomeWorkflow("a", "b", "c")
    a, b = run.claim("a"), run.claim("b")
    publisher.run_updates(run.states)
    publisher.run_deltas([a.text("x" * (TEXT_BYTES - 3)), b.text("fi"), b.text("more")])
    data = snapshot(reader, run)
    assert (data["text"], data["text_truncated"], len(data["texts"]["a"])) == ("fi", True, TEXT_BYTES - 3)

    publisher.run_update(run.end("a"))
    publisher.run_deltas([b.text("no room that would make a hole")])
    data = snapshot(reader, run)
    assert (data["text"], data["text_truncated"], data["texts"]) == ("fi", True, {"b": "fi"})
    b.text("lost")
    publisher.run_deltas([b.text("whole from here")])
    data = snapshot(reader, run)
    assert (data["text"], data["text_from"]) == ("whole from here", 40)
    assert "text_truncated" not in data
    publisher.run_update(run.end("b"))
    c = run.claim("c")
    publisher.run_updates(run.states)
    publisher.run_deltas([c.text("room again")])
    data = snapshot(reader, run)
    assert (data["text"], data["texts"]) == ("room again", {"c": "room again"})
    assert "text_truncated" not in data


def test_text_lost_on_the_way_shows_in_the_text_of_its_step_only(publisher, reader):
    run = SomeWorkflow("left", "right")
    left, right = run.claim("left"), run.claim("right")
    publisher.run_updates(run.states)
    publisher.run_deltas([left.text("abc"), right.text("xyz")])
    left.text("lost")
    publisher.run_deltas([left.text("def")])
    data = snapshot(reader, run)
    assert (data["text"], data["text_from"], data["texts"]) == ("def", 7, {"left": "def", "right": "xyz"})

    publisher.run_deltas([left.restart().text("new")])
    data = snapshot(reader, run)
    assert (data["text"], data["texts"]) == ("new", {"left": "new", "right": "xyz"})
    assert "text_from" not in data

    left.text("lost")
    publisher.run_deltas([left.text("def"), right.text("!")])
    data = snapshot(reader, run)
    assert (data["text"], data["texts"]) == ("xyz!", {"left": "def", "right": "xyz!"})
    assert "text_from" not in data


def test_progress_increases_when_steps_estimate_it_differently(publisher, reader):
    run = SomeWorkflow("left", "right", user_id=uuid4())
    left, right = run.claim("left"), run.claim("right")
    publisher.run_updates(run.states)
    publisher.run_deltas([left.text("a", 0.2), right.text("x", 0.6), left.text("b", 0.3), right.text("y", 0.61)])
    publisher.run_update(run.end("left", progress=0.5))
    publisher.run_deltas([right.text("z", 0.7)])

    assert [data["progress"] for data in events(reader, run)] == [0, 0, 0, 0.2, 0.6, 0.6, 0.61, 0.61, 0.7]
    flat = reader.feed(user_feed(run.user_id, "workflows"), since=0, epoch="none").messages
    assert [json.loads(message.partition(b"\n")[2])["data"]["progress"] for message in flat] == [0, 0, 0, 0.61]
    assert b'"steps"' not in b"".join(flat)


def test_a_run_retried_after_its_end_publishes_its_states_and_new_text(publisher, reader):
    run = SomeWorkflow("a", "b")
    first = run.claim("a")
    publisher.run_updates(run.states)
    published, late = first.text("first", 0.4), first.text(" late", 0.4)
    publisher.run_deltas([published])
    publisher.run_update(run.change("failed", a="failed", b="cancelled"))
    assert publisher.run_deltas([published, late]) == [False, False]

    assert publisher.run_update(run.change("queued", a="pending", b="pending")) is True
    assert publisher.run_deltas([published, late]) == [False, False]
    second = run.claim("a")
    assert publisher.run_update(run.now) is True
    assert publisher.run_deltas([published, late, second.text("second", 0.3)]) == [False, False, True]

    data = snapshot(reader, run)
    assert (data["status"], data["progress"], data["texts"]) == ("running", 0.3, {"a": "second"})
    assert events(reader, run)[-1]["reset"] is True
    assert publisher.run_update(run.change("completed", a="completed", b="completed", progress=1)) is True
    assert "texts" not in snapshot(reader, run)


def test_text_that_precedes_the_state_of_a_retried_run_restarts_its_progress(publisher, reader):
    """The outbox publishes the states later; a client that subscribes meanwhile gets the database's."""
    run = SomeWorkflow("a", "b")
    first, other = run.claim("a"), run.claim("b")
    publisher.run_updates(run.states)
    old = [first.text("first", 0.9), other.text("other", 0.9)]
    publisher.run_deltas(old)
    publisher.run_update(run.change("failed", a="failed", b="cancelled"))
    run.change("queued", a="pending", b="pending", progress=0.1)
    second = run.claim("a")
    delta = second.text("second", 0.3)
    assert publisher.run_deltas([delta, delta, *old]) == [True, False, False, False]

    assert reader.read(Topic.parse(run.topic)) is None
    assert publisher.install(run.states[3]) is False  # read before the run went on
    assert publisher.install(run.now) is True
    data = snapshot(reader, run)
    assert (data["status"], data["progress"], data["texts"]) == ("running", 0.3, {"a": "second"})
    assert publisher.run_updates(run.states) == [False] * len(run.states)
    publisher.run_deltas([second.text("!", 0.2)])
    publisher.run_update(run.change(progress=0.2))
    assert [data["progress"] for data in events(reader, run)][-3:] == [0.3, 0.3, 0.3]


def test_a_workflow_snapshot_from_the_database_has_its_texts(server, publisher, reader):
    run = SomeWorkflow("left", "right")
    left, right = run.claim("left"), run.claim("right")
    publisher.run_updates(run.states)
    publisher.run_deltas([left.text("ab"), right.text("xy")])
    wipe(server, run)
    publisher.run_deltas([left.text("cd"), right.text("z")])
    run.end("right")

    publisher.install(run.now)

    data = snapshot(reader, run)
    assert (data["text"], data["texts"], dict(statuses(data["steps"]))["right"]) == ("", {"left": "cd"}, "completed")
    assert publisher.run_deltas([right.text("late"), left.text("ef")]) == [False, True]


def test_an_agents_run_has_neither_steps_nor_texts(publisher, reader):
    run = SomeWorkflow("a")
    update = RunUpdate(**{**run.now.__dict__, "kind": "agent", "status": "running", "steps": None})
    publisher.run_update(update)
    publisher.run_deltas([RunDelta(run.id, 1000, 0, "abc", "lead_agent", 0.1)])

    data = snapshot(reader, run)

    assert data["text"] == "abc"
    assert not {"steps", "texts"} & set(data)
