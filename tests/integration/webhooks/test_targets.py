"""Which URLs and addresses a webhook may be sent to."""

import ipaddress
from uuid import uuid4

import pytest

from pixelbloom.errors import InvalidInput
from pixelbloom.webhooks.address import AddressRefused, check_url, public, resolve
from pixelbloom.webhooks.sender import Sender
from tests.integration.webhooks.deliveries import SECRET

UNREACHABLE = "The host cannot be called: it is unknown, or its address is not public."


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "https://",
        "https://user:pass@example.com/",
        "https://example.com/#part",
        "https://exa mple.com/",
        "https://127.0.0.1/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::a00:1]/",
        "https://[fe80::1]/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://example.com:99999/",
        "nonsense",
        "https://example.com/" + "a" * 2048,
    ],
)
def test_a_url_that_may_not_be_called_is_refused_on_submit(url: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        check_url(url, allow_private=False)
    assert raised.value.details[0].field == "webhook_url"


def test_a_name_of_this_machine_is_refused_at_the_call() -> None:
    with pytest.raises(AddressRefused):
        resolve(check_url("https://localhost/", allow_private=False), allow_private=False)
    outcome = Sender([SECRET], allow_private=False).send(uuid4(), "https://localhost/", b"{}")
    assert (outcome.delivered, outcome.error) == (False, UNREACHABLE)
    assert resolve(check_url("http://localhost/", allow_private=True), allow_private=True)


def test_an_unknown_name_and_a_private_one_give_the_same_error() -> None:
    sender = Sender([SECRET], allow_private=False)
    private = sender.send(uuid4(), "https://localhost/", b"{}")
    unknown = sender.send(uuid4(), "https://nobody.invalid/", b"{}")
    assert private == unknown
    assert (private.status_code, private.error, private.duration_ms) == (None, UNREACHABLE, 0)


@pytest.mark.parametrize(
    ("address", "is_public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("2002:7f00:1::", False),  # 6to4 of 127.0.0.1
        ("::ffff:10.0.0.1", False),
        ("100.64.0.1", False),
        ("ff02::1", False),
    ],
)
def test_only_public_addresses_count_as_public(address: str, is_public: bool) -> None:
    assert public(ipaddress.ip_address(address)) is is_public
