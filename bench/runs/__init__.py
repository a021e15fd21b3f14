"""What a run costs, beside a bare Flask and Celery app on the same Redis: `python -m bench.runs`."""
