"""Event types, topics, and the one publisher."""
