"""Outgoing frames, encoded once for all sockets."""

from collections.abc import Sequence
from typing import Any

import orjson

PING = b"\x89\x00"
_TEXT, _CLOSE, _PONG = 0x81, 0x88, 0x8A


def encode(payload: bytes, opcode: int = _TEXT) -> bytes:
    """Encode a complete server frame: unmasked, not compressed."""
    size = len(payload)
    if size < 126:
        return bytes((opcode, size)) + payload
    if size < 65536:
        return bytes((opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((opcode, 127)) + size.to_bytes(8, "big") + payload


def pong(payload: bytes) -> bytes:
    """Encode the response to a ping."""
    return encode(payload, _PONG)


def close(code: int, reason: str = "") -> bytes:
    """Encode a close frame; the reason is truncated to fit. 1005 and 1006 must not be sent: the code is omitted."""
    if code in (1005, 1006):
        return encode(b"", _CLOSE)
    text = reason.encode()[:123].decode("utf-8", "ignore").encode()
    return encode(code.to_bytes(2, "big") + text, _CLOSE)


class Frame:
    """One JSON text to be sent, with the metadata that sockets need without decoding it.

    A topic's event has `epoch`, `seq` and `kind` (the run's status, or "delta"). A flat event names the topic that
    covers it and that topic's position. Other frames have seq 0.
    """

    __slots__ = (
        "body",
        "cover",
        "cover_epoch",
        "cover_seq",
        "epoch",
        "event",
        "kind",
        "sent_ms",
        "seq",
        "topic",
        "wire",
    )

    def __init__(self, body: bytes, *, topic: str = "", epoch: str = "", seq: int = 0, kind: str = "") -> None:
        self.body = body
        self.wire = encode(body)
        #: The encoding for event streams, created on first use.
        self.event: bytes | None = None
        self.topic = topic
        self.epoch = epoch
        self.seq = seq
        self.kind = kind
        self.sent_ms = 0
        self.cover = ""
        self.cover_epoch = ""
        self.cover_seq = 0

    @classmethod
    def of(cls, message: dict[str, Any]) -> "Frame":
        """Encode a message of this process."""
        return cls(orjson.dumps(message))

    @classmethod
    def parse(cls, topic: str, message: bytes) -> "Frame":
        """Parse a message of the publisher (see lua/prelude.lua). Raises ValueError if it is malformed."""
        header, _, body = message.partition(b"\n")
        epoch, seq, kind, sent, cover, cover_epoch, cover_seq = header.decode().split(" ")
        frame = cls(body, topic=topic, epoch=epoch, seq=int(seq), kind=kind)
        frame.sent_ms = int(sent)
        if cover != "-":
            frame.cover, frame.cover_epoch, frame.cover_seq = cover, cover_epoch, int(cover_seq)
        return frame


def merge_deltas(frames: Sequence[Frame]) -> list[Frame]:
    """Merge consecutive deltas of a topic's step into one, to save bytes.

    A merged delta has the concatenated text and the last `seq`. States and deltas of other steps are not moved.
    """
    merged: list[Frame] = []
    open_runs: dict[str, tuple[int, str, list[Frame]]] = {}
    for frame in frames:
        open_run = open_runs.get(frame.topic)
        step = _step(frame) if frame.kind == "delta" else None
        if open_run is not None and open_run[1] == step:
            open_run[2].append(frame)
            continue
        if open_run is not None:
            at, _, run = open_runs.pop(frame.topic)
            merged[at] = _merge(run)
        if step is not None:
            open_runs[frame.topic] = (len(merged), step, [frame])
        merged.append(frame)
    for at, _, run in open_runs.values():
        merged[at] = _merge(run)
    return merged


def _step(frame: Frame) -> str:
    return str(orjson.loads(frame.body)["data"]["step"])


def _merge(run: Sequence[Frame]) -> Frame:
    if len(run) == 1:
        return run[0]
    messages = [orjson.loads(frame.body) for frame in run]
    start = max((n for n, message in enumerate(messages) if message["data"].get("reset")), default=0)
    rest = messages[start:]
    data = {**rest[-1]["data"], "offset": rest[0]["data"]["offset"]}
    data["delta"] = "".join(message["data"]["delta"] for message in rest)
    if start or messages[0]["data"].get("reset"):
        data["reset"] = True
        data |= {name: rest[0]["data"][name] for name in ("retrying_with",) if name in rest[0]["data"]}
    last = run[-1]
    body = orjson.dumps({**rest[-1], "data": data})
    frame = Frame(body, topic=last.topic, epoch=last.epoch, seq=last.seq, kind="delta")
    frame.sent_ms = last.sent_ms
    return frame
