"""Passwords: the rules of a new one, and scrypt by werkzeug for what is stored."""

from functools import cache

from werkzeug.security import check_password_hash, generate_password_hash

from pixelbloom.local.supabase.errors import AuthError, validation_failed

#: Hosted Supabase's default, and its upper bound in bytes.
MIN_CHARACTERS, MAX_BYTES = 6, 72
METHOD = "scrypt"


def hashed(password: str) -> str:
    """The hash to store. Raises AuthError where the password is too weak or too long."""
    if len(password) < MIN_CHARACTERS:
        message = f"Password should be at least {MIN_CHARACTERS} characters."
        raise AuthError(422, "weak_password", message, reasons=["length"])
    if len(password.encode()) > MAX_BYTES:
        raise validation_failed(f"Password cannot be longer than {MAX_BYTES} characters")
    return generate_password_hash(password, METHOD)


def matches(stored: str | None, password: str) -> bool:
    """Whether `password` is the stored one. Takes as long where there is none, so that the time reveals no account."""
    try:
        return check_password_hash(stored or _nobodys(), password) and stored is not None
    except ValueError:
        return False  # of another method, like bcrypt


@cache
def _nobodys() -> str:
    return generate_password_hash("of nobody", METHOD)
