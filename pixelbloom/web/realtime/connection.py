"""One socket's conversation: what it follows, what it is told, and for how long it may."""

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
from pixelbloom.web.realtime.protocol import BadFrame, error
from pixelbloom.web.realtime.role_refresh import with_role
from pixelbloom.web.realtime.sources import Sources
from pixelbloom.web.realtime.stats import Stats
from pixelbloom.web.realtime.subscriptions import Subscription
from pixelbloom.web.realtime.websocket import GOING_AWAY, POLICY, Socket

log = structlog.get_logger(__name__)

#: Topics left a moment ago, remembered so that what they told is not told again in the flat form.
LEFT_TOPICS = 32


class Connection:
    """What stands between a socket and the hub.

    The socket's own greenlet works through what the client says, one frame after the other.
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
        self._left: OrderedDict[str, tuple[str | None, int]] = OrderedDict()
        self._expires_at = principal.expires_at.timestamp()
        self._feed = OwnFeed(hub, channel, self)
        #: The role that `user_profiles` gave while the upgrade was being answered.
        self._early_role: bool | None = None

    # Life

    def start(self) -> None:
        """Follow the user's feed. Before the upgrade is answered, so that what the client does next is not missed."""
        self._feed.follow(self.principal)

    def begin(self, socket: Socket) -> None:
        """Tell what came before the socket was there, and follow what the client says."""
        self._socket = socket
        for frame in self._early:
            socket.push(frame)
        self._early.clear()
        socket.flush()
        if self._early_role is not None:
            self.set_profile_role(self._early_role)

    def hear(self, message: str | bytes) -> None:
        """A message of the client."""
        if not self.closing:
            self._answer(message)

    def stop(self) -> None:
        """Follow nothing any more."""
        with self.hub.turn():
            for subscription in list(self._subscriptions.values()):
                self._forget(subscription)
            self._feed.stop()

    def tick(self, now: float) -> None:
        """Look at the clock: the token's end, the peer's silence, a close that is not answered."""
        socket = self._socket
        if socket is None:
            return
        if socket.closing is not None:
            if now > socket.close_by:
                socket.abort()
        elif time.time() >= self._expires_at:
            self.refuse("The token has expired; connect again with a fresh one.")
        elif socket.heard_at < socket.pinged_at and now - socket.pinged_at > self._limits.pong_seconds:
            socket.close(GOING_AWAY, "no answer to our pings")
        elif now - socket.pinged_at >= self._limits.ping_seconds:
            socket.ping()

    def close(self, code: int, reason: str) -> None:
        """Close from our side."""
        if self._socket is not None:
            self._socket.close(code, reason)

    def refuse(self, message: str) -> None:
        """The caller may not be here (any more)."""
        self._say(error("UNAUTHORIZED", message))
        self.close(POLICY, message)

    @property
    def places(self) -> dict[str, int]:
        """How many sockets and streams the caller may hold, by its name. Services are not limited."""
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
        """What waits for the client to read it."""
        return 0 if self._socket is None else self._socket.waiting_bytes

    # To the client

    def push(self, frame: Frame) -> None:
        """Queue a frame; the hub writes it at the end of its turn."""
        if self._socket is None:
            self._early.append(frame)
        else:
            self._socket.push(frame)
            self.hub.touch(self._socket)

    def push_flat(self, frame: Frame) -> None:
        """Queue a flat event, unless a topic of this socket tells it."""
        subscription = self._subscriptions.get(frame.cover)
        if subscription is not None:
            if not subscription.begun:
                subscription.withheld.append(frame)
            return
        left = self._left.get(frame.cover)
        if left is None or left[0] != frame.cover_epoch or left[1] < frame.cover_seq:
            self.push(frame)

    def drop(self, subscription: Subscription) -> None:
        """What it followed is gone, or is the caller's no more. With the hub's lock."""
        if self._subscriptions.get(subscription.topic.name) is subscription:
            self._forget(subscription)
            self.push(Frame.of(self._no_such_topic(subscription.topic.name)))

    def _say(self, message: dict[str, Any]) -> None:
        if self._socket is not None:
            self._socket.send(Frame.of(message))

    # From the client

    def _answer(self, message: str | bytes) -> None:
        try:
            match protocol.parse(message):
                case protocol.Subscribe() as request:
                    self._subscribe(request)
                case protocol.Unsubscribe(topic):
                    self._unsubscribe(topic)
                case protocol.Ping():
                    self._say({"type": "pong"})
                case protocol.Auth(token):
                    self._refresh(token)
                case protocol.Heartbeat():
                    pass
        except BadFrame as fault:
            self._say(error("BAD_REQUEST", fault.message, fault.topic))
        except Exception:
            log.exception("socket_frame_failed", channel=self.channel)
            self._say(error("INTERNAL", "The frame could not be handled; this is our fault."))

    def _subscribe(self, request: protocol.Subscribe) -> None:
        topic = Topic.parse(request.topic)
        if topic is None or topic.channel != self.channel or not self._names_own(topic):
            self._say(self._no_such_topic(request.topic))
            return
        if len(self._subscriptions) >= self._limits.subscriptions and topic.name not in self._subscriptions:
            raise BadFrame(f"A socket may hold {self._limits.subscriptions} topics; unsubscribe one.", topic.name)
        try:
            stream = self._sources[topic.kind].open(topic, self.principal, request.params)
        except PixelBloomError as fault:
            self._say(error(fault.code, fault.message, topic.name))
            return
        subscription = Subscription(self.hub, topic, stream, self)
        with self.hub.turn():
            former = self._subscriptions.get(topic.name)
            if former is not None:
                self._forget(former)
            self._subscriptions[topic.name] = subscription
            self.hub.stats.subscriptions[topic.kind] += 1
        try:
            if not self.hub.join(subscription):
                raise Unavailable("The events are not to be had at the moment; subscribe again in a while.")
            fetched = subscription.read(request.since, request.epoch)
        except PixelBloomError as fault:
            self._undo(subscription, error(fault.code, fault.message, topic.name))
        except Exception:
            self._undo(subscription, error("INTERNAL", "The topic could not be read; this is our fault.", topic.name))
            raise
        else:
            with self.hub.turn():
                if fetched is not None and subscription.allowed(fetched):
                    subscription.begin(fetched, request.since)
                else:
                    self._undo(subscription, self._no_such_topic(topic.name))

    def _undo(self, subscription: Subscription, message: dict[str, Any]) -> None:
        with self.hub.turn():
            self._forget(subscription)
            self.push(Frame.of(message))
            for frame in subscription.withheld:
                self.push_flat(frame)

    def _forget(self, subscription: Subscription) -> None:
        if self._subscriptions.pop(subscription.topic.name, None) is not None:
            self.hub.stats.subscriptions[subscription.topic.kind] -= 1
        subscription.leave()

    def _unsubscribe(self, name: str) -> None:
        topic = Topic.parse(name)
        if topic is None or topic.channel != self.channel:
            self._say(self._no_such_topic(name))
            return
        with self.hub.turn():
            subscription = self._subscriptions.get(topic.name)
            if subscription is not None:
                self._forget(subscription)
                self._left[topic.name] = (subscription.epoch, subscription.seq)
                while len(self._left) > LEFT_TOPICS:
                    self._left.popitem(last=False)
            self.push(Frame.of({"type": "unsubscribed", "topic": topic.name}))

    def _refresh(self, token: str) -> None:
        """A fresh token of the same caller; any other leaves things as they were."""
        try:
            principal = self._verify(token)
        except Unavailable as fault:
            self._say(error("UNAVAILABLE", fault.message))
            return
        except PixelBloomError as fault:
            self._say(error("UNAUTHORIZED", fault.message))
            return
        if (principal.kind, principal.user_id) != (self.principal.kind, self.principal.user_id):
            self._say(error("UNAUTHORIZED", "The token is another caller's; open a socket of its own for it."))
            return
        try:
            principal = admitted(self.channel, principal)
        except Unauthenticated as fault:
            self.refuse(fault.message)
            return
        with self.hub.turn():
            changed = self.principal.admin != principal.admin
            self.principal = principal
        self._expires_at = principal.expires_at.timestamp()
        self._say({"type": "authenticated", "expires_at": iso_utc(principal.expires_at)})
        if changed:
            self._apply_role()

    def set_profile_role(self, admin: bool) -> None:
        """Take the role that `user_profiles` has now."""
        with self.hub.turn():
            if self._socket is None:
                self._early_role = admin
                return
            changed = with_role(self.principal, admin)
            if changed is None:
                return
            self.principal = changed
        self._apply_role()

    def _apply_role(self) -> None:
        """Follow what the caller's role lets it see, from this moment on.

        No topic delivers anything more before its owner was looked at; those of others end with INVALID_TOPIC.
        """
        with self.hub.turn():
            for subscription in list(self._subscriptions.values()):
                self.hub.repair(subscription)
        self._feed.follow(self.principal)

    def _names_own(self, topic: Topic) -> bool:
        return topic.kind != "user" or self.principal.may_read(topic.id)

    def _no_such_topic(self, name: str) -> dict[str, Any]:
        return error("INVALID_TOPIC", f"There is no such topic for you on the {self.channel} channel.", name)
