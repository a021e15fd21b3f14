"""The two accounts that the local stack has to sign in with."""

import stat
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg

from pixelbloom.auth.tokens import TokenVerifier
from pixelbloom.config import DEVELOPMENT_USER
from pixelbloom.local.home import Home
from pixelbloom.local.supabase import demo
from tests.stack import Stack


def sign_in(stack: Stack, login: demo.Login) -> httpx.Response:
    return httpx.post(
        f"{stack.settings.supabase_url}/auth/v1/token",
        params={"grant_type": "password"},
        json={"email": login.email, "password": login.password},
        trust_env=False,
        timeout=300,
    )


def test_the_printed_logins_work_whenever_they_are_printed(stack: Stack) -> None:
    logins = demo.ensure(stack.home, stack.database_url)
    assert [login.kind for login in logins] == ["user", "administrator"]
    assert demo.ensure(stack.home, stack.database_url) == logins
    assert stat.S_IMODE(stack.home.accounts_file.stat().st_mode) == 0o600
    found = []
    for login in logins:
        response = sign_in(stack, login)
        assert response.status_code == 200, response.text
        principal = TokenVerifier(stack.settings).verify(response.json()["access_token"])
        found.append((principal.user_id, principal.admin))
    assert found == [(DEVELOPMENT_USER, False), (demo.DEVELOPMENT_ADMIN, True)]

    stack.home.accounts_file.unlink()
    again = demo.ensure(stack.home, stack.database_url)
    assert again != logins
    assert [sign_in(stack, login).status_code for login in (*again, *logins)] == [200, 200, 400, 400]


def test_a_changed_password_stays_and_an_existing_address_is_not_touched(stack: Stack, db: psycopg.Connection) -> None:
    before = demo.ensure(stack.home, stack.database_url)
    db.execute("update auth.users set encrypted_password = 'scrypt:1:1:1$x$00' where id = %s", [DEVELOPMENT_USER])
    user, administrator = demo.ensure(stack.home, stack.database_url)
    assert (user.password, "changed by its user" in str(user)) == (None, True)
    assert administrator == before[1]

    db.execute("delete from auth.users where id = %s", [DEVELOPMENT_USER])
    db.execute("insert into auth.users (id, email) values (%s, %s)", [uuid4(), user.email])
    assert demo.ensure(stack.home, stack.database_url) == [administrator]
    db.execute("delete from auth.users where email = %s", [user.email])
    assert demo.ensure(stack.home, stack.database_url) == before


def test_only_the_database_of_the_home_gets_demo_accounts(stack: Stack, tmp_path: Path) -> None:
    mine = stack.settings_with(pixelbloom_home=stack.home.root)
    assert demo.ensure_in(mine) == demo.ensure(stack.home, stack.database_url)
    other = Home.at(tmp_path / "other")
    assert demo.ensure_in(stack.settings_with(pixelbloom_home=other.root)) == ()
    assert not other.accounts_file.exists()
    assert demo.ensure_in(stack.settings_with(pixelbloom_home=tmp_path / "none")) == ()
