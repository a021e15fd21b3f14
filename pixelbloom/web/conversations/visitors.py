"""`/api/visitors`: sessions of website visitors who are not signed in."""

import structlog
from flask import request
from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.core.addresses import visitor_address
from pixelbloom.errors import Forbidden
from pixelbloom.web.container import services
from pixelbloom.web.conversations.schemas import SessionBody
from pixelbloom.web.http.openapi import failures, success

log = structlog.get_logger(__name__)

visitors = APIBlueprint(
    "visitors",
    __name__,
    url_prefix="/api/visitors",
    abp_tags=[Tag(name="Visitors", description="Sessions of website visitors who are not signed in.")],
    abp_security=[],
)


@visitors.post(
    "/sessions",
    summary="Create a visitor session",
    operation_id="createVisitorSession",
    responses={**success(SessionBody, status=201), **failures(403, 429, 500, 503)},
)
def begin_session() -> tuple[SessionBody, int]:
    """Returns a token for 24 hours, without signing in. With it a visitor may create leads, chat and buy, and nothing
    else: `POST /api/leads`, `POST /api/conversations`, the messages of those conversations, and
    `POST /api/payments/create-checkout-session`.
    """
    parts = services()
    if not parts.settings.visitors:
        raise Forbidden("Visitors are not allowed here; sign in.")
    parts.visitor_limits.sessions.count(visitor_address(request.remote_addr))
    token, visitor = parts.visitors.begin()
    log.info("visitor_session_begun", visitor_id=str(visitor.visitor_id))
    session = {"id": visitor.visitor_id, "token": token, "expires_at": visitor.expires_at}
    return SessionBody.model_validate(session), 201
