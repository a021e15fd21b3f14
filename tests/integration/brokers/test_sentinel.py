"""Redis behind Sentinels, with passwords of both: a failover in mid-run loses no run, and sockets go on."""

import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from celery import Celery
from kombu.exceptions import OperationalError

from pixelbloom.celery_app import broker_options
from pixelbloom.config import Settings
from pixelbloom.events.client import connect
from pixelbloom.periodic.pulses import Pulses
from tests.integration.brokers.tiers import Tiers, everything_is_ready, runs_complete_and_are_watched, tiers
from tests.servers.debian_redis import Sentinels
from tests.servers.tls import Authority
from tests.stack import Stack
from tests.waiting import SECONDS


@pytest.fixture(scope="module")
def sentinels() -> Iterator[Sentinels]:
    with Sentinels() as servers:
        yield servers


@pytest.fixture(scope="module")
def deployed(stack: Stack, sentinels: Sentinels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiers]:
    # A failover takes seconds: workers wait longer than that.
    with tiers(stack, tmp_path_factory.mktemp("workers"), REDIS_URL=sentinels.url) as running:
        yield running


def test_runs_limits_pulses_and_doctor_use_the_master(
    deployed: Tiers, db: psycopg.Connection, sentinels: Sentinels
) -> None:
    runs_complete_and_are_watched(deployed, db)
    everything_is_ready(deployed)
    master = sentinels.master
    assert master is sentinels.first
    assert set(Pulses(master.client).ages()) == {"beat", "maintenance", "events", "webhooks"}
    assert next(master.client.scan_iter("pb:limit*runs*"), None)
    deployed.wait_for_doctor("redis", "workers", "beat")


def test_doctor_reports_sentinels_without_the_master(deployed: Tiers, sentinels: Sentinels) -> None:
    for url in (sentinels.url.replace("master=news", "master=other"), sentinels.url.replace("of-the-sentinels", "x")):
        found, printed = deployed.doctor(REDIS_URL=url)
        assert found["redis"]["state"] == "down"
        assert "no Sentinel of" in found["redis"]["detail"]
        assert sentinels.SENTINEL_PASSWORD not in printed


def test_certificates_of_sentinels_and_servers_are_verified(tmp_path: Path) -> None:
    right, wrong = Authority(tmp_path, "right"), Authority(tmp_path, "wrong")
    with Sentinels(right) as servers:

        def by_redis(found: Settings) -> None:
            with connect(found.require("redis_url")) as client:
                client.ping()

        def by_celery(found: Settings) -> None:
            with Celery(set_as_current=False) as app:
                app.conf.update(broker_options(found))
                with app.connection_for_write(connect_timeout=SECONDS) as connection:
                    connection.ensure_connection(max_retries=1)
                    connection.default_channel.client.ping()

        for ask in (by_redis, by_celery):
            ask(Settings(redis_url=servers.url, redis_tls_ca=right.ca))
            with pytest.raises((redis.ConnectionError, OperationalError), match="No master found"):
                ask(Settings(redis_url=servers.url, redis_tls_ca=wrong.ca))


@pytest.mark.slow
def test_a_failover_in_mid_run_loses_no_run_and_sockets_go_on(
    deployed: Tiers, db: psycopg.Connection, sentinels: Sentinels
) -> None:
    # The last test: the first server does not return.
    everything_is_ready(deployed)
    runs = deployed.invoke(8)
    deployed.wait_for_running(db, 3)
    seen: list[object] = []
    watching = threading.Thread(target=lambda: seen.extend(deployed.watch(runs[0])), daemon=True)
    watching.start()
    sentinels.kill_master()
    runs += deployed.invoke(2)
    deployed.wait_for_completed(db, runs)
    assert sentinels.master is sentinels.second
    watching.join(SECONDS)
    assert seen[-1].completed  # type: ignore[attr-defined]
    runs_complete_and_are_watched(deployed, db)
    deployed.check_workers()
