"""`pixelbloom exporter` as a process."""

import signal
import socket
import subprocess
import sys

from pixelbloom.local.postgrest import free_port
from tests.scrapes import once
from tests.stack import Stack
from tests.waiting import SECONDS, until


def exporter(stack: Stack, *options: str, **env: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "pixelbloom", "exporter", *options],
        env={**stack.env, **env},
        cwd=stack.home.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_it_serves_the_figures_until_it_is_stopped(stack: Stack) -> None:
    port = free_port()
    process = exporter(stack, METRICS_PORT=str(port))
    try:
        until(lambda: listens(port))
        found = once(
            f"http://127.0.0.1:{port}/metrics", lambda found: found.of("exporter_source_up", source="redis") == 1
        )
        assert found.of("exporter_source_up", source="postgres") == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_port_in_use_is_one_line(stack: Stack) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = exporter(stack, "--port", str(port))
        output, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 2
    assert f"port {port} cannot be used" in output
    assert "Traceback" not in output
