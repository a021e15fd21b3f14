"""`/auth/v1`: the part of Supabase Auth that supabase-js calls for e-mail and password, and for anonymous users."""

import json
import logging
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Literal, TypeVar

import psycopg
from psycopg.rows import dict_row
from pydantic import BaseModel, ConfigDict, ValidationError
from werkzeug import Request, Response
from werkzeug.exceptions import RequestEntityTooLarge

from pixelbloom.local.supabase import accounts, sessions
from pixelbloom.local.supabase.accounts import Account, Connection
from pixelbloom.local.supabase.errors import AuthError, session_not_found, validation_failed
from pixelbloom.local.supabase.limits import Limits, Rates, TooMany
from pixelbloom.local.supabase.tokens import AccessTokens

log = logging.getLogger(__name__)
VERSION_HEADER, DATED_VERSION = "X-Supabase-Api-Version", "2024-01-01"
MAX_BODY_BYTES = 1_000_000
CONNECT_SECONDS = 5
SETTINGS = {
    "external": {"anonymous_users": True, "email": True, "phone": False},
    "disable_signup": False,
    "mailer_autoconfirm": True,
    "phone_autoconfirm": False,
    "sms_provider": "",
    "saml_enabled": False,
}


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    email: str | None = None
    phone: str | None = None
    password: str | None = None
    data: dict[str, Any] | None = None
    app_metadata: dict[str, Any] | None = None
    refresh_token: str | None = None


T = TypeVar("T")
Result = tuple[Any, int]


class Auth:
    """Handles the requests of `/auth/v1`. Users and sessions are in schema `auth` of the database at `database_url`."""

    def __init__(self, database_url: str, tokens: AccessTokens, rates: Rates) -> None:
        self._database_url = database_url
        self._tokens = tokens
        self._limits = Limits(rates)
        self._routes: dict[tuple[str, str], Callable[[Request], Result]] = {
            ("POST", "signup"): self._sign_up,
            ("POST", "token"): self._token,
            ("GET", "user"): self._user,
            ("PUT", "user"): self._update_user,
            ("POST", "logout"): self._log_out,
            ("GET", "settings"): lambda _: (SETTINGS, 200),
            ("GET", "health"): lambda _: (_health(), 200),
            # Tokens are signed with the project's secret: no public key verifies them.
            ("GET", ".well-known/jwks.json"): lambda _: ({"keys": []}, 200),
        }

    def respond(self, environ: dict[str, Any], path: str) -> Response:
        """The response to a request for `path`, which is what follows `/auth/v1/`."""
        request = Request(environ)
        request.max_content_length = MAX_BODY_BYTES
        dated = request.headers.get(VERSION_HEADER, "") >= DATED_VERSION
        headers = {VERSION_HEADER: DATED_VERSION} if dated else {}
        try:
            content, status = self._route(request, path.strip("/"))
        except AuthError as error:
            content, status = error.body(dated=dated), error.status
            if isinstance(error, TooMany):
                headers["Retry-After"] = str(error.retry_after)
        body = b"" if content is None else json.dumps(content).encode()
        response = Response(body, status, mimetype="application/json", headers=headers)
        response.headers["Cache-Control"] = "no-store"
        response.headers["Access-Control-Expose-Headers"] = f"{VERSION_HEADER}, Retry-After"
        return response

    def _route(self, request: Request, path: str) -> Result:
        found = self._routes.get((request.method, path))
        if found is None:
            known = sorted(method for method, name in self._routes if name == path)
            if known:
                raise AuthError(405, "method_not_allowed", f"/auth/v1/{path} takes {', '.join(known)}")
            raise AuthError(404, "not_found", "Not found: the local stack serves sign-up, sign-in and users alone")
        try:
            return found(request)
        except psycopg.OperationalError as error:
            log.warning("Postgres is unreachable: %s", type(error).__name__)
            raise AuthError(503, "unexpected_failure", "The database is unreachable; try again shortly.") from None
        except (psycopg.DataError, UnicodeEncodeError):
            raise validation_failed("A value cannot be stored: it holds characters that no text may have") from None
        except psycopg.Error as error:
            log.exception("a statement failed")
            raise AuthError(500, "unexpected_failure", "The request failed; see logs/supabase.log") from error
        except RequestEntityTooLarge:
            raise AuthError(413, "request_too_large", f"The body is larger than {MAX_BODY_BYTES} bytes") from None

    def _sign_up(self, request: Request) -> Result:
        body = _parsed(request)
        if body.phone:
            raise AuthError(400, "phone_provider_disabled", "Phone signups are disabled")
        if not body.email and not body.password:
            self._limits.count("anonymous", _address(request))
            return self._sign_in(request, "anonymous", lambda db: accounts.create(db, None, None, body.data or {})), 200
        self._limits.count("sign_in", _address(request))
        if not body.email:
            raise validation_failed("To signup, please provide your email")
        if not body.password:
            raise validation_failed("Signup requires a valid password")
        address, password = body.email, body.password
        return self._sign_in(
            request, "password", lambda db: accounts.create(db, address, password, body.data or {})
        ), 200

    def _token(self, request: Request) -> Result:
        match request.args.get("grant_type"):
            case "password":
                return self._by_password(request)
            case "refresh_token":
                return self._by_refresh_token(request)
        raise AuthError(400, "invalid_credentials", "unsupported_grant_type")

    def _by_password(self, request: Request) -> Result:
        self._limits.count("sign_in", _address(request))
        body = _parsed(request)
        if body.phone:
            raise AuthError(400, "phone_provider_disabled", "Phone logins are disabled")
        if not body.email:
            raise validation_failed("missing email or phone")
        email, password = body.email, body.password or ""
        return self._sign_in(request, "password", lambda db: accounts.with_password(db, email, password)), 200

    def _by_refresh_token(self, request: Request) -> Result:
        self._limits.count("refresh", _address(request))
        token = _parsed(request).refresh_token
        if not token:
            raise validation_failed("refresh_token required")

        def rotate(db: Connection) -> dict[str, Any] | None:
            session = sessions.refresh(db, token)
            if session is None:
                return None
            account = accounts.find(db, session.user_id)
            if account is None:
                raise AuthError(400, "user_not_found", "The user of the session does not exist")
            account.check_not_banned()
            return self._tokens.grant(account, session)

        granted = self._within(rotate)  # committed in either case: reuse has ended the session
        if granted is None:
            raise AuthError(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used")
        return granted, 200

    def _user(self, request: Request) -> Result:
        return self._within(lambda db: self._caller(db, request)[0].shown()), 200

    def _update_user(self, request: Request) -> Result:
        body = _parsed(request)
        if body.phone:
            raise AuthError(400, "phone_provider_disabled", "Phone numbers cannot be set: there is no SMS here")
        if body.app_metadata is not None:
            raise AuthError(403, "not_admin", "Updating app_metadata requires admin privileges")

        def update(db: Connection) -> Account:
            account, session_id = self._caller(db, request)
            changed = accounts.change(db, account, email=body.email, password=body.password, data=body.data)
            if body.password is not None:
                sessions.end(db, account.id, session_id, "others" if session_id else "global")
            return changed

        return self._within(update).shown(), 200

    def _log_out(self, request: Request) -> Result:
        scope = request.args.get("scope", "global")
        if scope not in ("global", "local", "others"):
            raise validation_failed(f"Unsupported logout scope {scope!r}")
        chosen: Literal["global", "local", "others"] = scope  # type: ignore[assignment]

        def end(db: Connection) -> None:
            account, session_id = self._caller(db, request)
            sessions.end(db, account.id, session_id, chosen)

        self._within(end)
        return None, 204

    def _caller(self, db: Connection, request: Request) -> tuple[Account, Any]:
        user_id, session_id = self._tokens.read(request.headers.get("Authorization"))
        account = accounts.find(db, user_id, lock=request.method != "GET")
        if account is None:
            raise AuthError(403, "user_not_found", "User from sub claim in JWT does not exist")
        if session_id is not None and not sessions.exists(db, session_id):
            raise session_not_found()
        return account, session_id

    def _sign_in(self, request: Request, method: str, find: Callable[[Connection], Account]) -> dict[str, Any]:
        """Begin a session of the account that `find` makes or finds."""

        def begin(db: Connection) -> dict[str, Any]:
            account = find(db)
            agent = request.headers.get("User-Agent")
            session = sessions.begin(db, account.id, method, user_agent=agent, address=request.remote_addr)
            return self._tokens.grant(accounts.signed_in(db, account), session)

        return self._within(begin)

    def _within(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in a transaction of its own."""
        with psycopg.connect(self._database_url, connect_timeout=CONNECT_SECONDS, row_factory=dict_row) as db:
            return work(db)


def _health() -> dict[str, str]:
    description = "Sign-up and sign-in of PixelBloom's local stack, in the form of Supabase Auth. For development."
    return {"name": "PixelBloom local auth", "version": version("pixelbloom"), "description": description}


def _address(request: Request) -> str:
    return request.remote_addr or ""


def _parsed(request: Request) -> _Body:
    raw = request.get_data()
    try:
        return _Body.model_validate_json(raw or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            raise AuthError(400, "bad_json", "Could not parse request body as JSON") from None
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise AuthError(400, "bad_json", f"Could not parse request body as JSON: {where}: {first['msg']}") from None
