from uuid import UUID

import jwt
import pytest

from pixelbloom.auth.principal import SCOPES
from pixelbloom.auth.tokens import TokenVerifier
from pixelbloom.config import Settings
from pixelbloom.web.realtime import admission
from tests.unit.cli.conftest import SECRET, Cli, one_line

USER = "7e0f2a39-3a54-4a1c-9f6c-1d3b3f0a9b11"


def verified(token: str, **settings: str):
    return TokenVerifier(Settings(_env_file=None, **settings)).verify(token)


def test_prints_only_a_token_of_the_user(cli: Cli) -> None:
    result = cli("token", "--sub", USER, SUPABASE_JWT_SECRET=SECRET)
    assert (result.exit_code, result.stderr) == (0, "")
    principal = verified(result.stdout.strip(), supabase_jwt_secret=SECRET)
    assert (principal.kind, principal.user_id, principal.admin, principal.scopes) == ("user", UUID(USER), False, None)


def test_the_token_is_valid_for_postgrest_too(cli: Cli) -> None:
    result = cli("token", "--sub", USER, SUPABASE_JWT_SECRET=SECRET)
    claims = jwt.decode(result.stdout.strip(), SECRET, algorithms=["HS256"], audience="authenticated")
    assert (claims["role"], claims["sub"]) == ("authenticated", USER)
    assert "scope" not in claims


def test_an_admin_token_has_the_role_in_app_metadata(cli: Cli) -> None:
    result = cli("token", "--sub", USER, "--role", "admin", SUPABASE_JWT_SECRET=SECRET)
    assert verified(result.stdout.strip(), supabase_jwt_secret=SECRET).admin


def test_a_token_has_the_requested_scopes(cli: Cli) -> None:
    result = cli("token", "--sub", USER, "--scope", "analytics:read, notifications:read", SUPABASE_JWT_SECRET=SECRET)
    assert verified(result.stdout.strip(), supabase_jwt_secret=SECRET).scopes == {
        "analytics:read",
        "notifications:read",
    }


def test_the_scopes_of_the_channels_can_be_requested() -> None:
    assert set(admission.SCOPES.values()) <= set(SCOPES)


@pytest.mark.parametrize(
    ("arguments", "variable"), [(("--sub", USER), "SUPABASE_JWT_SECRET"), (("--service",), "API_JWT_SECRET")]
)
def test_a_secret_that_is_too_short_signs_nothing(cli: Cli, arguments: tuple[str, ...], variable: str) -> None:
    result = cli("token", *arguments, **{variable: SECRET[:31]})
    assert f"{variable} is shorter than 32 bytes" in one_line(result)
    assert result.exit_code == 2


def test_it_expires_at_the_requested_time(cli: Cli) -> None:
    result = cli("token", "--sub", USER, "--expires-in", "90", SUPABASE_JWT_SECRET=SECRET)
    claims = jwt.decode(result.stdout.strip(), options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 90


def test_a_service_token_needs_no_user(cli: Cli) -> None:
    result = cli("token", "--service", API_JWT_SECRET=SECRET)
    assert verified(result.stdout.strip(), api_jwt_secret=SECRET).kind == "service"


def test_a_service_token_may_have_scopes_and_an_expiry(cli: Cli) -> None:
    result = cli("token", "--service", "--scope", "analytics:read", "--expires-in", "90", API_JWT_SECRET=SECRET)
    assert verified(result.stdout.strip(), api_jwt_secret=SECRET).scopes == {"analytics:read"}
    claims = jwt.decode(result.stdout.strip(), options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 90


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--sub is missing"),
        (("--sub", "me"), "'me' is not a UUID"),
        (("--sub", USER.replace("-", "")), "is not a UUID"),
        (("--sub", USER, "--role", "root"), "'root' is not one of: user, admin"),
        (("--sub", USER, "--expires-in", "-5"), "'-5' is not a number of seconds"),
        (("--sub", USER, "--expires-in", "0"), "'0' is not a number of seconds"),
        (("--sub", USER, "--expires-in", "1e3"), "'1e3' is not a number of seconds"),
        (("--sub", USER, "--expires-in", "9" * 40), "is not a number of seconds"),
        (("--sub", USER, "--expires-in", "٣"), "is not a number of seconds"),
        (("--sub", USER, "--scope", " , "), "' , ' is not one of: analytics:read, notifications:read"),
        (("--sub", USER, "--scope", "analytics:read,runs:all"), "--scope 'runs:all' is not one of"),
        (("--sub", USER, "--scope", "analytics:read notifications:read"), "separate several by commas"),
        (("--service", "--sub", "me"), "'me' is not a UUID"),
        (("--service", "--sub", USER), "omit --sub and --role"),
        (("--service", "--role", "user"), "omit --sub and --role"),
        (("--service", "--role", "admin"), "omit --sub and --role"),
    ],
)
def test_an_invalid_option_ends_in_one_line_and_exit_code_2(cli: Cli, arguments: tuple[str, ...], words: str) -> None:
    result = cli("token", *arguments, SUPABASE_JWT_SECRET=SECRET, API_JWT_SECRET=SECRET)
    assert words in one_line(result)
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "variable"), [(("--sub", USER), "SUPABASE_JWT_SECRET"), (("--service",), "API_JWT_SECRET")]
)
def test_a_missing_secret_is_named(cli: Cli, arguments: tuple[str, ...], variable: str) -> None:
    result = cli("token", *arguments)
    assert one_line(result).startswith(f"{variable} is not set")
    assert result.exit_code == 2


def test_an_invalid_setting_is_named_without_its_value(cli: Cli) -> None:
    result = cli("token", "--service", API_JWT_SECRET=SECRET, PORT="hunter2")
    line = one_line(result)
    assert "PORT" in line
    assert "hunter2" not in line
