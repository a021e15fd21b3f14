"""RabbitMQ as the broker, Redis for the events: runs, progress, and what happens when RabbitMQ dies."""

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import amqp
import psycopg
import pytest
from celery import Celery
from kombu import Connection, Exchange, Queue
from kombu.exceptions import OperationalError
from redis import Redis

from pixelbloom import rabbitmq_transport
from pixelbloom.celery_app import broker_options
from pixelbloom.config import Settings
from pixelbloom.core.queues import AGENTS, QUEUES
from pixelbloom.local.postgrest import free_port
from pixelbloom.runs.dispatcher import Dispatcher, canvas
from pixelbloom.runs.recovery import MARGIN, NOTHING_LOST, lost_by_rabbitmq, waiting_messages
from tests.integration.brokers.tiers import Tiers, everything_is_ready, runs_complete_and_are_watched, tiers
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.tls import Authority
from tests.servers.workers import WorkerProcess
from tests.stack import Stack
from tests.waiting import SECONDS, until

QUORUM = {"x-queue-type": "quorum"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"), "right")


@pytest.fixture(scope="module")
def rabbit(authority: Authority) -> Iterator[RabbitMQ]:
    with RabbitMQ(authority.issue("127.0.0.1")) as server:
        yield server


@pytest.fixture(scope="module")
def deployed(stack: Stack, rabbit: RabbitMQ, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiers]:
    with tiers(stack, tmp_path_factory.mktemp("workers"), BROKER_URL=rabbit.url) as running:
        yield running


def settings(url: str, **more: object) -> Settings:
    return Settings(broker_url=url, **more)  # type: ignore[arg-type]


@pytest.fixture
def app(rabbit: RabbitMQ, deployed: Tiers) -> Iterator[Celery]:
    """An app that sends as ours does, to queues that no worker takes from."""
    with Celery(set_as_current=False) as app:
        app.conf.update(broker_options(settings(rabbit.url)), task_ignore_result=True)
        app.conf.task_queues = [Queue(AGENTS, Exchange(AGENTS), AGENTS, queue_arguments=QUORUM)]
        yield app


def connection(rabbit: RabbitMQ) -> amqp.Connection:
    return amqp.Connection(f"127.0.0.1:{rabbit.port}", "pixelbloom", "a pass/word", login_method="PLAIN")


def connection_of(app: Celery, rabbit: RabbitMQ) -> Connection:
    """A connection that no earlier test had: pooled ones may be those of a RabbitMQ that was killed."""
    app.conf.update(broker_options(settings(rabbit.url)))
    return app.connection_for_write()


def test_runs_complete_and_their_progress_reaches_a_socket(
    deployed: Tiers, db: psycopg.Connection, stack: Stack
) -> None:
    runs_complete_and_are_watched(deployed, db)
    checks = everything_is_ready(deployed)
    assert checks["broker"] == {"status": "ok", "required": False}
    with Redis.from_url(stack.redis_url) as redis:
        assert [key for key in redis.scan_iter() if not key.startswith(b"pb:")] == []
    found = deployed.wait_for_doctor("redis", "broker", "workers", "beat")
    assert found["broker"]["detail"].startswith("RabbitMQ 3.")


def test_each_queue_is_replicated_and_delayed_delivery_is_not_set_up(deployed: Tiers, rabbit: RabbitMQ) -> None:
    everything_is_ready(deployed)
    with connection(rabbit) as broker:
        for name in QUEUES:
            with pytest.raises(amqp.PreconditionFailed, match="x-queue-type"):
                broker.channel().queue_declare(name, durable=True, auto_delete=False)
        with pytest.raises(amqp.NotFound):
            broker.channel().exchange_declare("celery_delayed_delivery", "topic", passive=True)


def test_a_message_has_the_priority_that_rabbitmq_orders_by_and_celery_sees_its_own(rabbit: RabbitMQ) -> None:
    app = Celery(set_as_current=False)
    app.conf.update(broker_options(settings(rabbit.url)))
    with app.connection_for_write() as opened:
        queue = Queue("priorities", channel=opened.default_channel, auto_delete=True)
        queue.declare()
        producer = opened.Producer()
        for priority in (0, 5):  # of an interactive run, and of a batch
            producer.publish("x", routing_key="priorities", priority=priority)
        with connection(rabbit) as broker:
            first, second = (broker.channel().basic_get("priorities", no_ack=True) for _ in range(2))
        assert [first.properties["priority"], second.properties["priority"]] == [5, 0]
        producer.publish("x", routing_key="priorities", priority=5)
        assert queue.get(no_ack=True).properties["priority"] == 5
    app.close()


def test_what_rabbitmq_lost_is_judged_by_the_age_of_what_runs(app: Celery, deployed: Tiers, rabbit: RabbitMQ) -> None:
    newest = datetime(2026, 1, 31, 12, tzinfo=UTC)
    everything_is_ready(deployed)
    agents = deployed.name_of("agents")
    app.control.cancel_consumer(AGENTS)
    until(lambda: (app.control.inspect().active_queues() or {}).get(agents) == [])
    before = datetime.now(UTC) - MARGIN
    assert all(at >= before for at in lost_by_rabbitmq(app, dict).values())
    step = {"run_id": str(uuid4()), "key": "a", "priority": 0, "published_at": "", "chain": []}
    canvas(app, step).apply_async(retry=False)
    until(lambda: waiting_messages(app) == 1)
    assert lost_by_rabbitmq(app, dict) == NOTHING_LOST
    assert lost_by_rabbitmq(app, lambda: {0: newest}) == {**NOTHING_LOST, 0: newest - MARGIN}
    app.control.add_consumer(AGENTS)
    until(lambda: waiting_messages(app) == 0)


def test_a_node_that_is_away_is_skipped(rabbit: RabbitMQ) -> None:
    with Celery(set_as_current=False) as app:
        app.conf.update(broker_options(settings(f"amqp://127.0.0.1:{free_port()};{rabbit.url}")))
        with app.connection_for_write() as opened:
            opened.Producer().publish("x", routing_key="nodes", declare=[Queue("nodes", auto_delete=True)], retry=False)
            assert opened.port == rabbit.port


def test_a_frozen_rabbitmq_holds_up_a_sender_for_a_bounded_time_and_an_event_not_at_all(
    rabbit: RabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Celery(set_as_current=False) as app, connection_of(app, rabbit) as tasks, connection_of(app, rabbit) as events:
        queue = Queue("frozen", auto_delete=True)
        tasks.Producer().publish("x", routing_key="frozen", declare=[queue], retry=False)
        sender = events.Producer()
        sender.publish("x", routing_key="frozen", delivery_mode=rabbitmq_transport.TRANSIENT, retry=False)
        rabbit.freeze()
        try:
            with monkeypatch.context() as patch:
                patch.setattr(rabbitmq_transport, "CONFIRM_SECONDS", 0.5)
                with pytest.raises(amqp.RecoverableConnectionError, match="confirmed nothing"):
                    tasks.Producer().publish("x", routing_key="frozen", retry=False)
            sender.publish("x", routing_key="frozen", delivery_mode=rabbitmq_transport.TRANSIENT, retry=False)
        finally:
            rabbit.thaw()
        assert not tasks.connected
        tasks.Producer().publish("x", routing_key="frozen", retry=False)
        until(lambda: tasks.default_channel.queue_declare("frozen", passive=True).message_count >= 4)


def test_updates_are_published_while_rabbitmq_is_frozen(rabbit: RabbitMQ) -> None:
    published: list[dict[str, Any]] = []
    step = {"run_id": str(uuid4()), "key": "a", "priority": 0, "published_at": "", "chain": []}

    def reached(number: int) -> bool:
        return len(published) == number

    calls = (([], "first", uuid4()), ([step], "second", None), ([], "third", uuid4()))
    with Celery(set_as_current=False) as app:
        app.conf.update(broker_options(settings(rabbit.url)), task_ignore_result=True)
        app.conf.task_queues = [Queue(AGENTS, Exchange(AGENTS), AGENTS, queue_arguments=QUORUM)]
        dispatcher = Dispatcher(app, published.extend)
        rabbit.freeze()
        try:
            for number, (steps, update, cancelled) in enumerate(calls, start=1):
                dispatcher.publish(steps, [{"step": update}], stop=cancelled)
                until(partial(reached, number))
        finally:
            rabbit.thaw()
        assert dispatcher.flush(60)
    assert [update["step"] for update in published] == ["first", "second", "third"]


def test_certificates_are_verified(rabbit: RabbitMQ, authority: Authority, tmp_path: Path) -> None:
    def connects(**more: object) -> None:
        app = Celery(set_as_current=False)
        url = f"amqps://pixelbloom:a%20pass%2Fword@{more.pop('host', '127.0.0.1')}:{rabbit.tls_port}"
        app.conf.update(broker_options(settings(url, **more)))
        with app.connection_for_write(connect_timeout=SECONDS) as opened:
            opened.ensure_connection(max_retries=0)

    connects(broker_tls_ca=authority.ca)
    for refused in ({}, {"broker_tls_ca": Authority(tmp_path, "wrong").ca}):
        with pytest.raises(OperationalError, match="CERTIFICATE_VERIFY_FAILED") as caught:
            connects(**refused)
        assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
    with pytest.raises(OperationalError, match=r"127\.0\.0\.2"):
        connects(broker_tls_ca=authority.ca, host="127.0.0.2")


def test_a_worker_that_rabbitmq_refuses_exits_with_the_documented_code(
    stack: Stack, rabbit: RabbitMQ, tmp_path: Path
) -> None:
    url = rabbit.url.replace("a%20pass", "another")
    worker = WorkerProcess("events", {**stack.env, "BROKER_URL": url}, tmp_path)
    try:
        until(lambda: worker.process.poll() is not None, saw=lambda: worker.output)
        assert worker.process.returncode == 70
        assert "worker_lost_broker" in worker.output
        assert "ACCESS_REFUSED" in worker.output
        assert "Traceback" not in worker.output
    finally:
        worker.end()


@pytest.mark.parametrize(
    "wipe", [pytest.param(False, id="with its data", marks=pytest.mark.slow), pytest.param(True, id="empty")]
)
def test_no_run_is_lost_when_rabbitmq_is_killed_in_mid_run(
    deployed: Tiers, db: psycopg.Connection, rabbit: RabbitMQ, wipe: bool
) -> None:
    everything_is_ready(deployed)
    runs = deployed.invoke(8)
    deployed.wait_for_running(db, 3)
    seen: list[object] = []
    watching = threading.Thread(target=lambda: seen.extend(deployed.watch(runs[0])), daemon=True)
    watching.start()
    rabbit.kill(wipe=wipe)
    runs += deployed.invoke(2)
    until(lambda: deployed.api.get("/readyz").status_code == 200)
    rabbit.start()
    deployed.wait_for_completed(db, runs)
    watching.join(SECONDS)
    assert seen[-1].completed  # type: ignore[attr-defined]
    deployed.check_workers()


def test_workers_exit_with_the_documented_code_when_rabbitmq_stays_away(
    stack: Stack, rabbit: RabbitMQ, deployed: Tiers, tmp_path: Path
) -> None:
    # The last test: it leaves no broker.
    everything_is_ready(deployed)
    workers = [WorkerProcess(role, deployed.env, tmp_path, "--broker-patience=1") for role in ("agents", "events")]
    try:
        with Celery(set_as_current=False) as app, connection_of(app, rabbit) as opened:
            inspect = app.control.inspect(connection=opened)
            names = {worker.name for worker in workers}
            until(lambda: names <= {name.partition("@")[0] for name in inspect.ping() or {}})
        rabbit.kill()
        for worker in workers:
            until(lambda: worker.process.poll() is not None, saw=lambda: worker.output)  # noqa: B023
            assert worker.process.returncode == 70
            assert "worker_deaf" in worker.output
            assert "Traceback" not in worker.output
    finally:
        for worker in workers:
            worker.end()
