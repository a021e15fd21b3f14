"""The users in `auth.users`: created, found, changed, and shown as Supabase Auth shows them."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from pixelbloom.core.time_zones import iso_utc
from pixelbloom.local.supabase import passwords
from pixelbloom.local.supabase.errors import AuthError, invalid_credentials, validation_failed

Connection = psycopg.Connection[DictRow]

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
LONGEST_EMAIL = 255
EMAIL_PROVIDER = {"provider": "email", "providers": ["email"]}
#: Hosted Supabase has one row of instances.
INSTANCE = UUID(int=0)


@dataclass(frozen=True)
class Account:
    """A row of `auth.users`."""

    id: UUID
    email: str | None
    password: str | None
    email_confirmed_at: datetime | None
    last_sign_in_at: datetime | None
    app_metadata: dict[str, Any]
    user_metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    banned_until: datetime | None
    is_anonymous: bool

    @classmethod
    def of(cls, row: DictRow) -> Self:
        """The account of a row."""
        made = row["created_at"] or datetime.now(UTC)
        return cls(
            id=row["id"],
            email=row["email"],
            password=row["encrypted_password"],
            email_confirmed_at=row["email_confirmed_at"],
            last_sign_in_at=row["last_sign_in_at"],
            app_metadata=row["raw_app_meta_data"] or {},
            user_metadata=row["raw_user_meta_data"] or {},
            created_at=made,
            updated_at=row["updated_at"] or made,
            banned_until=row["banned_until"],
            is_anonymous=row["is_anonymous"],
        )

    def check_not_banned(self) -> None:
        """Raises AuthError for a banned user."""
        if self.banned_until is not None and self.banned_until > datetime.now(UTC):
            raise AuthError(400, "user_banned", "User is banned")

    def shown(self) -> dict[str, Any]:
        """The user object of Supabase Auth."""
        confirmed = _time(self.email_confirmed_at)
        found: dict[str, Any] = {
            "id": str(self.id),
            "aud": "authenticated",
            "role": "authenticated",
            "email": self.email or "",
            "email_confirmed_at": confirmed,
            "phone": "",
            "confirmed_at": confirmed,
            "last_sign_in_at": _time(self.last_sign_in_at),
            "app_metadata": self.app_metadata,
            "user_metadata": self.user_metadata,
            "identities": [self._identity()] if self.email else [],
            "created_at": _time(self.created_at),
            "updated_at": _time(self.updated_at),
            "is_anonymous": self.is_anonymous,
        }
        return {name: value for name, value in found.items() if value is not None}

    def _identity(self) -> dict[str, Any]:
        return {
            "identity_id": str(self.id),
            "id": str(self.id),
            "user_id": str(self.id),
            "identity_data": {
                "email": self.email,
                "email_verified": True,
                "phone_verified": False,
                "sub": str(self.id),
            },
            "provider": "email",
            "last_sign_in_at": _time(self.last_sign_in_at),
            "created_at": _time(self.created_at),
            "updated_at": _time(self.updated_at),
            "email": self.email,
        }


def create(
    db: Connection,
    email: str | None,
    password: str | None,
    data: dict[str, Any],
    *,
    user_id: UUID | None = None,
    app_metadata: dict[str, Any] | None = None,
) -> Account:
    """A new user, confirmed at once; an anonymous one without an e-mail address. Raises AuthError."""
    user_id = user_id or uuid4()
    address = checked_email(email) if email is not None else None
    metadata = {**data, **_verified(user_id, address)} if address is not None else data
    try:
        row = db.execute(
            """
            insert into auth.users (
                instance_id, id, aud, role, email, encrypted_password, email_confirmed_at,
                raw_app_meta_data, raw_user_meta_data, created_at, updated_at, is_anonymous
            )
            values (
                %(instance)s, %(id)s, 'authenticated', 'authenticated', %(email)s::text, %(password)s::text,
                case when %(email)s::text is null then null else now() end,
                %(app_metadata)s, %(user_metadata)s, now(), now(), %(email)s::text is null
            )
            returning *
            """,
            {
                "instance": INSTANCE,
                "id": user_id,
                "email": address,
                "password": passwords.hashed(password) if password is not None else None,
                "app_metadata": Jsonb({**(EMAIL_PROVIDER if address else {}), **(app_metadata or {})}),
                "user_metadata": Jsonb(metadata),
            },
        ).fetchone()
    except psycopg.errors.UniqueViolation:
        raise AuthError(422, "user_already_exists", "User already registered") from None
    assert row is not None
    return Account.of(row)


def find(db: Connection, user_id: UUID, *, lock: bool = False) -> Account | None:
    """The user of this id; None where there is none. `lock` holds the row until the transaction ends."""
    # Sessions refer to users: a stronger lock would wait for every sign-in.
    query = "select * from auth.users where id = %s and deleted_at is null"
    row = db.execute(f"{query} for no key update" if lock else query, [user_id]).fetchone()
    return None if row is None else Account.of(row)


def with_password(db: Connection, email: str, password: str) -> Account:
    """The user who has this e-mail address and password. Raises AuthError."""
    row = db.execute(
        "select * from auth.users where lower(email) = %s and deleted_at is null", [email.strip().lower()]
    ).fetchone()
    account = None if row is None else Account.of(row)
    stored = account.password if account is not None else None
    if not passwords.matches(stored, password) or account is None:
        raise invalid_credentials()
    account.check_not_banned()
    return account


def signed_in(db: Connection, account: Account) -> Account:
    """The account with the time of its newest sign-in."""
    row = db.execute(
        "update auth.users set last_sign_in_at = now(), updated_at = now() where id = %s returning *", [account.id]
    ).fetchone()
    assert row is not None
    return Account.of(row)


def change(
    db: Connection, account: Account, *, email: str | None, password: str | None, data: dict[str, Any] | None
) -> Account:
    """Store what is not None; null values of `data` remove their names. Raises AuthError."""
    address = checked_email(email) if email else account.email
    if password is not None and address is None:
        message = "Updating password of an anonymous user without an email or phone is not allowed"
        raise validation_failed(message, 422)
    if password is not None and account.password is not None and passwords.matches(account.password, password):
        raise AuthError(422, "same_password", "New password should be different from the old password.")
    metadata = {name: value for name, value in {**account.user_metadata, **(data or {})}.items() if value is not None}
    renamed = address != account.email and address is not None
    if renamed:
        metadata |= _verified(account.id, address)
    try:
        row = db.execute(
            """
            update auth.users
            set
                email = %(email)s::text,
                encrypted_password = coalesce(%(password)s::text, encrypted_password),
                email_confirmed_at = case when %(renamed)s::boolean then now() else email_confirmed_at end,
                raw_app_meta_data = %(app_metadata)s,
                raw_user_meta_data = %(user_metadata)s,
                is_anonymous = is_anonymous and not %(renamed)s::boolean,
                updated_at = now()
            where id = %(id)s
            returning *
            """,
            {
                "id": account.id,
                "email": address,
                "renamed": renamed,
                "password": passwords.hashed(password) if password is not None else None,
                "app_metadata": Jsonb({**account.app_metadata, **(EMAIL_PROVIDER if renamed else {})}),
                "user_metadata": Jsonb(metadata),
            },
        ).fetchone()
    except psycopg.errors.UniqueViolation:
        message = "A user with this email address has already been registered"
        raise AuthError(422, "email_exists", message) from None
    assert row is not None
    return Account.of(row)


def checked_email(email: str) -> str:
    """The address in lower case. Raises AuthError where it is none."""
    address = email.strip().lower()
    if not _EMAIL.fullmatch(address) or len(address) > LONGEST_EMAIL:
        raise validation_failed("Unable to validate email address: invalid format")
    return address


def _verified(user_id: UUID, email: str | None) -> dict[str, Any]:
    return {"sub": str(user_id), "email": email, "email_verified": True, "phone_verified": False}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else iso_utc(moment)
