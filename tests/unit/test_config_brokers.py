"""The addresses of Redis, its Sentinels and RabbitMQ, and the variables that Celery would prefer to them."""

from pathlib import Path

import pytest

from pixelbloom.celery_app import broker_address, broker_options
from pixelbloom.cli.env import without_password
from pixelbloom.config import Settings, load
from pixelbloom.core.sentinels import SentinelAddress
from pixelbloom.errors import ConfigurationError

SENTINELS = "sentinel://u:p%40w@one:1,[::1]:2,three/3?master=m&sentinel_password=s%26t"


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder and an environment that set nothing."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def test_an_address_of_sentinels_is_read_whole() -> None:
    assert SentinelAddress.parse(SENTINELS) == SentinelAddress(
        sentinels=(("one", 1), ("::1", 2), ("three", 26379)),
        master="m",
        db=3,
        username="u",
        password="p@w",
        sentinel_password="s&t",
    )
    assert broker_address(SENTINELS).split(";") == [
        "sentinel://u:p%40w@one:1/3",
        "sentinel://u:p%40w@[::1]:2/3",
        "sentinel://u:p%40w@three:26379/3",
    ]
    assert "p@w" not in repr(SentinelAddress.parse(SENTINELS))


def test_tls_holds_for_sentinels_and_servers_and_is_verified_unless_told_otherwise() -> None:
    found = Settings(redis_url="sentinels://one/0?master=m")
    assert found.redis_url is not None
    verified = {"ssl": True, "ssl_cert_reqs": "required"}
    address = SentinelAddress.parse(found.redis_url)
    assert {**address.servers_options, **verified} == address.servers_options
    assert {**address.sentinels_options, **verified} == address.sentinels_options
    options = broker_options(found)
    assert options["broker_use_ssl"]["ssl_cert_reqs"].name == "CERT_REQUIRED"
    assert {**options["broker_transport_options"]["sentinel_kwargs"], **verified} == options[
        "broker_transport_options"
    ]["sentinel_kwargs"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("REDIS_URL", "sentinel://one", "REDIS_URL must name the master"),
        ("REDIS_URL", "sentinel://one;sentinel://two/0?master=m", "separated by commas"),
        ("REDIS_URL", "sentinel://one:x/0?master=m", "REDIS_URL must name the Sentinels"),
        ("REDIS_URL", "sentinel://one/m?master=m", "number of the database"),
        ("REDIS_URL", "sentinel://one/0?master=m&sentinel_pasword=x", "unknown parameter sentinel_pasword"),
        ("BROKER_URL", "redis://one", "Redis is set by REDIS_URL"),
        ("BROKER_URL", "amqp://one;amqps://two", "same scheme"),
        ("BROKER_URL", "amqps://one?ssl_cert_reqs=none", "BROKER_TLS_CA"),
        ("BROKER_URL", "amqp://", "must name a host"),
    ],
)
def test_an_invalid_address_is_one_line_without_the_value(
    name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert words in caught.value.message
    assert name in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "name",
    [
        "CELERY_BROKER_URL",
        "CELERY_BROKER_READ_URL",
        "CELERY_BROKER_WRITE_URL",
        "CELERY_RESULT_BACKEND",
        "RESULT_BACKEND",
    ],
)
def test_what_celery_would_prefer_is_refused_without_its_value(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "redis://:hunter2@one")
    with pytest.raises(ConfigurationError, match=f"^{name} is set") as caught:
        load()
    assert "hunter2" not in caught.value.message
    monkeypatch.setenv(name, "")
    load()


def test_the_copy_that_the_celery_command_makes_of_broker_url_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BROKER_URL", "CELERY_BROKER_URL"):
        monkeypatch.setenv(name, " amqp://one ; amqp://two ")
    assert load().broker_url == "amqp://one;amqp://two"
    monkeypatch.setenv("CELERY_BROKER_URL", "amqp://three")
    with pytest.raises(ConfigurationError, match="CELERY_BROKER_URL"):
        load()


def test_each_node_of_rabbitmq_is_tried_once_and_messages_are_confirmed() -> None:
    options = broker_options(Settings(broker_url="amqp://one;amqp://two", redis_url="redis://three"))
    assert options["broker_url"] == "amqp://one;amqp://two"
    assert options["broker_transport_options"] == {"confirm_publish": True, "max_retries": 1}
    assert options["broker_use_ssl"] is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (SENTINELS, "sentinel://u:***@one:1,[::1]:2,three/3?master=m&sentinel_password=***"),
        ("redis://:secret@one/0", "redis://:***@one/0"),
        ("unix:///path?db=0", "unix:///path?db=0"),
    ],
)
def test_passwords_are_masked_where_settings_are_printed(url: str, shown: str) -> None:
    assert without_password(url) == shown
