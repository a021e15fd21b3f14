"""The rule of who sees what, as a table over the kinds of callers."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from pixelbloom.auth.access import Access
from pixelbloom.auth.principal import Principal
from pixelbloom.auth.roles import Roles
from pixelbloom.errors import Forbidden

ME, OTHER, SESSION = uuid4(), uuid4(), uuid4()
USER = Principal("user", ME, admin=False, scopes=None, expires_at=datetime.now(UTC))
CALLERS = {
    "user": USER,
    "anonymous": replace(USER, anonymous=True),
    "admin": replace(USER, admin=True),
    "narrow admin": replace(USER, own_only=True),
    "service": replace(USER, kind="service", user_id=None, admin=True),
    "visitor": replace(USER, kind="visitor", user_id=None, visitor_id=SESSION),
}
ACCESS = Access(Roles(lambda _: set()))
REFUSED = "refused"


def outcome(decide: object, name: str, user_id: UUID | None) -> object:
    try:
        return decide(CALLERS[name], user_id)  # type: ignore[operator]
    except Forbidden:
        return REFUSED


@pytest.mark.parametrize(
    ("name", "unnamed", "own", "others"),
    [
        ("user", ME, ME, REFUSED),
        ("anonymous", ME, ME, REFUSED),
        ("admin", None, ME, OTHER),
        ("narrow admin", ME, ME, REFUSED),
        ("service", None, ME, OTHER),
        ("visitor", REFUSED, REFUSED, REFUSED),
    ],
)
def test_a_list_shows_the_rows_of_its_owner(name: str, unnamed: object, own: object, others: object) -> None:
    assert [outcome(ACCESS.listed_owner, name, user_id) for user_id in (None, ME, OTHER)] == [unnamed, own, others]


@pytest.mark.parametrize(
    ("name", "unnamed", "own", "others"),
    [
        ("user", ME, ME, REFUSED),
        ("admin", ME, ME, OTHER),
        ("narrow admin", ME, ME, REFUSED),
        ("service", None, ME, OTHER),
        ("visitor", None, REFUSED, REFUSED),
    ],
)
def test_a_new_row_gets_its_owner(name: str, unnamed: object, own: object, others: object) -> None:
    assert [outcome(ACCESS.new_owner, name, user_id) for user_id in (None, ME, OTHER)] == [unnamed, own, others]


@pytest.mark.parametrize(
    ("name", "unnamed", "own", "others"),
    [("user", ME, ME, REFUSED), ("admin", ME, ME, REFUSED), ("service", None, ME, OTHER)],
)
def test_work_is_submitted_for_the_permitted_user(name: str, unnamed: object, own: object, others: object) -> None:
    assert [outcome(ACCESS.acting_for, name, user_id) for user_id in (None, ME, OTHER)] == [unnamed, own, others]


@pytest.mark.parametrize(
    ("name", "nobodys", "own", "others", "of_session", "of_another_session"),
    [
        ("user", False, True, False, False, False),
        ("admin", True, True, True, True, True),
        ("narrow admin", False, True, False, False, False),
        ("service", True, True, True, True, True),
        ("visitor", False, False, False, True, False),
    ],
)
def test_a_caller_sees_the_permitted_rows(
    name: str, *, nobodys: bool, own: bool, others: bool, of_session: bool, of_another_session: bool
) -> None:
    caller = CALLERS[name]
    seen = [ACCESS.may_see(caller, owner) for owner in (None, ME, OTHER)]
    assert seen == [nobodys, own, others]
    assert ACCESS.may_see(caller, None, SESSION) is of_session
    assert ACCESS.may_see(caller, None, uuid4()) is of_another_session
