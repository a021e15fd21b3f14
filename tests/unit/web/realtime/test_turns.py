"""Fair order of work."""

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from pixelbloom.web.realtime.turns import fair_order

MOST = 4
Work = tuple[str, int]


def owner(work: Work) -> str:
    return work[0]


def test_a_single_search_of_a_user_precedes_the_many_of_another() -> None:
    waiting = [("one", number) for number in range(300)] + [("other", 1)]

    assert ("other", 1) in fair_order(waiting, owner, {}, MOST)
    # Also where it came while the others were worked on.
    assert fair_order(waiting, owner, {"one": 1.0}, MOST)[0] == ("other", 1)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=12))
def test_every_waiter_is_served_within_a_round(numbers: list[int]) -> None:
    waiting = [(str(name), number) for name, most in enumerate(numbers) for number in range(most)]
    served: dict[str, float] = {}
    clock = count(1)

    for _ in range(-(-len(numbers) // MOST)):
        chosen = fair_order(waiting, owner, served, MOST)
        waiting = [work for work in waiting if work not in chosen]
        served |= dict.fromkeys(map(owner, chosen), float(next(clock)))

    assert set(served) == {str(name) for name in range(len(numbers))}


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(1, 8))
def test_each_item_is_chosen_at_most_once_and_as_many_as_possible(owners: list[int], most: int) -> None:
    waiting = [(str(name), number) for number, name in enumerate(owners)]

    chosen = fair_order(waiting, owner, {}, most)

    assert len(set(chosen)) == len(chosen) == min(most, len(waiting))
