"""A bare Flask and Celery app to compare runs with: no database, no tokens, results in Redis.

REDIS_SOCKET names the broker. In this folder, `gunicorn -k gevent bare:web` and `celery -A bare:app worker -P threads`
run it.
"""

import os

from celery import Celery, chain
from flask import Flask, Response, jsonify, request

_REDIS = f"redis+socket://{os.environ['REDIS_SOCKET']}?virtual_host=1"

app = Celery("bare", broker=_REDIS, backend=_REDIS)
app.conf.broker_connection_retry_on_startup = True
web = Flask("bare")


@app.task(name="bare.reply")
def reply(message: str) -> str:
    """Return a reply of a fixed text."""
    return f"{message[:100]} A landing page takes about two weeks."


@web.get("/healthz")
def healthy() -> Response:
    return jsonify(status="ok")


@web.post("/steps")
def one_step() -> Response:
    """Send one task."""
    return jsonify(id=reply.delay(request.get_json()["message"]).id)


@web.post("/chains")
def two_steps() -> Response:
    """Send two tasks, the second with the result of the first."""
    return jsonify(id=chain(reply.s(request.get_json()["message"]), reply.s())().id)
