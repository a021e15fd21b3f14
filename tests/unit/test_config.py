"""Settings: where they come from, and what a wrong one says."""

from pathlib import Path

import pytest

from pixelbloom.config import Settings, load
from pixelbloom.errors import ConfigurationError

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder and an environment that set nothing."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_example_unedited_is_the_defaults_and_names_every_variable(empty: Path) -> None:
    example = (ROOT / ".env.example").read_text()
    defaults = load()
    (empty / ".env").write_text(example)
    assert load() == defaults
    named = {line.partition("=")[0] for line in example.splitlines() if "=" in line and not line.startswith("#")}
    assert named == {name.upper() for name in Settings.model_fields}


def test_the_environment_goes_before_the_file_and_the_file_before_the_stack(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = empty / ".pixelbloom"
    home.mkdir()
    (home / "stack.env").write_text("PORT=1001\nFLOWER_PORT=1002\nREDIS_URL=redis://stack\n")
    (empty / ".env").write_text("PORT=2001\nFLOWER_PORT=2002\n")
    monkeypatch.setenv("PORT", "3001")
    settings = load()
    assert (settings.port, settings.flower_port, settings.redis_url) == (3001, 2002, "redis://stack")
    assert load(home_files=False).redis_url is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "0"),
        ("FLOWER_PORT", "70000"),
        ("REDIS_URL", "localhost:6379"),
        ("SUPABASE_URL", "ftp://example.com"),
        ("OLLAMA_HOST", "http://"),
        ("OLLAMA_TEMPERATURE", "hot"),
        ("MODEL_TIMEOUT", "-1"),
        ("CORS_ORIGINS", "https://a.example.com,https://b.example.com/path"),
        ("STRIPE_MODE", "gift"),
        ("LOG_FORMAT", "xml"),
        ("LEASE_SECONDS", "0"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_its_variable(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert name in caught.value.message
    assert "\n" not in caught.value.message


def test_a_wrong_secret_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "the-secret-of-somebody")
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert "the-secret-of-somebody" not in caught.value.message


def test_what_a_process_cannot_do_without_is_named() -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL is not set"):
        load().require("redis_url")


def test_secrets_do_not_show_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_JWT_SECRET", "do-not-show-me")
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "whsec_one, whsec_two")
    settings = load()
    assert "do-not-show-me" not in repr(settings)
    assert "whsec_one" not in repr(settings)
    assert [secret.get_secret_value() for secret in settings.stripe_webhook_secret] == ["whsec_one", "whsec_two"]


def test_the_homes_keys_are_not_taken_for_those_of_another_supabase(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = empty / ".pixelbloom"
    home.mkdir()
    (home / "secrets.env").write_text("SUPABASE_JWT_SECRET=local\nSUPABASE_SERVICE_ROLE_KEY=local\n")
    assert load().require("supabase_jwt_secret") == "local"
    monkeypatch.setenv("SUPABASE_URL", "https://project.supabase.co")
    assert load().supabase_jwt_secret is None
    assert load().supabase_service_role_key is None
