"""The state of one socket: its subscriptions, its feed, and when it must close."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import structlog

from pixelbloom.auth.principal import Principal
from pixelbloom.core.time_zones import iso_utc
from pixelbloom.errors import PixelBloomError, Unauthenticated, Unavailable
from pixelbloom.events.topics import Topic
from pixelbloom.web.realtime import protocol
from pixelbloom.web.realtime.admission import admitted
from pixelbloom.web.realtime.frames import Frame
from pixelbloom.web.realtime.hub import Hub
from pixelbloom.web.realtime.limits import Limits
from pixelbloom.web.realtime.own_feed import OwnFeed
from pixelbloom.web.realtime.protocol import BadFrame, error_frame
from pixelbloom.web.realtime.role_refresh import with_role
from pixelbloom.web.realtime.sources import Sources
from pixelbloom.web.realtime.stats import Stats
from pixelbloom.web.realtime.subscriptions import Subscription
from pixelbloom.web.realtime.websocket import GOING_AWAY, POLICY, Socket

log = structlog.get_logger(__name__)

#: Recently unsubscribed topics to remember, so that their events are not delivered again in the flat form.
RECENT_TOPICS = 32


class Connection:
    """Connects a socket to the hub.

    The socket's greenlet handles the client's frames one at a time.
    """

    def __init__(
        self,
        hub: Hub,
        channel: str,
        principal: Principal,
        *,
        sources: Sources,
        verify: Callable[[str], Principal],
        limits: Limits,
    ) -> None:
        self.hub = hub
        self.channel = channel
        self.principal = principal
        self._sources = sources
        self._verify = verify
        self._limits = limits
        self._socket: Socket | None = None
        self._early: list[Frame] = []
        self._subscriptions: dict[str, Subscription] = {}
        self._recent: OrderedDict[str, tuple[str | None, int]] = OrderedDict()
        self._expires_at = principal.expires_at.timestamp()
        self._feed = OwnFeed(hub, channel, self.push_flat)
        #: The role that `user_profiles` gave before the upgrade was complete.
        self._early_role: bool | None = None

    # Life

    def start(self) -> None:
        """Subscribe to the user's feed. Runs before the upgrade completes, so that no later event is missed."""
        self._feed.follow(self.principal)

    def attach(self, socket: Socket) -> None:
        """Send the frames queued before the socket was open, then use it."""
        self._socket = socket
        for frame in self._early:
            socket.push(frame)
        self._early.clear()
        socket.flush()
        if self._early_role is not None:
            self.set_profile_role(self._early_role)

    def on_message(self, message: str | bytes) -> None:
        """Handle one message of the client."""
        if not self.closing:
            self._handle(message)

    def stop(self) -> None:
        """End all subscriptions."""
        with self.hub.batch():
            for subscription in list(self._subscriptions.values()):
                self._remove(subscription)
            self._feed.stop()

    def tick(self, now: float) -> None:
        """Check the timeouts: token expiry, missing pongs, an unconfirmed close. `now` is in monotonic seconds."""
        socket = self._socket
        if socket is None:
            return
        if socket.closing is not None:
            if now > socket.close_by:
                socket.abort()
        elif time.time() >= self._expires_at:
            self.refuse("The token has expired; connect again with a fresh one.")
        elif socket.received_at < socket.pinged_at and now - socket.pinged_at > self._limits.pong_seconds:
            socket.close(GOING_AWAY, "no response to pings")
        elif now - socket.pinged_at >= self._limits.ping_seconds:
            socket.ping()

    def close(self, code: int, reason: str) -> None:
        """Start the closing handshake."""
        if self._socket is not None:
            self._socket.close(code, reason)

    def refuse(self, message: str) -> None:
        """Send an UNAUTHORIZED error and close with 1008."""
        self._send(error_frame("UNAUTHORIZED", message))
        self.close(POLICY, message)

    @property
    def quotas(self) -> dict[str, int]:
        """The number of sockets and streams the caller may have open, by counter name. Services are not limited."""
        caller = self.principal
        return {} if caller.kind == "service" else {caller.caller: self._limits.sockets_per_user}

    def count(self, stats: Stats, number: int) -> None:
        """Add to the number of open sockets."""
        stats.sockets[self.channel] += number

    @property
    def closing(self) -> bool:
        return self._socket is not None and self._socket.closing is not None

    @property
    def queued_bytes(self) -> int:
        """The bytes that wait to be read by the client."""
        return 0 if self._socket is None else self._socket.waiting_bytes

    # To the client

    def push(self, frame: Frame) -> None:
        """Queue a frame. The hub writes it at the end of the batch."""
        if self._socket is None:
            self._early.append(frame)
        else:
            self._socket.push(frame)
            self.hub.touch(self._socket)

    def push_flat(self, frame: Frame) -> None:
        """Queue a flat event, unless a topic of this socket covers it."""
        subscription = self._subscriptions.get(frame.cover)
        if subscription is not None:
            if not subscription.begun:
                subscription.withheld.append(frame)
            return
        recent = self._recent.get(frame.cover)
        if recent is None or recent[0] != frame.cover_epoch or recent[1] < frame.cover_seq:
            self.push(frame)

    def drop(self, subscription: Subscription) -> None:
        """End a subscription whose subject is gone or no longer visible. Called with the hub's lock."""
        if self._subscriptions.get(subscription.topic.name) is subscription:
            self._remove(subscription)
            self.push(Frame.of(self._no_such_topic(subscription.topic.name)))

    def _send(self, message: dict[str, Any]) -> None:
        if self._socket is not None:
            self._socket.send(Frame.of(message))

    # From the client

    def _handle(self, message: str | bytes) -> None:
        try:
            match protocol.parse(message):
                case protocol.Subscribe() as request:
                    self._subscribe(request)
                case protocol.Unsubscribe(topic):
                    self._unsubscribe(topic)
                case protocol.Ping():
                    self._send({"type": "pong"})
                case protocol.Auth(token):
                    self._refresh(token)
                case protocol.Heartbeat():
                    pass
        except BadFrame as error:
            self._send(error_frame("BAD_REQUEST", error.message, error.topic))
        except Exception:
            log.exception("socket_frame_failed", channel=self.channel)
            self._send(error_frame("INTERNAL", "Internal error: the frame was not handled."))

    def _subscribe(self, request: protocol.Subscribe) -> None:
        topic = Topic.parse(request.topic)
        hidden = topic is not None and topic.kind == "user" and not self.principal.may_read(topic.id)
        if topic is None or topic.channel != self.channel or hidden:
            self._send(self._no_such_topic(request.topic))
            return
        if len(self._subscriptions) >= self._limits.subscriptions and topic.name not in self._subscriptions:
            raise BadFrame(
                f"A socket may have {self._limits.subscriptions} subscriptions; unsubscribe from one first.", topic.name
            )
        try:
            stream = self._sources[topic.kind].open(topic, self.principal, request.params)
        except PixelBloomError as error:
            self._send(error_frame(error.code, error.message, topic.name))
            return
        subscription = Subscription(self.hub, topic, stream, self)
        with self.hub.batch():
            previous = self._subscriptions.get(topic.name)
            if previous is not None:
                self._remove(previous)
            self._subscriptions[topic.name] = subscription
            self.hub.stats.subscriptions[topic.kind] += 1
        try:
            if not self.hub.subscribe(subscription):
                raise Unavailable("Events are unavailable at the moment; subscribe again later.")
            fetched = subscription.read(request.since, request.epoch)
        except PixelBloomError as error:
            self._fail(subscription, error_frame(error.code, error.message, topic.name))
        except Exception:
            self._fail(subscription, error_frame("INTERNAL", "Internal error: the topic was not read.", topic.name))
            raise
        else:
            with self.hub.batch():
                if fetched is not None and subscription.allowed(fetched):
                    subscription.begin(fetched, request.since)
                else:
                    self._fail(subscription, self._no_such_topic(topic.name))

    def _fail(self, subscription: Subscription, message: dict[str, Any]) -> None:
        with self.hub.batch():
            self._remove(subscription)
            self.push(Frame.of(message))
            for frame in subscription.withheld:
                self.push_flat(frame)

    def _remove(self, subscription: Subscription) -> None:
        if self._subscriptions.pop(subscription.topic.name, None) is not None:
            self.hub.stats.subscriptions[subscription.topic.kind] -= 1
        subscription.end()

    def _unsubscribe(self, name: str) -> None:
        topic = Topic.parse(name)
        if topic is None or topic.channel != self.channel:
            self._send(self._no_such_topic(name))
            return
        with self.hub.batch():
            subscription = self._subscriptions.get(topic.name)
            if subscription is not None:
                self._remove(subscription)
                self._recent[topic.name] = (subscription.epoch, subscription.seq)
                while len(self._recent) > RECENT_TOPICS:
                    self._recent.popitem(last=False)
            self.push(Frame.of({"type": "unsubscribed", "topic": topic.name}))

    def _refresh(self, token: str) -> None:
        """Replace the token with a fresh one of the same caller. Any other token changes nothing."""
        try:
            principal = self._verify(token)
        except PixelBloomError as error:
            code = "UNAVAILABLE" if isinstance(error, Unavailable) else "UNAUTHORIZED"
            self._send(error_frame(code, error.message))
            return
        if (principal.kind, principal.user_id) != (self.principal.kind, self.principal.user_id):
            self._send(error_frame("UNAUTHORIZED", "The token is another caller's; open a separate socket for it."))
            return
        try:
            principal = admitted(self.channel, principal)
        except Unauthenticated as error:
            self.refuse(error.message)
            return
        with self.hub.batch():
            changed = self.principal.admin != principal.admin
            self.principal = principal
        self._expires_at = principal.expires_at.timestamp()
        self._send({"type": "authenticated", "expires_at": iso_utc(principal.expires_at)})
        if changed:
            self._apply_role()

    def set_profile_role(self, admin: bool) -> None:
        """Apply the role that `user_profiles` has now."""
        with self.hub.batch():
            if self._socket is None:
                self._early_role = admin
                return
            changed = with_role(self.principal, admin)
            if changed is None:
                return
            self.principal = changed
        self._apply_role()

    def _apply_role(self) -> None:
        """Apply the caller's role to its feed and subscriptions.

        No topic delivers before its owner is checked. Topics of other users end with INVALID_TOPIC.
        """
        with self.hub.batch():
            for subscription in list(self._subscriptions.values()):
                self.hub.repair(subscription)
        self._feed.follow(self.principal)

    def _no_such_topic(self, name: str) -> dict[str, Any]:
        return error_frame("INVALID_TOPIC", f"Topic not found on the {self.channel} channel.", name)
