"""Variables that Celery itself reads from the environment, where they would replace PixelBloom's settings unseen."""

from collections.abc import MutableMapping

_BROKER = (
    "{name} is set, and Celery would use it in place of REDIS_URL: unset it, and set REDIS_URL (Redis) or"
    " BROKER_URL (RabbitMQ)"
)
_RESULTS = "{name} is set: unset it; there is no result backend, since results are stored in Postgres"
_REFUSED = {
    "CELERY_BROKER_URL": _BROKER,
    "CELERY_BROKER_READ_URL": _BROKER,
    "CELERY_BROKER_WRITE_URL": _BROKER,
    # The celery command copies this one into the next one.
    "RESULT_BACKEND": _RESULTS,
    "CELERY_RESULT_BACKEND": _RESULTS,
}


def refuse(environment: MutableMapping[str, str]) -> None:
    """Raise ValueError, with a whole sentence, if one of these variables is set.

    The celery command copies BROKER_URL into CELERY_BROKER_URL; such a copy is removed, because Celery prefers it to
    the validated value.
    """
    copied = environment.get("CELERY_BROKER_URL")
    if copied and copied == environment.get("BROKER_URL"):
        del environment["CELERY_BROKER_URL"]
    for name, sentence in _REFUSED.items():
        if environment.get(name, "").strip():
            raise ValueError(sentence.format(name=name))
