"""The Celery app, built from celeryconfig.py when it is first used. The web tier sends by task name through it."""

from urllib.parse import quote, urlsplit

from celery import Celery

app = Celery("pixelbloom")
app.config_from_object("celeryconfig")


def broker_address(redis_url: str) -> str:
    """The broker's URL as kombu writes it; only unix sockets are written otherwise than in redis-py."""
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    database = dict(pair.partition("=")[::2] for pair in parts.query.split("&") if pair).get("db", "0")
    return f"redis+socket://{quote(parts.path)}?virtual_host={database}"
