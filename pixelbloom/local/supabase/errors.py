"""The errors of Supabase Auth: the status, the code and the message."""

from typing import Any


class AuthError(Exception):
    """A refused request. `code` is one of those that supabase-js documents."""

    def __init__(self, status: int, code: str, message: str, *, reasons: list[str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.reasons = reasons

    def body(self, *, dated: bool) -> dict[str, Any]:
        """The body in the form of API version 2024-01-01 (`dated`), or in that of before."""
        if dated:
            found: dict[str, Any] = {"code": self.code, "message": self.message}
        else:
            found = {"code": self.status, "error_code": self.code, "msg": self.message}
        return found if self.reasons is None else {**found, "weak_password": {"reasons": self.reasons}}


def validation_failed(message: str, status: int = 400) -> AuthError:
    return AuthError(status, "validation_failed", message)


def invalid_credentials() -> AuthError:
    return AuthError(400, "invalid_credentials", "Invalid login credentials")


def session_not_found() -> AuthError:
    return AuthError(403, "session_not_found", "Session from session_id claim in JWT does not exist")
