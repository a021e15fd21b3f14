"""Ways in which Redis loses connections and data."""

from collections.abc import Callable

from pixelbloom.events.topics import Keys
from tests.servers.redis import OwnRedis


def cut(own_redis: OwnRedis) -> None:
    """Redis ends its pub/sub connections, as it does with a subscriber that is too slow."""
    own_redis.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")


def remember(own_redis: OwnRedis, *names: str) -> Callable[[], None]:
    """Note what Redis has of these topics or feeds; calling it makes Redis have that again, as a replica does that
    took over and was a moment behind."""
    keys = [key for name in names for key in (Keys.of(name).meta, Keys.of(name).log, Keys.of(name).text)]
    dumped = {key: own_redis.client.dump(key) for key in keys}

    def put_back() -> None:
        for key, value in dumped.items():
            own_redis.client.delete(key)
            if value is not None:
                own_redis.client.restore(key, 0, value)
        cut(own_redis)

    return put_back
