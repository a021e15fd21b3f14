"""For processes that execute no tasks: `celery -A workers.clock beat`, `celery -A workers.clock flower`.

They do not import the tasks' modules or their dependencies.
"""

from pixelbloom.celery_app import app
from pixelbloom.logs import configure_celery
from pixelbloom.startup import required_settings

required_settings("redis_url")
app.conf.imports = ()
configure_celery()
