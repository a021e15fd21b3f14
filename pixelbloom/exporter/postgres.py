"""The metrics of what Postgres holds."""

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from pixelbloom.runs.status import Priority

#: Of these many users the depth of the backlog is exported, the deepest first. Ranks, unlike ids, are few series.
RANKS = 5
PRIORITIES = {str(priority.number): priority.value for priority in Priority}
RUN_STATUSES = ("queued", "running")
ENDED_STATUSES = ("completed", "failed", "cancelled")
STRIPE_STATUSES = ("received", "failed")
#: (metric, what it is, its place among the figures)
SINGLE = (
    ("sweep_age_seconds", "Time since the last sweep while a step is at the broker or under a lease, else 0", "sweep"),
    ("steps_delayed", "Steps that wait for their time: a backoff, or the time of their run", "delayed"),
    ("steps_running", "Steps under a lease", "running"),
    ("leases_overdue", "Leases that have expired and were not swept yet", "overdue"),
    ("approvals_waiting", "Steps that wait for a decision", "waiting"),
    ("agent_slots", "Steps that the agents workers execute at once, as they reported it", "slots"),
    ("outbox_events", "Events of the outbox that are due", "outbox.count"),
    ("outbox_oldest_seconds", "Time for which the oldest due event of the outbox has been due", "outbox.oldest"),
    ("webhooks_due", "Webhooks that are due, without those of unreachable hosts", "webhooks.count"),
    ("webhooks_oldest_seconds", "Time for which the oldest of them has been due", "webhooks.oldest"),
    ("webhook_hosts_unreachable", "Hosts of webhooks that are skipped for a while", "hosts"),
    ("stripe_oldest_seconds", "Time for which the oldest due event of Stripe has been due", "stripe_oldest"),
    ("schedules_overdue", "Schedules whose time has come and that have not fired", "schedules.count"),
    ("schedules_oldest_seconds", "Time for which the first of them has been due", "schedules.oldest"),
    ("database_connections", "Connections to the database server", "connections.used"),
    ("database_connections_max", "Connections that the database server allows", "connections.allowed"),
)


def families(figures: Mapping[str, Any]) -> Iterator[Metric]:
    """Return the metrics of the figures, zeros included."""
    for name, what, place in SINGLE:
        yield GaugeMetricFamily(f"pixelbloom_{name}", what, _at(figures, place))

    yield _by_label("runs", "Runs that have not ended", "status", RUN_STATUSES, figures["runs"])
    yield _by_label(
        "runs_ended_recently", "Runs that ended in the last 5 minutes", "status", ENDED_STATUSES, figures["ended"]
    )
    yield _by_label(
        "stripe_events", "Events of Stripe to process, and those given up", "status", STRIPE_STATUSES, figures["stripe"]
    )
    for key, name, what in (
        ("backlog", "backlog", "Steps that wait for admission"),
        ("published", "published", "Steps that wait at the broker"),
    ):
        counts = GaugeMetricFamily(f"pixelbloom_{name}_steps", what, labels=["priority"])
        ages = GaugeMetricFamily(
            f"pixelbloom_{name}_oldest_seconds", f"{what}: how long the oldest has waited", labels=["priority"]
        )
        for number, priority in PRIORITIES.items():
            found = figures[key].get(number, {})
            counts.add_metric([priority], found.get("count", 0))
            ages.add_metric([priority], found.get("oldest", 0.0))
        yield from (counts, ages)

    users = GaugeMetricFamily(
        "pixelbloom_user_backlog_steps", "Steps that wait for admission, of the users with most", labels=["rank"]
    )
    deepest = [*figures["users"], *[0] * RANKS][:RANKS]
    for rank, count in enumerate(deepest, 1):
        users.add_metric([str(rank)], count)
    yield users

    tasks = GaugeMetricFamily(
        "pixelbloom_periodic_task_overdue_seconds", "Time for which an infrequent task has been due", labels=["task"]
    )
    for task, seconds in sorted(figures["periodic"].items()):
        tasks.add_metric([task], seconds)
    yield tasks


def _at(figures: Mapping[str, Any], place: str) -> float:
    value: Any = figures
    for part in place.split("."):
        value = value[part]
    return float(value)


def _by_label(name: str, what: str, label: str, values: tuple[str, ...], found: Mapping[str, Any] | None) -> Metric:
    family = GaugeMetricFamily(f"pixelbloom_{name}", what, labels=[label])
    for value in values:
        family.add_metric([value], (found or {}).get(value, 0))
    return family
