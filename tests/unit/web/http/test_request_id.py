"""Which X-Request-ID is taken from a caller."""

import pytest

from pixelbloom.web.http.request_id import choose


@pytest.mark.parametrize("offered", ["a", "req-1", "5c1c7a52-2f5e-4d55-9a70-0d3b8a3c6a01", "A.b_c:d/e+f=", "x" * 128])
def test_a_valid_request_id_is_unchanged(offered: str) -> None:
    assert choose(offered) == offered


@pytest.mark.parametrize(
    "offered", [None, "", " ", "a b", "a\nb", "a\r\nX: y", "<script>", "x" * 129, "é", "a\x00", '"', "-a", "a\n"]
)
def test_an_invalid_request_id_is_replaced(offered: str | None) -> None:
    chosen = choose(offered)

    assert chosen != offered
    assert len(chosen) == 32
