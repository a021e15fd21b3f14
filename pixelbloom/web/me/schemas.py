"""The schema of `GET /api/me` in the OpenAPI document."""

from typing import Any, Literal

from pydantic import Field

from pixelbloom.web.http.rendering import Body, Time, Uuid
from pixelbloom.web.http.schemas import example

ME: dict[str, Any] = {
    "user_id": "0b9f1a0e-5f8c-4c0b-8a54-6a1f6c1d2e3f",
    "visitor_id": None,
    "role": "user",
    "scopes": ["analytics:read", "notifications:read"],
    "caller": "user:0b9f1a0e-5f8c-4c0b-8a54-6a1f6c1d2e3f",
    "expires_at": "2026-01-31T13:00:00Z",
    "permissions": [
        *("analytics:read", "notifications:read", "runs:read", "runs:write", "workflows:execute", "approvals:write"),
        *("schedules:write", "webhooks:read"),
    ],
    "all_users": [],
}
Role = Literal["user", "admin", "service", "visitor", "anonymous"]


class MeBody(Body):
    """The caller, as its token and its profile describe it."""

    model_config = example(ME)

    user_id: Uuid | None = Field(description="Null for a service and for a visitor.")
    visitor_id: Uuid | None = Field(description="The session of a visitor; null for others.")
    role: Role = Field(description="`anonymous` is a user of Supabase's anonymous sign-in, limited as visitors are.")
    scopes: list[str] | None = Field(description="Of the token; null if it has no scope claim and is not limited.")
    caller: str = Field(description="The name under which idempotency keys are stored.")
    expires_at: Time = Field(description="Of the token.")
    permissions: list[str] = Field(description="What the caller may do, as docs/api.md lists it.")
    all_users: list[str] = Field(description="Those permissions that reach all users' rows, not only the caller's own.")
