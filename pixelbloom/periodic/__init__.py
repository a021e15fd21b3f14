"""What runs at intervals, and whether it did."""
