"""Packages, quotes and their administration over HTTP."""
