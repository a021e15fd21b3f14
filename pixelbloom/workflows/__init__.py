"""Workflow definitions: versioned data, validated before it is stored, rendered step by step."""
