"""Shared by all packages: time zones, text, addresses, validation messages."""
