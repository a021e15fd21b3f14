"""The tests' own way to wait."""

import time

import pytest

from tests.waiting import NotInTime, background, repeat_until, until


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
