"""Analytics: date ranges and figures."""
