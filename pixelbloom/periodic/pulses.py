"""Pulses: the sign of life of beat and of each worker that it sends to. They are in Redis and need no database."""

from typing import cast

import redis

from pixelbloom.periodic.verdict import WATCHED

KEY = "pb:pulse:{name}"
#: A pulse older than this is forgotten; its sender then counts as one that never ran.
FORGET_SECONDS = 24 * 3600


class Pulses:
    """The last pulse of each sender. Every method may raise RedisError.

    Ages are measured by the keys' remaining time to live, so the clocks of the machines do not matter.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def record(self, name: str) -> None:
        """Record a pulse of this sender now."""
        self._client.set(KEY.format(name=name), 1, ex=FORGET_SECONDS)

    def ages(self) -> dict[str, float]:
        """Return by name the seconds since the last pulse of each watched sender. Senders without one are absent."""
        pipe = self._client.pipeline(transaction=False)
        for name in WATCHED:
            pipe.pttl(KEY.format(name=name))
        left = cast("list[int]", pipe.execute())
        return {
            name: round(max(FORGET_SECONDS - milliseconds / 1000, 0.0), 1)
            for name, milliseconds in zip(WATCHED, left, strict=True)
            if milliseconds >= 0
        }
