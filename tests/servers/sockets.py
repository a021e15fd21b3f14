"""The sockets alone, on gunicorn's gevent worker: `gunicorn tests.servers.sockets:create_app()`.

The database is a folder: one file a run, `unread` with what `user:<id>` begins with, `figures` with what every
analytics topic shows, and `computed`, a line for each time that it was read.

`/state` shows what the process holds, `/farewells` how a stop proceeds, `/slow` is a request that takes a while,
`/listen/<topic>` waits for the topic's next states as `Prefer: wait` does.
"""

import gc
import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import greenlet
import psutil
from flask import Flask, Response, request

from pixelbloom.analytics.ranges import Range
from pixelbloom.auth.tokens import TokenVerifier
from pixelbloom.config import load
from pixelbloom.errors import PixelBloomError, Unavailable
from pixelbloom.events.types import RunUpdate
from pixelbloom.web.operations import metrics
from pixelbloom.web.realtime import register_realtime
from pixelbloom.web.realtime.figures import FiguresSource
from pixelbloom.web.realtime.hub import Hub
from pixelbloom.web.realtime.limits import Limits
from pixelbloom.web.realtime.notifications import NotificationSource
from pixelbloom.web.realtime.sources import RunSource
from pixelbloom.web.realtime.streams import position
from tests.waiting import repeat_until

#: What `/readyz` would say of the parts that are not here.
PARTS: dict[str, dict[str, Any]] = {
    "database": {"status": "ok"},
    "redis": {"status": "ok"},
    "workers": {"status": "ok"},
    "beat": {"status": "ok"},
}


def create_app() -> Flask:
    settings = load(home_files=False)
    folder = Path(os.environ["RUNS_FOLDER"])
    limits = replace(Limits.of(settings), **json.loads(os.environ.get("LIMITS", "{}")))
    hub = Hub(settings.require("redis_url"))
    app = Flask(__name__)
    counted = metrics.register(app, hub.stats)

    def load_run_update(run_id: UUID) -> RunUpdate | None:
        if (folder / "down").exists():
            raise Unavailable("The database is unreachable; try again shortly.")
        path = folder / str(run_id)
        return RunUpdate.from_payload(json.loads(path.read_text())) if path.exists() else None

    class Unread:
        def unread(self, user_id: UUID, limit: int) -> dict[str, Any]:
            path = folder / "unread"
            items = json.loads(path.read_text()) if path.exists() else []
            return {"items": items[:limit], "unread_count": len(items), "unpublished": []}

    def compute(scope: UUID | None, range_: Range) -> Any:
        with (folder / "computed").open("a") as computed:
            computed.write(f"{scope or 'all'} {range_.aggregation}\n")
        for _ in repeat_until(lambda: not (folder / "held").exists()):
            time.sleep(0.02)
        if not (folder / "figures").exists():
            raise Unavailable("The database is unreachable; try again shortly.")
        return json.loads((folder / "figures").read_text())

    figures = FiguresSource(hub, dict.fromkeys(("lead_trends", "conversation_trends", "kpis"), compute))
    realtime = register_realtime(
        app,
        settings=settings,
        hub=hub,
        verify=TokenVerifier(settings).verify,
        sources={
            "workflow_run": RunSource(hub.reader, hub.publisher, load_run_update),
            "user": NotificationSource(hub.reader, Unread()),
            **dict.fromkeys(("lead_trends", "conversation_trends", "kpis"), figures),
        },
        limits=limits,
    )

    watched = threading.Event()
    listening: list[str] = []

    @app.get("/state")
    def state() -> dict[str, Any]:
        gc.collect()
        return {
            "process": os.getpid(),
            "sockets": hub.stats.open,
            "streams": hub.stats.streams,
            "closes": {str(code): n for code, n in hub.stats.closes.items() if n},
            "queued": sum(connection.queued_bytes for connection in realtime.registry._open),
            "topics": len(hub._members),
            "listening": len(listening),
            "members": sum(len(members) for members in hub._members.values()),
            "greenlets": sum(isinstance(item, greenlet.greenlet) and not item.dead for item in gc.get_objects()),
            "watched": watched.is_set(),
            "files": psutil.Process().num_fds(),
            "memory": psutil.Process().memory_info().rss,
        }

    @app.get("/events/<run_id>")
    def events(run_id: str) -> Response:
        caller = TokenVerifier(settings).verify(request.args["token"])
        seen = position(request.headers.get("Last-Event-ID"))
        return realtime.streams.follow(UUID(run_id), caller, seen, request, request.remote_addr or "")

    @app.errorhandler(PixelBloomError)
    def failed(error: PixelBloomError) -> tuple[str, int]:
        return error.message, {"RATE_LIMITED": 429, "NOT_FOUND": 404, "UNAVAILABLE": 503}.get(error.code, 400)

    @app.get("/metrics")
    def scrape() -> Response:
        return counted.render(request.headers.get("Accept", ""), PARTS)

    @app.get("/listen/<topic>")
    def listen(topic: str) -> dict[str, Any]:
        states: list[Any] = []
        end = threading.Event()

        def on_message(data: Any) -> None:
            states.append(data["status"])
            if data["status"] == "completed":
                end.set()

        with hub.listen(topic, on_message):
            listening.append(topic)
            end.wait(float(request.args["seconds"]))
            listening.remove(topic)
        return {"states": states}

    @app.get("/farewells")
    def farewells() -> dict[str, Any]:
        """Return the numbers of sockets closed with 1012, as they rise to `sockets`."""
        watched.set()
        seen: list[int] = []
        for _ in repeat_until(lambda: seen and seen[-1] >= int(request.args["sockets"]), saw=lambda: seen):
            closed = realtime.registry.stats.closes[1012]
            if closed and closed not in seen:
                seen.append(closed)
            time.sleep(0.01)
        return {"seen": seen}

    @app.get("/slow")
    def slow() -> dict[str, Any]:
        watched.set()
        threading.Event().wait(float(request.args["seconds"]))
        return {"done": True}

    return app
