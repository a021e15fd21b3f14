"""The metrics of what Redis holds: its memory, and the messages that wait for workers."""

from collections.abc import Iterator, Mapping
from typing import Any

import redis
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from pixelbloom.core.queues import AGENTS, QUEUES
from pixelbloom.runs.status import Priority, broker_list

#: (metric, what it is, its name in Redis)
GAUGES = (
    ("redis_memory_bytes", "Memory that Redis uses", "used_memory"),
    ("redis_memory_max_bytes", "Memory that Redis may use; 0: no limit of its own", "maxmemory"),
    ("redis_clients", "Connections to Redis", "connected_clients"),
    ("redis_clients_max", "Connections that Redis allows", "maxclients"),
)
COUNTERS = (
    ("redis_evicted_keys", "Keys that Redis dropped to free memory", "evicted_keys"),
    ("redis_rejected_connections", "Connections that Redis refused", "rejected_connections"),
)


def families(client: redis.Redis, *, broker: bool) -> Iterator[Metric]:
    """Return the metrics of Redis; with `broker` also the depth of Celery's queues in it. Raises RedisError."""
    pipe = client.pipeline(transaction=False)
    pipe.info()
    lists = list(_lists()) if broker else []
    for _, _, key in lists:
        pipe.llen(key)
    info, *depths = pipe.execute()

    yield from _server(info)
    if broker:
        queues = GaugeMetricFamily(
            "pixelbloom_queue_messages", "Messages that wait for a worker", labels=["queue", "priority"]
        )
        for (queue, priority, _), depth in zip(lists, depths, strict=True):
            queues.add_metric([queue, priority], depth)
        yield queues


def _server(info: Mapping[str, Any]) -> Iterator[Metric]:
    for name, what, field in GAUGES:
        if field in info:
            yield GaugeMetricFamily(f"pixelbloom_{name}", what, float(info[field]))
    for name, what, field in COUNTERS:
        if field in info:
            yield CounterMetricFamily(f"pixelbloom_{name}", what, float(info[field]))
    policy = str(info.get("maxmemory_policy", "noeviction"))
    # Without a limit nothing is evicted, whatever the policy.
    evicts = policy != "noeviction" and float(info.get("maxmemory", 0)) > 0
    yield GaugeMetricFamily("pixelbloom_redis_evicts", "1 if Redis drops keys when it is full", float(evicts))


def _lists() -> Iterator[tuple[str, str, str]]:
    """Return the queue, the priority and the key of each list of messages."""
    for queue in QUEUES:
        if queue == AGENTS:
            for priority in Priority:
                yield queue, priority.value, broker_list(priority)
        else:
            yield queue, "none", queue
