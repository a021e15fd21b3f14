"""Addresses of Redis behind Sentinels, like `sentinel://user:password@one:26379,two:26379/0?master=mymaster`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

#: The second one speaks TLS, with the Sentinels and with the servers that they name.
SCHEMES = ("sentinel", "sentinels")
PORT = 26379
EXAMPLE = "sentinel://one:26379,two:26379/0?master=mymaster"
_PARAMETERS = ("master", "sentinel_username", "sentinel_password")


@dataclass(frozen=True)
class SentinelAddress:
    """The Sentinels, the name of the master that they are asked for, and how to sign in to both.

    `tls` has redis-py's `ssl_*` options, for the Sentinels and the servers alike; None without TLS.
    """

    sentinels: tuple[tuple[str, int], ...]
    master: str
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    tls: Mapping[str, Any] | None = None

    @classmethod
    def parse(cls, url: str) -> Self:
        """Return the parts of the URL. Raises ValueError, whose message has no subject."""
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        for name in query:
            if name not in _PARAMETERS and not name.startswith("ssl_"):
                raise ValueError(
                    f"has the unknown parameter {name[:40]}; it may have {', '.join(_PARAMETERS)} and ssl_*"
                )
        if not query.get("master"):
            raise ValueError(f"must name the master, like {EXAMPLE}")
        credentials, _, hosts = parts.netloc.rpartition("@")
        username, _, password = credentials.partition(":")
        return cls(
            sentinels=tuple(_host(host) for host in hosts.split(",")),
            master=query["master"],
            db=_database(parts),
            username=unquote(username) or None,
            password=unquote(password) or None,
            sentinel_username=query.get("sentinel_username"),
            sentinel_password=query.get("sentinel_password"),
            tls=tls_options(query) if parts.scheme == "sentinels" else None,
        )

    @property
    def servers_options(self) -> dict[str, Any]:
        """The options of redis-py for connections to the master, without its address."""
        return {
            "db": self.db,
            "username": self.username,
            "password": self.password,
            **({"ssl": True, **self.tls} if self.tls is not None else {}),
        }

    @property
    def sentinels_options(self) -> dict[str, Any]:
        """The options of redis-py for connections to the Sentinels, without their addresses."""
        return {
            "username": self.sentinel_username,
            "password": self.sentinel_password,
            **({"ssl": True, **self.tls} if self.tls is not None else {}),
        }


def tls_options(query: Mapping[str, str]) -> dict[str, Any]:
    """Return the `ssl_*` parameters of a URL as redis-py's options."""
    found: dict[str, Any] = {name: value for name, value in query.items() if name.startswith("ssl_")}
    if "ssl_check_hostname" in found:
        found["ssl_check_hostname"] = found["ssl_check_hostname"].lower() != "false"
    return found


def _host(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or ";" in text:
        raise ValueError(f"must name the Sentinels, separated by commas, like {EXAMPLE}")
    return host, port or PORT


def _database(parts: SplitResult) -> int:
    text = parts.path.strip("/") or "0"
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"must have the number of the database as its path, like {EXAMPLE}")
    return int(text)
