"""What all resources share; it imports none of them."""
