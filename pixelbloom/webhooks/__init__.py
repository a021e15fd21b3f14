"""Telling callers' servers how their runs ended, by the Standard Webhooks scheme."""
