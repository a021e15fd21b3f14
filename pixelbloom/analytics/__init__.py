"""What analytics ranges over."""
