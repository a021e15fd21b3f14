"""What the logs say, and what they never say."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from pixelbloom import logs
from pixelbloom.config import Settings

SECRET = "the-secret-of-these-tests-is-long"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    logs.configure(Settings(log_format="json", api_jwt_secret=SECRET), stream)
    yield stream
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_has_its_fields_and_the_context_ids(out: io.StringIO) -> None:
    structlog.contextvars.bind_contextvars(request_id="r1", run_id="u1")

    structlog.get_logger("pixelbloom.x").info("run_accepted", agent_type="chat_agent")

    (line,) = lines(out)
    assert line | {"timestamp": ""} == {
        "event": "run_accepted",
        "agent_type": "chat_agent",
        "request_id": "r1",
        "run_id": "u1",
        "logger": "pixelbloom.x",
        "level": "info",
        "timestamp": "",
    }
    assert line["timestamp"].endswith("Z")


def test_records_of_the_standard_library_have_the_same_format(out: io.StringIO) -> None:
    structlog.contextvars.bind_contextvars(request_id="r1")

    logging.getLogger("celery.worker").warning("lost %s", "connection")

    (line,) = lines(out)
    assert (line["event"], line["logger"], line["request_id"]) == ("lost connection", "celery.worker", "r1")


def test_an_exception_is_one_line(out: io.StringIO) -> None:
    try:
        raise ValueError("boom")
    except ValueError:
        structlog.get_logger("x").exception("failed")

    (line,) = lines(out)
    assert "ValueError: boom" in line["exception"]


@pytest.mark.parametrize(
    "fields",
    [
        {"token": TOKEN},
        {"Authorization": f"Bearer {TOKEN}"},
        {"headers": {"authorization": f"Bearer {TOKEN}", "Cookie": "a=secret-cookie"}},
        {"url": f"wss://host/api/ws/workflows?token={TOKEN}&x=1"},
        {"reason": f"refused {TOKEN} of the caller"},
        {"nested": [{"deep": ({"api_key": "sk_live_abcdefgh"},)}]},
        {"dsn": "postgres://me:hunter22@host/db"},
        {"reason": "cannot reach redis://:hunter22@host:6379/0"},
        {"reason": f"bad value {SECRET}"},
        {"reason": "key sk_test_1234567890 and whsec_1234567890 and hf_abcdefgh1234"},
        {"params": "client_secret=hunter22&x=1"},
    ],
)
def test_secrets_are_never_logged(out: io.StringIO, fields: dict[str, Any]) -> None:
    structlog.get_logger("x").info("said", **fields)
    logging.getLogger("y").error("said %s", fields)

    text = out.getvalue()
    for secret in (TOKEN, TOKEN.split(".")[1], SECRET, "hunter22", "1234567890", "abcdefgh", "secret-cookie"):
        assert secret not in text
    assert logs.REDACTED in text


def test_counts_and_non_secret_keys_are_unchanged(out: io.StringIO) -> None:
    structlog.get_logger("x").info("said", tokens=3, prompt_tokens=5, token=7, step_key="lead_agent", key="k")

    (line,) = lines(out)
    assert (line["tokens"], line["prompt_tokens"], line["token"]) == (3, 5, 7)
    assert (line["step_key"], line["key"]) == ("lead_agent", "k")


def test_a_secret_in_an_exception_is_removed(out: io.StringIO) -> None:
    try:
        raise ValueError(f"cannot use {SECRET}")
    except ValueError:
        logging.getLogger("x").exception("failed")

    assert SECRET not in out.getvalue()


def test_invalid_unicode_is_logged(out: io.StringIO) -> None:
    structlog.get_logger("x").info("said", reason="half \ud800 of a pair")

    assert lines(out)[0]["event"] == "said"


def test_after_configuring_twice_each_line_is_logged_once(out: io.StringIO) -> None:
    logs.configure(Settings(log_format="json"), out)

    structlog.get_logger("x").info("said")

    assert len(lines(out)) == 1


def test_the_pretty_format_is_readable(out: io.StringIO) -> None:
    logs.configure(Settings(log_format="pretty"), out)

    structlog.get_logger("x").info("said", token=TOKEN)

    assert "said" in out.getvalue()
    assert not out.getvalue().startswith("{")
    assert TOKEN not in out.getvalue()


def test_the_level_of_a_logger_holds_for_those_below_it_and_overrides_the_quiet_ones(out: io.StringIO) -> None:
    loud, quiet = "httpx", "pixelbloom.quiet"
    before = {name: logging.getLogger(name).level for name in (loud, quiet)}
    try:
        logs.configure(Settings(log_format="json", log_levels=f"{loud}=INFO, {quiet} = error"), out)
        logging.getLogger(loud).info("shown")
        logging.getLogger(f"{quiet}.part").warning("hidden")
        logging.getLogger(f"{quiet}.part").error("shown too")
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)

    assert [line["event"] for line in lines(out)] == ["shown", "shown too"]
