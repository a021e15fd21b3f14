"""Text and states of concurrent steps in any order of calls: none lost, none repeated."""

import json
from collections.abc import Iterator
from itertools import combinations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from pixelbloom.events.publisher import Publisher
from pixelbloom.events.reader import TopicReader
from pixelbloom.events.topics import Keys, Topic
from pixelbloom.events.types import RunDelta, RunUpdate, statuses
from tests.integration.events.steps import Client, events, fields_of_steps, snapshot, wipe
from tests.servers.redis import OwnRedis
from tests.servers.workflows import Attempt, SomeWorkflow


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
