"""What agents know about the agency: services, prices, scoring, and how to read what people write."""
