"""Packages, campaigns and quotes."""
