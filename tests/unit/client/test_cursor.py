from hypothesis import given
from hypothesis import strategies as st

from pixelbloom.client.cursor import Cursor
from pixelbloom.client.frames import Subscribed, TopicEvent


def event(seq: int | None) -> TopicEvent:
    return TopicEvent("workflows", "t", {}, seq, None, snapshot=False)


@given(st.lists(st.integers(0, 30)))
def test_admitted_sequence_numbers_only_increase(seqs: list[int]) -> None:
    cursor = Cursor("t")
    admitted = [seq for seq in seqs if cursor.admit(event(seq))]
    assert admitted == sorted(set(admitted))


def test_a_resumed_topic_continues_where_it_stopped() -> None:
    cursor = Cursor("t", since=4, epoch="e1")
    cursor.joined(Subscribed("t", 9, "e1", recovered=True))
    assert [seq for seq in (3, 4, 5) if cursor.admit(event(seq))] == [5]


def test_a_new_epoch_restarts_the_sequence() -> None:
    cursor = Cursor("t", since=4, epoch="e1")
    cursor.joined(Subscribed("t", 1, "e2", recovered=False))
    assert cursor.admit(event(1))
    assert cursor.request() == {"type": "subscribe", "topic": "t", "since": 1, "epoch": "e2"}


def test_since_without_an_epoch_is_trusted_if_the_server_recovered() -> None:
    cursor = Cursor("t", since=4)
    cursor.joined(Subscribed("t", 9, "e1", recovered=True))
    assert not cursor.admit(event(4))
    assert cursor.request()["epoch"] == "e1"


def test_the_params_are_sent_with_every_request() -> None:
    assert Cursor("kpis", {"aggregation": "daily"}).request() == {
        "type": "subscribe",
        "topic": "kpis",
        "params": {"aggregation": "daily"},
    }


def test_an_event_without_a_number_is_always_new() -> None:
    cursor = Cursor("t", since=4)
    assert cursor.admit(event(None))
    assert cursor.admit(event(None))
