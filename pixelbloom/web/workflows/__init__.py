"""Workflows and their runs over HTTP."""
