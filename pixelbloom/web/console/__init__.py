"""The web console: its pages, status and demo accounts."""
