"""Silences what Celery prints past the logs: its banner, and its words on stopping. A terminal shows them."""

import sys
from typing import Any

from celery import Celery
from celery.signals import celeryd_init

from pixelbloom import logs
from pixelbloom.config import settings


def silence_worker() -> None:
    """Have workers of this process print nothing, where logs are JSON."""
    celeryd_init.connect(_quiet, weak=False, dispatch_uid=__name__)


def silence_beat(app: Celery) -> None:
    """Have beat print nothing, where logs are JSON."""
    if logs.is_pretty(settings()):
        return

    def quiet_beat(*args: Any, **options: Any) -> Any:
        return app.subclass_with_self("celery.apps.beat:Beat")(*args, **{**options, "quiet": True})

    app.Beat = quiet_beat


def let_flower_log_as_all() -> None:
    """Keep Flower from setting the level of all loggers, and from adding a handler of its own."""
    if "flower" not in sys.argv:
        return
    from tornado.options import options

    options.logging = "none"


def _quiet(instance: Any, **_: Any) -> None:
    if logs.is_pretty(settings()):
        return
    logs.configure(settings())  # before Celery sets up logs it warns about the privileges of root
    from celery.apps import worker

    instance.quiet = True
    worker.safe_say = lambda *_, **__: None
