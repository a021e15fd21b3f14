"""Definitions of workflows: versioned data, checked before it is kept, rendered step by step. Pure: nothing here talks
to anything."""
