"""Language models: one interface for all providers."""
