"""Which tokens are taken, and what is believed of them."""

import base64
import json
import time
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest

from pixelbloom.auth.mint import mint_service, mint_user
from pixelbloom.auth.tokens import TokenVerifier
from pixelbloom.config import Settings
from pixelbloom.errors import ConfigurationError, Unauthenticated
from tests.unit.auth.conftest import API_SECRET, SUPABASE_SECRET, Sign


def test_a_supabase_token_identifies_its_user(verifier: TokenVerifier, sign: Sign) -> None:
    user = uuid4()

    principal = verifier.verify(sign(sub=str(user)))

    assert (principal.kind, principal.user_id, principal.admin, principal.scopes) == ("user", user, False, None)
    assert principal.caller == f"user:{user}"


@pytest.mark.parametrize("key", [API_SECRET, SUPABASE_SECRET])
@pytest.mark.parametrize(("role", "admin"), [("user", False), ("admin", True)])
def test_the_specs_example_is_accepted_with_either_secret(
    verifier: TokenVerifier, sign: Sign, key: str, role: str, admin: bool
) -> None:
    principal = verifier.verify(
        sign(key, role=role, aud=None, iss=None, iat=int(time.time()), scope=["analytics:read"])
    )

    assert (principal.kind, principal.admin) == ("user", admin)
    assert principal.scopes == {"analytics:read"}


def test_a_service_token_may_act_for_any_user_or_none(verifier: TokenVerifier, sign: Sign) -> None:
    principal = verifier.verify(sign(API_SECRET, role="service", sub=None, aud=None, iss=None))

    assert (principal.kind, principal.user_id, principal.caller) == ("service", None, "service")
    assert principal.may_act_for(uuid4())
    assert principal.may_act_for(None)


def test_supabases_service_role_key_is_a_service_token(verifier: TokenVerifier, sign: Sign) -> None:
    token = sign(SUPABASE_SECRET, role="service_role", sub=None, aud=None, iss="supabase")

    assert verifier.verify(token).kind == "service"


def test_a_user_may_not_act_for_another_user(verifier: TokenVerifier, sign: Sign) -> None:
    principal = verifier.verify(sign())

    assert principal.may_act_for(principal.user_id)
    assert not principal.may_act_for(uuid4())
    assert not principal.may_act_for(None)


def test_app_metadata_makes_an_administrator(verifier: TokenVerifier, sign: Sign) -> None:
    assert verifier.verify(sign(app_metadata={"role": "admin"})).admin


def test_user_metadata_is_never_trusted(verifier: TokenVerifier, sign: Sign) -> None:
    forged = {"role": "admin", "app_metadata": {"role": "admin"}}

    assert not verifier.verify(sign(user_metadata=forged, raw_user_meta_data=forged)).admin


@pytest.mark.parametrize("app_metadata", ["admin", ["admin"], {"role": ["admin"]}, {"roles": "admin"}, None])
def test_invalid_app_metadata_grants_no_administration(
    verifier: TokenVerifier, sign: Sign, app_metadata: object
) -> None:
    assert not verifier.verify(sign(app_metadata=app_metadata)).admin


@pytest.mark.parametrize("scope", [["a:read", "b:read"], "a:read b:read"])
def test_scope_may_be_a_list_or_a_string(verifier: TokenVerifier, sign: Sign, scope: object) -> None:
    principal = verifier.verify(sign(scope=scope))

    assert principal.has_scope("b:read")
    assert not principal.has_scope("c:read")


def test_a_missing_scope_limits_nothing_and_an_empty_one_everything(verifier: TokenVerifier, sign: Sign) -> None:
    assert verifier.verify(sign()).has_scope("analytics:read")
    assert not verifier.verify(sign(scope=[])).has_scope("analytics:read")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"exp": None}, "no exp"),
        ({"exp": int(time.time()) - 1}, "expired"),
        ({"exp": "9999999999"}, "exp is not a number"),
        ({"exp": True}, "exp is not a number"),
        ({"exp": float("inf")}, "exp is not a number"),
        ({"exp": float("nan")}, "exp is not a number"),
        ({"exp": 10**400}, "exp is not a number"),
        ({"nbf": int(time.time()) + 86_400}, "not valid yet: its nbf"),
        ({"nbf": "later"}, "nbf is not a number"),
        ({"iat": int(time.time()) + 86_400}, "not valid yet: its iat"),
        ({"iss": "https://evil.example/auth/v1"}, "another issuer"),
        ({"iss": "supabase"}, "another issuer"),
        ({"iss": ""}, "iss is not"),
        ({"iss": ["x"]}, "iss is not"),
        ({"aud": "anon"}, "another audience"),
        ({"aud": []}, "another audience"),
        ({"aud": ["somewhere"]}, "another audience"),
        ({"aud": {"authenticated": 1}}, "another audience"),
        ({"sub": None}, "sub is not the UUID"),
        ({"sub": "somebody"}, "sub is not the UUID"),
        ({"sub": 7}, "sub is not the UUID"),
        ({"sub": "{" + str(UUID(int=1)) + "}"}, "sub is not the UUID"),
        ({"role": None}, "role is not one"),
        ({"role": "anon"}, "role is not one"),
        ({"role": "postgres"}, "role is not one"),
        ({"role": "service"}, "role is not one"),
        ({"role": ["admin"]}, "role is not one"),
        ({"scope": 5}, "scope is neither"),
        ({"scope": [1]}, "scope is neither"),
        ({"scope": {"analytics:read": True}}, "scope is neither"),
    ],
)
def test_an_invalid_claim_is_named(verifier: TokenVerifier, sign: Sign, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(Unauthenticated, match=says):
        verifier.verify(sign(**changes))


def test_a_clock_that_runs_a_little_ahead_is_forgiven(verifier: TokenVerifier, sign: Sign) -> None:
    assert verifier.verify(sign(iat=int(time.time()) + 2, nbf=int(time.time()) + 2)).kind == "user"


def test_a_token_that_never_seems_to_end_is_taken(verifier: TokenVerifier, sign: Sign) -> None:
    assert verifier.verify(sign(exp=10**15)).expires_at.year == 9999


def test_an_audience_list_that_contains_ours_is_accepted(verifier: TokenVerifier, sign: Sign) -> None:
    assert verifier.verify(sign(aud=["other", "authenticated"])).kind == "user"


def test_a_minted_user_token_verifies(verifier: TokenVerifier, settings: Settings) -> None:
    user = uuid4()

    principal = verifier.verify(mint_user(settings, user, admin=True, scopes=["analytics:read"]))

    assert (principal.user_id, principal.admin, principal.scopes) == (user, True, {"analytics:read"})
    assert verifier.verify(mint_user(settings, user)).scopes is None


def test_a_minted_service_token_verifies(verifier: TokenVerifier, settings: Settings) -> None:
    assert verifier.verify(mint_service(settings)).kind == "service"


def test_minting_names_the_secret_that_is_missing() -> None:
    with pytest.raises(ConfigurationError, match="SUPABASE_JWT_SECRET"):
        mint_user(Settings(), uuid4())


def test_without_secrets_no_token_verifies(sign: Sign) -> None:
    with pytest.raises(Unauthenticated):
        TokenVerifier(Settings()).verify(sign("x" * 32))


def test_an_issuer_is_refused_if_none_is_configured(sign: Sign) -> None:
    alone = TokenVerifier(Settings(supabase_jwt_secret=SUPABASE_SECRET))

    with pytest.raises(Unauthenticated, match="another issuer"):
        alone.verify(sign())
    assert alone.verify(sign(iss=None)).kind == "user"


def test_several_issuers_may_be_configured_and_replace_the_default(settings: Settings, sign: Sign) -> None:
    names = "https://auth.example.com/auth/v1/, https://abc.supabase.co/auth/v1"
    chosen = Settings(**{**settings.model_dump(exclude_unset=True), "supabase_jwt_issuer": names})  # type: ignore[arg-type]
    verifier = TokenVerifier(chosen)
    for name in ("https://auth.example.com/auth/v1", "https://abc.supabase.co/auth/v1"):
        assert verifier.verify(sign(iss=name)).kind == "user"
    for name in (f"{settings.supabase_url}/auth/v1", "https://auth.example.com", "https://x.example.com/auth/v1"):
        with pytest.raises(Unauthenticated, match="another issuer"):
            verifier.verify(sign(iss=name))
    made = jwt.decode(mint_user(chosen, uuid4()), options={"verify_signature": False})
    assert made["iss"] == "https://auth.example.com/auth/v1"


def test_localhost_and_127_0_0_1_are_the_same_issuer_only_on_this_machine(verifier: TokenVerifier, sign: Sign) -> None:
    here = sign().split(".")[1]
    iss = json.loads(base64.urlsafe_b64decode(here + "=" * (-len(here) % 4)))["iss"]
    other = iss.replace("127.0.0.1", "localhost")
    assert other != iss
    assert verifier.verify(sign(iss=other)).kind == "user"
    for invalid in (other.replace("localhost", "localhost.example.com"), "http://localhost:1/auth/v1", iss + "x"):
        with pytest.raises(Unauthenticated):
            verifier.verify(sign(iss=invalid))


@pytest.mark.parametrize("claim", [True, False, None, "true", 1])
def test_only_the_claim_makes_a_user_anonymous(verifier: TokenVerifier, sign: Sign, claim: object) -> None:
    assert verifier.verify(sign(is_anonymous=claim)).anonymous is (claim is True)


def test_anonymous_users_may_be_accepted_fully_or_refused(settings: Settings, sign: Sign) -> None:
    def with_setting(value: str) -> TokenVerifier:
        given = {**settings.model_dump(exclude_unset=True), "anonymous_users": value}
        return TokenVerifier(Settings(**given))  # type: ignore[arg-type]

    assert with_setting("full").verify(sign(is_anonymous=True)).anonymous is False
    with pytest.raises(Unauthenticated, match="Anonymous users"):
        with_setting("off").verify(sign(is_anonymous=True))
    assert with_setting("off").verify(sign()).kind == "user"
