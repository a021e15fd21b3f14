"""gunicorn's settings: `gunicorn wsgi:app` reads them. GUNICORN_CMD_ARGS and the command line override them."""

from pixelbloom.web.gunicorn_settings import *  # noqa: F403
