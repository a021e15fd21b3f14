from pixelbloom.startup import BACKEND, GUNICORN_EXIT_CODE, required_settings
from pixelbloom.web.app import create_app

app = create_app(required_settings(*BACKEND, exit_code=GUNICORN_EXIT_CODE))
