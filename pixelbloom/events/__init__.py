"""What is told while things happen: the types of events, their topics, and the one publisher."""
