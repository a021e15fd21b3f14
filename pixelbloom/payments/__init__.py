"""Payments by Stripe: what its events mean, and the calls that we make to it. No HTTP of ours."""
