"""Uses of discount codes in the database: bound to one request, never more than there may be, in whatever order."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from pixelbloom.database.gateway import Gateway
from pixelbloom.pricing.store import PricingStore
from tests.integration.pricing.rows import campaign, package, uses
from tests.stack import Stack

ONE, OTHER = "1" * 64, "2" * 64


@pytest.fixture(scope="module")
def store(stack: Stack) -> Iterator[PricingStore]:
    gateway = Gateway(stack.settings)
    yield PricingStore(gateway)
    gateway.close()


def begun(store: PricingStore, code: str | None, package_id: UUID, **terms: Any) -> dict[str, Any]:
    user_id = terms.pop("user_id", None)
    wanted = {
        "key": uuid4().hex,
        "digest": ONE,
        "request_id": uuid4(),
        "user_id": user_id,
        "customer": str(user_id) if user_id else None,
    }
    return store.begin_checkout(code=code, package_id=package_id, **{**wanted, **terms})


def test_the_last_use_of_a_code_cannot_be_taken_twice_concurrently(store: PricingStore, db: psycopg.Connection) -> None:
    package_id, code = package(db), campaign(db, max_uses=3, uses=2)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: begun(store, code, package_id), range(8)))

    assert sorted(one["state"] for one in found) == ["begun", *["refused"] * 7]
    assert {one["quote"]["campaign"]["reason"] for one in found} == {None, "used_up"}
    assert uses(db, code) == 3


def test_a_repeated_request_takes_one_use_and_a_different_one_conflicts(
    store: PricingStore, db: psycopg.Connection
) -> None:
    package_id, code, key = package(db), campaign(db, max_uses=1), uuid4().hex

    first, again = (begun(store, code, package_id, key=key) for _ in range(2))
    assert (first["state"], first) == ("begun", again)
    assert begun(store, code, package_id, key=key, digest=OTHER) == {"state": "conflict"}
    assert begun(store, None, package_id, key=key, digest=OTHER) == {"state": "conflict"}
    assert store.finish_checkout(key, first["attempt"], "cs_" + key, "https://stripe.example/1")
    db.execute("update pricing_campaigns set active = false where code = %s", [code])
    made = {"state": "made", "id": "cs_" + key, "url": "https://stripe.example/1"}
    assert begun(store, code, package_id, key=key) == store.find_checkout(key, ONE) == made
    assert store.find_checkout(key, OTHER) == {"state": "conflict"}
    assert begun(store, code, package_id)["quote"]["campaign"]["reason"] == "inactive"
    assert uses(db, code) == 1


def test_only_the_request_that_took_a_use_releases_it(store: PricingStore, db: psycopg.Connection) -> None:
    package_id, code, key, mine, anothers = package(db), campaign(db, max_uses=1), uuid4().hex, uuid4(), uuid4()

    first = begun(store, code, package_id, key=key, request_id=mine)
    begun(store, code, package_id, key=key, request_id=anothers)
    assert not store.fail_checkout(key, first["attempt"], anothers)
    assert uses(db, code) == 1
    assert store.fail_checkout(key, first["attempt"], mine)
    assert not store.fail_checkout(key, first["attempt"], mine)
    assert uses(db, code) == 0
    # What the other one made meanwhile has no use of the code behind it.
    assert not store.finish_checkout(key, first["attempt"], "cs_" + key, "https://stripe.example/1")
    again = begun(store, code, package_id, key=key)
    assert (again["attempt"], uses(db, code)) == (first["attempt"] + 1, 1)
    assert again["redemption_key"] != first["redemption_key"]


def test_a_repeat_after_the_session_expired_is_a_new_attempt(store: PricingStore, db: psycopg.Connection) -> None:
    package_id, code, key = package(db), campaign(db, max_uses=1), uuid4().hex
    first = begun(store, code, package_id, key=key)
    # Stripe takes no session that expires in less than 30 minutes.
    db.execute(
        "update campaign_redemptions set expires_at = now() + interval '31 minutes' where redemption_key = %s",
        [first["redemption_key"]],
    )
    again = begun(store, code, package_id, key=key)
    assert (again["state"], again["attempt"], uses(db, code)) == ("begun", first["attempt"] + 1, 1)
    assert again["redemption_key"] != first["redemption_key"]
    assert not store.finish_checkout(key, first["attempt"], "cs_" + key, "https://stripe.example/1")
    db.execute(
        "update campaign_redemptions set expires_at = now() where redemption_key = %s", [again["redemption_key"]]
    )
    db.execute("update pricing_campaigns set active = false where code = %s", [code])
    # It is judged anew: nothing was made for it before.
    assert begun(store, code, package_id, key=key)["quote"]["campaign"]["reason"] == "inactive"


def test_a_user_has_one_open_use_of_a_campaign(store: PricingStore, db: psycopg.Connection) -> None:
    package_id, code, user_id = package(db), campaign(db, max_uses=5), uuid4()

    # Its address reached nobody, so the next request replaces it; a session that it may still make is ignored.
    lost_key = uuid4().hex
    lost = begun(store, code, package_id, user_id=user_id, key=lost_key)
    key = uuid4().hex
    first = begun(store, code, package_id, user_id=user_id, key=key)
    assert (first["state"], uses(db, code)) == ("begun", 1)
    assert not store.finish_checkout(lost_key, lost["attempt"], "cs_" + lost_key, "https://stripe.example/1")
    assert store.finish_checkout(key, first["attempt"], "cs_" + key, "https://stripe.example/1")
    expected = {"state": "open", "redemption_key": first["redemption_key"], "stripe_session_id": "cs_" + key}
    assert begun(store, code, package_id, user_id=user_id) == expected
    assert begun(store, code, package_id, user_id=uuid4())["state"] == "begun"
    store.record_redemption(first["redemption_key"], "expired")
    assert begun(store, code, package_id, user_id=user_id)["state"] == "begun"
    assert uses(db, code) == 2


def test_a_limit_per_user_counts_paid_and_open_uses(store: PricingStore, db: psycopg.Connection) -> None:
    package_id, code, user_id = package(db), campaign(db, max_uses_per_user=1), uuid4()

    first = begun(store, code, package_id, user_id=user_id)
    store.record_redemption(first["redemption_key"], "paid")
    assert begun(store, code, package_id, user_id=user_id)["quote"]["campaign"]["reason"] == "used_up_by_user"
    quote = store.quote(package_id, code, str(user_id))
    assert quote is not None
    assert quote["campaign"]["reason"] == "used_up_by_user"
    assert begun(store, code, package_id)["quote"]["campaign"]["reason"] == "needs_user"
    assert begun(store, code, package_id, customer="email:a@example.com")["state"] == "begun"
    assert begun(store, code, package_id, user_id=uuid4())["state"] == "begun"
    # A payment that fails after all gives the use back.
    store.record_redemption(first["redemption_key"], "failed")
    assert begun(store, code, package_id, user_id=user_id)["state"] == "begun"


def test_a_paid_checkout_with_a_released_use_counts_again_within_the_limit(
    store: PricingStore, db: psycopg.Connection
) -> None:
    package_id, code = package(db), campaign(db, max_uses=1)

    first = begun(store, code, package_id)
    store.record_redemption(first["redemption_key"], "expired")
    second = begun(store, code, package_id)
    store.record_redemption(first["redemption_key"], "paid")
    assert uses(db, code) == 1
    store.record_redemption(second["redemption_key"], "expired")
    store.record_redemption(first["redemption_key"], "paid")
    assert uses(db, code) == 1


class Uses(RuleBasedStateMachine):
    """Any order of requests, their ends, and what Stripe reports, over two campaigns and three customers."""

    url = ""

    @initialize(max_uses=st.integers(1, 3), per_user=st.sampled_from([None, 1, 2]))
    def begin(self, max_uses: int, per_user: int | None) -> None:
        self.db = psycopg.connect(self.url, autocommit=True)
        self.packages = [package(self.db), package(self.db)]
        terms = {"max_uses": max_uses, "max_uses_per_user": per_user}
        self.codes = [campaign(self.db, **terms), campaign(self.db, package_ids=self.packages[:1])]
        self.customers = [str(uuid4()), str(uuid4()), None]
        self.keys = [uuid4().hex for _ in range(4)]
        self.per_user = per_user
        self.attempts: list[tuple[str, int, UUID]] = []
        self.redemptions: list[str] = []

    def asked(self, function: str, *arguments: Any) -> Any:
        marks = ", ".join(["%s"] * len(arguments))
        row = self.db.execute(f"select {function}({marks})", arguments).fetchone()
        assert row is not None
        return row[0]

    @rule(
        key=st.integers(0, 3),
        digest=st.sampled_from([ONE, ONE, OTHER]),
        which=st.integers(0, 1),
        code=st.sampled_from([0, 0, 1, None]),
        who=st.integers(0, 2),
    )
    def request(self, key: int, digest: str, which: int, code: int | None, who: int) -> None:
        request_id, customer = uuid4(), self.customers[who]
        name = None if code is None else self.codes[code]
        found = self.asked(
            "begin_checkout", self.keys[key], digest, request_id, self.packages[which], name, None, customer
        )
        if found["state"] == "begun":
            self.attempts.append((self.keys[key], found["attempt"], request_id))
            if "redemption_key" in found:
                self.redemptions.append(found["redemption_key"])

    @rule(data=st.data(), own=st.booleans())
    def fails(self, data: st.DataObject, own: bool) -> None:
        if self.attempts:
            key, attempt, request_id = data.draw(st.sampled_from(self.attempts))
            self.asked("fail_checkout", key, attempt, request_id if own else uuid4())

    @rule(data=st.data())
    def finishes(self, data: st.DataObject) -> None:
        if self.attempts:
            key, attempt, _ = data.draw(st.sampled_from(self.attempts))
            self.asked("finish_checkout", key, attempt, f"cs_{key}_{attempt}", "https://stripe.example/1")

    @rule(data=st.data(), state=st.sampled_from(["paid", "open", "expired", "failed"]))
    def stripe_reports(self, data: st.DataObject, state: str) -> None:
        if self.redemptions:
            self.asked("record_redemption", data.draw(st.sampled_from(self.redemptions)), state)

    @invariant()
    def limits_hold(self) -> None:
        rows = self.db.execute(
            """
            select c.uses, c.max_uses, count(r.id)
            from pricing_campaigns as c
            left join campaign_redemptions as r on r.campaign_id = c.id and r.released_at is null
            where c.code = any(%s) group by c.id
            """,
            [self.codes],
        ).fetchall()
        for counted, most, there in rows:
            assert counted == there
            assert most is None or counted <= most
        rows = self.db.execute(
            """
            select r.customer, count(*), count(*) filter (where r.completed_at is null)
            from campaign_redemptions as r inner join pricing_campaigns as c on c.id = r.campaign_id
            where c.code = %s and r.released_at is null and r.customer is not null group by r.customer
            """,
            [self.codes[0]],
        ).fetchall()
        for _, taken, open_ones in rows:
            assert open_ones <= 1
            assert self.per_user is None or taken <= self.per_user

    def teardown(self) -> None:
        with contextlib.suppress(AttributeError):
            self.db.close()


def test_the_limit_of_a_campaign_holds_in_any_order(stack: Stack) -> None:
    machine = type("Uses", (Uses,), {"url": stack.database_url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
