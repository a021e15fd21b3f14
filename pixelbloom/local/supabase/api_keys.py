"""Keys like `sb_publishable_...` and `sb_secret_...`: accepted as `apikey`, and exchanged for the role's token."""

from typing import Any

from pixelbloom.local import secrets


class UnknownKey(Exception):
    """An `apikey` of that form that is not the project's."""


class ApiKeys:
    """The project's two keys, and their tokens."""

    def __init__(self, jwt_secret: str) -> None:
        new, tokens = secrets.api_keys(jwt_secret), secrets.project_keys(jwt_secret)
        self._tokens = {
            new["SUPABASE_PUBLISHABLE_KEY"]: tokens["SUPABASE_ANON_KEY"],
            new["SUPABASE_SECRET_KEY"]: tokens["SUPABASE_SERVICE_ROLE_KEY"],
        }

    def exchange(self, environ: dict[str, Any]) -> None:
        """Put the role's token into the request where its key has the newer form and no user's token is sent.

        Raises UnknownKey. As at hosted Supabase the key alone is no bearer token.
        """
        key = environ.get("HTTP_APIKEY", "")
        if not key.startswith("sb_"):
            return
        token = self._tokens.get(key)
        if token is None:
            raise UnknownKey
        if environ.get("HTTP_AUTHORIZATION", f"Bearer {key}") == f"Bearer {key}":
            environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
