"""Buyers with and without an account, and what they paid."""

from typing import Any
from uuid import UUID, uuid4

import jwt
import psycopg

from pixelbloom.auth.mint import mint_user
from pixelbloom.local.stripe.server import StripeServer
from tests.integration.http import Api
from tests.integration.payments.checkouts import checkout, control, one
from tests.waiting import until

STATUS = "select status from user_subscriptions where stripe_checkout_session_id = %s"


def address() -> str:
    return f"{uuid4().hex}@example.com"


def account(db: psycopg.Connection, email: str | None, *, verified: bool = True, **columns: Any) -> UUID:
    """A row of Supabase Auth."""
    row = {"id": uuid4(), "email": email, **columns}
    names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
    db.execute(f"insert into auth.users ({names}) values ({marks})", list(row.values()))  # noqa: S608
    if verified:
        db.execute("update auth.users set email_confirmed_at = now() where id = %s", [row["id"]])
    return UUID(str(row["id"]))


def paid(web: Api, shop: StripeServer, db: psycopg.Connection, email: str, **body: Any) -> str:
    """The id of a checkout that somebody without an account paid."""
    session = checkout(web, price_id="price_open", customer_email=email, **body)["id"]
    control(shop, "pay_session", session=session)
    until(lambda: one(db, STATUS, session) == "active")
    return str(session)


def claiming(web: Api, user_id: UUID, email: str) -> Api:
    """A user with a token that claims the address."""
    says = {"email": email, "email_verified": True}
    claims = jwt.decode(mint_user(web.settings, user_id), options={"verify_signature": False})
    secret = web.settings.require("supabase_jwt_secret")
    return web.with_token(jwt.encode({**claims, **says, "user_metadata": says}, secret, algorithm="HS256"))


def visitor(web: Api) -> Api:
    return web.with_token(web.request("POST", "/api/visitors/sessions").json()["token"])
