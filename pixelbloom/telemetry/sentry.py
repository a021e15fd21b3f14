"""Errors to Sentry: what is logged as an error, and what a task or a request raises. Off without SENTRY_DSN."""

import logging
from typing import TYPE_CHECKING, Any, cast

import structlog

from pixelbloom import __version__
from pixelbloom.config import Settings
from pixelbloom.logs import Redactor, secrets_of

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

#: The tags by which events are found.
TAGS = ("request_id", "run_id", "step")
#: The parts of an event that hold no text of ours.
_KEPT_WHOLE = ("timestamp", "event_id", "platform", "level")


def start(settings: Settings, role: str) -> None:
    """Report this process's errors, if SENTRY_DSN is set. Nothing is imported otherwise."""
    if settings.sentry_dsn is None:
        return
    import sentry_sdk
    from sentry_sdk.integrations.celery import CeleryIntegration
    from sentry_sdk.integrations.flask import FlaskIntegration
    from sentry_sdk.integrations.logging import LoggingIntegration

    sentry_sdk.init(
        dsn=settings.sentry_dsn.get_secret_value(),
        release=f"pixelbloom@{__version__}",
        server_name=None,
        auto_enabling_integrations=False,
        integrations=[
            CeleryIntegration(),
            FlaskIntegration(),
            LoggingIntegration(level=logging.INFO, event_level=logging.ERROR),
        ],
        # Bodies, variables and users hold prompts, customers and tokens.
        max_request_body_size="never",
        include_local_variables=False,
        send_default_pii=False,
        auto_session_tracking=False,
        # The handler of a WebSocket hands the connection over by this.
        ignore_errors=[StopIteration],
        before_send=Scrubber(Redactor(secrets_of(settings)), role),
    )


class Scrubber:
    """Names events by their log event, adds the ids, and removes secrets."""

    def __init__(self, redactor: Redactor, role: str) -> None:
        self._redactor = redactor
        self._role = role

    def __call__(self, event: "Event", hint: "Hint") -> "Event":
        named: dict[str, Any] = {**event}
        record = hint.get("log_record")
        if record is not None and isinstance(record.msg, dict):
            fields = record.msg
            name = str(fields.get("event"))
            # The text of the fields would make a new group of each id.
            named["logentry"] = {"message": name}
            named["fingerprint"] = [record.name, name, "{{ default }}"]
            named["extra"] = {**named.get("extra", {}), **fields}
        known = structlog.contextvars.get_contextvars()
        ids = {name: str(known[name]) for name in TAGS if known.get(name) is not None}
        named["tags"] = {**dict(named.get("tags") or {}), **ids, "role": self._role}
        whole = {name: named.pop(name) for name in _KEPT_WHOLE if name in named}
        return cast("Event", {**self._redactor.mapping(named), **whole})
