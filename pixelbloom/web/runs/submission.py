"""What all requests that make a run have in common: who, in whose name, under which key, and waiting for the end."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from threading import Event
from typing import Any
from uuid import UUID, uuid4

import structlog
from flask import request

from pixelbloom.errors import ConfigurationError, FieldError, InvalidInput
from pixelbloom.runs.model import Priority
from pixelbloom.runs.service import Accepted
from pixelbloom.web.container import services
from pixelbloom.web.http import request_id
from pixelbloom.web.http.caller import principal, refuse_anonymous
from pixelbloom.web.http.schemas import SubmissionTerms
from pixelbloom.web.runs.waits import wait_while_connected
from pixelbloom.webhooks.address import check_url

log = structlog.get_logger(__name__)

_KEY_FIELD = "Idempotency-Key"
_MAX_KEY = 255


def terms(body: SubmissionTerms) -> dict[str, Any]:
    """The terms of a submission, from its body and headers. Raises InvalidInput, Forbidden."""
    caller = principal()
    user_id = services().access.acting_for(caller, body.user_id)
    return {
        "caller": caller.caller,
        "user_id": user_id,
        "metadata": body.metadata,
        "idempotency_key": idempotency_key(),
        "correlation_id": request_id.current(),
        "priority": Priority(body.priority),
        "run_at": body.run_at,
        "webhook_url": _webhook_url(body.webhook_url),
    }


def _webhook_url(url: str | None) -> str | None:
    """Raises InvalidInput, and ConfigurationError where nothing can be signed."""
    if url is not None:
        refuse_anonymous(principal())
        settings = services().settings
        if not settings.webhook_secret:
            raise ConfigurationError("Webhooks are not set up here: WEBHOOK_SECRET is missing. Leave webhook_url out.")
        check_url(url, allow_private=settings.webhook_allow_private)
    return url


def idempotency_key() -> str | None:
    """The header's value. Raises InvalidInput."""
    key = request.headers.get(_KEY_FIELD)
    if key is None:
        return None
    if not 1 <= len(key) <= _MAX_KEY or not all("!" <= char <= "~" for char in key):
        fault = f"must be 1 to {_MAX_KEY} visible ASCII characters"
        raise InvalidInput(f"The header {_KEY_FIELD} {fault}.", [FieldError(_KEY_FIELD, fault)])
    return key


def submitted(submit: Callable[[UUID], Accepted], seconds: float | None, **named: Any) -> tuple[Accepted, bool]:
    """Submit under a new run id, and wait up to so many seconds for the end; `named` goes into the log.

    Returns the run and whether the wait was granted: past the bounds of `Waits` the present state is returned at once.
    """
    if seconds is None:
        return _submitted(submit, None, **named), False
    with services().waits.slot(principal()) as granted:
        return _submitted(submit, seconds if granted else None, **named), granted


def _submitted(submit: Callable[[UUID], Accepted], seconds: float | None, **named: Any) -> Accepted:
    run_id = uuid4()
    if seconds is None:
        return _logged(submit(run_id), **named)
    waiter = services().waiter
    # Listen first, then insert, so that no end is missed.
    with waiter.watch(run_id) as end:
        accepted = _logged(submit(run_id), **named)
        if accepted.status.terminal:
            return accepted
        repeated = accepted.id != run_id
        watch: AbstractContextManager[Event] = waiter.watch(accepted.id) if repeated else nullcontext(end)
        with watch as this_end:
            # A run that was there before may have ended while nobody listened here.
            if not (repeated and services().runs.get(accepted.id).status.terminal):
                wait_while_connected(this_end, seconds, request.environ)
    run = services().runs.get(accepted.id)
    return Accepted(id=run.id, status=run.status, result=run.result, error=run.error, created=accepted.created)


def _logged(accepted: Accepted, **named: Any) -> Accepted:
    structlog.contextvars.bind_contextvars(run_id=str(accepted.id))
    log.info("run_accepted", created=accepted.created, **named)
    return accepted
