"""If-Match takes the ETags that we give and nothing else."""

import pytest
from flask import Flask

from pixelbloom.errors import Conflict, InvalidInput
from pixelbloom.web.http.versions import changed


def ask(header: str | None) -> object:
    with Flask("test").test_request_context(headers={} if header is None else {"If-Match": header}):
        return changed({"id": "00000000-0000-4000-8000-000000000001", "version": 3}, {}, lambda *_: None)


@pytest.mark.parametrize(
    "header", ['"²"', '"٣"', f'"{"9" * 5000}"', f'"{"9" * 20}"', '""', "3", '"3', '"-3"', 'w/"3"', '"3:"', '":br"']
)
def test_a_foreign_etag_is_invalid(header: str) -> None:
    with pytest.raises(InvalidInput, match="must be an ETag from a response"):
        ask(header)


@pytest.mark.parametrize("header", [None, "*", '"3"', '"03"', '"3:br"', '"3:gzip"', 'W/"3"', '"3-gzip"'])
def test_an_etag_of_this_version_is_accepted(header: str | None) -> None:
    assert ask(header)


def test_an_etag_of_another_version_is_a_conflict() -> None:
    with pytest.raises(Conflict):
        ask(f'"{"9" * 19}"')
