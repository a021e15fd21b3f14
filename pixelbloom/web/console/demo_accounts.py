"""Signing in to the console by one click, as one of the local stack's two accounts.

Only `pixelbloom up` with its own Supabase gateway offers it. It works on loopback, and for the console's own page:
another page is refused, also one of this machine.
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
    """The accounts that can be used here; none but on the local stack."""
    if settings.pixelbloom_demo_accounts is None or not _loopback(settings.supabase_url):
        return []
    found = _stored(settings.pixelbloom_demo_accounts)
    return [name for name, prefix in ACCOUNTS.items() if f"{prefix}_PASSWORD" in found and f"{prefix}_EMAIL" in found]


def register(blueprint: Blueprint, settings: Settings) -> None:
    """Add `POST /console/demo` to the console's addresses."""

    @blueprint.post("/console/demo")
    def sign_in() -> Response:
        """A session as Supabase Auth gives one: `{"access_token", "refresh_token", "expires_at", "user", ...}`."""
        accounts = offered(settings)
        if not accounts:
            raise Missing("Demo accounts exist on the local stack alone; sign in with e-mail and password.")
        _check_own_page()
        account = request.get_json().get("account")
        if account not in accounts:
            raise InvalidInput(f"account must be one of {', '.join(accounts)}.")
        response = jsonify(_session(settings, ACCOUNTS[account]))
        response.headers["Cache-Control"] = "no-store"
        return response


def _check_own_page() -> None:
    """Refuse what does not come from the console's page at an address of this machine.

    `Host` is checked against names that rebind to us, `Origin` against other pages, the peer against other machines.
    """
    host, origin = request.host, request.headers.get("Origin")
    if (
        not _loopback(f"http://{host}")
        or origin != f"http://{host}"
        or request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin"
        or not _loopback(f"http://{_bracketed(request.remote_addr or '')}")
    ):
        raise Forbidden("Demo accounts open for the console's own page on this machine alone.")


def _session(settings: Settings, prefix: str) -> object:
    path = settings.pixelbloom_demo_accounts
    assert path is not None
    found = _stored(path)
    key = settings.supabase_anon_key
    try:
        answer = httpx.post(
            f"{settings.require('supabase_url').rstrip('/')}/auth/v1/token",
            params={"grant_type": "password"},
            json={"email": found[f"{prefix}_EMAIL"], "password": found[f"{prefix}_PASSWORD"]},
            headers={"apikey": key.get_secret_value()} if key is not None else {},
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
        )
    except httpx.HTTPError:
        raise Unavailable("The local Supabase gateway is unreachable; try again shortly.") from None
    if answer.status_code == 400:
        raise Conflict("The password of this account was changed; sign in with e-mail and password.")
    if answer.status_code != 200:
        raise Unavailable("The local Supabase gateway did not sign the account in; try again shortly.")
    return answer.json()


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
