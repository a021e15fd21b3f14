"""The feed of a socket's caller, which follows the caller's role."""

from typing import TYPE_CHECKING

from pixelbloom.auth.principal import Principal
from pixelbloom.events.topics import ANALYTICS, NOTIFICATIONS, admins_feed, user_feed
from pixelbloom.web.realtime.hub import Hub
from pixelbloom.web.realtime.subscriptions import FlatFeed

if TYPE_CHECKING:
    from pixelbloom.web.realtime.connection import Connection


class OwnFeed:
    """What reaches a socket without subscribing: the user's own events, or everybody's for an administrator."""

    __slots__ = ("_channel", "_connection", "_feed", "_hub", "_stopped")

    def __init__(self, hub: Hub, channel: str, connection: "Connection") -> None:
        self._hub = hub
        self._channel = channel
        self._connection = connection
        self._feed: FlatFeed | None = None
        self._stopped = False

    def follow(self, caller: Principal) -> None:
        """Leave the present feed at once and follow the one that this caller may have. Waits a second at most."""
        feed = self._of(caller)
        with self._hub.turn():
            if self._stopped:
                return
            former, self._feed = self._feed, feed
            if former is not None:
                self._hub.leave(former)
        if feed is None:
            return
        feed.start()
        with self._hub.turn():
            if self._stopped or self._feed is not feed:  # the socket ended, or the role changed again, meanwhile
                self._hub.leave(feed)

    def stop(self) -> None:
        """Follow nothing any more. With the hub's lock."""
        self._stopped = True
        if self._feed is not None:
            self._hub.leave(self._feed)

    def _of(self, caller: Principal) -> FlatFeed | None:
        if caller.kind != "user" or caller.user_id is None:
            return None
        everybody = caller.admin and self._channel in (ANALYTICS, NOTIFICATIONS)
        name = admins_feed(self._channel) if everybody else user_feed(caller.user_id, self._channel)
        return FlatFeed(self._hub, name, self._connection)
