"""Watching a run with the client: its progress, its texts and its end, over lost connections."""

from uuid import uuid4

import pytest

from pixelbloom.client import (
    RunEnded,
    RunProgress,
    RunText,
    RunWatcher,
)
from pixelbloom.core.backoff import Backoff
from pixelbloom.errors import NotFound
from tests.servers.websocket import Act, Peer, ScriptedServer
from tests.servers.workflows import as_steps


def watch(acts: list[Act]) -> tuple[RunWatcher, ScriptedServer, str]:
    run_id = uuid4()
    server = ScriptedServer(acts)
    return (
        RunWatcher(server.url, "t", run_id, backoff=Backoff(0.01, 0.02)),
        server,
        f"workflow_run:{run_id}",
    )


def test_a_watched_run_yields_its_progress_its_text_and_its_end() -> None:
    def play(peer: Peer) -> None:
        topic = peer.take("subscribe")["topic"]
        peer.subscribed(topic, 3)
        peer.event(topic, 3, snapshot=True, status="running", progress=0.1, step="s", text="Hel")
        peer.event(topic, 4, status="running", progress=0.2, step="s", delta="lo", offset=3)
        peer.event(topic, 5, status="completed", progress=1, step="s", result={"a": 1})
        peer.wait_until_gone()

    watcher, server, _ = watch([play])
    with server, watcher:
        assert list(watcher) == [
            RunText("Hel", 0, restart=False, step="s"),
            RunProgress("running", 0.1, "s"),
            RunText("lo", 3, restart=False, step="s"),
            RunProgress("running", 0.2, "s"),
            RunProgress("completed", 1.0, "s"),
            RunEnded(
                "completed",
                {"a": 1},
                None,
                {"status": "completed", "progress": 1, "step": "s", "result": {"a": 1}},
            ),
        ]


def texts(acts: list[Act]) -> list[tuple[str, int, bool]]:
    watcher, server, _ = watch(acts)
    with server, watcher:
        return [(e.text, e.offset, e.restart) for e in watcher if isinstance(e, RunText)]


def test_text_is_not_repeated_when_a_snapshot_follows_a_lost_connection() -> None:
    def first(peer: Peer) -> None:
        topic = peer.take("subscribe")["topic"]
        peer.subscribed(topic, 1)
        peer.event(topic, 1, snapshot=True, status="running", text="")
        peer.event(topic, 2, status="running", delta="one ", offset=0)
        peer.drop()

    def second(peer: Peer) -> None:
        topic = peer.take("subscribe")["topic"]
        peer.subscribed(topic, 1, epoch="e2", recovered=False)
        peer.event(topic, 1, snapshot=True, status="running", text="one two ")
        peer.event(topic, 2, status="running", delta="three", offset=8)
        peer.event(topic, 3, status="completed", result={})
        peer.wait_until_gone()

    assert texts([first, second]) == [("one ", 0, False), ("two ", 4, False), ("three", 8, False)]


def test_discarded_text_is_yielded_as_a_restart() -> None:
    def play(peer: Peer) -> None:
        topic = peer.take("subscribe")["topic"]
        peer.subscribed(topic, 1)
        peer.event(topic, 1, snapshot=True, status="running", text="wrong")
        peer.event(topic, 2, status="running", delta="right", offset=0, reset=True)
        peer.subscribed(topic, 1, epoch="e2", recovered=False)
        peer.event(topic, 1, snapshot=True, status="running", text="better")
        peer.event(topic, 2, status="completed", result={})
        peer.wait_until_gone()

    assert texts([play]) == [("wrong", 0, False), ("right", 0, True), ("better", 0, True)]


def test_a_hole_in_the_text_shows_in_the_offset() -> None:
    def play(peer: Peer) -> None:
        topic = peer.take("subscribe")["topic"]
        peer.subscribed(topic, 1)
        peer.event(topic, 1, snapshot=True, status="running", text="ab")
        peer.event(topic, 5, status="running", delta="yz", offset=24)
        peer.event(topic, 6, status="completed", result={})
        peer.wait_until_gone()

    assert texts([play]) == [("ab", 0, False), ("yz", 24, False)]


def test_concurrent_steps_have_separate_texts() -> None:
    both = {"a": "running", "b": "running"}

    def play(peer: Peer) -> None:
        topic = peer.take("subscribe")["topic"]
        peer.subscribed(topic, 1)
        peer.event(
            topic, 1, snapshot=True, status="running", steps=as_steps(both), text="xy", texts={"a": "one", "b": "xy"}
        )
        peer.event(topic, 2, status="running", step="a", delta=" two", offset=3)
        peer.event(topic, 3, status="running", step="b", delta="new", offset=0, reset=True)
        peer.event(topic, 4, status="running", step="a", delta=" three", offset=7)
        peer.event(topic, 5, status="running", step="a", steps=as_steps({"a": "completed", "b": "running"}))
        peer.event(topic, 6, status="completed", outputs={"a": 1}, steps=as_steps({"a": "completed", "b": "completed"}))
        peer.wait_until_gone()

    watcher, server, _ = watch([play])
    with server, watcher:
        yielded = list(watcher)
    assert [(e.step, e.text, e.offset, e.restart) for e in yielded if isinstance(e, RunText)] == [
        ("a", "one", 0, False),
        ("b", "xy", 0, False),
        ("a", " two", 3, False),
        ("b", "new", 0, True),
        ("a", " three", 7, False),
    ]
    steps = [e.steps for e in yielded if isinstance(e, RunProgress)]
    assert steps[0] == steps[1] == both
    assert steps[-1] == {"a": "completed", "b": "completed"}
    assert isinstance(yielded[-1], RunEnded)
    assert yielded[-1].result == {"a": 1}


def test_a_step_that_restarted_during_a_lost_connection_is_yielded_from_its_beginning() -> None:
    """Another step ended meanwhile: its text stays."""

    def play(peer: Peer) -> None:
        topic = peer.take("subscribe")["topic"]
        steps = {"a": "running", "b": "running"}
        peer.subscribed(topic, 1)
        peer.event(
            topic,
            1,
            snapshot=True,
            status="running",
            steps=as_steps(steps),
            text="",
            texts={"a": "wrong", "b": "right"},
        )
        peer.subscribed(topic, 1, epoch="e2", recovered=False)
        steps = {"a": "running", "b": "completed"}
        peer.event(topic, 1, snapshot=True, status="running", steps=as_steps(steps), text="", texts={})
        peer.event(topic, 2, status="running", step="a", delta="better", offset=0)
        peer.event(topic, 3, status="completed", outputs={})
        peer.wait_until_gone()

    watcher, server, _ = watch([play])
    with server, watcher:
        assert [(e.step, e.text, e.restart) for e in watcher if isinstance(e, RunText)] == [
            ("a", "wrong", False),
            ("b", "right", False),
            ("a", "", True),
            ("a", "better", False),
        ]


def test_a_run_that_does_not_exist_is_not_found() -> None:
    def refuse(peer: Peer) -> None:
        topic = peer.take("subscribe")["topic"]
        peer.send(type="error", code="INVALID_TOPIC", message="No such run.", topic=topic)
        peer.wait_until_gone()

    watcher, server, _ = watch([refuse])
    with server, watcher, pytest.raises(NotFound, match="was not found"):
        list(watcher)


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_wait_returns_the_end_of_a_failed_run(status: str) -> None:
    def play(peer: Peer) -> None:
        topic = peer.take("subscribe")["topic"]
        peer.subscribed(topic, 1)
        peer.event(topic, 1, snapshot=True, status=status, progress=0.5, error="It broke.")
        peer.wait_until_gone()

    watcher, server, _ = watch([play])
    with server, watcher:
        end = watcher.wait()
    assert (end.status, end.result, end.error, end.completed) == (status, None, "It broke.", False)
