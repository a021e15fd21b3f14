"""For processes that name tasks and execute none: `celery -A workers.clock beat`, `celery -A workers.clock flower`.

They do without the tasks' modules, and without all that those need.
"""

from pixelbloom.celery_app import app
from pixelbloom.logs import configure_celery
from pixelbloom.startup import required_settings

required_settings("redis_url")
app.conf.imports = ()
configure_celery()
