"""The sources of the topics: Redis, and the stores behind it."""

from pixelbloom.web.container import WebContainer
from pixelbloom.web.realtime.figures import FiguresSource
from pixelbloom.web.realtime.notifications import NotificationSource
from pixelbloom.web.realtime.sources import RunSource, Sources


def sources(parts: WebContainer) -> Sources:
    """Return the source of each kind of topic."""
    hub = parts.hub
    figures = FiguresSource(
        hub,
        {
            "lead_trends": parts.analytics.lead_trends,
            "conversation_trends": parts.analytics.conversation_trends,
            "kpis": parts.analytics.overview,
        },
        parts.settings.figures_per_user,
    )
    return {
        "workflow_run": RunSource(hub.reader, hub.publisher, parts.runs.find_update),
        "user": NotificationSource(hub.reader, parts.notifications),
        "lead_trends": figures,
        "conversation_trends": figures,
        "kpis": figures,
    }
