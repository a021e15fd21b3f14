"""Conversations and visitors over HTTP."""
