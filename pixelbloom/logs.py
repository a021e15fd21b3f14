"""Structured logs, the same in every process: JSON, or pretty on a terminal.

Context variables add ids to every line of a request or a step:
`structlog.contextvars.bind_contextvars(request_id=...)`. Records of the standard library (Celery, gunicorn,
libraries) go through the same formatter. Secrets are removed from every line as the last step.
"""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import structlog
from pydantic import SecretStr
from structlog.typing import EventDict, Processor, WrappedLogger

from pixelbloom.config import Settings, settings

REDACTED = "[redacted]"
#: These log every request with its URL, or every task, at INFO; tasks log what matters themselves.
CHATTY = (
    *("httpx", "httpcore", "urllib3", "hpack", "kombu.connection", "amqp"),
    *("celery.worker.strategy", "celery.app.trace", "celery.beat"),
)
_MAX_DEPTH = 8
_SHORTEST_SECRET = 8
_SECRET_NAME = re.compile(
    r"(?:^|[_-])(?:authorization|token|jwt|secret|password|passwd|cookie|credentials?|api_?key|"
    r"anon_key|service_role_key|webhook_secret|dsn)$",
    re.IGNORECASE,
)
_SECRET_TEXT = (
    # The atomic group takes the first `eyJ` of a run of letters, so that a run is read once.
    (re.compile(r"(?<![\w-])(?>([\w-]*?)eyJ)[\w-]{8,}+\.[\w-]+(?:\.[\w-]*)?"), rf"\1{REDACTED}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), rf"\1 {REDACTED}"),
    (
        re.compile(r"(?i)\b(\w*(?:token|api_?key|secret|password))=[^&\s\"'<>]+"),
        rf"\1={REDACTED}",
    ),
    (
        re.compile(
            r"""(?i)(["'][\w-]*(?:cookie|authorization|token|api_?key|secret|password)["']\s*:\s*)(["']).*?\2"""
        ),
        rf"\1\2{REDACTED}\2",
    ),
    (re.compile(r"\b(?:[sr]k_(?:live|test)_|whsec_|hf_|sb_secret_)\w{6,}"), REDACTED),
    (re.compile(r"(\w://[^\s:/@]*):[^\s@/]+@"), rf"\1:{REDACTED}@"),
)


class Redactor:
    """A processor that removes secrets: by field name, by format, and configured ones by value."""

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        known = sorted({s for s in secrets if len(s) >= _SHORTEST_SECRET}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return self.mapping(event)

    def mapping(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields without secrets, by name and by value."""
        return {name: self._field(str(name), value, 0) for name, value in values.items()}

    def _field(self, name: str, value: Any, depth: int) -> Any:
        if isinstance(value, str | bytes) and _SECRET_NAME.search(name):
            return REDACTED
        return self._value(value, depth)

    def _value(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        if depth >= _MAX_DEPTH:
            return "..."
        if isinstance(value, Mapping):
            return {key: self._field(str(key), item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._value(item, depth + 1) for item in value]
        return self.text(str(value))

    def text(self, text: str) -> str:
        """Return the text without anything that is, or looks like, a secret."""
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        for pattern, replacement in _SECRET_TEXT:
            text = pattern.sub(replacement, text)
        return text


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """Return the secret values of the settings."""
    found: list[str] = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, SecretStr):
                found.append(item.get_secret_value())
    return tuple(found)


def is_pretty(settings: Settings, stream: TextIO | None = None) -> bool:
    """Return whether logs on `stream`, or standard output, are for a person and not JSON."""
    return settings.log_format == "pretty" or (settings.log_format == "auto" and (stream or sys.stdout).isatty())


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Set up logging for this process, on `stream` or standard output. Idempotent."""
    stream = stream or sys.stdout
    pretty = is_pretty(settings, stream)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty()) if pretty else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                Redactor(secrets_of(settings)),
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        if getattr(old, "pixelbloom", False) or type(old) is logging.StreamHandler:
            root.removeHandler(old)
    handler.pixelbloom = True  # type: ignore[attr-defined]
    root.addHandler(handler)
    root.setLevel(settings.log_level.upper())
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    for name, level in settings.log_levels:
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(True)


def configure_celery() -> None:
    """Make a Celery process (worker, beat, Flower) log as all others do; call it before it starts."""
    from celery.signals import setup_logging

    setup_logging.connect(_on_setup_logging, weak=False, dispatch_uid="pixelbloom.logs")


def _on_setup_logging(**_: Any) -> None:
    configure(settings())
