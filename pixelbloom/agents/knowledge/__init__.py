"""The agents' knowledge of the agency: services, prices, scoring, and parsing of people's texts."""
