"""Two accounts to sign in with: a user, who owns the agency of `pixelbloom seed`, and an administrator."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from pixelbloom.config import DEVELOPMENT_USER, Settings
from pixelbloom.core.addresses import libpq_url
from pixelbloom.local import envfile
from pixelbloom.local.home import Home
from pixelbloom.local.postgres import Postgres
from pixelbloom.local.supabase import accounts, passwords
from pixelbloom.local.supabase.errors import AuthError

DEVELOPMENT_ADMIN = UUID("00000000-0000-4000-8000-00000000ad01")
PASSWORD_BYTES = 12


@dataclass(frozen=True)
class Demo:
    """One of the two accounts. `variable` names its password in the home's file."""

    kind: str
    id: UUID
    email: str
    variable: str
    role: str | None = None

    @property
    def email_variable(self) -> str:
        """The name of its address in the home's file."""
        return self.variable.replace("PASSWORD", "EMAIL")


DEMOS = (
    Demo("user", DEVELOPMENT_USER, "user@pixelbloom.test", "USER_PASSWORD"),
    Demo("administrator", DEVELOPMENT_ADMIN, "admin@pixelbloom.test", "ADMIN_PASSWORD", "admin"),
)


@dataclass(frozen=True)
class Login:
    """The credentials of an account. `password` is None if its user has changed it."""

    kind: str
    email: str
    password: str | None

    def __str__(self) -> str:
        return f"{self.email} (the {self.kind}), password {self.password or 'changed by its user'}"


def ensure_in(settings: Settings) -> Sequence[Login]:
    """`ensure`, where DATABASE_URL is the embedded database of the home; no other gets demo accounts."""
    if not settings.pixelbloom_home.exists():
        return ()
    home, url = Home.at(settings.pixelbloom_home), settings.require("database_url")
    return ensure(home, url) if url == libpq_url(Postgres(home).url()) else ()


def ensure(home: Home, database_url: str) -> Sequence[Login]:
    """Make the accounts that are missing, and return both. An address with another account is omitted."""
    stored = envfile.read(home.accounts_file)
    values = {demo.variable: secrets.token_urlsafe(PASSWORD_BYTES) for demo in DEMOS} | stored
    if values != stored:
        envfile.write(home.accounts_file, values)
    logins, emails = [], {}
    with psycopg.connect(database_url, row_factory=dict_row) as db:
        for demo in DEMOS:
            login = _ensured(db, demo, values[demo.variable], new=demo.variable not in stored)
            if login is not None:
                logins.append(login)
                emails[demo.email_variable] = login.email
    if not emails.items() <= values.items():
        envfile.write(home.accounts_file, values | emails)
    return logins


def _ensured(db: accounts.Connection, demo: Demo, password: str, *, new: bool) -> Login | None:
    account = accounts.find(db, demo.id)
    if account is None:
        metadata = {"role": demo.role} if demo.role else {}
        try:
            with db.transaction():
                accounts.create(db, demo.email, password, {}, user_id=demo.id, app_metadata=metadata)
        except AuthError:
            return None
        return Login(demo.kind, demo.email, password)
    if account.email is None:
        return None
    if new:  # the file was lost, and with it the earlier password
        accounts.change(db, account, email=None, password=password, data=None)
    known = new or passwords.matches(account.password, password)
    return Login(demo.kind, account.email, password if known else None)
