"""Runs: their states, submission, planning, execution and recovery."""
