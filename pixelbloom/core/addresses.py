"""Converts server addresses to the forms that client libraries accept."""

import ipaddress
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from pixelbloom.core.sentinels import SCHEMES, SentinelAddress

OLLAMA_PORT = 11434
#: Addresses to listen on; a client connects to this machine instead.
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (replaced, not listened on)
#: Parameters that libpq's `PQconninfoParse` accepts in addition to its options.
_URL_ONLY = {"ssl"}
#: Prefixes of security parameters. A misspelt one must not be dropped: the connection would be less secure.
_SECURITY = ("ssl", "tls", "auth", "channel", "require", "gss", "pass", "sni")


def is_loopback(host: str | None) -> bool:
    """Whether a URL's host is this machine, whatever proxies the environment names."""
    if not host:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def visitor_address(address: str | None) -> str:
    """Return the address that limits visitors: an IPv4 address, or the /64 of an IPv6 one (one subscriber)."""
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return address or "unknown"
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), 64), strict=False))


def ollama_url(text: str) -> str:
    """Return OLLAMA_HOST as a URL. `127.0.0.1:11434`, `0.0.0.0`, `:11434` and `host/path` mean http on Ollama's port.

    Raises ValueError, whose message has no subject.
    """
    text = text.strip().strip("\"'").strip()
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "http", text
        if _is_ipv6(rest):
            rest = f"[{rest}]"
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("is not a URL; write it like http://localhost:11434") from None
    if separator and not host:
        raise ValueError("must name a host, like http://localhost:11434")
    if port is None and not separator:
        port = OLLAMA_PORT
    host = _ANY.get(host, host) or "127.0.0.1"
    host = f"[{host}]" if ":" in host else host
    user, at, _ = parts.netloc.rpartition("@")
    return f"{scheme.lower()}://{user}{at}{host}{'' if port is None else f':{port}'}{parts.path.rstrip('/')}"


def libpq_url(text: str) -> str:
    """Return a database URL without parameters of other clients that libpq rejects, such as `pgbouncer=true`.

    Raises ValueError, whose message has no subject, for an unknown parameter that looks security-related.
    """
    if not text.startswith(("postgres://", "postgresql://")) or "?" not in text:
        return text
    from psycopg.pq import Conninfo

    known = {option.keyword.decode() for option in Conninfo.get_defaults()} | _URL_ONLY
    address, _, query = text.partition("?")
    known_parameters = []
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in known:
            known_parameters.append(f"{quote(name, safe='')}={quote(value, safe='')}")
        elif name.lower().startswith(_SECURITY):
            raise ValueError(f"has the parameter {name[:40]}, which PostgreSQL's clients do not know")
    return "?".join([address, "&".join(known_parameters)] if known_parameters else [address])


#: The spellings of redis-py, and those of Python and Celery.
_CERT_REQS = {name: name for name in ("required", "optional", "none")}
_CERT_REQS |= {f"cert_{name}": name for name in _CERT_REQS}


def redis_url(text: str, ca: str | None) -> str:
    """Return a `rediss://` or `sentinels://` URL that sets how certificates are verified; others unchanged.

    They are required unless its `ssl_cert_reqs` differs, and verified by the file `ca` unless the URL names one.
    Raises ValueError, whose message has no subject, also for an invalid address of Sentinels.
    """
    parts = urlsplit(text)
    if parts.scheme in SCHEMES:
        SentinelAddress.parse(text)
    if parts.scheme not in ("rediss", "sentinels"):
        return text
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    wanted = query.get("ssl_cert_reqs", "required").lower()
    if wanted not in _CERT_REQS:
        raise ValueError("has an unknown ssl_cert_reqs; it must be required, optional or none")
    query["ssl_cert_reqs"] = _CERT_REQS[wanted]
    if ca is not None:
        query.setdefault("ssl_ca_certs", ca)
    return urlunsplit(parts._replace(query=urlencode(query, safe="/")))


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False
