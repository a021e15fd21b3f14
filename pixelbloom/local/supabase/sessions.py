"""Sessions and their refresh tokens, which are used once each."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid4

from pixelbloom.local.supabase.accounts import Connection
from pixelbloom.local.supabase.errors import AuthError

TOKEN_BYTES = 24
Scope = Literal["global", "local", "others"]


@dataclass(frozen=True)
class Session:
    """A session with its current refresh token. `amr` says how the user signed in, as access tokens do."""

    id: UUID
    user_id: UUID
    refresh_token: str
    amr: list[dict[str, Any]]


def begin(db: Connection, user_id: UUID, method: str, *, user_agent: str | None, address: str | None) -> Session:
    """A new session of a user who signed in by `method` (password, anonymous)."""
    session_id = uuid4()
    db.execute(
        """
        insert into auth.sessions (id, user_id, created_at, updated_at, aal, user_agent, ip)
        values (%s, %s, now(), now(), 'aal1', %s, %s)
        """,
        [session_id, user_id, user_agent, address],
    )
    db.execute(
        """
        insert into auth.mfa_amr_claims (id, session_id, created_at, updated_at, authentication_method)
        values (%s, %s, now(), now(), %s)
        """,
        [uuid4(), session_id, method],
    )
    token = _issue(db, user_id, session_id, None)
    return Session(session_id, user_id, token, _amr(db, session_id))


def refresh(db: Connection, token: str) -> Session | None:
    """The session with a new refresh token in place of `token`.

    None where `token` was used before: its session has been ended, for somebody else may have the token. Raises
    AuthError for a token that is not known.
    """
    row = db.execute(
        """
        select t.session_id, s.user_id
        from auth.refresh_tokens as t
        inner join auth.sessions as s on t.session_id = s.id
        where t.token = %s
        for update of s
        """,
        [token],
    ).fetchone()
    if row is None:
        raise AuthError(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
    session_id, user_id = row["session_id"], row["user_id"]
    used = db.execute(
        """
        update auth.refresh_tokens set revoked = true, updated_at = now()
        where token = %s and not revoked
        returning id
        """,
        [token],
    ).fetchone()
    if used is None:
        db.execute("delete from auth.sessions where id = %s", [session_id])
        return None
    # Hosted Supabase has this one without a time zone.
    db.execute(
        "update auth.sessions set refreshed_at = now() at time zone 'utc', updated_at = now() where id = %s",
        [session_id],
    )
    return Session(session_id, user_id, _issue(db, user_id, session_id, token), _amr(db, session_id))


def exists(db: Connection, session_id: UUID) -> bool:
    """Return whether the session is active."""
    return db.execute("select 1 from auth.sessions where id = %s", [session_id]).fetchone() is not None


def end(db: Connection, user_id: UUID, session_id: UUID | None, scope: Scope) -> None:
    """End all sessions of the user (global), this one (local), or all but this one (others)."""
    db.execute(
        """
        delete from auth.sessions
        where
            user_id = %(user)s
            and (
                %(scope)s::text = 'global'
                or (%(scope)s::text = 'local' and id = %(session)s::uuid)
                or (%(scope)s::text = 'others' and id is distinct from %(session)s::uuid)
            )
        """,
        {"user": user_id, "session": session_id, "scope": scope},
    )


def _issue(db: Connection, user_id: UUID, session_id: UUID, parent: str | None) -> str:
    token = secrets.token_urlsafe(TOKEN_BYTES)
    db.execute(
        """
        insert into auth.refresh_tokens (token, user_id, revoked, created_at, updated_at, parent, session_id)
        values (%s, %s, false, now(), now(), %s, %s)
        """,
        [token, str(user_id), parent, session_id],
    )
    return token


def _amr(db: Connection, session_id: UUID) -> list[dict[str, Any]]:
    rows = db.execute(
        """
        select authentication_method, created_at from auth.mfa_amr_claims
        where session_id = %s
        order by created_at desc
        """,
        [session_id],
    ).fetchall()
    return [{"method": row["authentication_method"], "timestamp": _seconds(row["created_at"])} for row in rows]


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
