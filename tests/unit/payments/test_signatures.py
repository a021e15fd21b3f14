"""The header `Stripe-Signature`: what Stripe writes verifies, whatever else is refused."""

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from pixelbloom.errors import InvalidInput
from pixelbloom.payments.signatures import verified

SECRET = "whsec_test"
BODY = b'{"id": "evt_1", "type": "invoice.paid", "created": 1790000000}'


def header(secret: str = SECRET, at: int | None = None) -> str:
    found: str = stripe.WebhookSignature.generate_signature_header(BODY.decode(), secret, at)
    return found


def test_what_stripe_signs_verifies_also_while_the_secret_is_changed() -> None:
    old = header("whsec_old").split("v1=")[1]
    for value in (header(), f"{header()},v1={old}", header().replace(",v1=", f",v1={old},v0={old},v1=")):
        assert verified(BODY, value, ["whsec_other", SECRET])["id"] == "evt_1"


#: `<now>` stands for the time, `<good>` for a signature of the body, `<header>` for a whole header that verifies.
BROKEN = [
    None,
    "",
    "t=1,v1=é",
    "t=<now>,v1=é",
    "t=<now>,v1=<good>é",
    "t=1,v1=\udce9",
    "é",
    "t=1",
    "v1=<good>",
    "t=,v1=<good>",
    "t=-1,v1=<good>",
    "t=" + "9" * 13 + ",v1=<good>",
    "t=" + "9" * 5000 + ",v1=<good>",
    "t=1e9,v1=<good>",
    "t=\u0661,v1=<good>",
    "t=<now>,v1=",
    "t=<now>," + ",".join(["v1=<good>"] * 500),
    "t=<now>,v1=<good>\x00",
    "t=<now>,v1=<good>\r\n",
    "t=<now>\x01,v1=<good>",
    "<header>,<header>",
    "<header>, <header>",
    "t=<now>,t=<now>,v1=<good>",
    "=,=,=",
    ",,,",
    "t=1;v1=2",
]


@pytest.mark.parametrize("value", BROKEN, ids=range(len(BROKEN)))
def test_a_malformed_header_is_refused(value: str | None) -> None:
    whole = header()
    now, good = whole.removeprefix("t=").split(",v1=")
    if value is not None:
        value = value.replace("<header>", whole).replace("<now>", now).replace("<good>", good)
    with pytest.raises(InvalidInput, match="signature is invalid"):
        verified(BODY, value, [SECRET, "whsec_other"])


@given(st.text() | st.builds("t={},v1={}".format, st.integers() | st.text(), st.text()))
def test_any_other_text_as_header_is_refused_with_our_message(value: str) -> None:
    with pytest.raises(InvalidInput):
        verified(BODY, value, [SECRET])


@pytest.mark.parametrize("created", ["1e9", "253402300800", "1" * 5000, "-1", "true", "null", '"1"'])
def test_an_event_with_an_invalid_time_is_refused(created: str) -> None:
    body = BODY.replace(b"1790000000", created.encode())
    value = stripe.WebhookSignature.generate_signature_header(body.decode(), SECRET)
    with pytest.raises(InvalidInput, match="not a Stripe event"):
        verified(body, value, [SECRET])
