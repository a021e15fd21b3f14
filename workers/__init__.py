"""One small module a worker role: `celery -A workers.agents worker -n agents@%h`."""
