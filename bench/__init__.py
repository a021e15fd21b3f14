"""Benchmarks of the realtime tier, side by side with Socket.IO on Node: `make bench`."""
