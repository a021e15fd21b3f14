"""Periodic tasks and their health."""
