"""A purchase request, and its rules: who may buy, and where the browser may return."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Self
from uuid import UUID, uuid4

from pixelbloom.auth import origins
from pixelbloom.auth.access import Access
from pixelbloom.auth.principal import Principal
from pixelbloom.config import Settings
from pixelbloom.errors import Unauthenticated
from pixelbloom.payments.selling import Wanted, invalid

#: E-mail addresses that Stripe and our rows accept, in ASCII.
_ADDRESS = re.compile(r"[!-?A-~]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){1,3}")


@dataclass(frozen=True)
class Buyer:
    """Who buys. `name` distinguishes the idempotency keys of buyers."""

    name: str
    user_id: UUID | None
    has_account: bool

    @classmethod
    def of(cls, access: Access, caller: Principal | None, name: str, user_id: UUID | None, email: str | None) -> Self:
        """Return the buyer; `name` is that of the caller, or of the network address.

        Raises Unauthenticated, Forbidden, and InvalidInput if a buyer without an account has no valid address.
        """
        if caller is not None:
            user_id = access.acting_for(caller, user_id)
        elif user_id is not None:
            raise Unauthenticated("Send a token in the header Authorization: Bearer <token>, or omit user_id.")
        if caller is not None and caller.kind != "visitor":
            return cls(name, user_id, has_account=True)
        if email is None:
            raise invalid("customer_email", "is required without an account; enter your e-mail address, or sign in")
        if not _ADDRESS.fullmatch(email):
            raise invalid("customer_email", "must be an e-mail address like you@example.com")
        return cls(f"{name}:email:{email.lower()}", user_id, has_account=False)

    def request_key(self, given: str | None) -> str:
        """Return the key of a request: the same for each repeat with this idempotency key."""
        return str(uuid4()) if given is None else hashlib.sha256(f"{self.name}:{given}".encode()).hexdigest()


@dataclass(frozen=True)
class Order:
    """A caller's purchase request. `key` identifies the request; a repeat has the same."""

    key: str
    wanted: Wanted
    user_id: UUID | None
    customer_email: str | None
    success_url: str
    cancel_url: str
    metadata: Mapping[str, str]
    campaign_code: str | None
    #: Whether this buyer may only buy packages.
    packages_only: bool = field(default=False, compare=False)
    #: The user's customer id at Stripe, if any; not part of the request.
    stripe_customer: str | None = field(default=None, compare=False)

    @property
    def digest(self) -> str:
        """A hash of the request, in hexadecimal; equal for equal requests."""
        excluded = ("key", "stripe_customer", "packages_only")
        fields = {name: value for name, value in asdict(self).items() if name not in excluded}
        return hashlib.sha256(json.dumps(fields, sort_keys=True, default=str).encode()).hexdigest()

    @property
    def customer(self) -> str | None:
        """The name under which uses of a code are counted; None if unknown."""
        if self.user_id is not None:
            return str(self.user_id)
        return f"email:{self.customer_email.lower()}" if self.customer_email is not None else None


def return_url(settings: Settings, field: str, url: str | None, default: str | None) -> str:
    """Return the URL, or the default, if a browser may return to it. Raises InvalidInput."""
    url = url or default
    if url is None:
        setting = "SUCCESS_URL" if field == "return_url" else field.upper()
        raise invalid(field, f"is required, because STRIPE_{setting} is not set")
    if not origins.may_return_to(settings, url):
        raise invalid(field, "must have an origin of CORS_ORIGINS, STRIPE_SUCCESS_URL or STRIPE_CANCEL_URL")
    return url
