"""A stand-in for the parts of Stripe that we use, for the local stack and for tests. No card, no money, no internet.

It speaks Stripe's wire protocol to the real library: `python -m pixelbloom.local.stripe --port 12111`.
"""
