"""Pages of rows end where their limit or their bytes do."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pixelbloom.database.pagination import PAGE_BYTES, SLICE_ROWS, Rows, Slices, weight


class Table:
    """Rows in order, known by their number, and how many were read at once at most."""

    def __init__(self, sizes: list[int]) -> None:
        self.rows: list[dict[str, Any]] = [{"n": n, "text": "x" * size} for n, size in enumerate(sizes)]
        self.most = 0

    def read(self, count: int, after: int | None) -> list[dict[str, Any]]:
        start = 0 if after is None else after + 1
        found = self.rows[start : start + count]
        self.most = max(self.most, len(found))
        return found

    def page(self, limit: int, after: int | None) -> Rows:
        return Slices(self.read, lambda row: int(row["n"])).page(limit, after)


sizes = st.lists(st.sampled_from([0, 100, PAGE_BYTES // 40, PAGE_BYTES // 3, PAGE_BYTES + 1]), max_size=70)


@settings(deadline=None)
@given(sizes, st.integers(1, 60))
def test_pages_contain_each_row_once_within_their_limits(widths: list[int], limit: int) -> None:
    table = Table(widths)
    seen: list[int] = []
    after: int | None = None
    while True:
        page = table.page(limit, after)
        assert len(page.items) <= limit
        assert len(page.items) == 1 or sum(map(weight, page.items)) <= PAGE_BYTES
        seen += [row["n"] for row in page.items]
        if not page.more:
            break
        after = seen[-1]
        assert page.items

    assert seen == list(range(len(widths)))
    assert table.most <= SLICE_ROWS


def test_a_full_last_page_has_no_next_page() -> None:
    table = Table([10] * SLICE_ROWS)

    assert not table.page(SLICE_ROWS, None).more
    assert table.page(SLICE_ROWS - 1, None).more


def test_bytes_are_counted_as_the_api_writes_them() -> None:
    assert weight({"text": "é"}) == len('{"text":"\\u00e9"}')
