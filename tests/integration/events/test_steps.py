"""Concurrent steps of a workflow: each step's text once and in order while it runs."""

import json
from collections.abc import Iterator
from itertools import combinations
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from pixelbloom.events.publisher import TEXT_BYTES, Publisher
from pixelbloom.events.reader import Recovered, Snapshot, TopicReader
from pixelbloom.events.topics import Keys, Topic, user_feed
from pixelbloom.events.types import RunDelta, RunUpdate, statuses
from tests.servers.redis import OwnRedis
from tests.servers.workflows import Attempt, SomeWorkflow, as_steps


@pytest.fixture
def reader(server: OwnRedis) -> TopicReader:
    return TopicReader(server.client)


def events(reader: TopicReader, run: SomeWorkflow, since: int = 0) -> list[dict[str, Any]]:
    """Return the data of every event after that one."""
    found = reader.read(Topic.parse(run.topic), since=since)
    assert isinstance(found, Recovered)
    published = [json.loads(message.partition(b"\n")[2]) for message in found.messages]
    assert [event["seq"] for event in published] == list(range(since + 1, since + 1 + len(published)))
    return [event["data"] for event in published]


def snapshot(reader: TopicReader, run: SomeWorkflow) -> dict[str, Any]:
    found = reader.read(Topic.parse(run.topic))
    assert isinstance(found, Snapshot)
    return json.loads(found.frame)["data"]


def wipe(server: OwnRedis, run: SomeWorkflow) -> None:
    """Delete the topic from Redis."""
    keys = Keys.of(run.topic)
    server.client.delete(keys.meta, keys.log, keys.text)


def fields_of_steps(server: OwnRedis, run: SomeWorkflow) -> set[str]:
    """Return the steps with data in Redis."""
    keys = Keys.of(run.topic)
    in_meta = {field.decode().partition(":")[2] for field in server.client.hkeys(keys.meta)}
    return {*in_meta, *(step.decode() for step in server.client.hkeys(keys.text))} - {""}


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


class Client:
    """A client that was connected from the beginning and follows docs/realtime.md."""

    def __init__(self) -> None:
        self.seq = 0
        self.status = ""
        self.progress = 0.0
        self.steps: dict[str, str] = {}
        #: What it shows: it drops the text of a step only after a reset.
        self.shown: dict[str, str] = {}
        #: The expected texts of a snapshot: only of running steps, and in one piece.
        self.stored: dict[str, str] = {}
        self.ends: dict[str, int] = {}
        self.last = ""

    def on_message(self, data: dict[str, Any]) -> None:
        self.seq += 1
        again = self.status == "failed" and data["status"] != "failed"
        assert data["progress"] >= self.progress or again, "progress went backwards"
        self.status, self.progress = data["status"], data["progress"]
        if "delta" in data:
            self._more(data["step"], data["offset"], data["delta"], data.get("reset", False))
        else:
            self.state(dict(statuses(data["steps"])), over=data["status"] == "failed")

    def state(self, steps: dict[str, str], *, over: bool) -> None:
        self.steps = steps
        for step in list(self.ends):
            if over or steps.get(step) != "running":
                self.stored.pop(step, None)
                del self.ends[step]

    def _more(self, step: str, offset: int, delta: str, reset: bool) -> None:
        if reset:
            self.shown[step] = self.stored[step] = ""
            self.ends[step] = 0
        whole = offset == self.ends.get(step, 0)
        self.shown[step] = self.shown.get(step, "") + delta
        self.stored[step] = self.stored.get(step, "") + delta if whole else delta
        self.ends[step] = offset + len(delta)
        self.last = step

    def agrees(self, data: dict[str, Any]) -> None:
        """Check that the snapshot of a late client has the same state."""
        assert (data["status"], data["progress"]) == (self.status, self.progress)
        assert data["steps"] == as_steps(self.steps)
        if self.status != "failed":
            assert data["texts"] == {step: text for step, text in self.stored.items() if text}
            assert data["text"] == self.stored.get(self.last, "")


def test_no_interleaving_of_two_steps_loses_or_repeats_anything(publisher, reader):
    """Every order in which two workers commit, publish and stream; everything is published again after each act."""
    acts = 5
    for firsts in combinations(range(2 * acts), acts):
        run, client = SomeWorkflow("left", "right"), Client()
        publisher.run_update(run.now)
        workers = [worker(run, "left", 0.1), worker(run, "right", 0.3)]
        published: list[RunUpdate | RunDelta] = []
        for n in range(2 * acts):
            act = next(workers[0 if n in firsts else 1])
            if act is None:
                continue
            if isinstance(act, RunDelta):
                assert publisher.run_deltas([act])[0] is True, "text of a running step was dropped"
            else:
                publisher.run_update(act)
            published.append(act)
            assert not any(publisher.run_deltas([delta for delta in published if isinstance(delta, RunDelta)]))
            assert not any(publisher.run_updates([state for state in published if isinstance(state, RunUpdate)]))
            for data in events(reader, run, client.seq):
                client.on_message(data)
            client.agrees(snapshot(reader, run))
        assert client.shown == {"left": "left one, left two", "right": "right one, right two"}
        assert client.steps == {"left": "completed", "right": "completed"}
        assert client.stored == {}


def worker(run: SomeWorkflow, step: str, progress: float) -> Iterator[RunUpdate | RunDelta | None]:
    """A worker's acts on a step, in order; None where it only commits."""
    attempt = run.claim(step)
    yield None
    yield attempt.update
    yield attempt.text(f"{step} one, ", progress)
    yield attempt.text(f"{step} two", progress * 2)
    yield run.end(step, progress=run.progress + 0.2)


#: Each character of the text encodes its generation and its offset.
FIRST, WIDTH = 0x4E00, 100


class TopicMachine(RuleBasedStateMachine):
    """Workers, the outbox and late clients act in any order, early, late and twice."""

    server: OwnRedis

    @initialize()
    def begin(self) -> None:
        self.publisher, self.reader = Publisher(self.server.client), TopicReader(self.server.client)
        self.run = SomeWorkflow("a", "b")
        self.client = Client()
        self.live: dict[str, Attempt] = {}
        self.newest: dict[str, RunDelta] = {}
        self.deltas: list[RunDelta] = []
        self.published: set[int] = set()
        self.publisher.run_update(self.run.now)
        self.published.add(id(self.run.now))
        self.listen()

    @rule(data=st.data(), what=st.sampled_from(["work"] * 12 + ["send", "publish"] * 3 + ["come", "forget"]))
    def turn(self, data: st.DataObject, what: str) -> None:
        """One rule, or hypothesis would skip the work in every second example."""
        {
            "work": self.work,
            "send": self.send_any,
            "publish": self.publish_any,
            "come": self.come,
            "forget": self.forget,
        }[what](data)

    def work(self, data: st.DataObject) -> None:
        """One act of the database or a worker. Its event may be published at once, later, or never."""
        step = data.draw(st.sampled_from("ab"))
        act = data.draw(st.sampled_from(["stream", "stream", "restart", "completed", "pending", "pending", "failed"]))
        publish_now = data.draw(st.sampled_from([True, True, False]))
        made: RunUpdate | RunDelta
        if self.run.over:
            made = self.run.change("queued", a="pending", b="pending", progress=0.0)
        elif step not in self.live and self.run.steps[step] == "pending":
            attempt = self.live[step] = self.run.claim(step)
            made = attempt.update
            if attempt.number > 1:
                self.deltas.append(attempt.text(""))  # as the emitter begins one
        elif step not in self.live or act == "failed":
            self.live.clear()
            made = self.run.change("failed", a="failed", b="failed")
        elif act == "stream":
            made = self.stream(self.live[step], data.draw(st.integers(1, 3)), data.draw(st.integers(0, 100)) / 100)
        elif act == "restart":
            made = self.live[step].restart().text("")
            self.deltas.append(made)
        else:
            del self.live[step]
            made = self.run.end(step, act, progress=min(1.0, self.run.progress + 0.1))
        if publish_now and isinstance(made, RunUpdate):
            self.publish(made)
        elif publish_now:
            self.send(made)

    def stream(self, attempt: Attempt, length: int, progress: float) -> RunDelta:
        generation, offset = attempt.place
        text = "".join(chr(FIRST + generation * WIDTH + offset + n) for n in range(length))
        self.deltas.append(attempt.text(text, progress))
        self.newest[attempt.step] = self.deltas[-1]
        return self.deltas[-1]

    # Late events

    def send_any(self, data: st.DataObject) -> None:
        if self.deltas:
            self.send(data.draw(st.sampled_from(self.deltas[-8:])))

    def publish_any(self, data: st.DataObject) -> None:
        self.publish(data.draw(st.sampled_from(self.run.states[-5:])))

    def repeat(self) -> None:
        """Publish everything once more."""
        assert not any(self.publisher.run_deltas([delta for delta in self.deltas if id(delta) in self.published]))
        assert not any(self.publisher.run_updates([state for state in self.run.states if id(state) in self.published]))

    def send(self, delta: RunDelta) -> None:
        attempt = self.live.get(delta.step)
        due = delta is self.newest.get(delta.step) and attempt is not None and attempt.goes_on_from(delta)
        news = self.publisher.run_deltas([delta])[0]
        assert not (news and id(delta) in self.published), "text was published twice"
        assert news or id(delta) in self.published or not due, "new text of a running step was dropped"
        self.published |= {id(delta)} if news else set()
        self.listen()

    def publish(self, state: RunUpdate) -> None:
        news = self.publisher.run_update(state)
        assert not (news and id(state) in self.published), "a state was published twice"
        if news:
            self.published.add(id(state))
            running = {step for step, status in statuses(state.steps) if status == "running"}
            assert fields_of_steps(self.server, self.run) <= (set() if state.terminal else running)
        self.listen()

    # Connected clients and late clients

    def come(self, data: st.DataObject) -> None:
        if self.reader.read(Topic.parse(self.run.topic)) is None:
            read_earlier = data.draw(st.sampled_from(self.run.states[-3:]))
            for state in (read_earlier, self.run.now):
                if self.publisher.install(state):
                    self.published.add(id(state))
                    said = snapshot(self.reader, self.run)
                    self.client.status, self.client.progress = said["status"], said["progress"]
                    self.client.state(dict(statuses(state.steps)), over=state.terminal)
        self.listen()

    def forget(self, _: st.DataObject) -> None:
        """Redis loses its data; every client starts again."""
        wipe(self.server, self.run)
        self.published.clear()
        self.client = Client()

    def listen(self) -> None:
        meta = Keys.of(self.run.topic).meta
        known = self.server.client.hmget(meta, "rev", "seq")
        if known[0] is None:
            # Nobody can read the topic until a state is there; its history can be read then.
            log = self.server.client.xrange(Keys.of(self.run.topic).log, min=f"{self.client.seq + 1}-0")
            published = [json.loads(fields[b"m"].partition(b"\n")[2])["data"] for _, fields in log]
        else:
            published = events(self.reader, self.run, self.client.seq)
        for data in published:
            self.client.on_message(data)
        self.repeat()
        if known[0] is not None:
            self.client.agrees(snapshot(self.reader, self.run))
        for step, text in self.client.shown.items():
            places = [divmod(ord(character) - FIRST, WIDTH) for character in text]
            assert len({generation for generation, _ in places}) <= 1, f"{step} shows discarded text"
            assert places == sorted(set(places)), f"{step} shows text twice"


def test_the_rules_of_a_topic_hold_in_any_order_of_calls(server):
    run_state_machine_as_test(
        type("Machine", (TopicMachine,), {"server": server}),
        settings=settings(
            max_examples=100,
            stateful_step_count=40,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
