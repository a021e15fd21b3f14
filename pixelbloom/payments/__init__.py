"""Payments by Stripe: interpreting its events, and calling its API. No Flask."""
