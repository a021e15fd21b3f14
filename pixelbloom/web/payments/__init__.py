"""Payments over HTTP, and the webhook of Stripe."""
