"""One-click sign-in to the console, as one of the local stack's two accounts.

Only available with `pixelbloom up` and its own Supabase gateway, on loopback and from the console's own page. Other
pages are rejected, even of this machine.
"""

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from flask import Blueprint, Response, jsonify, request

from pixelbloom.config import Settings
from pixelbloom.core.textfile import env_values
from pixelbloom.errors import Conflict, Forbidden, InvalidInput, Unavailable
from pixelbloom.errors import NotFound as Missing

#: By the name in a request: the prefix of its variables in the file of accounts.
ACCOUNTS = {"user": "USER", "administrator": "ADMIN"}
TIMEOUT_SECONDS = 20.0


def offered(settings: Settings) -> list[str]:
    """Return the accounts that can be used here; empty except on the local stack."""
    if settings.pixelbloom_demo_accounts is None or not _loopback(settings.supabase_url):
        return []
    found = _stored(settings.pixelbloom_demo_accounts)
    return [name for name, prefix in ACCOUNTS.items() if f"{prefix}_PASSWORD" in found and f"{prefix}_EMAIL" in found]


def register(blueprint: Blueprint, settings: Settings) -> None:
    """Add `POST /console/demo` to the console's blueprint."""

    @blueprint.post("/console/demo")
    def sign_in() -> Response:
        """Return a session as Supabase Auth does: `{"access_token", "refresh_token", "expires_at", "user", ...}`."""
        accounts = offered(settings)
        if not accounts:
            raise Missing("Demo accounts exist only on the local stack; sign in with e-mail and password.")
        _check_own_page()
        account = request.get_json().get("account")
        if account not in accounts:
            raise InvalidInput(f"account must be one of {', '.join(accounts)}.")
        response = jsonify(_session(settings, ACCOUNTS[account]))
        response.headers["Cache-Control"] = "no-store"
        return response


def _check_own_page() -> None:
    """Reject requests that do not come from the console's page at an address of this machine.

    `Host` is checked against names that rebind to us, `Origin` against other pages, the peer against other machines.
    """
    host, origin = request.host, request.headers.get("Origin")
    if (
        not _loopback(f"http://{host}")
        or origin != f"http://{host}"
        or request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin"
        or not _loopback(f"http://{_bracketed(request.remote_addr or '')}")
    ):
        raise Forbidden("Demo accounts work only from the console's own page on this machine.")


def _session(settings: Settings, prefix: str) -> object:
    path = settings.pixelbloom_demo_accounts
    assert path is not None
    found = _stored(path)
    key = settings.supabase_anon_key
    try:
        response = httpx.post(
            f"{settings.require('supabase_url').rstrip('/')}/auth/v1/token",
            params={"grant_type": "password"},
            json={"email": found[f"{prefix}_EMAIL"], "password": found[f"{prefix}_PASSWORD"]},
            headers={"apikey": key.get_secret_value()} if key is not None else {},
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
        )
    except httpx.HTTPError:
        raise Unavailable("The local Supabase gateway is unreachable; try again shortly.") from None
    if response.status_code == 400:
        raise Conflict("The password of this account was changed; sign in with e-mail and password.")
    if response.status_code != 200:
        raise Unavailable("The local Supabase gateway did not sign the account in; try again shortly.")
    return response.json()


def _stored(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    return {name: value for name, value in env_values(path, interpolate=False).items() if value}


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _loopback(url: object) -> bool:
    try:
        host = urlsplit(str(url or "")).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
