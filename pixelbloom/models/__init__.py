"""Language models: one way to ask them, whichever provider answers."""
