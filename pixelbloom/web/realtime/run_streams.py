"""Opening a stream of a run's events as the response to a request."""

from dataclasses import dataclass
from uuid import UUID

import orjson
from flask import Request, Response, g

from pixelbloom.auth.principal import Principal
from pixelbloom.errors import NotFound, Unavailable
from pixelbloom.events.reader import Recovered, Snapshot
from pixelbloom.events.topics import Topic, run_topic
from pixelbloom.events.types import TERMINAL
from pixelbloom.runs.model import NO_SUCH_RUN
from pixelbloom.web.realtime.hub import Hub
from pixelbloom.web.realtime.limits import Limits
from pixelbloom.web.realtime.registry import Registry
from pixelbloom.web.realtime.sources import Found, Source, Stream
from pixelbloom.web.realtime.streams import (
    HEADERS,
    MIMETYPE,
    EventStream,
    StreamResponse,
)
from pixelbloom.web.realtime.subscriptions import Fetched, Subscription


@dataclass
class VisitorsRun:
    """The stream of a run without an owner, after the visitor was checked."""

    stream: Stream

    @property
    def name(self) -> str:
        return self.stream.name

    def read(self, since: int | None, epoch: str | None) -> Found | None:
        return self.stream.read(since, epoch)

    def allows(self, principal: Principal, found: Found) -> bool:
        return principal.kind == "visitor" and not found.owner

    def close(self) -> None:
        self.stream.close()


class RunStreams:
    """The event streams of one process. They share the registry of its sockets."""

    def __init__(self, hub: Hub, registry: Registry, source: Source, limits: Limits) -> None:
        self._hub = hub
        self._registry = registry
        self._source = source
        self._limits = limits

    def follow(
        self, run_id: UUID, caller: Principal, seen: tuple[str | None, int | None], incoming: Request, address: str
    ) -> Response:
        """Return a response that streams the run's events until its end, or 204 if the client has seen the end.

        `seen` is the epoch and seq of the client's last event. The caller must have checked that a visitor may see
        the run. Raises NotFound, RateLimited past the caller's quotas, and Unavailable.
        """
        epoch, since = seen
        if incoming.method == "HEAD":
            return Response(mimetype=MIMETYPE, headers=HEADERS)
        if self._registry.draining:  # an empty stream makes EventSource reconnect; an error would not
            return Response("retry: 1000\n\n", mimetype=MIMETYPE, headers=HEADERS)
        stream = EventStream(
            incoming.environ["gunicorn.socket"],
            self._hub,
            caller,
            quotas=self._quotas(caller, address),
            limits=self._limits,
            on_end=self._registry.remove,
        )
        g.event_stream = stream  # discarded at the end of the request if not opened
        self._registry.add(stream)
        topic = Topic.parse(run_topic(run_id))
        assert topic is not None
        source = self._source.open(topic, caller, {})
        stream.subscription = Subscription(
            self._hub, topic, VisitorsRun(source) if caller.kind == "visitor" else source, stream
        )
        fetched = self._fetched(stream.subscription, since, epoch)
        if self._is_over(stream.subscription, fetched, since):
            return Response(status=204, headers={"Cache-Control": "no-store"})
        return StreamResponse(lambda head: stream.open(head, fetched, since))

    def _fetched(self, subscription: Subscription, since: int | None, epoch: str | None) -> Fetched:
        if not self._hub.subscribe(subscription):
            raise Unavailable("Events are unavailable at the moment; try again later.", 1)
        fetched = subscription.read(since, epoch)
        if fetched is None or not subscription.allowed(fetched):
            raise NotFound(NO_SUCH_RUN)
        return fetched

    def _is_over(self, subscription: Subscription, fetched: Fetched, since: int | None) -> bool:
        """Return whether a reconnecting client has seen the last event of a run that has ended."""
        if not isinstance(fetched.found, Recovered) or fetched.frames:
            return False
        present = subscription.read(None, None)
        if present is None or not isinstance(present.found, Snapshot):
            return False
        status = orjson.loads(present.found.frame)["data"]["status"]
        return present.found.epoch == fetched.found.epoch and present.found.seq == since and status in TERMINAL

    def _quotas(self, caller: Principal, address: str) -> dict[str, int]:
        """Return the maximum number of streams by counter name."""
        limits = self._limits
        if caller.kind == "service":
            return {}
        if caller.kind == "visitor" or caller.anonymous:
            return {
                caller.caller: limits.streams_per_visitor,
                f"address:{address}": limits.visitor_streams_per_address,
                "visitors": limits.visitor_streams,
            }
        return {caller.caller: limits.sockets_per_user}


def discard_unopened(_: BaseException | None = None) -> None:
    """At the end of each request: discard a stream that was not opened."""
    stream: EventStream | None = g.pop("event_stream", None)
    if stream is not None:
        stream.discard()
