"""The gateway as a WSGI application: which service a path belongs to, and CORS for all of them."""

import json
import logging
from collections.abc import Callable, Iterable
from typing import Any

import httpx

from pixelbloom.local.supabase import cors
from pixelbloom.local.supabase.api_keys import ApiKeys, UnknownKey
from pixelbloom.local.supabase.auth import Auth
from pixelbloom.local.supabase.rest import Headers, Rest

log = logging.getLogger(__name__)
REST = "/rest/v1"
AUTH = "/auth/v1"


class Gateway:
    """Serves `/rest/v1`, which is PostgREST at `rest_url`, and `/auth/v1`."""

    def __init__(self, rest_url: str, auth: Auth, keys: ApiKeys) -> None:
        self._rest = Rest(rest_url)
        self._keys = keys
        self._auth = auth

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ:
            asked = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS")
            start_response("204 No Content", cors.preflight(asked))
            return []
        status, headers, body = self._respond(environ)
        if not any(name.lower() == cors.ALLOW_ORIGIN[0].lower() for name, _ in headers):
            headers = [*headers, cors.ALLOW_ORIGIN]
        start_response(status, headers)
        return body

    def _respond(self, environ: dict[str, Any]) -> tuple[str, Headers, Iterable[bytes]]:
        # The raw path: PATH_INFO is decoded.
        path = str(environ["RAW_URI"]).partition("?")[0]
        if path == REST or path.startswith(f"{REST}/"):
            try:
                self._keys.exchange(environ)
                return self._rest.send(environ, path[len(REST) :] or "/")
            except UnknownKey:
                return _json("401 Unauthorized", "Invalid API key")
            except httpx.InvalidURL:
                return _json("414 URI Too Long", "The address is too long; send the filter as a POST to a function.")
            except httpx.HTTPError as error:
                log.warning("PostgREST is unreachable: %s", type(error).__name__)
                return _json("503 Service Unavailable", "PostgREST is unreachable; try again shortly.")
        if path.startswith(f"{AUTH}/"):
            response = self._auth.respond(environ, path[len(AUTH) :])
            return response.status, list(response.headers), [response.get_data()]
        return _json("404 Not Found", "Not found: the local Supabase gateway serves /rest/v1 and /auth/v1.")


def _json(status: str, message: str) -> tuple[str, Headers, Iterable[bytes]]:
    body = json.dumps({"message": message}).encode()
    return status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))], [body]
