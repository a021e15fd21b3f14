"""Records of processes, and how `pixelbloom health` judges them."""

import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pixelbloom import health
from tests import ROOT


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the records: this test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"pixelbloom-{os.getuid()}"


@contextmanager
def server(status: int) -> Iterator[http.server.HTTPServer]:
    """A server that gives this status to every request."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        try:
            yield running
        finally:
            running.shutdown()
            thread.join()


def only_record(folder: Path) -> Path:
    (file,) = folder.glob("*.json")
    return file


def test_a_main_loop_that_runs_is_well_and_one_that_stopped_is_not(folder: Path) -> None:
    assert health.check("agents") == (False, "agents: no process of this user runs here, or it has not started yet")
    health.alive("agents")
    assert health.check("agents") == (True, "agents: ok (1 running)")
    assert not health.check("events")[0]

    past = time.time() - health.STUCK_SECONDS - 5
    os.utime(only_record(folder), (past, past))
    well, sentence = health.check("agents")
    assert not well
    assert sentence.startswith(f"agents: process {os.getpid()} has not run its main loop for ")

    health.alive("agents")
    assert health.check("agents")[0]
    health.forget("agents")
    assert not health.check("agents")[0]


def test_beat_may_wait_longer(folder: Path) -> None:
    health.alive("beat")
    past = time.time() - health.STUCK_SECONDS - 5
    os.utime(only_record(folder), (past, past))
    assert health.check("beat")[0]


def test_the_record_of_an_ended_process_is_removed(folder: Path) -> None:
    health.alive("agents")
    file = only_record(folder)
    record = json.loads(file.read_text())
    # The number of a process that runs, but began at another time.
    file.write_text(json.dumps({**record, "started": "1"}))
    assert not health.check("agents")[0]
    assert not file.exists()


def test_the_record_of_an_earlier_process_with_the_same_number_is_replaced(folder: Path) -> None:
    folder.mkdir()
    (folder / f"agents-{os.getpid()}.json").write_text(json.dumps({"pid": os.getpid(), "started": "1"}))
    health.alive("agents")
    assert health.check("agents") == (True, "agents: ok (1 running)")


def test_one_stuck_process_of_several_is_reported(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        health.alive("agents")
        record = {"pid": other.pid, "started": health._started(other.pid)}
        file = folder / f"agents-{other.pid}.json"
        file.write_text(json.dumps(record))
        assert health.check("agents") == (True, "agents: ok (2 running)")
        os.utime(file, (1, 1))
        assert not health.check("agents")[0]
        other.communicate(b"\n")
    assert health.check("agents") == (True, "agents: ok (1 running)")


@pytest.mark.long
def test_a_server_is_asked() -> None:
    with server(200) as running:
        health.serving("web", running.server_address, "/healthz")
        assert health.check("web") == (True, "web: ok (1 running)")
    assert health.check("web") == (False, f"web: process {os.getpid()} does not respond")
    with server(503) as running:
        health.serving("web", ("0.0.0.0", running.server_port), "/healthz")
        assert health.check("web") == (False, f"web: process {os.getpid()} responds with an error")


def test_a_server_on_a_unix_socket_is_asked(tmp_path: Path) -> None:
    health.serving("web", str(tmp_path / "no-such-socket"), "/healthz")
    assert health.check("web") == (False, f"web: process {os.getpid()} does not respond")


def test_a_folder_that_cannot_be_written_ends_no_process(folder: Path) -> None:
    folder.write_text("a file in its place")
    health.alive("agents")
    health.serving("web", ("127.0.0.1", 1), "/healthz")
    health.forget("web")


@pytest.mark.parametrize(
    ("arguments", "code"), [([], 2), (["nobody"], 2), (["web", "beat"], 2), (["--help"], 0), (["agents"], 1)]
)
def test_the_command_ends_with_a_code(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert health.main(arguments) == code
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_the_command_imports_none_of_the_libraries(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pixelbloom.cli import main\n"
        "try:\n    main(['health', 'agents'])\nexcept SystemExit as end:\n    assert end.code == 1\n"
        "libraries = {'typer', 'click', 'celery', 'pydantic', 'redis', 'httpx'}\n"
        "print({name.partition('.')[0] for name in sys.modules} & libraries)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "set()"
