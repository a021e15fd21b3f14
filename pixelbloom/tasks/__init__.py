"""Thin Celery tasks. Each takes ids, calls the domain once, and is safe to run twice."""
