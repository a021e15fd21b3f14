"""Settings: their sources, and the messages for invalid ones."""

from pathlib import Path

import pytest

from pixelbloom.config import Settings, load
from pixelbloom.errors import ConfigurationError
from tests import ROOT

SECRET = "a-secret-of-the-tests-of-32-bytes-or-more"


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder and an environment that set nothing."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_unedited_example_has_the_defaults_and_every_variable(empty: Path) -> None:
    example = (ROOT / ".env.example").read_text()
    defaults = load()
    (empty / ".env").write_text(example)
    assert load() == defaults
    named = {line.partition("=")[0] for line in example.splitlines() if "=" in line and not line.startswith("#")}
    assert named == {name.upper() for name in Settings.model_fields}


def test_the_environment_overrides_the_file_and_the_file_the_stack(
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
        ("WEBSOCKET_SEND_BUFFER", "-1"),
        ("CORS_ORIGINS", "https://a.example.com,https://b.example.com/path"),
        ("STRIPE_MODE", "gift"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVELS", "celery"),
        ("LOG_LEVELS", "celery=LOUD"),
        ("METRICS_PORT", "0"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"),
        ("SENTRY_DSN", "https://sentry.example/1"),
        ("LEASE_SECONDS", "0"),
        ("OLLAMA_KEEP_ALIVE", "soon"),
        ("OLLAMA_KEEP_ALIVE", "10 minutes"),
        ("OLLAMA_KEEP_ALIVE", "1d"),
        ("OLLAMA_KEEP_ALIVE", "m"),
        ("API_JWT_SECRET", "x" * 31),
        ("SUPABASE_JWT_SECRET", "x" * 31),
    ],
)
def test_an_invalid_value_is_one_line_that_names_its_variable(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert name in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("10m", "10m"),
        ("1h30m", "1h30m"),
        ("300s", "300s"),
        ("1.5h", "1.5h"),
        ("0", "0s"),
        ("-1", "-1s"),
        ("-1m", "-1m"),
        ("300", "300s"),
    ],
)
def test_keep_alive_is_a_go_duration_or_a_number_of_seconds(
    value: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_KEEP_ALIVE", value)
    assert load().ollama_keep_alive == expected


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PORT", "eighty", "PORT must be a whole number"),
        ("PORT", "0", "PORT must be at least 1"),
        ("PORT", "65536", "PORT must be at most 65535"),
        ("OLLAMA_TEMPERATURE", "hot", "OLLAMA_TEMPERATURE must be a number"),
        ("MODEL_TIMEOUT", "0", "MODEL_TIMEOUT must be more than 0"),
        ("LOG_FORMAT", "xml", "LOG_FORMAT must be auto, json or pretty"),
        (
            "LOG_LEVELS",
            "celery=LOUD",
            "LOG_LEVELS must be pairs of a logger and a level, like celery=WARNING,pixelbloom.runs=DEBUG",
        ),
        ("SENTRY_DSN", "hunter2", "SENTRY_DSN must be a DSN of Sentry: https://KEY@HOST/PROJECT"),
        ("OLLAMA_HOST", "http://[", "OLLAMA_HOST is not a URL; write it like http://localhost:11434"),
        (
            "CORS_ORIGINS",
            "hunter2",
            "CORS_ORIGINS must be origins without a path, like https://app.example.com, separated by commas",
        ),
    ],
)
def test_an_invalid_setting_has_a_plain_message(
    name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert caught.value.message == f"invalid setting: {words}"


def test_the_length_of_a_secret_is_checked_in_bytes_without_showing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_JWT_SECRET", "é" * 16)
    assert load().require("api_jwt_secret") == "é" * 16
    monkeypatch.setenv("API_JWT_SECRET", "hunter2")
    with pytest.raises(ConfigurationError, match="API_JWT_SECRET is shorter than 32 bytes") as caught:
        load()
    assert "hunter2" not in caught.value.message


def test_an_invalid_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "the-secret-of-somebody")
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert "the-secret-of-somebody" not in caught.value.message


def test_a_missing_required_setting_is_named() -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL is not set"):
        load().require("redis_url")


def test_secrets_are_hidden_in_their_representation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_JWT_SECRET", "do-not-show-me-in-any-log-or-page")
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "whsec_one, whsec_two")
    settings = load()
    assert "do-not-show-me-in-any-log-or-page" not in repr(settings)
    assert "whsec_one" not in repr(settings)
    assert [secret.get_secret_value() for secret in settings.stripe_webhook_secret] == ["whsec_one", "whsec_two"]


def test_the_homes_keys_are_not_used_for_another_supabase(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = empty / ".pixelbloom"
    home.mkdir()
    (home / "secrets.env").write_text(f"SUPABASE_JWT_SECRET={SECRET}\nSUPABASE_SERVICE_ROLE_KEY=local\n")
    assert load().require("supabase_jwt_secret") == SECRET
    monkeypatch.setenv("SUPABASE_URL", "https://project.supabase.co")
    assert load().supabase_jwt_secret is None
    assert load().supabase_service_role_key is None
