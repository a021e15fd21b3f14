"""`lead_trends`, `conversation_trends` and `kpis`: figures that are recomputed when their data changes.

Subscribers of the same figures of the same days share one `Figures`: it is notified of changes, computes at most once
a second among all web processes, and publishes the result through Redis.
"""

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import structlog
from pydantic import ConfigDict, ValidationError

from pixelbloom.analytics.ranges import Range
from pixelbloom.auth.principal import Principal
from pixelbloom.core.validation_messages import sentence
from pixelbloom.errors import InvalidInput, PixelBloomError, RateLimited
from pixelbloom.events.publisher import dumps
from pixelbloom.events.reader import Recovered, Snapshot, snapshot_frame
from pixelbloom.events.topics import ANALYTICS, Topic, admins_feed, figures, user_feed
from pixelbloom.web.realtime.hub import Hub
from pixelbloom.web.realtime.sources import Found
from pixelbloom.web.realtime.subscriptions import FeedWatch
from pixelbloom.web.realtime.turns import fair_order

log = structlog.get_logger(__name__)

#: Computes the figures of one user's data, or of everybody's for None. May raise Unavailable.
Compute = Callable[[UUID | None, Range], Any]

#: The events that change the figures: "data_changed" may be about anything.
_LEADS = frozenset({"lead_created", "lead_analyzed", "data_changed"})
_CONVERSATIONS = frozenset({"message_created", "conversation_deleted", "data_changed"})
_SUBSCRIPTIONS = frozenset({"subscription_created", "subscription_updated"})
CHANGED_BY: Mapping[str, frozenset[str]] = {
    "lead_trends": _LEADS,
    "conversation_trends": _CONVERSATIONS,
    "kpis": _LEADS | _CONVERSATIONS | _SUBSCRIPTIONS,
}

SECOND = 1.0
#: Figures up to today change with the date; how often the date is checked.
DATE_SECONDS = 30.0
RETRY_SECONDS = (1.0, 30.0)
#: Time until the next attempt to acquire a refresh.
REFRESH_POLL_SECONDS = 0.3
COMPUTERS = 4
#: The number of different figures one caller may follow in a process.
FIGURES_PER_USER = 20
#: The number of one user's new subscriptions that are computed at the same time.
FIRST_AT_ONCE = 2


class Params(Range):
    """The parameters of a subscription to figures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def read(cls, params: Mapping[str, Any]) -> "Params":
        """Validate the parameters. Raises InvalidInput."""
        try:
            return cls.model_validate(params)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            name = ".".join(str(part)[:100] for part in ("params", *first["loc"]))
            raise InvalidInput(f"{name} {sentence(first)}.") from None


class Figures:
    """The figures of one kind, scope and range, and when to compute them."""

    def __init__(
        self, topic: Topic, scope: UUID | None, params: Params, compute: Compute, gate: threading.BoundedSemaphore
    ) -> None:
        digest = hashlib.sha256(params.model_dump_json().encode()).hexdigest()[:16]
        self.topic = topic
        self.scope = scope
        self.name = figures(topic.kind, scope, digest)
        self.followers = 0
        self.due: float | None = None
        self.wait = RETRY_SECONDS[0]
        #: The feed's position at the last known change.
        self.epoch, self.at = "", 0
        self._params = params
        self._compute = compute
        self._gate = gate
        self._days = params.resolve().days
        self._fresh: tuple[float, Any] | None = None
        self._lock = threading.Lock()

    @property
    def position(self) -> str:
        """Identifies, together with `at`, the data that figures reflect."""
        return f"{self.epoch} {self._days[0]} {self._days[1]}"

    def mark_changed(self, epoch: str, at: int) -> None:
        """Record that the data has changed, and make the figures due."""
        self.epoch, self.at = epoch, at
        self._fresh = None
        if self.due is None:
            self.due = time.monotonic()

    def day_changed(self) -> bool:
        """Update the days of the range; return whether they changed."""
        days = self._params.resolve().days
        if days == self._days:
            return False
        self._days = days
        self._fresh = None
        return True

    def compute(self) -> Any:
        """Compute the current figures."""
        return self._compute(self.scope, self._params)

    def shared(self) -> Any:
        """Return the figures, computed once for all callers within a second without changes."""
        with self._lock:
            fresh = self._fresh
            if fresh is None or time.monotonic() - fresh[0] > SECOND:
                with self._gate:
                    began = time.monotonic()
                    fresh = self._fresh = (began, self.compute())
            return fresh[1]


class FiguresSource:
    """All figures that the sockets of this process follow."""

    def __init__(self, hub: Hub, computed: Mapping[str, Compute], per_user: int = FIGURES_PER_USER) -> None:
        self._hub = hub
        self._computed = computed
        self._per_user = per_user
        self._subscribed: dict[str, Counter[str]] = {}
        self._gates: dict[UUID | None, threading.BoundedSemaphore] = {}
        self._served: dict[UUID | None, float] = {}
        self._changed = threading.Condition()
        self._followed: dict[str, Figures] = {}
        self._watches: dict[UUID | None, FeedWatch] = {}
        self._thread: threading.Thread | None = None

    def open(self, topic: Topic, principal: Principal, params: Mapping[str, Any]) -> "FiguresStream":
        """Follow figures. Raises InvalidInput for an invalid range, RateLimited for too many different figures."""
        scope = None if principal.sees_all else principal.user_id
        read, start = Params.read(params), None
        with self._changed:
            gate = self._gates.get(scope) or threading.BoundedSemaphore(FIRST_AT_ONCE)
            made = Figures(topic, scope, read, self._computed[topic.kind], gate)
            subscribed = self._subscribed.get(principal.caller, Counter())
            if principal.kind != "service" and made.name not in subscribed and len(subscribed) >= self._per_user:
                raise RateLimited(
                    f"You may follow {self._per_user} different figures at once; unsubscribe from one.", 1.0
                )
            subscribed[made.name] += 1
            self._subscribed[principal.caller] = subscribed
            self._gates[scope] = gate
            followed = self._followed.setdefault(made.name, made)
            followed.followers += 1
            if scope not in self._watches:
                start = self._watches[scope] = FeedWatch(self._hub, _feed(scope), self._on_change(scope))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="figures", daemon=True)
                self._thread.start()
        if start is not None:
            start.start()
        return FiguresStream(self, followed, principal.caller)

    def read(self, followed: Figures, since: int | None, epoch: str | None) -> Found:
        """Return the events after `since`, or the current figures."""
        owner = str(followed.scope or "")
        end = self._hub.reader.stream(followed.name, since, epoch)
        if end.messages is not None:
            self._renew_if_changed(followed)
            return Recovered(end.epoch, end.seq, owner, end.messages)
        data = dumps(followed.shared()).encode()
        return Snapshot(end.epoch, end.seq, owner, snapshot_frame(followed.topic, data, end.seq))

    def _renew_if_changed(self, followed: Figures) -> None:
        """Make the figures due: they were not computed while nobody followed them."""
        with self._changed:
            watch = self._watches.get(followed.scope)
            if watch is not None:
                followed.mark_changed(watch.epoch or "", watch.seq)
                self._changed.notify_all()

    def close(self, followed: Figures, caller: str) -> None:
        """Remove one follower."""
        with self._changed:
            subscribed = self._subscribed[caller]
            subscribed[followed.name] -= 1
            if not subscribed[followed.name]:
                del subscribed[followed.name]
            if not subscribed:
                del self._subscribed[caller]
            followed.followers -= 1
            if followed.followers:
                return
            self._followed.pop(followed.name, None)
            if any(other.scope == followed.scope for other in self._followed.values()):
                return
            watch = self._watches.pop(followed.scope, None)
            self._gates.pop(followed.scope, None)
            self._served.pop(followed.scope, None)
            self._changed.notify_all()
        if watch is not None:
            self._hub.unsubscribe(watch)

    def _on_change(self, scope: UUID | None) -> Callable[[str, str, int], None]:
        def on_event(kind: str, epoch: str, at: int) -> None:
            with self._changed:
                for followed in self._followed.values():
                    if followed.scope == scope and kind in CHANGED_BY[followed.topic.kind]:
                        followed.mark_changed(epoch, at)
                self._changed.notify_all()

        return on_event

    def _run(self) -> None:
        checked_at = time.monotonic()
        with ThreadPoolExecutor(COMPUTERS, thread_name_prefix="figures") as pool:
            while True:
                with self._changed:
                    if not self._followed:
                        self._thread = None
                        return
                    moment = time.monotonic()
                    due = [one for one in self._followed.values() if one.due is not None and one.due <= moment]
                    if not due:
                        nearest = min((one.due for one in self._followed.values() if one.due is not None), default=None)
                        rest = checked_at + DATE_SECONDS if nearest is None else min(nearest, checked_at + DATE_SECONDS)
                        self._changed.wait(max(rest - moment, 0.0))
                    due = fair_order(due, lambda one: one.scope, self._served, COMPUTERS)
                    for one in due:
                        one.due = None
                        self._served[one.scope] = moment
                if time.monotonic() - checked_at >= DATE_SECONDS:
                    checked_at = time.monotonic()
                    self._check_date()
                list(pool.map(self._renew, due))

    def _check_date(self) -> None:
        with self._changed:
            for followed in self._followed.values():
                if followed.day_changed():
                    followed.mark_changed(followed.epoch, followed.at)

    def _renew(self, followed: Figures) -> None:
        """Compute and publish the figures, if this process acquires the refresh."""
        position, at = followed.position, followed.at
        try:
            acquired = self._hub.publisher.try_acquire_refresh(followed.name, position, at)
            if acquired > 0:
                data = followed.compute()
                self._hub.publisher.figures(followed.name, followed.topic, data, position, at)
            followed.wait, again = RETRY_SECONDS[0], REFRESH_POLL_SECONDS if acquired == 0 else None
        except Exception as error:
            if not isinstance(error, PixelBloomError):
                log.exception("figures_failed", topic=followed.topic.name)
            again, followed.wait = followed.wait, min(followed.wait * 2, RETRY_SECONDS[1])
        if again is not None:
            with self._changed:
                followed.due = time.monotonic() + again


class FiguresStream:
    """One subscription to figures."""

    def __init__(self, source: FiguresSource, followed: Figures, caller: str) -> None:
        self._source = source
        self._followed = followed
        self._caller = caller
        self._open = True

    @property
    def name(self) -> str:
        return self._followed.name

    def read(self, since: int | None, epoch: str | None) -> Found:
        return self._source.read(self._followed, since, epoch)

    def allows(self, principal: Principal, found: Found) -> bool:  # noqa: ARG002
        return principal.may_read(self._followed.scope)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._source.close(self._followed, self._caller)


def _feed(scope: UUID | None) -> str:
    return admins_feed(ANALYTICS) if scope is None else user_feed(scope, ANALYTICS)
