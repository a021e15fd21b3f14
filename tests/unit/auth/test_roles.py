"""Administrators by `user_profiles`."""

from collections.abc import Collection
from datetime import UTC, datetime
from uuid import UUID, uuid4

from pixelbloom.auth.access import Access
from pixelbloom.auth.principal import Principal
from pixelbloom.auth.roles import BATCH, ROLE_SECONDS, Roles
from pixelbloom.errors import Unavailable


class Profiles:
    """What `user_profiles` would say, and how often it was asked."""

    def __init__(self, *admins: UUID) -> None:
        self.admins = set(admins)
        self.asked = 0
        self.away = False

    def admins_among(self, user_ids: Collection[UUID]) -> set[UUID]:
        self.asked += 1
        if self.away:
            raise Unavailable("away")
        return self.admins & set(user_ids)


def user(user_id: UUID, *, admin: bool = False) -> Principal:
    return Principal("user", user_id, admin, None, datetime.now(UTC))


def test_a_profile_makes_an_administrator() -> None:
    chief, other = uuid4(), uuid4()
    roles = Roles(Profiles(chief).admins_among)

    assert roles.is_admin(user(chief))
    assert not roles.is_admin(user(other))
    assert roles.resolve(user(chief)).admin


def test_own_rows_need_no_query() -> None:
    profiles, someone = Profiles(), uuid4()

    access = Access(Roles(profiles.admins_among))
    assert access.may_see(user(someone), someone)
    assert access.may_see(user(someone, admin=True), uuid4())
    assert profiles.asked == 0


def test_a_role_is_cached_for_a_limited_time() -> None:
    now, chief = [0.0], uuid4()
    profiles = Profiles(chief)
    roles = Roles(profiles.admins_among, clock=lambda: now[0])

    assert roles.is_admin(user(chief))
    assert roles.is_admin(user(chief))
    assert profiles.asked == 1

    profiles.admins.clear()
    now[0] = ROLE_SECONDS / 2 + 1
    assert not roles.is_admin(user(chief))


def test_while_the_database_is_unreachable_only_the_token_counts() -> None:
    profiles, chief = Profiles(), uuid4()
    profiles.away = True
    roles = Roles(profiles.admins_among)

    assert not roles.resolve(user(chief)).admin
    assert roles.resolve(user(chief, admin=True)).admin


def test_many_users_are_loaded_with_one_query_and_cached() -> None:
    chief, others = uuid4(), [uuid4() for _ in range(BATCH + 5)]
    profiles = Profiles(chief)
    roles = Roles(profiles.admins_among)

    assert roles.refresh([chief, *others]) == {chief}
    assert profiles.asked == 2
    assert roles.is_admin(user(chief))
    assert not roles.is_admin(user(others[-1]))
    assert profiles.asked == 2


def test_a_role_from_the_profile_is_distinguished_from_one_in_the_token() -> None:
    chief = uuid4()
    roles = Roles(Profiles(chief).admins_among)

    assert roles.resolve(user(chief)).admin_by_profile
    assert not roles.resolve(user(chief, admin=True)).admin_by_profile
    assert not roles.resolve(user(uuid4())).admin_by_profile
