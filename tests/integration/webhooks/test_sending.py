"""One attempt at a webhook, against a real server: what is sent, to whom, and what the server cannot do to us."""

import base64
import json
import os
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from pixelbloom.webhooks import sender as sending
from pixelbloom.webhooks.sender import MAX_BACKOFF_SECONDS, MAX_BODY_BYTES, Outcome, Sender, payload, retry_after
from tests.servers.receiver import Receiver, Reply, authority

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"o" * 32).decode()
BODY = payload("run.completed", {"request_id": "r", "result": {"reply": "Grüß Gott"}})


def send(url: str, body: bytes = BODY, *secrets: str, allow_private: bool = True) -> Outcome:
    return Sender(secrets or [SECRET], allow_private=allow_private).send(uuid4(), url, body)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


def test_the_receiver_verifies_the_signature_with_the_standard_library(receiver: Receiver) -> None:
    outcome = send(receiver.url)

    assert (outcome.delivered, outcome.status_code, outcome.error) == (True, 204, None)
    [got] = receiver.received
    assert Webhook(SECRET).verify(got.body, got.headers) == json.loads(BODY)
    assert got.headers["content-type"] == "application/json"


def test_a_changed_body_id_or_time_no_longer_verifies(receiver: Receiver) -> None:
    send(receiver.url)
    [got] = receiver.received

    for body, headers in (
        (got.body.replace(b"run.completed", b"run.cancelled"), {}),
        (got.body, {"webhook-id": "msg_other"}),
        (got.body, {"webhook-timestamp": str(int(got.headers["webhook-timestamp"]) + 1)}),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(body, got.headers | headers)


def test_over_https_the_certificate_must_be_of_a_trusted_authority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted, tls = authority(tmp_path)
    with Receiver(tls=tls) as server:
        refused = send(server.url)
        monkeypatch.setenv("SSL_CERT_FILE", os.fspath(trusted))
        taken = send(server.url)

    assert (refused.delivered, refused.status_code) == (False, None)
    assert "TLS" in (refused.error or "")
    assert taken.delivered, taken.error
    assert len(server.received) == 1


def test_over_https_the_certificate_must_name_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted, tls = authority(tmp_path, "other.example.com")
    monkeypatch.setenv("SSL_CERT_FILE", os.fspath(trusted))
    with Receiver(tls=tls) as server:
        outcome = send(server.url)

    assert not outcome.delivered
    assert server.received == []


def test_the_address_that_was_checked_is_dialled_under_the_hosts_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted, tls = authority(tmp_path, "hooks.example.com")
    monkeypatch.setenv("SSL_CERT_FILE", os.fspath(trusted))
    asked: list[Any] = []
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if host == "hooks.example.com":
            asked.append(host)
            host = "127.0.0.1"
        return real(host, port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with Receiver(tls=tls) as server:
        outcome = send(f"https://hooks.example.com:{server.port}/hook?a=b")

    assert outcome.delivered, outcome.error
    assert asked == ["hooks.example.com"]  # a second response could be another one
    assert server.names == ["hooks.example.com"]
    assert server.received[0].path == "/hook?a=b"
    assert server.received[0].headers["host"] == f"hooks.example.com:{server.port}"


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_no_private_address_is_dialled_however_it_is_written(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted, tls = authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", os.fspath(trusted))
    with Receiver(tls=tls) as server:
        outcome = send(f"https://{host}:{server.port}/hook", allow_private=False)

    assert (outcome.delivered, outcome.status_code) == (False, None)
    assert "not public" in (outcome.error or "")
    assert server.names == []


def test_one_private_address_among_several_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_, **__: [(*entry, ("93.184.215.14", 443)), (*entry, ("10.0.0.1", 443))]
    )

    assert "not public" in (send("https://hooks.example.com/", allow_private=False).error or "")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_a_failure_and_not_followed(status: int) -> None:
    with Receiver() as elsewhere, Receiver(Reply(status, {"Location": elsewhere.url})) as server:
        outcome = send(server.url)

    assert (outcome.delivered, outcome.final, outcome.status_code) == (False, False, status)
    assert elsewhere.received == []


def test_gone_is_final_and_an_error_is_not() -> None:
    with Receiver(Reply(410), Reply(500)) as server:
        gone, failed = send(server.url), send(server.url)

    assert (gone.delivered, gone.final) == (False, True)
    assert (failed.delivered, failed.final) == (False, False)


def test_retry_after_is_honoured_within_bounds() -> None:
    with Receiver(Reply(503, {"Retry-After": "600"}), Reply(503, {"Retry-After": "999999"})) as server:
        some, much = send(server.url), send(server.url)

    assert some.retry_seconds(0) == 600
    assert much.retry_seconds(0) == 2 * 3600


@pytest.mark.parametrize("reply", [Reply(200, endless=True), Reply(200, body=b"x" * 5_000_000)])
def test_an_endless_response_is_not_read(reply: Reply) -> None:
    with Receiver(reply) as server:
        assert send(server.url).delivered


@pytest.mark.parametrize("reply", [Reply(drip=True), Reply(delay=30)])
def test_a_server_that_drips_or_waits_is_cut_off(reply: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "TOTAL_SECONDS", 1.0)
    with Receiver(reply) as server:
        outcome = send(server.url)

    assert not outcome.delivered


@pytest.mark.parametrize("field", ["result", "metadata", "steps"])
def test_payloads_are_bounded(field: str) -> None:
    body = payload("run.failed", {"request_id": "r", "status": "failed", field: {"x": "y" * 900_000}})

    assert len(body) <= MAX_BODY_BYTES
    sent = json.loads(body)
    assert sent["truncated"] is True
    assert sent["data"]["request_id"] == "r"


def test_nothing_is_sent_unsigned(receiver: Receiver) -> None:
    outcome = Sender([], allow_private=True).send(uuid4(), receiver.url, BODY)

    assert not outcome.delivered
    assert receiver.received == []


NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("7200", 7200.0),
        ("7201", MAX_BACKOFF_SECONDS),
        ("9" * 5000, MAX_BACKOFF_SECONDS),
        ("Sat, 31 Jan 2026 12:02:00 GMT", 120.0),
        ("Sat, 31 Jan 2026 14:02:00 +0200", 120.0),
        ("Sat, 31 Jan 2026 11:00:00 GMT", 0.0),
        ("Sat Jan 31 12:02:00 2026", 120.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_BACKOFF_SECONDS),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("Sat, 99 Foo 2026 12:02:00 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date_and_bounded(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds


@given(st.text(max_size=60) | st.datetimes().map(format_datetime))
def test_an_invalid_retry_after_does_not_fail_an_attempt(header: str) -> None:
    seconds = retry_after(header, NOW)
    assert seconds is None or 0 <= seconds <= MAX_BACKOFF_SECONDS


def test_a_receiver_with_a_retry_date_is_not_called_before_it(receiver: Receiver) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    receiver.replies = [Reply(503, headers={"Retry-After": later})]
    outcome = send(receiver.url)

    assert outcome.status_code == 503
    assert 3000 < outcome.retry_seconds(1) <= 3600


def test_a_slow_name_lookup_ends_the_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, release = threading.Event(), threading.Event()

    def hang(*_: Any, **__: Any) -> Any:
        asked.set()
        release.wait()
        raise OSError

    monkeypatch.setattr(sending, "TOTAL_SECONDS", 0.3)
    monkeypatch.setattr(socket, "getaddrinfo", hang)
    outcome = send("https://slow.example.com/")

    assert asked.is_set()
    assert not release.is_set(), "the lookup still hangs"
    assert (outcome.responded, outcome.error) == (False, "The receiver timed out.")
    release.set()
