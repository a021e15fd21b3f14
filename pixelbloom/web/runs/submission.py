"""The common part of all requests that create a run: caller, owner, idempotency key, and waiting for the end."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import structlog
from flask import request

from pixelbloom.errors import FieldError, InvalidInput
from pixelbloom.runs.service import Accepted, Submission
from pixelbloom.runs.status import Priority
from pixelbloom.web.container import services
from pixelbloom.web.http import request_id
from pixelbloom.web.http.caller import principal
from pixelbloom.web.http.rendering import Body, Responded
from pixelbloom.web.http.schemas import SubmissionTerms
from pixelbloom.web.runs.waits import wait_seconds, wait_while_connected
from pixelbloom.webhooks.address import check_webhook

log = structlog.get_logger(__name__)

_KEY_FIELD = "Idempotency-Key"
_MAX_KEY = 255


def terms(body: SubmissionTerms) -> dict[str, Any]:
    """Return the terms of a submission, from its body and headers. Raises InvalidInput, Forbidden."""
    caller = principal()
    wanted = {
        "caller": caller.caller,
        "user_id": services().access.acting_for(caller, body.user_id),
        "metadata": body.metadata,
        "idempotency_key": idempotency_key(),
        "correlation_id": request_id.current(),
        "priority": Priority(body.priority),
        "run_at": body.run_at,
        "webhook_url": body.webhook_url,
    }
    check_webhook(services().settings, caller, body.webhook_url)
    return wanted


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

    def logged(run_id: UUID) -> Accepted:
        accepted = submit(run_id)
        structlog.contextvars.bind_contextvars(run_id=str(accepted.id))
        log.info("run_accepted", created=accepted.created, **named)
        return accepted

    if seconds is None:
        return logged(uuid4()), False
    with services().waits.slot(principal()) as granted:
        if not granted:
            return logged(uuid4()), False
        wait = partial(wait_while_connected, seconds=seconds, environ=request.environ)
        return services().waiter.submit(logged, services().runs.get, wait), True


def submitted_agent(wanted: Submission) -> tuple[Accepted, int | None]:
    """Submit a run of an agent, and wait as `Prefer` says. Return the run, and the seconds if the wait was granted."""
    seconds = wait_seconds(request.headers.get("Prefer"))
    accepted, waited = submitted(partial(services().runs.submit, wanted), seconds, agent_type=wanted.agent_type)
    return accepted, seconds if waited else None


def respond(body: Body, seconds: int | None, *, status: int = 200) -> Responded:
    """Return the response, with `Preference-Applied` if the preferred wait of `seconds` was granted."""
    return body, status, {} if seconds is None else {"Preference-Applied": f"wait={seconds}"}
