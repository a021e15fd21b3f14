"""Validates webhook addresses: private and link-local ones are refused unless the configuration allows them."""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from pixelbloom.auth.access import refuse_anonymous
from pixelbloom.auth.principal import Principal
from pixelbloom.config import Settings
from pixelbloom.errors import ConfigurationError, FieldError, InvalidInput

MAX_LENGTH = 2048


class AddressRefused(Exception):
    """The host must not be called; the message says why."""


@dataclass(frozen=True)
class Target:
    """A parsed URL. `path` includes the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The Host header."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == (443 if self.scheme == "https" else 80) else f"{name}:{self.port}"


def check_webhook(settings: Settings, caller: Principal, url: str | None) -> None:
    """Check the webhook_url of a run. Raises Forbidden, InvalidInput, and ConfigurationError without WEBHOOK_SECRET."""
    if url is not None:
        refuse_anonymous(caller)
        if not settings.webhook_secret:
            raise ConfigurationError("Webhooks are not configured: WEBHOOK_SECRET is missing. Omit webhook_url.")
        check_url(url, allow_private=settings.webhook_allow_private)


def check_url(url: str, *, allow_private: bool) -> Target:
    """Parse and validate the URL. Raises InvalidInput, which names `webhook_url`."""
    problem = _problem(url, allow_private)
    if problem:
        raise InvalidInput(f"The webhook_url {problem}.", [FieldError("webhook_url", problem)])
    parts = urlsplit(url)
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return Target(parts.scheme, str(parts.hostname), port, path)


def _problem(url: str, allow_private: bool) -> str | None:
    if (
        len(url) > MAX_LENGTH
        or not url.isascii()
        or not url.isprintable()
        or any(char in url for char in ' "<>\\^`{|}')
    ):
        return "must be a URL of at most 2048 ASCII characters, without spaces"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "must be a URL like https://example.com/hooks"
    schemes = ("https", "http") if allow_private else ("https",)
    if parts.scheme not in schemes or not host or port == 0:
        return f"must be a URL that starts with {' or '.join(f'{scheme}://' for scheme in schemes)} and names a host"
    if parts.username is not None or parts.password is not None:
        return "must not contain a user name or password"
    if parts.fragment:
        return "must have no fragment"
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        return None
    return None if allow_private or public(literal) else "names an address that is not public"


def public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Return whether the address is public, also for IPv4 addresses embedded in IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if inner:
            return public(inner)
        if address.is_site_local:  # deprecated, but still private
            return False
        if address in _NAT64:
            return public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address.is_global and not address.is_multicast and not address.is_reserved


_REFUSED = "The host cannot be called: it is unknown, or its address is not public."
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def resolve(target: Target, *, allow_private: bool) -> str:
    """Resolve the host to the address to connect to, so that a later DNS change cannot redirect the call.

    Raises AddressRefused if the name is unknown or any of its addresses is not public; the message is the same, so that
    it does not reveal names in our network.
    """
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise AddressRefused(_REFUSED) from None
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses:
        raise AddressRefused(_REFUSED)
    if not allow_private and not all(public(ipaddress.ip_address(address.partition("%")[0])) for address in addresses):
        raise AddressRefused(_REFUSED)
    return addresses[0]
