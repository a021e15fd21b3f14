"""`/api/me`: the caller itself."""

from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.auth.principal import Principal
from pixelbloom.core.time_zones import iso_utc
from pixelbloom.web.container import services
from pixelbloom.web.http.caller import authenticate_or_visitor, principal
from pixelbloom.web.http.openapi import SECURITY, failures, success
from pixelbloom.web.me.schemas import MeBody, Role

me = APIBlueprint(
    "me",
    __name__,
    url_prefix="/api/me",
    abp_tags=[Tag(name="Me", description="The caller of the API.")],
    abp_security=SECURITY,
)
me.before_request(authenticate_or_visitor("get_me"))


@me.get(
    "",
    summary="Get the caller",
    operation_id="getMe",
    responses={**success(MeBody), **failures(401, 500, 503)},
)
def get_me() -> MeBody:
    """Returns the user, role, scopes and permissions of the token, of any accepted kind. Requires no scope."""
    caller, access = principal(), services().access
    return MeBody(
        user_id=caller.user_id,
        visitor_id=caller.visitor_id,
        role=_role(caller, admin=access.is_admin(caller)),
        scopes=None if caller.scopes is None or caller.kind == "visitor" else sorted(caller.scopes),
        caller=caller.caller,
        expires_at=iso_utc(caller.expires_at),
        permissions=list(access.permissions(caller)),
        all_users=list(access.unlimited(caller)),
    )


def _role(caller: Principal, *, admin: bool) -> Role:
    if caller.kind != "user":
        return caller.kind
    if admin:
        return "admin"
    return "anonymous" if caller.anonymous else "user"
