"""Redis over TLS: certificates are verified by Celery's and by PixelBloom's own connections, by one setting."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import kombu.exceptions
import pytest
import redis
from celery import Celery
from flower.utils.broker import Broker

from pixelbloom.celery_app import broker_address, broker_tls
from pixelbloom.cli.checks import redis_server, workers
from pixelbloom.cli.findings import State
from pixelbloom.config import Settings
from pixelbloom.events.client import connect
from pixelbloom.web.realtime.redis_connection import RedisLink
from pixelbloom.web.realtime.stats import Stats
from tests import ROOT
from tests.servers.redis import OwnRedis
from tests.servers.tls import Authority, TlsProxy
from tests.waiting import SECONDS


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Authority, Authority]:
    """The one that signed the server's certificate, and another one."""
    folder = tmp_path_factory.mktemp("tls")
    return Authority(folder, "right"), Authority(folder, "wrong")


@pytest.fixture(scope="module")
def server(authorities: tuple[Authority, Authority]) -> Iterator[TlsProxy]:
    """A real Redis behind TLS."""
    with OwnRedis() as own, TlsProxy(authorities[0].issue("127.0.0.1"), urlsplit(own.url).path) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def elsewhere(authorities: tuple[Authority, Authority]) -> Iterator[TlsProxy]:
    """The same with a valid certificate for another address."""
    with OwnRedis() as own, TlsProxy(authorities[0].issue("127.0.0.9"), urlsplit(own.url).path) as proxy:
        yield proxy


def settings(server: TlsProxy, query: str = "", ca: Path | None = None) -> Settings:
    return Settings(redis_url=f"rediss://127.0.0.1:{server.port}/0{query}", redis_tls_ca=ca)  # type: ignore[call-arg, arg-type]


def ask_redis(found: Settings) -> None:
    """As publishers, readers and limits do, and as the sockets' link does."""
    assert found.redis_url is not None
    client = connect(found.redis_url)
    try:
        client.ping()
    finally:
        client.connection_pool.disconnect()
    link = RedisLink(
        found.redis_url,
        on_message=lambda *_: None,
        on_confirmed=lambda _: None,
        on_pause=lambda: None,
        stats=Stats(),
    )
    connection = link._pool.get_connection()
    link._pool.release(connection)
    link._pool.disconnect()


def ask_celery(found: Settings, *, config: bool) -> None:
    """As workers and beat do: by the URL, and by celeryconfig's options beside it."""
    assert found.redis_url is not None
    with Celery(broker=broker_address(found.redis_url), set_as_current=False) as app:
        if config:
            app.conf.broker_use_ssl = broker_tls(found.redis_url)
        with app.connection_for_write(connect_timeout=SECONDS) as connection:
            connection.ensure_connection(max_retries=0, timeout=5)
            connection.default_channel.client.ping()


def ask_flower(found: Settings) -> None:
    async def ask() -> None:
        assert found.redis_url is not None
        broker = Broker(broker_address(found.redis_url), broker_use_ssl=broker_tls(found.redis_url))
        try:
            await broker.redis.ping()
        finally:
            await broker.redis.aclose()

    asyncio.run(ask())


HALVES = [
    pytest.param(ask_redis, id="ours"),
    pytest.param(lambda found: ask_celery(found, config=False), id="celery-by-url"),
    pytest.param(lambda found: ask_celery(found, config=True), id="celery-by-config"),
    pytest.param(ask_flower, id="flower"),
]
REFUSALS = (redis.ConnectionError, kombu.exceptions.OperationalError)


@pytest.mark.parametrize("ask", HALVES)
def test_the_trusted_authority_lets_it_connect(ask, server, authorities) -> None:
    ask(settings(server, ca=authorities[0].ca))
    ask(settings(server, query=f"?ssl_ca_certs={authorities[0].ca}"))


@pytest.mark.parametrize("ask", HALVES)
def test_an_unknown_authority_is_refused_before_anything_is_sent(ask, server, authorities) -> None:
    before = server.received
    for found in (
        settings(server, ca=authorities[1].ca),
        settings(server),
        settings(server, "?ssl_cert_reqs=required"),
    ):
        with pytest.raises(REFUSALS, match="CERTIFICATE_VERIFY_FAILED"):
            ask(found)
    assert server.received == before


@pytest.mark.parametrize("ask", HALVES)
def test_a_certificate_for_another_name_is_refused(ask, elsewhere, authorities) -> None:
    before = elsewhere.received
    with pytest.raises(REFUSALS, match="CERTIFICATE_VERIFY_FAILED"):
        ask(settings(elsewhere, ca=authorities[0].ca))
    assert elsewhere.received == before
    ask(settings(elsewhere, "?ssl_check_hostname=false", ca=authorities[0].ca))


@pytest.mark.parametrize("ask", HALVES)
@pytest.mark.parametrize("reqs", ["none", "CERT_NONE"])
def test_verification_is_off_for_all_where_the_url_says_so(ask, reqs: str, server) -> None:
    ask(settings(server, f"?ssl_cert_reqs={reqs}"))


def test_doctor_reports_tls_errors(server, elsewhere, authorities) -> None:
    assert redis_server(settings(server, ca=authorities[0].ca)).state is State.OK
    untrusted = settings(server, ca=authorities[1].ca)
    for check in (redis_server, workers):
        found = check(untrusted)
        assert found.state is State.DOWN
        assert found.detail.startswith("TLS: the certificate of")
        assert "REDIS_TLS_CA" in (found.advice or "")
    assert "not valid for '127.0.0.1'" in redis_server(settings(elsewhere, ca=authorities[0].ca)).detail


def test_doctor_reports_a_server_without_tls() -> None:
    import socket
    import threading

    with socket.create_server(("127.0.0.1", 0)) as plain:

        def serve() -> None:
            client, _ = plain.accept()
            with client:
                client.sendall(b"-ERR unknown command\r\n")
                client.recv(65536)

        threading.Thread(target=serve, daemon=True).start()
        found = redis_server(Settings(redis_url=f"rediss://127.0.0.1:{plain.getsockname()[1]}"))  # type: ignore[call-arg]
    assert found.detail.startswith("TLS with rediss://127.0.0.1")


def test_celery_of_this_clone_reads_the_setting(server, authorities) -> None:
    program = "import celeryconfig; print(celeryconfig.broker_use_ssl)"
    env = {
        "PATH": os.environ["PATH"],
        "REDIS_URL": f"rediss://127.0.0.1:{server.port}/0",
        "REDIS_TLS_CA": str(authorities[0].ca),
    }
    process = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=True
    )
    assert "CERT_REQUIRED" in process.stdout
    assert str(authorities[0].ca) in process.stdout
