"""What every part may use: time zones, texts, addresses, messages of validation."""
