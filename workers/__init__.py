"""One small module per worker role: `celery -A workers.agents worker -n agents@%h`."""
