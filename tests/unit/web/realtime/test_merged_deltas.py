"""What waits for a slow client is put together without mixing what steps say side by side."""

from typing import Any

import orjson

from pixelbloom.web.realtime.frames import Frame, merge_deltas


def delta(seq: int, step: str, offset: int, text: str, **more: Any) -> Frame:
    data = {"status": "running", "progress": 0.1, "step": step, "offset": offset, "delta": text, **more}
    return Frame(orjson.dumps({"type": "event", "data": data, "seq": seq}), topic="t", epoch="e", seq=seq, kind="delta")


def deltas_of(frames: list[Frame]) -> list[tuple[int, str, int, str]]:
    data = [orjson.loads(frame.body)["data"] for frame in frames]
    return [(f.seq, d["step"], d["offset"], d["delta"]) for f, d in zip(frames, data, strict=True)]


def test_consecutive_deltas_of_a_step_are_merged_and_those_of_others_stay_separate():
    frames = [delta(1, "a", 0, "on"), delta(2, "a", 2, "e"), delta(3, "b", 0, "x"), delta(4, "a", 3, "!")]
    assert deltas_of(merge_deltas(frames)) == [(2, "a", 0, "one"), (3, "b", 0, "x"), (4, "a", 3, "!")]


def test_merged_deltas_name_the_next_provider():
    frames = [delta(1, "a", 0, "x"), delta(2, "a", 0, "t", reset=True, retrying_with="fallback"), delta(3, "a", 1, "o")]
    [frame] = merge_deltas(frames)
    data = orjson.loads(frame.body)["data"]
    assert (data["delta"], data["reset"], data["retrying_with"]) == ("to", True, "fallback")


def test_a_restart_of_one_step_does_not_change_the_text_of_another():
    frames = [delta(1, "a", 0, "one"), delta(2, "b", 0, "x"), delta(3, "b", 0, "new", reset=True)]
    assert deltas_of(merge_deltas(frames)) == [(1, "a", 0, "one"), (3, "b", 0, "new")]
