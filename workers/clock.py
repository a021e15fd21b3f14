"""For processes that execute no tasks: `celery -A workers.clock beat`, `celery -A workers.clock flower`.

They do not import the tasks' modules or their dependencies.
"""

from pixelbloom import logs
from pixelbloom.celery_app import app
from pixelbloom.startup import required_settings
from workers import banner

settings = required_settings("redis_url")
app.conf.imports = ()
logs.configure(settings)  # now: Flower sends no signal to set up logs
logs.configure_celery()
banner.silence_beat(app)
banner.let_flower_log_as_all()
