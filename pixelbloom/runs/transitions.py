"""Stores the transitions of runs. Each is one SQL function; the hot ones use group commit."""

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pixelbloom.database.gateway import Gateway
from pixelbloom.database.group_commit import GroupCommit

JsonObject = dict[str, Any]

#: Outbox rows to acknowledge that a process remembers; the relay publishes the others again, and they are dropped.
MAX_PUBLISHED = 2_000


class RunTransitions:
    """The transitions of runs in Postgres. Every method may raise Unavailable."""

    def __init__(self, gateway: Gateway, *, user_queue_limit: int, lease_seconds: float) -> None:
        self._gateway = gateway
        self._user_queue_limit = user_queue_limit
        self._lease_seconds = lease_seconds
        self._published: deque[int] = deque(maxlen=MAX_PUBLISHED)
        self._creating: GroupCommit[JsonObject] = GroupCommit(self._create)
        self._claiming: GroupCommit[JsonObject] = GroupCommit(self._claim)
        self._finishing: GroupCommit[JsonObject] = GroupCommit(self._finish)

    # Submit

    def create(self, run: JsonObject) -> JsonObject:
        """Insert a run with its steps. Return {"id", "created", "conflict", "status", ..., "publish", "updates"}."""
        return self._creating.submit(run)

    def _create(self, runs: Sequence[JsonObject]) -> Sequence[JsonObject]:
        result = self._gateway.rpc(
            "create_runs",
            {"p_runs": list(runs), "p_user_queue_limit": self._user_queue_limit, "p_published": self._acknowledged()},
        )
        return shared(result["runs"], publish=result["publish"], updates=result["updates"])

    # Execute

    def claim(self, run_id: UUID, key: str, worker: str, claim: str) -> JsonObject:
        """Claim a step under a lease. Return {"outcome": "claimed" | "done" | "leased" | "not_ready" | "gone", ...}.

        `claim` is the claim id, one per attempt to claim: repeated with the same id, the call returns the same.
        """
        return self._claiming.submit({"run_id": str(run_id), "key": key, "worker": worker, "claim": claim})

    def _claim(self, items: Sequence[JsonObject]) -> Sequence[JsonObject]:
        result: list[JsonObject] = self._gateway.rpc(
            "claim_steps",
            {
                "p_items": list(items),
                "p_worker": items[0]["worker"],
                "p_lease_seconds": self._lease_seconds,
                "p_published": self._acknowledged(),
            },
        )
        return result

    def finish(self, item: JsonObject) -> JsonObject:
        """Record how a step ended. Return {"outcome": "recorded" | "already" | "stale", "update", "publish"}."""
        return self._finishing.submit(item)

    def _finish(self, items: Sequence[JsonObject]) -> Sequence[JsonObject]:
        result = self._gateway.rpc(
            "finish_steps",
            {
                "p_items": list(items),
                "p_user_queue_limit": self._user_queue_limit,
                "p_published": self._acknowledged(),
            },
        )
        return shared(result["items"], publish=result["publish"])

    def acknowledge(self, outbox_ids: Sequence[int]) -> None:
        """Remember that these outbox rows are published; the next hot call deletes them.

        Rows whose acknowledgement is lost with a call or a process are published again, and dropped as known.
        """
        self._published.extend(outbox_ids)

    def _acknowledged(self) -> list[int]:
        ids: list[int] = []
        while self._published:
            try:
                ids.append(self._published.popleft())
            except IndexError:  # another thread took the last one
                break
        return ids

    def renew(self, leases: Sequence[JsonObject]) -> Sequence[JsonObject]:
        """Renew leases. Return {"held", "cancel"} for each lease, in order."""
        result: list[JsonObject] = self._gateway.rpc(
            "renew_leases", {"p_items": list(leases), "p_lease_seconds": self._lease_seconds}
        )
        return result

    def report_worker(self, worker: str, slots: int) -> None:
        """Report the number of steps that an agents worker executes at once; 0 means that it ends."""
        self._gateway.rpc("report_worker", {"p_worker": worker, "p_slots": slots})

    def sweep(self, *, interval_seconds: float, lost_before: Mapping[int, datetime], limit: int) -> JsonObject:
        """Recover the work of dead processes. Return {"skipped": true} if another sweep is running.

        `lost_before` maps each priority to a time; steps published before it count as lost.
        """
        result: JsonObject = self._gateway.rpc(
            "sweep_runs",
            {
                "p_interval_seconds": interval_seconds,
                "p_lease_seconds": self._lease_seconds,
                "p_lost_before": {str(priority): moment.isoformat() for priority, moment in lost_before.items()},
                "p_user_queue_limit": self._user_queue_limit,
                "p_limit": limit,
            },
        )
        return result

    # Control

    def cancel(self, run_id: UUID) -> JsonObject:
        """Ask a run to stop. Return {"outcome": "cancelled" | "requested" | "finished" | "gone", "status", ...}."""
        result: JsonObject = self._gateway.rpc(
            "cancel_run", {"p_run_id": str(run_id), "p_user_queue_limit": self._user_queue_limit}
        )
        return result

    def retry(self, run_ids: Sequence[UUID]) -> JsonObject:
        """Retry ended runs. Return {"items": [{"outcome": "retried" | "not_failed" | "gone", ...}], "publish"}."""
        result: JsonObject = self._gateway.rpc(
            "retry_runs",
            {"p_items": [{"run_id": str(i)} for i in run_ids], "p_user_queue_limit": self._user_queue_limit},
        )
        return result

    def decide(self, run_id: UUID, key: str, *, approved: bool, comment: str | None, by: str) -> JsonObject:
        """Decide a waiting step. Return {"outcome": "decided" | "already" | "not_waiting" | "gone", "status", ...}."""
        result: JsonObject = self._gateway.rpc(
            "decide_step",
            {
                "p_run_id": str(run_id),
                "p_key": key,
                "p_approved": approved,
                "p_comment": comment,
                "p_by": by,
                "p_user_queue_limit": self._user_queue_limit,
            },
        )
        return result

    def purge(self, before: datetime, limit: int) -> int:
        """Delete at most `limit` runs that ended before `before`. Return the number deleted."""
        deleted: int = self._gateway.rpc("purge_runs", {"p_before": before.isoformat(), "p_limit": limit})
        return deleted


def shared(items: Sequence[JsonObject], **common: Any) -> list[JsonObject]:
    """Add the result of the whole bulk to the first item only, so that it is acted on once."""
    return [{**item, **(common if n == 0 else {name: [] for name in common})} for n, item in enumerate(items)]
