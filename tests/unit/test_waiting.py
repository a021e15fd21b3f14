"""The tests' own way to wait, and what a failed test leaves to the next one."""

import time

import pytest

from tests import ROOT
from tests.waiting import NotInTime, background, repeat_until, until

pytest_plugins = ["pytester"]


def test_a_failed_wait_shows_its_condition_and_the_last_value() -> None:
    state = {"queued": 7}
    with pytest.raises(NotInTime) as caught:
        until(lambda: state["queued"] > 10 and state["queued"] < 20, 0.01, saw=lambda: "the log")
    shown = str(caught.value)
    assert "state['queued'] = 7" in shown
    assert 'not within 0.01 s: state["queued"] > 10 and' in shown
    assert "the log" in shown


def test_a_wait_returns_the_first_true_value() -> None:
    found: list[int] = []
    assert until(lambda: found.append(len(found)) or found[-1], pause=0) == 1


def test_an_endless_loop_fails_with_the_last_value() -> None:
    rounds = iter(range(10**9))
    with pytest.raises(NotInTime, match=r"next\(rounds\) = \d\d"):
        list(repeat_until(lambda: next(rounds) < 0, 0.01))


def test_the_error_of_a_background_function_is_raised_in_the_test() -> None:
    with pytest.raises(ZeroDivisionError), background(lambda: 1 / 0):
        pass
    with background(lambda: "done") as [one]:
        assert one.result() == "done"


def test_a_function_that_does_not_end_is_reported_with_its_position() -> None:
    with pytest.raises(NotInTime, match="test_waiting"), background(lambda: time.sleep(0.5), seconds=0.01):
        pass


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
    options = ("-p", "tests.cleanup", "-n", "1", "-W", "error", "--timeout-method", "signal")
    result = pytester.runpytest_subprocess(*options, timeout=120)
    result.assert_outcomes(failed=2, passed=2)
    assert "Stack of" in result.stdout.str(), "a test that hangs shows the stacks of all threads"
