from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelbloom.client.frames import FlatEvent, Pong, Problem, Subscribed, TopicEvent, Unsubscribed, parse

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
anything = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=8), inner))
kinds = st.sampled_from(["event", "subscribed", "unsubscribed", "error", "pong", "lead_created"])


@pytest.mark.parametrize(
    ("frame", "meaning"),
    [
        (
            {"type": "subscribed", "channel": "workflows", "topic": "t", "seq": 7, "epoch": "k3", "recovered": True},
            Subscribed("t", 7, "k3", recovered=True),
        ),
        (
            {"type": "event", "channel": "workflows", "topic": "t", "data": {"a": 1}, "seq": 8, "ts": "ISO"},
            TopicEvent("workflows", "t", {"a": 1}, 8, "ISO", snapshot=False),
        ),
        (
            {"type": "event", "channel": "c", "topic": "t", "data": [], "seq": 8, "ts": "ISO", "snapshot": True},
            TopicEvent("c", "t", [], 8, "ISO", snapshot=True),
        ),
        ({"type": "lead_created", "data": {"lead_id": "x"}}, FlatEvent("lead_created", {"lead_id": "x"})),
        ({"type": "unsubscribed", "topic": "t"}, Unsubscribed("t")),
        ({"type": "error", "code": "BAD_REQUEST", "message": "m"}, Problem("BAD_REQUEST", "m", None)),
        ({"type": "pong"}, Pong()),
        ({"type": "what"}, None),
        ([], None),
    ],
)
def test_each_frame_of_the_contract_has_its_value(frame: Any, meaning: object) -> None:
    assert parse(frame) == meaning


@given(
    st.fixed_dictionaries(
        {"type": kinds | anything},
        optional=dict.fromkeys(
            ["topic", "data", "seq", "epoch", "recovered", "snapshot", "code", "message", "ts", "channel"], anything
        ),
    )
    | anything
)
def test_any_frame_is_parsed_or_rejected(frame: Any) -> None:
    parse(frame)
