"""The common part of all requests that create a run: caller, owner, idempotency key, and waiting for the end."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from threading import Event
from typing import Any
from uuid import UUID, uuid4

import structlog
from flask import Response, request

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
    """Return the terms of a submission, from its body and headers. Raises InvalidInput, Forbidden."""
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
    """Check the webhook URL. Raises InvalidInput, and ConfigurationError if WEBHOOK_SECRET is missing."""
    if url is not None:
        refuse_anonymous(principal())
        settings = services().settings
        if not settings.webhook_secret:
            raise ConfigurationError("Webhooks are not configured: WEBHOOK_SECRET is missing. Omit webhook_url.")
        check_url(url, allow_private=settings.webhook_allow_private)
    return url


def idempotency_key() -> str | None:
    """Return the value of the header Idempotency-Key. Raises InvalidInput."""
    key = request.headers.get(_KEY_FIELD)
    if key is None:
        return None
    if not 1 <= len(key) <= _MAX_KEY or not all("!" <= char <= "~" for char in key):
        rule = f"must be 1 to {_MAX_KEY} visible ASCII characters"
        raise InvalidInput(f"The header {_KEY_FIELD} {rule}.", [FieldError(_KEY_FIELD, rule)])
    return key


def submitted(submit: Callable[[UUID], Accepted], seconds: float | None, **named: Any) -> tuple[Accepted, bool]:
    """Submit under a new run id, and wait up to `seconds` for the end; `named` is logged.

    Return the run and whether the wait was granted: past the limits of `Waits` the current state is returned at once.
    """
    if seconds is None:
        return _submitted(submit, None, **named), False
    with services().waits.slot(principal()) as granted:
        return _submitted(submit, seconds if granted else None, **named), granted


def accepted_body(accepted: Accepted) -> dict[str, Any]:
    """Return the body of the response about a submitted agent run."""
    body: dict[str, Any] = {
        "id": str(accepted.id),
        "request_id": str(accepted.id),
        "status": str(accepted.status),
        "error": accepted.error,
    }
    if accepted.status == "completed":
        body["result"] = accepted.result
    return body


def applied(response: Response, seconds: float | None, *, waited: bool) -> Response:
    """Return the response, with `Preference-Applied` if the preferred wait was granted."""
    if waited and seconds is not None:
        response.headers["Preference-Applied"] = f"wait={seconds}"
    return response


def _submitted(submit: Callable[[UUID], Accepted], seconds: float | None, **named: Any) -> Accepted:
    run_id = uuid4()
    if seconds is None:
        return _logged(submit(run_id), **named)
    waiter = services().waiter
    # Listen before the insert, so that the end is not missed.
    with waiter.watch(run_id) as end:
        accepted = _logged(submit(run_id), **named)
        if accepted.status.terminal:
            return accepted
        repeated = accepted.id != run_id
        watch: AbstractContextManager[Event] = waiter.watch(accepted.id) if repeated else nullcontext(end)
        with watch as this_end:
            # An existing run may have ended before we listened.
            if not (repeated and services().runs.get(accepted.id).status.terminal):
                wait_while_connected(this_end, seconds, request.environ)
    run = services().runs.get(accepted.id)
    return Accepted(id=run.id, status=run.status, result=run.result, error=run.error, created=accepted.created)


def _logged(accepted: Accepted, **named: Any) -> Accepted:
    structlog.contextvars.bind_contextvars(run_id=str(accepted.id))
    log.info("run_accepted", created=accepted.created, **named)
    return accepted
