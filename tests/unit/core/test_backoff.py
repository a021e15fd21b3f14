from hypothesis import given
from hypothesis import strategies as st

from pixelbloom.core.backoff import LEAST, Backoff


@given(st.integers(0, 40))
def test_delays_double_up_to_the_ceiling_with_jitter(attempts: int) -> None:
    backoff = Backoff(first=0.5, maximum=20)
    for _ in range(attempts):
        backoff.next()
    ceiling = min(20, 0.5 * 2**attempts)
    assert LEAST * ceiling <= backoff.next() <= ceiling


def test_two_clients_do_not_wait_equally_long() -> None:
    assert len({Backoff(0.5, 20).next() for _ in range(20)}) > 1


def test_a_stable_connection_resets_the_delays() -> None:
    backoff = Backoff(first=0.5, maximum=20)
    for _ in range(10):
        backoff.next()
    backoff.reset()
    assert backoff.next() <= 0.5
