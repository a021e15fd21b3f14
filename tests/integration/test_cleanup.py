"""What a failed test leaves to the next one."""

import pytest

from tests import ROOT

pytest_plugins = ["pytester"]

SUITE = """
import gc, socket, threading, time
import pytest

server = socket.create_server(("127.0.0.1", 0))
cleaned = []

@pytest.fixture
def cleaning():
    yield
    cleaned.append(True)

def fails(why):
    client = socket.create_connection(server.getsockname())
    circle = [client]
    circle.append(circle)
    why(client)

def look(times):
    taken, _ = server.accept()
    taken.settimeout(10)
    assert taken.recv(1) == b"", "the failed test's connection is still open"
    taken.close()
    gc.collect()
    assert cleaned == [True] * times

def test_that_fails(cleaning):
    def wrong(client):
        assert client is None
    fails(wrong)

def test_after_it():
    look(1)

@pytest.mark.timeout(2)
def test_that_hangs(cleaning):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    fails(lambda client: threading.Event().wait())

def test_after_that():
    look(2)
    server.close()
"""


def test_a_test_that_fails_or_hangs_is_cleaned_up_and_the_next_one_passes(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(SUITE)
    plugins = ("-p", "no:schemathesis", "-p", "no:cloudcoil", "-p", "no:valkey", "-p", "tests.cleanup")
    options = (*plugins, "-n", "1", "-W", "error", "--timeout-method", "signal")
    result = pytester.runpytest_subprocess(*options, timeout=120)
    result.assert_outcomes(failed=2, passed=2)
    assert "Stack of" in result.stdout.str(), "a test that hangs shows the stacks of all threads"
