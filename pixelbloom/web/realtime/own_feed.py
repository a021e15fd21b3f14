"""The feed of a socket's caller. It depends on the caller's role."""

from collections.abc import Callable

from pixelbloom.auth.principal import Principal
from pixelbloom.events.topics import ANALYTICS, NOTIFICATIONS, admins_feed, user_feed
from pixelbloom.web.realtime.frames import Frame
from pixelbloom.web.realtime.hub import Hub
from pixelbloom.web.realtime.subscriptions import FlatFeed


class OwnFeed:
    """The events sent without a subscription: the user's own, or everybody's for an administrator."""

    __slots__ = ("_channel", "_feed", "_hub", "_push", "_stopped")

    def __init__(self, hub: Hub, channel: str, push: Callable[[Frame], None]) -> None:
        self._hub = hub
        self._channel = channel
        self._push = push
        self._feed: FlatFeed | None = None
        self._stopped = False

    def follow(self, caller: Principal) -> None:
        """Replace the current feed with the one this caller may see. Waits for at most a second."""
        feed = self._of(caller)
        with self._hub.batch():
            if self._stopped:
                return
            previous, self._feed = self._feed, feed
            if previous is not None:
                self._hub.unsubscribe(previous)
        if feed is None:
            return
        feed.start()
        with self._hub.batch():
            if self._stopped or self._feed is not feed:  # meanwhile the socket closed or the role changed again
                self._hub.unsubscribe(feed)

    def stop(self) -> None:
        """Unsubscribe. Called with the hub's lock."""
        self._stopped = True
        if self._feed is not None:
            self._hub.unsubscribe(self._feed)

    def _of(self, caller: Principal) -> FlatFeed | None:
        if caller.kind != "user" or caller.user_id is None:
            return None
        everybody = caller.admin and self._channel in (ANALYTICS, NOTIFICATIONS)
        name = admins_feed(self._channel) if everybody else user_feed(caller.user_id, self._channel)
        return FlatFeed(self._hub, name, self._push)
