"""The address of the API, and a token for it."""

from uuid import UUID

from pixelbloom.auth.mint import mint_service, mint_user
from pixelbloom.client import ApiClient
from pixelbloom.client.token import Token
from pixelbloom.config import DEVELOPMENT_USER, Settings, load
from pixelbloom.errors import ConfigurationError, InvalidInput


def api_address(settings: Settings) -> str:
    """API_URL, or this machine's PORT."""
    return settings.api_url or f"http://127.0.0.1:{settings.port}"


def connect(api_url: str | None, token: str | None, user_id: UUID | None = None) -> ApiClient:
    """A client of the API.

    Without a token, PIXELBLOOM_TOKEN is used, and without that one is minted for `user_id`, or for the user of local
    development, with the secret that this machine has. Raises ConfigurationError where it has none.
    """
    settings = load()
    return ApiClient(api_url or api_address(settings), _token(settings, token, user_id))


def connect_admin(api_url: str | None, token: str | None) -> ApiClient:
    """A client of the API for what administrators and services may do.

    Without a token, PIXELBLOOM_TOKEN is used, and without that a service's is made with API_JWT_SECRET. Raises
    ConfigurationError where there is none.
    """
    settings = load()
    if token is None and settings.pixelbloom_token is not None:
        token = settings.pixelbloom_token.get_secret_value()
    if token is None and settings.api_jwt_secret is None:
        raise ConfigurationError(
            "No token: pass --token or set PIXELBLOOM_TOKEN to an administrator's; where API_JWT_SECRET is set, or the"
            " local stack runs, a service's is made for you"
        )
    found: Token = token or (lambda: mint_service(settings))
    return ApiClient(api_url or api_address(settings), found)


def _token(settings: Settings, given: str | None, user_id: UUID | None) -> Token:
    if given:
        return given
    if settings.pixelbloom_token is not None:
        return settings.pixelbloom_token.get_secret_value()
    if settings.supabase_jwt_secret is None:
        raise ConfigurationError(
            "No token: pass --token or set PIXELBLOOM_TOKEN; where SUPABASE_JWT_SECRET is set, or the local stack"
            " runs, one is made for you"
        )
    # Minted on each call, so that a long watch outlives its first token.
    return lambda: mint_user(settings, user_id or DEVELOPMENT_USER)


def parse_uuid(text: str, what: str) -> UUID:
    """A UUID in its usual form. Raises InvalidInput."""
    try:
        if len(text) != 36:
            raise ValueError(text)
        return UUID(text)
    except ValueError:
        raise InvalidInput(f"{what} {text!r} is not a UUID, like {DEVELOPMENT_USER}") from None
