"""The common parts of the analytics routes."""

from pixelbloom.analytics.store import AnalyticsStore
from pixelbloom.web.container import services
from pixelbloom.web.http.caller import scoped

#: Before each request: require a token with the scope of analytics, if it has scopes.
guard = scoped("analytics")


def figures() -> AnalyticsStore:
    return services().analytics
