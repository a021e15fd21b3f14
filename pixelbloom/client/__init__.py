"""A Python client of the API: `ApiClient` for requests, `RunWatcher` and `SocketClient` to follow live."""

from pixelbloom.client.api import ApiClient
from pixelbloom.client.errors import ApiError, SocketRejected
from pixelbloom.client.frames import Connected, FlatEvent, Lost, Problem, Subscribed, TopicEvent, Unsubscribed
from pixelbloom.client.socket import SocketClient
from pixelbloom.client.watch import RunEnded, RunProgress, RunText, RunWatcher

__all__ = [
    "ApiClient",
    "ApiError",
    "Connected",
    "FlatEvent",
    "Lost",
    "Problem",
    "RunEnded",
    "RunProgress",
    "RunText",
    "RunWatcher",
    "SocketClient",
    "SocketRejected",
    "Subscribed",
    "TopicEvent",
    "Unsubscribed",
]
