"""Settings as people paste them: with blanks, in other encodings, in other tools' forms."""

from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from pixelbloom.config import Settings, load
from pixelbloom.core.addresses import is_loopback, visitor_address
from pixelbloom.errors import ConfigurationError
from pixelbloom.local import envfile

SECRET = "a-secret-of-the-tests-of-32-bytes-or-more"


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder and an environment that set nothing."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


SECRETS = [name for name, field in Settings.model_fields.items() if "Secret" in repr(field.annotation)]


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("around", [" {} ", "{}\n", "\r\n{}\r\n", "\t{}", "\ufeff{}", "\u00a0{}\u200b"])
def test_whitespace_around_a_secret_is_stripped(name: str, around: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value = {
        "webhook_secret": "whsec_" + "A" * 44,
        "flower_basic_auth": f"user:{SECRET}",
        "sentry_dsn": f"https://{SECRET}@sentry.example.com/1",
    }.get(name, SECRET)
    monkeypatch.setenv(name.upper(), around.format(value))
    found = getattr(load(), name)
    [found] = found if isinstance(found, tuple) else [found]
    assert found.get_secret_value() == value


def test_whitespace_around_other_settings_is_stripped(monkeypatch: pytest.MonkeyPatch) -> None:
    pasted = {"PORT": " 8001\n", "STRIPE_MODE": "payment \r", "SUPABASE_URL": "https://x.example.com/ "}
    for name, value in pasted.items():
        monkeypatch.setenv(name, value)
    found = load()
    assert (found.port, found.stripe_mode, found.supabase_url) == (8001, "payment", "https://x.example.com")


def test_a_blank_setting_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPABASE_JWT_SECRET", " \n")
    monkeypatch.setenv("PORT", "\t")
    assert (load().supabase_jwt_secret, load().port) == (None, 8000)


@pytest.mark.parametrize(
    "name",
    ["PIXELBLOOM_TOKEN", "SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY", "HUGGINGFACE_API_KEY", "STRIPE_API_KEY"],
)
@pytest.mark.parametrize("value", ["hunter2\nX-Evil: 1", "hunter2 two", "hunter2\rtwo"])
def test_a_key_invalid_in_a_header_is_named_and_not_shown(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert f"{name} has a blank or a line break in it" in caught.value.message
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("127.0.0.1:11434", "http://127.0.0.1:11434"),
        ("127.0.0.1", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("http://0.0.0.0:8080", "http://127.0.0.1:8080"),
        (":11434", "http://127.0.0.1:11434"),
        (":56789", "http://127.0.0.1:56789"),
        ("localhost", "http://localhost:11434"),
        ("gpu.example.com:1234/", "http://gpu.example.com:1234"),
        ("gpu.example.com/ollama", "http://gpu.example.com:11434/ollama"),
        ("::", "http://[::1]:11434"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("https://gpu.example.com", "https://gpu.example.com"),
        ('"127.0.0.1:11434"', "http://127.0.0.1:11434"),
        ("HTTP://gpu.example.com:80", "http://gpu.example.com:80"),
        ("http://user:word@gpu.example.com:80", "http://user:word@gpu.example.com:80"),
    ],
)
def test_ollamas_short_address_forms_are_accepted(value: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", value)
    assert load().ollama_host == url


@pytest.mark.parametrize("value", ["ftp://x", "http://", "127.0.0.1:port", "[", "x:99999"])
def test_an_invalid_ollama_address_is_named(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", value)
    with pytest.raises(ConfigurationError, match="OLLAMA_HOST "):
        load()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("pgbouncer=true", {}),
        ("pgbouncer=true&connection_limit=1&sslmode=require&schema=public", {"sslmode": "require"}),
        ("sslmode=require&options=-c%20a%3Db", {"sslmode": "require", "options": "-c a=b"}),
        ("prepareThreshold=0&application_name=a+b", {"application_name": "a b"}),
        ("ssl=true", {"sslmode": "require"}),
    ],
)
def test_parameters_of_other_clients_are_dropped_from_the_database_url(
    query: str, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://user:p%40ss@db.example.com:6543/postgres?{query}")
    found = load().database_url
    assert found is not None
    parsed = conninfo_to_dict(found.get_secret_value())
    assert parsed == {
        "user": "user", "password": "p@ss", "host": "db.example.com", "port": "6543", "dbname": "postgres", **expected
    }  # fmt: skip


def test_the_database_url_of_a_socket_needs_no_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql:///agency?host=/run/postgresql&pgbouncer=true")
    found = load().database_url
    assert found is not None
    assert conninfo_to_dict(found.get_secret_value()) == {"host": "/run/postgresql", "dbname": "agency"}


@pytest.mark.parametrize("name", ["sslmod", "sslaccept", "TLS", "channel_bind"])
def test_a_misspelt_security_parameter_is_refused_and_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://user:hunter2@db.example.com/postgres?{name}=require")
    with pytest.raises(ConfigurationError, match=f"DATABASE_URL has the parameter {name}") as caught:
        load()
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_an_env_file_is_read_in_the_encodings_of_editors(encoding: str, empty: Path) -> None:
    text = "PORT=8123\nHUGGINGFACE_MODEL=modèle\n"
    (empty / ".env").write_bytes(text.encode(encoding))
    assert (load().port, load().huggingface_model) == (8123, "modèle")
    assert envfile.read(empty / ".env")["HUGGINGFACE_MODEL"] == "modèle"


@pytest.mark.parametrize(
    ("encoding", "words"),
    [("latin-1", r"\.env is not UTF-8 text \(line 2\); save it"), ("utf-16-le", r"\.env is not UTF-8 text")],
)
def test_an_env_file_in_another_encoding_is_named_on_one_line(encoding: str, words: str, empty: Path) -> None:
    (empty / ".env").write_bytes("PORT=8123\nHUGGINGFACE_MODEL=modèle\n".encode(encoding))
    with pytest.raises(ConfigurationError, match=words) as caught:
        load()
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("a.localhost", True),
        ("example.com", False),
        ("10.0.0.1", False),
        ("", False),
        (None, False),
        ("localhost.example.com", False),
    ],
)
def test_the_names_of_this_machine_are_recognized(host: str | None, here: bool) -> None:
    assert is_loopback(host) is here


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("REDIS_URL", "rediss://h?ssl_cert_reqs=maybe", "REDIS_URL has an unknown ssl_cert_reqs"),
        ("REDIS_TLS_CA", "missing.pem", "REDIS_TLS_CA must be a file of certificates"),
        ("REDIS_TLS_CA", ".env", "REDIS_TLS_CA must be a file of certificates"),
        ("FLOWER_BASIC_AUTH", "user", "FLOWER_BASIC_AUTH must be user:password"),
        ("FLOWER_BASIC_AUTH", "user:password,other:", "FLOWER_BASIC_AUTH must be user:password"),
    ],
)
def test_an_invalid_tls_or_flower_setting_is_named(
    name: str, value: str, words: str, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty / ".env").write_text("# no certificate\n")
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=words):
        load()


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_visitors_are_counted_by_subscriber_network(address: str | None, counted: str) -> None:
    assert visitor_address(address) == counted
