"""Administrators by `user_profiles`."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from pixelbloom.auth.principal import Principal
from pixelbloom.auth.roles import REMEMBER_SECONDS, Roles
from pixelbloom.errors import Unavailable


class Profiles:
    """What `user_profiles` would say, and how often it was asked."""

    def __init__(self, *admins: UUID) -> None:
        self.admins = set(admins)
        self.asked = 0
        self.away = False

    def is_admin(self, user_id: UUID) -> bool:
        self.asked += 1
        if self.away:
            raise Unavailable("away")
        return user_id in self.admins


def user(user_id: UUID, *, admin: bool = False) -> Principal:
    return Principal("user", user_id, admin, None, datetime.now(UTC))


def test_a_profile_makes_an_administrator() -> None:
    chief, other = uuid4(), uuid4()
    roles = Roles(Profiles(chief).is_admin)

    assert roles.may_read(user(chief), uuid4())
    assert not roles.may_read(user(other), uuid4())
    assert roles.resolve(user(chief)).admin


def test_nobody_is_asked_about_ones_own() -> None:
    profiles, someone = Profiles(), uuid4()

    assert Roles(profiles.is_admin).may_read(user(someone), someone)
    assert Roles(profiles.is_admin).may_read(user(someone, admin=True), uuid4())
    assert profiles.asked == 0


def test_an_answer_holds_for_a_while_and_no_longer() -> None:
    now, chief = [0.0], uuid4()
    profiles = Profiles(chief)
    roles = Roles(profiles.is_admin, clock=lambda: now[0])

    assert roles.is_admin(user(chief))
    assert roles.is_admin(user(chief))
    assert profiles.asked == 1

    profiles.admins.clear()
    now[0] = REMEMBER_SECONDS + 1
    assert not roles.is_admin(user(chief))


def test_while_the_database_is_away_the_token_alone_counts() -> None:
    profiles, chief = Profiles(), uuid4()
    profiles.away = True
    roles = Roles(profiles.is_admin)

    assert not roles.resolve(user(chief)).admin
    assert roles.resolve(user(chief, admin=True)).admin
