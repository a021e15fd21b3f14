"""Rows to look at and to measure on: a demo agency, and many rows at scale."""
