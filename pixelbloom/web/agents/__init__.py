"""The agents that can be run."""
