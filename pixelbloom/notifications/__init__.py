"""Users' notifications."""
