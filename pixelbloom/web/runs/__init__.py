"""Runs of agents over HTTP."""
