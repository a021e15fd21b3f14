"""Webhooks for finished runs, by the Standard Webhooks scheme."""
