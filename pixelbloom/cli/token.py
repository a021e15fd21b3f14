"""`pixelbloom token`: a JWT to call the API with."""

from typing import Annotated

import typer

from pixelbloom.auth.mint import DEFAULT_SECONDS, mint_service, mint_user
from pixelbloom.auth.principal import SCOPES
from pixelbloom.cli.connect import parse_uuid
from pixelbloom.cli.output import reported
from pixelbloom.config import load
from pixelbloom.errors import InvalidInput

#: Ten years; a longer one is probably in another unit.
MAX_SECONDS = 10 * 366 * 86_400


def register(app: typer.Typer) -> None:
    app.command("token")(token)


@reported
def token(
    sub: Annotated[str | None, typer.Option(help="The user's UUID.")] = None,
    role: Annotated[str | None, typer.Option(help="user (the default) or admin.")] = None,
    scope: Annotated[
        str | None, typer.Option(help=f"Limit the token to these, comma-separated: {','.join(SCOPES)}.")
    ] = None,
    expires_in: Annotated[str, typer.Option(help="Seconds until it expires.")] = str(DEFAULT_SECONDS),
    service: Annotated[bool, typer.Option("--service", help="A service token, which may act for any user.")] = False,
) -> None:
    """Print a token, signed with the secret of the local stack or of the environment."""
    seconds = _seconds(expires_in)
    scopes = _scopes(scope)
    user_id = parse_uuid(sub, "--sub") if sub is not None else None
    if role not in (None, "user", "admin"):
        raise InvalidInput(f"--role {role!r} is not one of: user, admin")
    if service:
        if sub is not None or role is not None:
            raise InvalidInput("--service makes a token of no user: omit --sub and --role")
        print(mint_service(load(), scopes=scopes, expires_in=seconds))
    elif user_id is None:
        raise InvalidInput("--sub is missing: pass the user's UUID, or --service for a service token")
    else:
        print(mint_user(load(), user_id, admin=role == "admin", scopes=scopes, expires_in=seconds))


def _seconds(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:12]) <= MAX_SECONDS:
        raise InvalidInput(f"--expires-in {text!r} is not a number of seconds from 1 to {MAX_SECONDS}")
    return int(text)


def _scopes(text: str | None) -> list[str] | None:
    if text is None:
        return None
    scopes = [part.strip() for part in text.split(",") if part.strip()]
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        invalid = unknown[0] if unknown else text
        raise InvalidInput(f"--scope {invalid!r} is not one of: {', '.join(SCOPES)}; separate several by commas")
    return scopes
